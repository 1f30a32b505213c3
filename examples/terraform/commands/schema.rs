//! `schema`: what a provider has.

use serde_json::json;

use crate::options::SchemaOf;
use crate::render::schema;
use crate::render::schema_json;
use crate::report::Failed;
use crate::session::Session;
use crate::session::no_such;

pub fn run(session: &mut Session<'_>, of: Option<&SchemaOf>) -> Result<(), Failed> {
    let style = session.output.style;
    let address = session.provider.address.to_string();
    let all = &session.schema;
    let (text, json) = match of {
        None => {
            let version = session.provider.version();
            let heading = format!("{}, protocol {version}", style.bold(&address));
            let text = format!("{heading}\n\n{}", schema::overview(all, style));
            (text, json!({ &address: schema_json::provider(all) }))
        }
        Some(SchemaOf::Provider) => {
            let heading = format!("provider {address}");
            let text = schema::object(&heading, &all.provider, style);
            (text, schema_json::object(&all.provider))
        }
        Some(SchemaOf::Function { name }) => match all.functions.get(name) {
            Some(function) => {
                (schema::function(name, function, style), schema_json::function(function))
            }
            None => {
                let detail = no_such(&address, "function", name, all.functions.keys());
                let subject = session.provider.subject();
                return Err(session.report.fail(&subject, "Invalid function", detail));
            }
        },
        Some(SchemaOf::Resource { name } | SchemaOf::Data { name }) => {
            let is_data = matches!(of, Some(SchemaOf::Data { .. }));
            let (what, schemas) = match is_data {
                true => ("data source", &all.data_sources),
                false => ("resource type", &all.resources),
            };
            match schemas.get(name) {
                Some(found) => {
                    let keyword = if is_data { "data" } else { "resource" };
                    let text = schema::object(&format!("{keyword} {name}"), found, style);
                    (text, schema_json::object(found))
                }
                None => {
                    let detail = no_such(&address, what, name, schemas.keys());
                    let subject = session.provider.subject();
                    return Err(session.report.fail(&subject, &format!("Invalid {what}"), detail));
                }
            }
        }
    };
    session.output.say(&text);
    match of {
        None => session.output.set("provider_schemas", json),
        Some(_) => session.output.set("schema", json),
    }
    Ok(())
}
