//! `plan`, `apply` and `destroy`.

use std::path::Path;

use crate::change;
use crate::change::Action;
use crate::change::Change;
use crate::conform;
use crate::options::ApprovalOptions;
use crate::options::ConfigOptions;
use crate::options::PlanningOptions;
use crate::options::ResourceName;
use crate::render::diff;
use crate::render::plan as shown;
use crate::report::Failed;
use crate::resource::Object;
use crate::resource::Resource;
use crate::session::Session;
use crate::state::LockedState;
use crate::state::StateFile;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;

pub async fn plan(
    session: &mut Session<'_>,
    name: &ResourceName,
    config: &ConfigOptions,
    state: Option<&Path>,
    planning: PlanningOptions,
) -> Result<(), Failed> {
    let resource = session.resource(name).await?;
    let config = session.config(config, &resource)?;
    session.configure(planning.allow_deferral).await?;
    let state = state.map(StateFile::new);
    make(session, &resource, state.as_ref(), config, planning).await.map(drop)
}

pub async fn apply(
    session: &mut Session<'_>,
    name: &ResourceName,
    config: &ConfigOptions,
    state: &Path,
    planning: PlanningOptions,
    approval: ApprovalOptions,
) -> Result<(), Failed> {
    let resource = session.resource(name).await?;
    let state = session.lock(state, &resource.address)?;
    let config = session.config(config, &resource)?;
    session.configure(planning.allow_deferral).await?;
    let change = make(session, &resource, Some(&*state), config, planning).await?;
    refuse_unknown(session, &resource, &change)?;
    carry_out(session, &resource, &state, change, approval).await
}

pub async fn destroy(
    session: &mut Session<'_>,
    name: &ResourceName,
    state: &Path,
    planning: PlanningOptions,
    approval: ApprovalOptions,
) -> Result<(), Failed> {
    let resource = session.resource(name).await?;
    let state = session.lock(state, &resource.address)?;
    let kept = session.load(&state, &resource)?;
    let style = session.output.style;
    let Some(kept) = kept else {
        let none = style.bold(&style.green("No changes."));
        session.output.say(&format!("\n{none} There is no state, so nothing to destroy."));
        session.output.set("resource_change", serde_json::Value::Null);
        return Ok(());
    };
    session.configure(planning.allow_deferral).await?;
    let provider = session.provider;
    let object = change::restore(provider, &resource, kept, &mut session.report).await?;
    let read = change::refresh(provider, &resource, &object, &mut session.report).await?;
    let Some(object) = read else {
        session.keep(&state, &resource, None)?;
        let none = style.bold(&style.green("No changes."));
        let address = &resource.address;
        session.output.say(&format!("\n{none} {address} was gone already; its state is removed."));
        session.output.set("resource_change", serde_json::Value::Null);
        return Ok(());
    };
    let asks = session.schema.plan_destroy;
    let deferral = planning.allow_deferral;
    let report = &mut session.report;
    let change = change::plan_destroy(provider, &resource, object, asks, deferral, report).await?;
    show(session, &resource, &change);
    carry_out(session, &resource, &state, change, approval).await
}

/// Makes a plan and shows it.
async fn make(
    session: &mut Session<'_>,
    resource: &Resource,
    state: Option<&StateFile>,
    config: Value,
    planning: PlanningOptions,
) -> Result<Change, Failed> {
    let before = match state {
        Some(file) => present(session, resource, file).await?,
        None => None,
    };
    let Session { provider, report, .. } = &mut *session;
    let deferral = planning.allow_deferral;
    let change = change::plan(provider, resource, before, config, deferral, report).await?;
    show(session, resource, &change);
    Ok(change)
}

/// What is there now of what was kept.
async fn present(
    session: &mut Session<'_>,
    resource: &Resource,
    file: &StateFile,
) -> Result<Option<Object>, Failed> {
    let Some(kept) = session.load(file, resource)? else { return Ok(None) };
    let Session { provider, report, output, .. } = session;
    let object = change::restore(provider, resource, kept, report).await?;
    let read = change::refresh(provider, resource, &object, report).await?;
    let after = read.as_ref().map_or(&Value::Null, |object| &object.value);
    if !diff::is_same(resource.block(), &object.value, after) {
        let note = output.style.bold("Note: something has changed since the state was written");
        let drift = shown::drift_text(resource, &object.value, after, output.style);
        output.say(&format!("\n{note}\n\n{drift}"));
    }
    Ok(read)
}

fn show(session: &mut Session<'_>, resource: &Resource, change: &Change) {
    let Session { output, report, .. } = session;
    if let Some(reason) = change.answer.deferred {
        let address = &resource.address;
        output.say(&format!("\n{address} is deferred: {reason}. What is known so far:"));
        output.set("deferred", reason);
    }
    output.say(shown::text(resource, change, output.style).trim_end());
    output.set("resource_change", shown::json(resource, change));
    output.show(report);
}

/// What is configured has to be known now.
fn refuse_unknown(
    session: &mut Session<'_>,
    resource: &Resource,
    change: &Change,
) -> Result<(), Failed> {
    let report = &mut session.report;
    for path in conform::unknown_paths(&change.config) {
        let detail = "It is not known, so that it can be planned but not applied.";
        let error = Diagnostic::error("Configuration contains unknown value", detail);
        report.add(&resource.address, error.at(path));
    }
    if let Some(reason) = change.answer.deferred {
        let detail = format!("The provider cannot do it yet: {reason}.");
        report.add(&resource.address, Diagnostic::error("The change is deferred", detail));
    }
    if report.has_errors() { Err(Failed) } else { Ok(()) }
}

/// Asks, does what was planned, and keeps what came of it.
async fn carry_out(
    session: &mut Session<'_>,
    resource: &Resource,
    state: &LockedState,
    change: Change,
    approval: ApprovalOptions,
) -> Result<(), Failed> {
    if change.action == Action::NoOp {
        // It may have been read anew, and the provider may have changed its own part.
        session.keep(state, resource, change.before.as_ref())?;
        return finish(session, &change, "Apply");
    }
    let what = if change.action == Action::Delete { "Destroy" } else { "Apply" };
    if !approval.auto_approve {
        approve(session, resource, what).await?;
    }
    let steps: &[Action] = match change.action {
        Action::Replace(_) => &[Action::Delete, Action::Create],
        Action::Create => &[Action::Create],
        Action::Update => &[Action::Update],
        _ => &[Action::Delete],
    };
    for step in steps {
        let (doing, done) = match step {
            Action::Create => ("Creating", "Creation"),
            Action::Delete => ("Destroying", "Destruction"),
            _ => ("Modifying", "Modification"),
        };
        let Session { provider, report, output, .. } = &mut *session;
        let address = output.style.bold(&resource.address);
        output.say(&format!("{address}: {doing}..."));
        let outcome = change::apply(provider, resource, &change, *step, report).await;
        // Whatever went wrong: what is there is kept.
        let kept = session.keep(state, resource, outcome.object.as_ref());
        outcome.failed.map_or(Ok(()), Err)?;
        kept?;
        session.output.say(&format!("{address}: {done} complete"));
    }
    finish(session, &change, what)
}

fn finish(session: &mut Session<'_>, change: &Change, what: &str) -> Result<(), Failed> {
    let [added, changed, destroyed] = change.counts();
    let output = &mut session.output;
    output.set("added", added);
    output.set("changed", changed);
    output.set("destroyed", destroyed);
    let sum = match change.action {
        Action::Delete => format!("{destroyed} destroyed."),
        _ => format!("{added} added, {changed} changed, {destroyed} destroyed."),
    };
    let complete = output.style.bold(&output.style.green(&format!("{what} complete!")));
    output.say(&format!("\n{complete} Resources: {sum}"));
    Ok(())
}

/// Only `yes` is.
async fn approve(session: &mut Session<'_>, resource: &Resource, what: &str) -> Result<(), Failed> {
    let question =
        session.output.style.bold("Do you want this to be done? Only \"yes\" is accepted:");
    session.output.write(&format!("\n{question} "));
    let answer = tokio::select! {
        answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        }) => answer.ok().and_then(Result::ok).unwrap_or_default(),
        // The thread is left behind, for nothing can wake it.
        () = session.interrupted.wait() => String::new(),
    };
    session.output.write("\n");
    if answer.trim() == "yes" {
        return Ok(());
    }
    let summary = format!("{what} cancelled");
    Err(session.report.fail(&resource.address, &summary, "Nothing was done."))
}
