//! Compares what callers saw of one plugin with what both ends executed, as it goes.
//!
//! What is settled is forgotten, so that memory is bounded by the calls of a while:
//! those in flight, and for [`REMEMBERED`] those that may still begin late.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::Problem;
use crate::calls::Direction;
use crate::calls::Kind;
use crate::ends::ledger::Entry;
use crate::ends::ledger::Event;
use crate::load::caller_of;

/// For how long after its end a call that did not succeed may begin at the other end:
/// longer than any fault lasts. One that begins later is reported like one that begins
/// twice.
pub const REMEMBERED: Duration = Duration::from_secs(30);

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

/// What a caller saw of one call.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub call: u64,
    pub kind: Kind,
    pub direction: Direction,
    pub parts: u32,
    pub outcome: Outcome,
}

impl Record {
    /// Under which index the call itself stands in the plugin's ledger.
    fn own_index(&self) -> u32 {
        if self.kind == Kind::State { self.parts } else { 0 }
    }

    /// What must have been executed once, if the call succeeded.
    fn expected(&self) -> Vec<(Side, u32)> {
        use Side::Host;
        use Side::Plugin;
        let parts = 0..self.parts;
        match (self.kind, self.direction) {
            (Kind::Nested, _) => (0..=self.parts)
                .map(|level| (if level % 2 == 0 { Plugin } else { Host }, level))
                .collect(),
            (Kind::State, _) => vec![(Plugin, self.own_index())],
            (Kind::Opens, Direction::ToHost) => {
                std::iter::once((Plugin, 0)).chain(parts.map(|part| (Host, part))).collect()
            }
            (Kind::Opens, _) => parts.map(|part| (Plugin, part)).collect(),
            (_, Direction::ToHost) => vec![(Plugin, 0), (Host, 0)],
            _ => vec![(Plugin, 0)],
        }
    }
}

/// Whose ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Plugin,
    Host,
}

/// Additions to one counter: those that were made, and those that may have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub surely: u64,
    pub perhaps: u64,
}

/// How often a part of a call was begun and done at one end.
#[derive(Clone, Copy, Debug)]
struct Part {
    side: Side,
    index: u32,
    begun: u32,
    done: u32,
    /// The place of its beginning among all in that ledger.
    place: u64,
}

/// A call that is not settled.
#[derive(Debug, Default)]
struct Call {
    parts: Vec<Part>,
    record: Option<Record>,
}

impl Call {
    fn part(&mut self, side: Side, index: u32) -> &mut Part {
        let at = self.parts.iter().rposition(|part| (part.side, part.index) == (side, index));
        let at = at.unwrap_or_else(|| {
            self.parts.push(Part { side, index, begun: 0, done: 0, place: 0 });
            self.parts.len() - 1
        });
        &mut self.parts[at]
    }
}

/// What is known of a caller whose calls come one after the other.
#[derive(Debug, Default)]
struct Caller {
    /// Its last call that is over.
    over: u64,
    /// Its last call that succeeded, and where that began in the plugin's ledger.
    succeeded: (u64, u64),
}

/// What was found: the kind of problem, and the details.
pub type Finding = (Problem, String);

#[derive(Debug, Default)]
pub struct Audit {
    calls: HashMap<u64, Call>,
    callers: HashMap<u64, Caller>,
    /// Calls that did not succeed, by their end.
    remembered: VecDeque<(Instant, u64)>,
    /// How much was read of the ledgers.
    entries: u64,
    compared: u64,
    /// By key.
    counters: BTreeMap<u32, Counted>,
    findings: Vec<Finding>,
}

impl Audit {
    /// What stands next in a ledger.
    pub fn entries(&mut self, side: Side, entries: &[Entry]) {
        for entry in entries {
            self.entries += 1;
            match entry.event {
                Event::Begun | Event::Done => self.execution(side, *entry),
                Event::Counting | Event::Counted | Event::NotCounted => self.count(*entry),
                Event::Wrong => self.find(Problem::Wrong, format!("a handler: {entry:x?}")),
            }
        }
    }

    fn execution(&mut self, side: Side, Entry { call, index, event }: Entry) {
        let is_over = self.callers.get(&caller_of(call)).is_some_and(|caller| call <= caller.over);
        if is_over && !self.calls.contains_key(&call) {
            let what = format!("call {call:#x}, part {index}: {event:?} at the {side:?}, but");
            return self.find(Problem::Doubled, what + " the call was long over");
        }
        let place = self.entries;
        let known = self.calls.entry(call).or_default();
        let part = known.part(side, index);
        let times = if event == Event::Begun {
            part.place = place;
            &mut part.begun
        } else {
            &mut part.done
        };
        *times += 1;
        let (times, part) = (*times, *part);
        let refused = known.record.filter(|record| must_not_begin(record, &part));
        if times == 2 {
            self.find(Problem::Doubled, format!("call {call:#x}: {event:?} twice: {part:?}"));
        }
        if let Some(record) = refused {
            self.find(Problem::Lost, format!("{record:x?} was begun: {part:?}"));
        }
    }

    fn count(&mut self, entry: Entry) {
        let counter = self.counters.entry(entry.index).or_default();
        match entry.event {
            Event::Counting => counter.perhaps += 1,
            Event::Counted => {
                counter.perhaps = counter.perhaps.saturating_sub(1);
                counter.surely += 1;
            }
            _ => counter.perhaps = counter.perhaps.saturating_sub(1),
        }
    }

    /// What callers saw, in the order of each. All that was executed of calls that
    /// succeeded must have been given to [`Audit::entries`] before.
    pub fn records(&mut self, records: Vec<Record>, now: Instant) {
        for record in records {
            self.compared += 1;
            let caller = self.callers.entry(caller_of(record.call)).or_default();
            caller.over = caller.over.max(record.call);
            if record.outcome == Outcome::Ok {
                self.succeeded(record);
            } else {
                self.failed(record);
                self.remembered.push_back((now, record.call));
            }
        }
        while let Some((_, call)) = self.remembered.pop_front_if(|(end, _)| now - *end > REMEMBERED)
        {
            self.calls.remove(&call);
        }
    }

    fn succeeded(&mut self, record: Record) {
        let mut call = self.calls.remove(&record.call).unwrap_or_default();
        for (side, index) in record.expected() {
            let part = *call.part(side, index);
            if (part.begun, part.done) != (1, 1) {
                self.find(Problem::Lost, format!("{record:x?} succeeded, but: {part:?}"));
            }
        }
        let place = call.part(Side::Plugin, record.own_index()).place;
        let caller = self.callers.entry(caller_of(record.call)).or_default();
        let before = std::mem::replace(&mut caller.succeeded, (record.call, place));
        // A caller begins a call after the one before has succeeded, so they must have
        // been executed in that order.
        if before.1 > place {
            let what = format!("{record:x?} was executed before call {:#x}", before.0);
            self.find(Problem::Reordered, what);
        }
    }

    fn failed(&mut self, record: Record) {
        let call = self.calls.entry(record.call).or_default();
        call.record = Some(record);
        let begun = call.parts.iter().find(|part| must_not_begin(&record, part)).copied();
        if let Some(part) = begun {
            self.find(Problem::Lost, format!("{record:x?} was begun: {part:?}"));
        }
    }

    fn find(&mut self, problem: Problem, what: String) {
        self.findings.push((problem, what));
    }

    /// What was found since the last time.
    pub fn findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// How many calls were compared with the ledgers.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// The end: everything was read. Returns the counters, by key.
    pub fn finish(&mut self) -> BTreeMap<u32, Counted> {
        let nobodys: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, call)| call.record.is_none())
            .map(|(number, call)| format!("nobody made call {number:#x}: {:?}", call.parts))
            .collect();
        self.calls.clear();
        self.findings.extend(nobodys.into_iter().map(|what| (Problem::Wrong, what)));
        std::mem::take(&mut self.counters)
    }
}

fn must_not_begin(record: &Record, part: &Part) -> bool {
    matches!(record.outcome, Outcome::NotBegun | Outcome::CutByStop)
        && (part.side, part.index) == (Side::Plugin, record.own_index())
        && part.begun > 0
}
