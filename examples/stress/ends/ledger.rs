//! What an end has executed: written before it is done, and not lost when the
//! process is killed.

use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

/// What happened to a part of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Event {
    /// A handler began.
    Begun = 1,
    /// It did all that it was asked to.
    Done = 2,
    /// It is about to add 1 to a counter.
    Counting = 3,
    /// It did so.
    Counted = 4,
    /// It certainly did not.
    NotCounted = 5,
    /// It received what was not sent.
    Wrong = 6,
}

/// One line of a ledger. In calls with several parts the index tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub call: u64,
    pub index: u32,
    pub event: Event,
}

/// The size of an entry in a file, in bytes.
const SIZE: usize = 16;

/// Where an end writes what it does.
#[derive(Debug)]
pub enum Ledger {
    /// Every entry is one system call, which a SIGKILL comes before or after:
    /// the file is right whenever the process ends, and while it is written.
    File(File),
    Memory(Mutex<Vec<Entry>>),
}

impl Ledger {
    pub fn file(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        file.map(Self::File)
    }

    pub fn memory() -> Self {
        Self::Memory(Mutex::default())
    }

    pub fn write(&self, call: u64, index: u32, event: Event) {
        match self {
            Self::File(file) => {
                let mut line = [0; SIZE];
                line[..8].copy_from_slice(&call.to_le_bytes());
                line[8..12].copy_from_slice(&index.to_le_bytes());
                line[12] = event as u8;
                let mut file = file;
                if let Err(error) = file.write_all(&line) {
                    // Without a ledger the run proves nothing. If standard error is gone,
                    // too, the host still sees the end.
                    let _ = writeln!(io::stderr(), "stress: the ledger: {error}");
                    std::process::abort();
                }
            }
            Self::Memory(entries) => {
                entries.lock().expect("no panic").push(Entry { call, index, event })
            }
        }
    }

    /// Takes out what is in memory.
    pub fn take(&self) -> Vec<Entry> {
        match self {
            Self::File(_) => Vec::new(),
            Self::Memory(entries) => std::mem::take(&mut *entries.lock().expect("no panic")),
        }
    }
}

/// How many entries are read at once.
const BATCH: usize = 4096;

/// Reads what another process writes, while it writes.
#[derive(Debug)]
pub struct Reader {
    file: File,
    position: u64,
}

impl Reader {
    pub fn new(file: File) -> Self {
        Self { file, position: 0 }
    }

    /// The next entries. None if there are no more so far.
    ///
    /// # Errors
    ///
    /// Those of the file, and [`io::ErrorKind::InvalidData`] if it has no entry there.
    pub fn read(&mut self) -> io::Result<Vec<Entry>> {
        let mut bytes = vec![0; BATCH * SIZE];
        let mut count = 0;
        while count < bytes.len() {
            match self.file.read_at(&mut bytes[count..], self.position + count as u64) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let whole = count - count % SIZE;
        self.position += whole as u64;
        let entries = bytes[..whole].chunks(SIZE).map(parse);
        entries.collect::<Option<_>>().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

fn parse(line: &[u8]) -> Option<Entry> {
    let event = match line.get(12)? {
        1 => Event::Begun,
        2 => Event::Done,
        3 => Event::Counting,
        4 => Event::Counted,
        5 => Event::NotCounted,
        6 => Event::Wrong,
        _ => return None,
    };
    Some(Entry {
        call: u64::from_le_bytes(line[..8].try_into().ok()?),
        index: u32::from_le_bytes(line[8..12].try_into().ok()?),
        event,
    })
}
