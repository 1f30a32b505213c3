//! Doing what was planned.

use crate::change::Action;
use crate::change::Change;
use crate::conform;
use crate::provider::Applied;
use crate::provider::PlanAnswer;
use crate::provider::Provider;
use crate::report::Failed;
use crate::report::Report;
use crate::resource::Object;
use crate::resource::Resource;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;

/// What there is after a step, whether it went well or not.
#[derive(Debug)]
pub struct Outcome {
    /// To be kept. `None`: there is nothing any more, or not yet.
    pub object: Option<Object>,
    pub failed: Option<Failed>,
}

/// One step: creates, updates or destroys. A replacement is two of them, the second of which
/// starts from nothing.
///
/// Errors are in the report. The object is what is to be kept all the same: what there was,
/// if the provider does not say what there is.
pub async fn apply(
    provider: &Provider,
    resource: &Resource,
    change: &Change,
    step: Action,
    report: &mut Report,
) -> Outcome {
    let destroy;
    let (before, plan, config) = match (change.action, step) {
        // The plan is of the new one: the old one's destruction was not planned by itself.
        (Action::Replace(_), Action::Delete) => {
            destroy = PlanAnswer {
                planned: Value::Null,
                requires_replace: Vec::new(),
                private: change
                    .before
                    .as_ref()
                    .map(|before| before.private.clone().into())
                    .unwrap_or_default(),
                identity: change.before.as_ref().and_then(|before| before.identity.clone()),
                is_legacy: change.answer.is_legacy,
                deferred: None,
            };
            (change.before.as_ref(), &destroy, &Value::Null)
        }
        (Action::Replace(_), _) => (None, &change.answer, &change.config),
        _ => (change.before.as_ref(), &change.answer, &change.config),
    };
    let prior = before.map_or(&Value::Null, |object| &object.value);
    let had_errors = report.has_errors();
    let Ok(applied) = provider.apply(resource, prior, config, plan, report).await else {
        return Outcome { object: before.cloned(), failed: Some(Failed) };
    };
    let value = completed(resource, step, before, &plan.planned, &applied, report);
    let failed = (applied.has_failed || (report.has_errors() && !had_errors)).then_some(Failed);
    let Some(value) = value.filter(|value| !value.is_null()) else {
        // An operation that fails and says that nothing is there may mean that it does not
        // know: what was there is kept, and the next run reads it anew.
        let object = if failed.is_some() { before.cloned() } else { None };
        return Outcome { object, failed };
    };
    let creates = before.is_none();
    let was_tainted = before.is_some_and(|object| object.is_tainted);
    let object = Object {
        value,
        private: applied.private.into(),
        identity: applied.identity,
        // Nobody knows how far a creation came that failed.
        is_tainted: was_tainted || (creates && failed.is_some()),
    };
    Outcome { object: Some(object), failed }
}

/// What the provider says is there now, checked, with nothing unknown in it.
fn completed(
    resource: &Resource,
    step: Action,
    before: Option<&Object>,
    planned: &Value,
    applied: &Applied,
    report: &mut Report,
) -> Option<Value> {
    let address = &resource.address;
    let Some(value) = applied.value.clone() else {
        if !applied.has_failed {
            let detail = format!("The provider does not say what {address} is now. {BUG}");
            report.add(address, Diagnostic::error("Provider produced invalid object", detail));
        }
        let before = before.map(|object| object.value.clone());
        return before.filter(|_| step != Action::Delete);
    };
    let unknown = conform::unknown_paths(&value);
    let is_known = unknown.is_empty();
    for path in unknown {
        let detail = format!(
            "After the change, {address}{path} is unknown still. {BUG} What is known is kept."
        );
        report.add(address, Diagnostic::error(INVALID_RESULT, detail));
    }
    let value = if is_known { value } else { conform::without_unknowns(value) };
    if applied.has_failed || !is_known {
        return Some(value);
    }
    match (step == Action::Delete, value.is_null()) {
        (true, false) => {
            let detail = format!(
                "{address} was destroyed, and the provider says that it is there. {BUG} It is \
                 kept."
            );
            report.add(address, Diagnostic::error(INVALID_RESULT, detail));
        }
        (false, true) => {
            let detail = format!(
                "{address} was not destroyed, and the provider says that it is not there. {BUG}"
            );
            report.add(address, Diagnostic::error(INVALID_RESULT, detail));
        }
        (true, true) => {}
        (false, false) => check_result(resource, planned, &value, applied.is_legacy, report),
    }
    Some(value)
}

/// Whether everything that was known is as it was planned.
fn check_result(
    resource: &Resource,
    planned: &Value,
    value: &Value,
    is_legacy: bool,
    report: &mut Report,
) {
    let address = &resource.address;
    for problem in conform::broken_by_result(resource.block(), planned, value) {
        if is_legacy {
            tracing::info!(%problem, "the result breaks a rule that is newer than the provider");
            continue;
        }
        let detail = format!("What was planned for {address} has not come true: {problem}. {BUG}");
        let summary = "Provider produced inconsistent result after apply";
        report.add(address, Diagnostic::error(summary, detail));
    }
}

const INVALID_RESULT: &str = "Provider returned invalid result object after apply";

const BUG: &str = "That is a bug in the provider, to be reported to its authors.";
