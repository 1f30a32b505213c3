//! What all tasks of a run share: options, slots for plugins, counts, the end.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::sync::watch;
use trunkline::Offers;
use trunkline::host::Host;
use trunkline::host::PluginInfo;
use trunkline::services::state::MemoryStore;
use uuid::Uuid;

use crate::ends::Other;
use crate::ends::Source;
use crate::ends::Worker;
use crate::ends::ledger::Ledger;
use crate::fleet::Run;
use crate::load::Schedule;
use crate::options::Options;
use crate::proof::Counted;
use crate::report::Tally;

/// Workers of plugins that are being launched, by the identity of the run.
type Workers = Arc<Mutex<HashMap<Uuid, Worker>>>;

pub struct Stage {
    pub options: Options,
    pub seed: u64,
    pub host: Host,
    pub store: Arc<MemoryStore>,
    pub slots: Vec<Slot>,
    pub schedule: Option<Arc<Schedule>>,
    pub tally: Tally,
    /// Whether no more calls are to begin.
    pub over: watch::Sender<bool>,
    /// Whether plugins are to end.
    pub closing: watch::Sender<bool>,
    /// By plugin and key.
    counters: Mutex<BTreeMap<(usize, u32), Counted>>,
    workers: Workers,
}

impl Stage {
    pub fn new(options: Options, seed: u64) -> Self {
        let source = Source::new(seed, options.payload.clone());
        let store = Arc::new(MemoryStore::new());
        let workers = Workers::default();
        let offer = {
            let workers = workers.clone();
            move |plugin: &PluginInfo, offers: Offers| {
                let other = Other::Plugin(plugin.broker.clone());
                let worker = Worker::new(source.clone(), Ledger::memory().into(), other);
                workers.lock().expect("no panic").insert(plugin.run, worker.clone());
                worker.offer(offers)
            }
        };
        let host = Host::new("stress", env!("CARGO_PKG_VERSION")).offer_with(offer);
        Self {
            slots: (0..options.plugins).map(Slot::new).collect(),
            seed,
            host: host.state(store.clone()),
            store,
            schedule: options.rate.map(|rate| Schedule::new(rate).into()),
            tally: Tally::default(),
            over: watch::Sender::new(false),
            closing: watch::Sender::new(false),
            counters: Mutex::default(),
            workers,
            options,
        }
    }

    /// What serves the calls back of a plugin's run.
    pub fn worker(&self, run: Uuid) -> Option<Worker> {
        self.workers.lock().expect("no panic").remove(&run)
    }

    pub fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// What was added to the counters of a plugin, by key.
    pub fn add_counters(&self, slot: usize, added: BTreeMap<u32, Counted>) {
        let mut counters = self.counters.lock().expect("no panic");
        for (key, added) in added {
            let counter = counters.entry((slot, key)).or_default();
            counter.surely += added.surely;
            counter.perhaps += added.perhaps;
        }
    }

    pub fn take_counters(&self) -> BTreeMap<(usize, u32), Counted> {
        std::mem::take(&mut *self.counters.lock().expect("no panic"))
    }
}

/// A place for one plugin after the other.
pub struct Slot {
    pub number: usize,
    /// What the host calls it: the name of its state.
    pub name: String,
    current: watch::Sender<Option<Arc<Run>>>,
}

impl Slot {
    fn new(number: u32) -> Self {
        Self {
            number: number as usize,
            name: format!("stress-{number}"),
            current: watch::Sender::new(None),
        }
    }

    /// The run, when there is one, and another than the life that the caller knows to be
    /// ending. `None` when there will be no more calls.
    pub async fn current(&self, stage: &Stage, ending: Option<u64>) -> Option<Arc<Run>> {
        let (mut current, mut over) = (self.current.subscribe(), stage.over.subscribe());
        let is_other = |run: &Option<Arc<Run>>| {
            run.as_ref().is_some_and(|run| ending.is_none_or(|life| run.life > life))
        };
        tokio::select! {
            biased;
            _ = over.wait_for(|over| *over) => None,
            run = current.wait_for(is_other) => run.ok()?.clone(),
        }
    }

    /// The run at this moment.
    pub fn now(&self) -> Option<Arc<Run>> {
        self.current.borrow().clone()
    }

    pub fn set(&self, run: Option<Arc<Run>>) {
        self.current.send_replace(run);
    }
}
