//! Between the wire's messages and this floor's own types: the only place where
//! what a peer sent becomes typed.

use prost::Message;
use tonic::Code;
use tonic::Status;
use tonic::metadata::MetadataValue;

use crate::services::state::Conflict;
use crate::services::state::Entry;
use crate::services::state::Expected;
use crate::services::state::Item;
use crate::services::state::StateError;
use crate::services::state::StoreError;
use crate::services::state::Version;
use crate::services::wire::state as wire;
use crate::services::wire::state::problem::Problem;

/// The metadata that holds a [`wire::Problem`].
const PROBLEM: &str = "trunkline-state-problem-bin";

const NO_VERSION: StateError = StateError::Protocol("a version is 0");

// The plugin's end reads.

pub(super) fn version(number: u64) -> Result<Version, StateError> {
    Version::from_u64(number).ok_or(NO_VERSION)
}

pub(super) fn entry(entry: wire::Entry) -> Result<Entry, StateError> {
    Ok(Entry { value: entry.value, version: version(entry.version)? })
}

pub(super) fn item(item: wire::Item) -> Result<Item, StateError> {
    Ok(Item { key: item.key, value: item.value, version: version(item.version)? })
}

pub(super) fn conflict(conflict: wire::Conflict) -> StateError {
    match conflict.current.map(version).transpose() {
        Ok(current) => StateError::Conflict { current },
        Err(error) => error,
    }
}

pub(super) fn status(status: Status) -> StateError {
    match problem(&status) {
        Some(Problem::KeyEmpty(_)) => return StateError::EmptyKey,
        Some(Problem::KeyTooLong(wire::Size { length, limit })) => {
            return StateError::KeyTooLong { length, limit };
        }
        Some(Problem::ValueTooLarge(wire::Size { length, limit })) => {
            return StateError::ValueTooLarge { length, limit: Some(limit) };
        }
        Some(Problem::Store(what)) => {
            return match wire::StoreProblem::try_from(what) {
                Ok(wire::StoreProblem::Full) => StateError::Full(status),
                Ok(wire::StoreProblem::Corrupt) => StateError::Corrupt(status),
                Ok(wire::StoreProblem::Unspecified) | Err(_) => StateError::Store(status),
            };
        }
        Some(Problem::UnknownExpectation(_)) => return StateError::NotOffered(status),
        None => {}
    }
    match status.code() {
        Code::Unimplemented | Code::PermissionDenied | Code::Unauthenticated | Code::NotFound => {
            StateError::NotOffered(status)
        }
        _ => StateError::Unavailable(status),
    }
}

fn problem(status: &Status) -> Option<Problem> {
    let bytes = status.metadata().get_bin(PROBLEM)?.to_bytes().ok()?;
    wire::Problem::decode(bytes).ok()?.problem
}

// The plugin's end writes.

impl From<Expected> for wire::Expected {
    fn from(expected: Expected) -> Self {
        use wire::expected::Expected as Wire;
        let expected = match expected {
            Expected::Any => Wire::Any(wire::Unit {}),
            Expected::Absent => Wire::Absent(wire::Unit {}),
            Expected::Version(version) => Wire::Version(version.as_u64()),
        };
        Self { expected: Some(expected) }
    }
}

// The host's end reads.

/// What a plugin asked for and may not: too long, empty, unknown.
pub(super) struct Refused(pub(super) Problem);

pub(super) fn expected(expected: Option<wire::Expected>) -> Result<Expected, Refused> {
    use wire::expected::Expected as Wire;
    let unknown = Refused(Problem::UnknownExpectation(wire::Unit {}));
    match expected.and_then(|expected| expected.expected) {
        Some(Wire::Any(_)) => Ok(Expected::Any),
        Some(Wire::Absent(_)) => Ok(Expected::Absent),
        Some(Wire::Version(number)) => {
            Version::from_u64(number).map(Expected::Version).ok_or(unknown)
        }
        None => Err(unknown),
    }
}

// The host's end writes.

impl From<Entry> for wire::Entry {
    fn from(entry: Entry) -> Self {
        Self { value: entry.value, version: entry.version.as_u64() }
    }
}

impl From<Item> for wire::Item {
    fn from(item: Item) -> Self {
        Self { key: item.key, value: item.value, version: item.version.as_u64() }
    }
}

impl From<Conflict> for wire::Conflict {
    fn from(conflict: Conflict) -> Self {
        Self { current: conflict.current.map(Version::as_u64) }
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let message = match &refused.0 {
            Problem::KeyEmpty(_) => "a key needs at least one byte",
            Problem::KeyTooLong(_) => "the key is longer than the host allows",
            Problem::ValueTooLarge(_) => "the value is larger than the host allows",
            Problem::UnknownExpectation(_) => "the host does not know what is expected of the key",
            Problem::Store(_) => "the host's state store failed",
        };
        with_problem(Self::invalid_argument(message), refused.0)
    }
}

/// What a plugin is told of a store's failure: its kind. The cause is the
/// host's own affair, and may name files.
pub(super) fn store_status(error: &StoreError) -> Status {
    use wire::StoreProblem as What;
    let (code, what) = match error {
        StoreError::Full(_) => (Code::ResourceExhausted, What::Full),
        StoreError::Corrupt(_) => (Code::DataLoss, What::Corrupt),
        _ => (Code::Unavailable, What::Unspecified),
    };
    with_problem(Status::new(code, error.to_string()), Problem::Store(what.into()))
}

fn with_problem(mut status: Status, problem: Problem) -> Status {
    let bytes = wire::Problem { problem: Some(problem) }.encode_to_vec();
    status.metadata_mut().insert_bin(PROBLEM, MetadataValue::from_bytes(&bytes));
    status
}
