//! `import`: takes what exists already into a state.

use std::path::Path;

use crate::change;
use crate::options::ResourceName;
use crate::render::json;
use crate::render::plan as shown;
use crate::report::Failed;
use crate::session::Session;
use crate::tfplugin::diagnostic::Diagnostic;

pub async fn run(
    session: &mut Session<'_>,
    name: &ResourceName,
    id: &str,
    state: &Path,
) -> Result<(), Failed> {
    let resource = session.resource(name).await?;
    let address = resource.address.clone();
    let file = session.lock(state, &address)?;
    if session.load(&file, &resource)?.is_some() {
        let path = file.path().display();
        let detail = format!("{path} keeps one already: import into another file.");
        return Err(session.report.fail(&address, "Resource already managed", detail));
    }
    session.configure(false).await?;
    let Session { provider, report, output, .. } = &mut *session;
    output.say(&format!("{address}: Importing from ID {id:?}..."));
    let imported = provider.import(&resource, id, report).await?;
    for kind in imported.others {
        let detail = format!("The provider has imported a {kind}, too, which is not kept.");
        report.add(&address, Diagnostic::warning("More was imported", detail));
    }
    let read = match imported.object {
        Some(object) => change::refresh(provider, &resource, &object, report).await?,
        None => None,
    };
    let Some(object) = read else {
        let detail = format!("The provider knows no {} with the id {id:?}.", resource.kind);
        let summary = "Cannot import non-existent remote object";
        return Err(report.fail(&address, summary, detail));
    };
    session.keep(&file, &resource, Some(&object))?;
    let output = &mut session.output;
    let values = json::object(resource.block(), &object.value);
    output.say(&shown::object_text(&resource, "resource", &object.value, output.style));
    output.say(
        &output
            .style
            .green(&format!("\nImport successful! It is kept in {}.", file.path().display())),
    );
    output.set("values", values.value);
    output.set("sensitive_values", values.sensitive);
    Ok(())
}
