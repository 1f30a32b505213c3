//! Whether an injected fault explains why a call failed.

use tonic::Code;
use tonic::Status;
use trunkline::EndReason;
use trunkline::Error;
use trunkline::Reason;
use trunkline::host::Exit;

use crate::calls::Failure;
use crate::calls::Kind;
use crate::calls::Plan;
use crate::calls::Route;
use crate::fleet::Ending;
use crate::fleet::Faults;
use crate::proof::Outcome;

/// How long running calls may go on when a plugin is stopped in order.
pub const DRAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// How a call failed, in a few words, and what may have become of it; or that
/// nothing that was done explains it.
pub fn explain(
    failure: &Failure,
    plan: &Plan,
    faults: &Faults,
) -> Result<(String, Outcome), String> {
    let (error, status) = match failure {
        Failure::Cut => return Ok(("cut".to_owned(), Outcome::Open)),
        Failure::Wrong(wrong) => return Err(wrong.clone()),
        Failure::Broker(error) => (Some(error), None),
        Failure::Status(status) => (Error::of(status), Some(status)),
    };
    let unexplained = || {
        let endings: Vec<_> = faults.endings.iter().map(|(ending, _)| ending).collect();
        let stopped = faults.ever_stopped;
        format!("{failure:?}; the plan: {plan:?}; endings: {endings:?}; SIGSTOP: {stopped}")
    };
    match (error, status) {
        (Some(error), _) => by_broker(error, plan, faults).ok_or_else(unexplained),
        (None, Some(status)) => by_handler(status, plan, faults)
            .map(|name| (name, Outcome::Open))
            .ok_or_else(unexplained),
        (None, None) => Err(unexplained()),
    }
}

/// A failure of the call's own sub-channel.
fn by_broker(error: &Error, plan: &Plan, faults: &Faults) -> Option<(String, Outcome)> {
    let named = |name: &str| Some((name.to_owned(), Outcome::Open));
    match error.reason() {
        Reason::TrunkEnded => trunk_ended(error, faults),
        Reason::GoingAway if !faults.endings.is_empty() => {
            Some(("going away".to_owned(), not_begun(plan)))
        }
        Reason::Limit if faults.limited => Some(("limit".to_owned(), not_begun(plan))),
        Reason::Deadline if plan.has_deadline() => named("deadline"),
        // The plugin's end of the stream went with the handler.
        Reason::Cancelled if plan.has_deadline() && plan.shape.kind == Kind::Bytes => {
            named("deadline")
        }
        Reason::Closed if plan.drops_registration() => named("closed"),
        // The lease was over before what it lent was used.
        Reason::Closed if plan.has_deadline() && plan.shape.kind == Kind::Opens => {
            named("deadline")
        }
        _ => None,
    }
}

/// The call was refused. Of several calls, some may have begun before.
fn not_begun(plan: &Plan) -> Outcome {
    match (plan.route, plan.shape.kind) {
        (Route::Direct, Kind::Opens | Kind::Bytes) => Outcome::Open,
        _ => Outcome::NotBegun,
    }
}

fn trunk_ended(error: &Error, faults: &Faults) -> Option<(String, Outcome)> {
    let end = error.trunk_end()?;
    if let EndReason::Silent = end {
        let expected = faults.keep_alive && faults.ever_stopped;
        return expected.then(|| ("trunk ended (silent)".to_owned(), Outcome::Open));
    }
    if !faults.is_harsh() {
        let (_, since) = faults.endings.first()?;
        // Unless it was let run out of its time, it ends when nothing runs.
        let patient = faults.ever_stopped || since.elapsed() >= DRAIN;
        let outcome = if patient { Outcome::Open } else { Outcome::CutByStop };
        return Some(("trunk ended (stopped)".to_owned(), outcome));
    }
    let name = match end {
        EndReason::Closed => "trunk ended (closed here)".to_owned(),
        EndReason::PeerClosed => "trunk ended (closed there)".to_owned(),
        EndReason::Lost(_) => match Exit::of(error) {
            Some(exit) => format!("trunk ended ({exit})"),
            None => "trunk ended (lost)".to_owned(),
        },
        _ => return None,
    };
    Some((name, Outcome::Open))
}

/// A failure that the handler answered with, because its own calls failed.
fn by_handler(status: &Status, plan: &Plan, faults: &Faults) -> Option<String> {
    let ending = !faults.endings.is_empty();
    let explained = match status.code() {
        Code::DeadlineExceeded => plan.has_deadline() || ending,
        // A byte stream goes with the handler that has its other end, and that with the
        // registration.
        Code::Cancelled if plan.shape.kind == Kind::Bytes && plan.drops_registration() => true,
        Code::Cancelled => plan.has_deadline() || ending,
        Code::NotFound => plan.drops_registration() || ending,
        Code::Unavailable => ending,
        Code::ResourceExhausted => faults.limited,
        // A counter that was not counted, as too many wanted to.
        Code::Aborted => plan.shape.kind == Kind::State,
        // The handler's byte stream was refused.
        Code::Unknown if plan.shape.kind == Kind::Bytes && faults.limited => true,
        // The handler's byte stream or body broke.
        Code::Unknown | Code::Internal => ending || plan.has_deadline(),
        _ => false,
    };
    explained.then(|| format!("by the handler ({:?})", status.code()))
}

/// How the process of a plugin must have ended.
pub fn expects_exit(faults: &Faults, exit: Option<Exit>) -> bool {
    let Some(exit) = exit else { return false };
    let killed = exit.signal == Some(9);
    let killing =
        faults.endings.iter().any(|(ending, _)| !matches!(ending, Ending::Stop | Ending::Close));
    // A process that is stopped may not hear the farewell, or not end in time.
    let late = faults.ever_stopped && (killed || exit.signal == Some(15) || exit.code == Some(1));
    exit.success() || late || (killed && killing)
}
