//! `data`: reads a data source.

use crate::conform;
use crate::options::ConfigOptions;
use crate::options::ResourceName;
use crate::render::json;
use crate::render::plan as shown;
use crate::report::Failed;
use crate::session::Session;
use crate::tfplugin::diagnostic::Diagnostic;

pub async fn run(
    session: &mut Session<'_>,
    name: &ResourceName,
    config: &ConfigOptions,
) -> Result<(), Failed> {
    let source = session.data_source(name)?;
    let config = session.config(config, &source)?;
    session.configure(false).await?;
    let Session { provider, report, output, .. } = &mut *session;
    provider.validate_data_source(&source, &config, report).await?;
    if !config.is_wholly_known() {
        output.say(&format!(
            "  # {} will be read during apply\n  # (config refers to values not yet known)",
            source.address
        ));
        output.set("values", serde_json::Value::Null);
        output.set("known_after_apply", true);
        return Ok(());
    }
    let value = provider.read_data_source(&source, &config, report).await?;
    let unknown = conform::unknown_paths(&value);
    for path in &unknown {
        let detail = format!(
            "What was read has something unknown at {}{path}. That is a bug in the provider, to \
             be reported to its authors.",
            source.address
        );
        let error = Diagnostic::error("Provider produced invalid object", detail);
        report.add(&source.address, error);
    }
    if value.is_null() {
        let detail = "The provider has read nothing. That is a bug in the provider, to be \
                      reported to its authors.";
        return Err(report.fail(&source.address, "Provider produced null object", detail));
    }
    if !unknown.is_empty() {
        return Err(Failed);
    }
    let value = conform::normalised(source.block(), value);
    let values = json::object(source.block(), &value);
    output.say(&shown::object_text(&source, "data", &value, output.style));
    output.set("values", values.value);
    output.set("sensitive_values", values.sensitive);
    Ok(())
}
