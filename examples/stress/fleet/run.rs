//! One life of one plugin, as the callers see it, and all that is known of it.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::ends::End;
use crate::proof::Record;
use crate::stage::Slot;

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

#[derive(Debug)]
pub struct Run {
    pub name: String,
    pub slot: usize,
    /// Which of the slot's.
    pub life: u64,
    pub pid: u32,
    /// Calls the plugin, serves its calls back, and keeps their ledger.
    pub end: End,
    faults: Mutex<Faults>,
    /// What callers saw, and nobody has audited yet.
    records: Mutex<Vec<Record>>,
    /// What the one who owns the handle is to do.
    pub orders: mpsc::Sender<Ending>,
}

impl Run {
    pub fn new(
        slot: &Slot,
        life: u64,
        pid: u32,
        end: End,
        faults: Faults,
        orders: mpsc::Sender<Ending>,
    ) -> Self {
        let (faults, records) = (Mutex::new(faults), Mutex::default());
        let name = format!("{} (life {life})", slot.name);
        Self { name, slot: slot.number, life, pid, end, faults, records, orders }
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

    pub fn take_records(&self) -> Vec<Record> {
        std::mem::take(&mut *self.records.lock().expect("no panic"))
    }
}
