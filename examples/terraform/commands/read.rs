//! `read`: what a resource is now.

use std::path::Path;

use crate::change;
use crate::options::ResourceName;
use crate::render::diff;
use crate::render::json;
use crate::render::plan as shown;
use crate::report::Failed;
use crate::session::Session;
use crate::tfplugin::cty::Value;

pub async fn run(
    session: &mut Session<'_>,
    name: &ResourceName,
    state: &Path,
) -> Result<(), Failed> {
    let resource = session.resource(name).await?;
    let file = session.lock(state, &resource.address)?;
    let Some(kept) = session.load(&file, &resource)? else {
        let detail = format!("There is no state {}.", file.path().display());
        return Err(session.report.fail(&resource.address, "No state file was found", detail));
    };
    session.configure(false).await?;
    let Session { provider, report, .. } = &mut *session;
    let object = change::restore(provider, &resource, kept, report).await?;
    let read = change::refresh(provider, &resource, &object, report).await?;
    session.keep(&file, &resource, read.as_ref())?;
    let output = &mut session.output;
    let after = read.as_ref().map_or(&Value::Null, |object| &object.value);
    let is_same = diff::is_same(resource.block(), &object.value, after);
    output.set("exists", read.is_some());
    output.set("changed", !is_same);
    if !is_same {
        output.say(&format!(
            "{}\n",
            shown::drift_text(&resource, &object.value, after, output.style)
        ));
    }
    if read.is_none() {
        output.say("It is gone, and its state is removed.");
        output.set("values", serde_json::Value::Null);
        return Ok(());
    }
    let values = json::object(resource.block(), after);
    output.say(&shown::object_text(&resource, "resource", after, output.style));
    output.set("values", values.value);
    output.set("sensitive_values", values.sensitive);
    Ok(())
}
