//! Our program and the real tool, asked the same.

use serde_json::Value;

use crate::cli::Cli;
use crate::peers::Provider;
use crate::tofu::Tofu;

/// The real tool with one provider, and what else its configuration has.
fn tofu(provider: Provider, configuration: &str) -> Option<Tofu> {
    let (name, program) = (provider.name(), provider.program()?);
    let requires = format!(
        "terraform {{\n  required_providers {{\n    {name} = {{ source = \"hashicorp/{name}\" }}\n  \
         }}\n}}\n"
    );
    let address = format!("registry.opentofu.org/hashicorp/{name}");
    let tofu = Tofu::new(&(requires + configuration), &[(&address, "1.2.3", &program)])?;
    tofu.run(&["init"]).ok();
    Some(tofu)
}

/// The only entry.
fn only(mut map: Value) -> Value {
    let map = map.as_object_mut().expect("an object");
    assert_eq!(map.len(), 1);
    std::mem::take(map.values_mut().next().expect("one entry"))
}

#[test]
fn schemas_in_json_are_those_that_the_real_tool_prints() {
    for provider in [
        Provider::Null,
        Provider::Local,
        Provider::Random,
        Provider::Random6,
        Provider::Time,
        Provider::Time6,
        Provider::Simple6,
    ] {
        let Some(tofu) = tofu(provider, "") else { return };
        let theirs = tofu.run(&["providers", "schema", "-json"]).ok();
        let theirs: Value = serde_json::from_str(&theirs).expect("JSON");
        let mut theirs = only(theirs["provider_schemas"].clone());
        // How resources are known to the outside is no part of what ours prints.
        theirs.as_object_mut().expect("an object").remove("resource_identity_schemas");

        let Some(cli) = Cli::new(provider) else { return };
        let (code, ours) = cli.json(&["schema"]);
        assert_eq!(code, Some(0));
        let mut ours = only(ours["provider_schemas"].clone());
        // Theirs leaves out what is empty.
        let kinds = ours.as_object_mut().expect("an object");
        kinds.retain(|_, kind| kind.as_object().is_none_or(|kind| !kind.is_empty()));
        assert_eq!(ours, theirs, "{provider:?}");
    }
}

/// From what is to be done with a resource to the number of such.
fn plan(text: &str) -> Vec<&str> {
    let lines = text.lines().skip_while(|line| !line.starts_with("  # "));
    let mut plan: Vec<_> = lines.take_while(|line| !line.starts_with("Plan: ")).collect();
    plan.extend(text.lines().find(|line| line.starts_with("Plan: ")));
    plan
}

#[test]
fn a_plan_is_shown_as_by_the_real_tool() {
    let cases: [(_, &str, &[(&str, &str)]); 5] = [
        (Provider::Random, "random_password", &[("length", "12"), ("special", "false")]),
        (Provider::Random6, "random_string", &[("length", "8"), ("keepers", r#"{"a":"b"}"#)]),
        (Provider::Null, "null_resource", &[("triggers", r#"{"one":"1","two":"2"}"#)]),
        (Provider::Local, "local_file", &[("filename", "\"x\""), ("content", r#""a\nb""#)]),
        (Provider::Time, "time_sleep", &[("create_duration", "\"0s\"")]),
    ];
    for (provider, resource, settings) in cases {
        // JSON is what HCL makes of it, but for what stands between names and values.
        let attributes: String = settings
            .iter()
            .map(|(name, value)| format!("  {name} = {}\n", value.replace("\":\"", "\" = \"")))
            .collect();
        let configuration = format!("resource \"{resource}\" \"example\" {{\n{attributes}}}\n");
        let Some(tofu) = tofu(provider, &configuration) else { return };
        let theirs = tofu.run(&["plan"]).ok();

        let Some(cli) = Cli::new(provider) else { return };
        let mut arguments = vec!["plan".to_owned(), resource.to_owned()];
        for (name, value) in settings {
            arguments.extend(["--set".to_owned(), format!("{name}={value}")]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let ours = cli.run(&arguments).ok();
        assert_eq!(plan(&ours), plan(&theirs), "{provider:?}");
    }
}
