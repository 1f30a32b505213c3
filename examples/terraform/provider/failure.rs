//! Calls that failed as diagnostics. A provider reports its own errors in its answers; a
//! status means that something is wrong with the provider, or with the way to it.

use tonic::Code;
use tonic::Status;
use trunkline::EndReason;
use trunkline::Error;
use trunkline::Reason;
use trunkline::host::Exit;

use crate::tfplugin::diagnostic::Diagnostic;

/// Says why a call failed. `last_words` are the last lines that the provider wrote.
pub fn diagnostic(method: &str, status: &Status, last_words: &[String]) -> Diagnostic {
    let has_ended = Exit::of(status).is_some()
        || Error::of(status).is_some_and(|error| error.reason() == Reason::TrunkEnded);
    match status.code() {
        Code::Unavailable => gone(method, status, last_words),
        _ if has_ended => gone(method, status, last_words),
        Code::Cancelled => {
            Diagnostic::error("Request cancelled", format!("The call {method} was cancelled."))
        }
        Code::Unimplemented => Diagnostic::error(
            "Unsupported plugin method",
            format!("This provider does not have the method {method}: it may be too old for it."),
        ),
        code => Diagnostic::error(
            "Plugin error",
            format!(
                "The provider failed in {method}, in a way that it does not report as an error \
                 of its own: {}\n\n  status: {code:?}",
                status.message()
            ),
        ),
    }
}

fn gone(method: &str, status: &Status, last_words: &[String]) -> Diagnostic {
    let was_closed =
        Error::of(status).is_some_and(|error| matches!(error.trunk_end(), Some(EndReason::Closed)));
    let mut detail = match Exit::of(status) {
        Some(exit) => format!("The provider ended ({exit}) before it had answered {method}."),
        None if was_closed => format!("The provider was killed before it had answered {method}."),
        None => format!("The provider has not answered {method}: {}", status.message()),
    };
    if last_words.is_empty() {
        detail.push_str("\n\nNothing that it may have written has come.");
    } else {
        detail.push_str("\n\nThe last that it wrote:\n");
        for line in last_words {
            detail.push_str("\n  ");
            detail.push_str(line);
        }
    }
    Diagnostic::error("Plugin did not respond", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(code: Code) -> String {
        diagnostic("PlanResourceChange", &Status::new(code, "why"), &[]).summary
    }

    #[test]
    fn statuses_are_called_what_terraform_calls_them() {
        assert_eq!(summary(Code::Unavailable), "Plugin did not respond");
        assert_eq!(summary(Code::Cancelled), "Request cancelled");
        assert_eq!(summary(Code::Unimplemented), "Unsupported plugin method");
        assert_eq!(summary(Code::Internal), "Plugin error");
        assert_eq!(summary(Code::ResourceExhausted), "Plugin error");
    }

    #[test]
    fn the_detail_has_the_method_the_message_and_the_last_words() {
        let status = Status::new(Code::Internal, "it broke");
        let found = diagnostic("ReadResource", &status, &[]);
        assert!(found.detail.contains("ReadResource") && found.detail.contains("it broke"));
        let gone = diagnostic("ReadResource", &Status::unavailable("lost"), &["panic: x".into()]);
        assert!(gone.detail.ends_with("\n  panic: x"), "{}", gone.detail);
        let silent = diagnostic("ReadResource", &Status::unavailable("lost"), &[]);
        assert!(silent.detail.contains("Nothing that it may have written"));
    }
}
