//! What all tasks of a run share: options, slots for plugins, counts, the end.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;

use tempfile::TempDir;
use tokio::sync::watch;
use trunkline::Offers;
use trunkline::host::Host;
use trunkline::host::PluginInfo;
use trunkline::services::state::MemoryStore;
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::options::Options;
use crate::payload::Source;
use crate::run::Run;
use crate::tally::Tally;
use crate::worker::Other;
use crate::worker::Worker;

/// Additions to one counter: those that were made, and those that may have been.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    pub surely: u64,
    pub perhaps: u64,
}

pub struct Stage {
    pub options: Options,
    pub seed: u64,
    pub host: Host,
    pub store: Arc<MemoryStore>,
    pub directory: TempDir,
    pub slots: Vec<Slot>,
    pub tally: Tally,
    /// By plugin and key.
    pub counters: Mutex<BTreeMap<(usize, u32), Counted>>,
    pub over: watch::Sender<bool>,
    workers: Arc<Mutex<HashMap<Uuid, Worker>>>,
}

impl Stage {
    pub fn new(options: Options, seed: u64) -> std::io::Result<Self> {
        let source = Source::new(seed, options.payload.clone());
        let store = Arc::new(MemoryStore::new());
        let workers = Arc::<Mutex<HashMap<Uuid, Worker>>>::default();
        let offer = {
            let workers = workers.clone();
            move |plugin: &PluginInfo, offers: Offers| {
                let other = Other::Plugin(plugin.broker.clone());
                let worker = Worker::new(source.clone(), Ledger::memory().into(), other);
                let offers = offers.service(worker.server());
                let mut workers = workers.lock().expect("no panic");
                workers.insert(plugin.run, worker);
                offers
            }
        };
        let host =
            Host::new("stress", env!("CARGO_PKG_VERSION")).offer_with(offer).state(store.clone());
        Ok(Self {
            slots: (0..options.plugins).map(Slot::new).collect(),
            seed,
            host,
            store,
            directory: tempfile::tempdir()?,
            tally: Tally::default(),
            counters: Mutex::default(),
            over: watch::Sender::new(false),
            workers,
            options,
        })
    }

    /// What serves the calls back of a plugin's run.
    pub fn worker(&self, run: Uuid) -> Option<Worker> {
        self.workers.lock().expect("no panic").remove(&run)
    }

    pub fn is_over(&self) -> bool {
        *self.over.borrow()
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

    /// The run, when there is one. `None` when there will be no more calls.
    pub async fn current(&self, stage: &Stage) -> Option<Arc<Run>> {
        let (mut current, mut over) = (self.current.subscribe(), stage.over.subscribe());
        tokio::select! {
            biased;
            _ = over.wait_for(|over| *over) => None,
            run = current.wait_for(Option::is_some) => run.ok()?.clone(),
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
