//! One life of one plugin, as the callers see it, and all that is known of it.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use trunkline::Broker;
use trunkline::Error;

use crate::plan::Kind;
use crate::proto::stress_server::StressServer;
use crate::worker::Client;
use crate::worker::Worker;
use crate::worker::client;

/// The name of the service at both ends.
pub const SERVICE: &str = <StressServer<Worker> as tonic::server::NamedService>::NAME;

/// What may end a plugin's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// SIGKILL from elsewhere.
    Kill,
    /// `PluginHandle::stop`.
    Stop,
    /// `PluginHandle::kill`.
    HandleKill,
    /// The handle was dropped.
    HandleDrop,
    /// `Broker::close`.
    Close,
}

/// What was done to a plugin.
#[derive(Clone, Debug)]
pub struct Faults {
    /// In the order in which they began.
    pub endings: Vec<(Ending, Instant)>,
    /// SIGSTOP was sent, and no SIGCONT since.
    pub stopped: bool,
    /// Whether it ever was.
    pub ever_stopped: bool,
    /// Whether silence ends the trunk.
    pub keep_alive: bool,
    /// Whether limits are so low that calls may meet them.
    pub limited: bool,
    /// The last thing that may delay a call.
    pub last: Instant,
}

impl Faults {
    pub fn new(keep_alive: bool, limited: bool) -> Self {
        Self {
            endings: Vec::new(),
            stopped: false,
            ever_stopped: false,
            keep_alive,
            limited,
            last: Instant::now(),
        }
    }

    /// Whether something else than a stop in order was begun.
    pub fn is_harsh(&self) -> bool {
        self.endings.iter().any(|(ending, _)| *ending != Ending::Stop)
    }
}

/// How a call went, for the comparison with the ledgers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// Anything may have become of it, but not twice.
    Open,
    /// It must not have begun.
    NotBegun,
    /// It failed although its plugin was only stopped in order: it must not have
    /// begun.
    CutByStop,
}

#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub call: u64,
    pub kind: Kind,
    pub parts: u32,
    pub outcome: Outcome,
}

#[derive(Debug)]
pub struct Run {
    pub name: String,
    pub slot: usize,
    pub pid: u32,
    pub broker: Broker,
    /// Serves the plugin's calls back, and keeps their ledger.
    pub worker: Worker,
    /// The plugin's ledger.
    pub ledger: PathBuf,
    /// The sub-channels that the callers share.
    pub pool: Mutex<Vec<Client>>,
    pub faults: Mutex<Faults>,
    pub records: Mutex<Vec<Record>>,
    /// What the one who owns the handle is to do.
    pub orders: mpsc::Sender<Ending>,
}

impl Run {
    pub fn new(
        (name, slot): (String, usize),
        (pid, broker): (u32, Broker),
        (worker, faults): (Worker, Faults),
        ledger: PathBuf,
        orders: mpsc::Sender<Ending>,
    ) -> Self {
        Self {
            name,
            slot,
            pid,
            broker,
            worker,
            ledger,
            pool: Mutex::default(),
            faults: Mutex::new(faults),
            records: Mutex::default(),
            orders,
        }
    }

    pub fn open(&self) -> Result<Client, Error> {
        self.broker.open(SERVICE).map(client)
    }

    /// A client of one of the shared sub-channels.
    pub fn shared(&self, number: usize) -> Result<Client, Error> {
        let mut pool = self.pool.lock().expect("no panic");
        while pool.len() <= number {
            pool.push(self.open()?);
        }
        Ok(pool[number].clone())
    }

    /// Opens a shared sub-channel anew. The old one lasts as long as calls on it.
    pub fn replace(&self, number: usize) -> Result<(), Error> {
        let new = self.open()?;
        let mut pool = self.pool.lock().expect("no panic");
        if let Some(old) = pool.get_mut(number) {
            *old = new;
        }
        Ok(())
    }

    pub fn faults(&self) -> Faults {
        self.faults.lock().expect("no panic").clone()
    }

    /// Something is done that may end the run, or delay calls.
    pub fn will_end(&self, ending: Ending) {
        let now = Instant::now();
        let mut faults = self.faults.lock().expect("no panic");
        faults.endings.push((ending, now));
        faults.last = now;
    }

    pub fn set_stopped(&self, stopped: bool) {
        let mut faults = self.faults.lock().expect("no panic");
        faults.stopped = stopped;
        faults.ever_stopped = true;
        faults.last = Instant::now();
    }

    pub fn touch(&self) {
        self.faults.lock().expect("no panic").last = Instant::now();
    }

    /// Whether a call that began then should be over.
    pub fn is_overdue(&self, began: Instant, patience: Duration) -> bool {
        let faults = self.faults.lock().expect("no panic");
        !faults.stopped && faults.last.max(began).elapsed() > patience
    }

    pub fn record(&self, record: Record) {
        self.records.lock().expect("no panic").push(record);
    }
}
