//! `call`: calls a function of the provider.

use crate::config;
use crate::render::diff;
use crate::render::json;
use crate::report::Failed;
use crate::session::Session;
use crate::session::no_such;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Function;
use crate::tfplugin::schema::Parameter;

pub async fn run(
    session: &mut Session<'_>,
    name: &str,
    arguments: &[String],
    unknown: &[usize],
) -> Result<(), Failed> {
    let function = find(session, name)?;
    let subject = subject(session, name);
    let arguments = read(session, &function, &subject, arguments, unknown)?;
    // Such a function is not called before everything is known: its result will be.
    let is_open = |(value, parameter): &(Value, &Parameter)| {
        !value.is_wholly_known() && !parameter.allows_unknown
    };
    let result = if arguments.iter().any(is_open) {
        Value::unknown()
    } else {
        let typed: Vec<(Value, Type)> = arguments
            .iter()
            .map(|(value, parameter)| (value.clone(), parameter.ty.clone()))
            .collect();
        let Session { provider, report, .. } = &mut *session;
        let returns = &function.returns;
        match provider.call_function(name, &typed, returns, report).await? {
            Ok(value) => value,
            Err(error) => {
                let at = error.function_argument.and_then(|at| usize::try_from(at).ok());
                let parameter = at.and_then(|at| arguments.get(at)).map(|(_, parameter)| parameter);
                let (summary, detail) = match parameter {
                    Some(parameter) => (
                        "Invalid function argument",
                        format!("Invalid value for {:?} parameter: {}", parameter.name, error.text),
                    ),
                    None => (
                        "Error in function call",
                        format!("Call to function {subject:?} failed: {}", error.text),
                    ),
                };
                return Err(report.fail(&subject, summary, detail));
            }
        }
    };
    let output = &mut session.output;
    output.say(&diff::value_text(&function.returns, &result, output.style));
    output.set("result", json::plain(&result));
    output.set("known", result.is_wholly_known());
    Ok(())
}

/// As a configuration calls it: `provider::time::rfc3339_parse`.
fn subject(session: &Session<'_>, name: &str) -> String {
    format!("provider::{}::{name}", session.provider.address.name)
}

fn find(session: &mut Session<'_>, name: &str) -> Result<Function, Failed> {
    let functions = &session.schema.functions;
    if let Some(function) = functions.get(name) {
        return Ok(function.clone());
    }
    let address = session.provider.address.to_string();
    let detail = no_such(&address, "function", name, functions.keys());
    let subject = subject(session, name);
    Err(session.report.fail(&subject, "Call to unknown function", detail))
}

/// The arguments, each with its parameter.
fn read<'a>(
    session: &mut Session<'_>,
    function: &'a Function,
    subject: &str,
    arguments: &[String],
    unknown: &[usize],
) -> Result<Vec<(Value, &'a Parameter)>, Failed> {
    let report = &mut session.report;
    let Function { parameters, variadic, .. } = function;
    let (wanted, got) = (parameters.len(), arguments.len());
    if got < wanted {
        let detail = format!("Arguments are expected: {wanted}. Given are: {got}.");
        return Err(report.fail(subject, "Not enough function arguments", detail));
    }
    if got > wanted && variadic.is_none() {
        let detail = format!("Arguments are expected: {wanted}. Given are: {got}.");
        return Err(report.fail(subject, "Too many function arguments", detail));
    }
    if let Some(at) = unknown.iter().find(|at| **at >= got) {
        let detail = format!("There is no argument {at}: there are {got}, counted from 0.");
        return Err(report.fail(subject, "Invalid --unknown", detail));
    }
    let all =
        parameters.iter().chain(std::iter::repeat_with(|| variadic.as_ref()).map_while(|v| v));
    let mut values = Vec::new();
    for (at, (text, parameter)) in arguments.iter().zip(all).enumerate() {
        if unknown.contains(&at) {
            values.push((Value::unknown(), parameter));
            continue;
        }
        let invalid =
            |why: String| format!("Invalid value for {:?} parameter: {why}", parameter.name);
        let value = config::argument(text, &parameter.ty)
            .map_err(|error| invalid(format!("it {error}.")))
            .and_then(|json| {
                Value::from_json(&json, &parameter.ty).map_err(|error| invalid(error.to_string()))
            })
            .map_err(|detail| report.fail(subject, "Invalid function argument", detail))?;
        if value.is_null() && !parameter.allows_null {
            let detail = invalid("argument must not be null.".to_owned());
            return Err(report.fail(subject, "Invalid function argument", detail));
        }
        values.push((value, parameter));
    }
    Ok(values)
}
