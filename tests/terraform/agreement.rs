//! Our program and the real tool, asked the same.

use serde_json::Value;

use crate::cli::Cli;
use crate::peers::Provider;
use crate::tofu::Tofu;

/// A configuration with one provider, and what else there is.
fn configuration(provider: Provider, rest: &str) -> String {
    let name = provider.name();
    format!(
        "terraform {{\n  required_providers {{\n    {name} = {{ source = \"hashicorp/{name}\" }}\n  \
         }}\n}}\n{rest}"
    )
}

/// The real tool with that.
fn tofu(provider: Provider, rest: &str) -> Option<Tofu> {
    let (name, program) = (provider.name(), provider.program()?);
    let address = format!("registry.opentofu.org/hashicorp/{name}");
    let configuration = configuration(provider, rest);
    let tofu = Tofu::new(&configuration, &[(&address, "1.2.3", &program)])?;
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
#[track_caller]
fn plan(text: &str) -> Vec<&str> {
    let lines = text.lines().skip_while(|line| !line.starts_with("  # "));
    let mut plan: Vec<_> = lines.take_while(|line| !line.starts_with("Plan: ")).collect();
    plan.extend(text.lines().find(|line| line.starts_with("Plan: ")));
    assert!(plan.len() > 2, "there is no plan in:\n{text}");
    plan
}

/// Settings of a resource, each with its value in JSON.
type Settings<'a> = &'a [(&'a str, &'a str)];

/// The same in HCL. JSON is what HCL makes of it, but for what stands between names and values.
fn hcl(resource: &str, settings: Settings<'_>) -> String {
    let line =
        |(name, value): &(&str, &str)| format!("  {name} = {}\n", value.replace("\":", "\" = "));
    let attributes: String = settings.iter().map(line).collect();
    format!("resource \"{resource}\" \"example\" {{\n{attributes}}}\n")
}

/// A command of our program with settings.
fn with<'a>(command: &[&'a str], settings: &'a [String]) -> Vec<&'a str> {
    let settings = settings.iter().flat_map(|setting| ["--set", setting.as_str()]);
    command.iter().copied().chain(settings).collect()
}

/// The same as values of `--set`.
fn options(settings: Settings<'_>) -> Vec<String> {
    settings.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

#[test]
fn a_plan_is_shown_as_by_the_real_tool() {
    let cases: [(_, &str, Settings<'_>); 6] = [
        (Provider::Random, "random_password", &[("length", "12"), ("special", "false")]),
        (Provider::Random6, "random_string", &[("length", "8"), ("keepers", r#"{"a":"b"}"#)]),
        (Provider::Null, "null_resource", &[("triggers", r#"{"one":"1","two":"2"}"#)]),
        (Provider::Local, "local_file", &[("filename", "\"x\""), ("content", r#""a\nb""#)]),
        (Provider::Local, "local_file", &[("filename", r#""a\t\\é\"$b%""#)]),
        (Provider::Time, "time_sleep", &[("create_duration", "\"0s\"")]),
    ];
    for (provider, resource, settings) in cases {
        let Some(tofu) = tofu(provider, &hcl(resource, settings)) else { return };
        let theirs = tofu.run(&["plan"]).ok();
        let Some(cli) = Cli::new(provider) else { return };
        let ours = cli.run(&with(&["plan", resource], &options(settings))).ok();
        assert_eq!(plan(&ours), plan(&theirs), "{provider:?}");
    }
}

/// A resource in its first form, and others that it is to have, with what becomes of it then.
struct Life {
    provider: Provider,
    resource: &'static str,
    first: Settings<'static>,
    then: &'static [(&'static str, Settings<'static>)],
    /// What each tool is told by the provider that no other is.
    random: &'static [&'static str],
}

const UPDATED: &str = "will be updated in-place";
const REPLACED: &str = "must be replaced";

const LIVES: [Life; 6] = [
    Life {
        provider: Provider::Time,
        resource: "time_offset",
        first: &[("base_rfc3339", "\"2020-02-12T06:36:13Z\""), ("offset_days", "7")],
        then: &[
            (UPDATED, &[("base_rfc3339", "\"2020-02-12T06:36:13Z\""), ("offset_days", "8")]),
            (UPDATED, &[("base_rfc3339", "\"2020-02-12T06:36:13Z\""), ("offset_hours", "1")]),
            (
                REPLACED,
                &[
                    ("base_rfc3339", "\"2020-02-12T06:36:13Z\""),
                    ("offset_days", "7"),
                    ("triggers", r#"{"a":"1"}"#),
                ],
            ),
        ],
        random: &[],
    },
    Life {
        provider: Provider::Time6,
        resource: "time_static",
        first: &[("rfc3339", "\"2020-02-12T06:36:13Z\""), ("triggers", r#"{"a":"1","b":"2"}"#)],
        then: &[
            (
                REPLACED,
                &[("rfc3339", "\"2020-02-12T06:36:13Z\""), ("triggers", r#"{"a":"1","c":"2"}"#)],
            ),
            (REPLACED, &[("rfc3339", "\"2021-02-12T06:36:13Z\"")]),
        ],
        random: &[],
    },
    Life {
        provider: Provider::Local,
        resource: "local_file",
        first: &[("filename", "\"x\""), ("content", r#""one\ntwo\nthree\nfour\n""#)],
        then: &[
            (REPLACED, &[("filename", "\"x\""), ("content", r#""one\n2\nthree\nfour\n""#)]),
            (REPLACED, &[("filename", "\"x\""), ("content", "\"one\"")]),
            (REPLACED, &[("filename", "\"y\""), ("content", r#""one\ntwo\nthree\nfour\n""#)]),
            (REPLACED, &[("filename", "\"x\""), ("sensitive_content", "\"s\"")]),
        ],
        random: &[],
    },
    Life {
        provider: Provider::Null,
        resource: "null_resource",
        first: &[("triggers", r#"{"one":"1","three":"3","two":"2"}"#)],
        then: &[
            (REPLACED, &[("triggers", r#"{"one":"1","three":"33","two":"2"}"#)]),
            (REPLACED, &[("triggers", r#"{"one":"1","longer name":"2"}"#)]),
            (REPLACED, &[]),
        ],
        random: &["id"],
    },
    Life {
        provider: Provider::Random,
        resource: "random_password",
        first: &[("length", "12"), ("special", "false")],
        then: &[(REPLACED, &[("length", "13"), ("special", "false")])],
        random: &[],
    },
    Life {
        provider: Provider::Simple6,
        resource: "simple_resource",
        first: &[("value", "\"x\"")],
        then: &[(UPDATED, &[("value", "\"y\"")]), (UPDATED, &[])],
        random: &["id"],
    },
];

/// The text without what is random in it, as these attributes have it.
fn calm(text: &str, random: &[&str], attributes: &Value) -> String {
    random.iter().fold(text.to_owned(), |text, name| {
        let value = attributes[name].as_str().expect("a text");
        text.replace(value, &format!("<{name}>"))
    })
}

#[test]
fn a_change_and_a_destruction_are_shown_as_by_the_real_tool() {
    for Life { provider, resource, first, then, random } in LIVES {
        let Some(tofu) = tofu(provider, &hcl(resource, first)) else { return };
        tofu.run(&["apply", "-auto-approve"]).ok();
        let made: Value = serde_json::from_str(&tofu.run(&["show", "-json"]).ok()).expect("JSON");
        let made = &made["values"]["root_module"]["resources"][0]["values"];
        let their_plan = |arguments: &[&str]| calm(&tofu.run(arguments).ok(), random, made);

        let Some(cli) = Cli::new(provider) else { return };
        let make = ["apply", resource, "--state", "state", "--auto-approve"];
        cli.run(&with(&make, &options(first))).ok();
        let kept = &cli.state("state")["attributes"];
        let our_plan = |arguments: &[&str]| calm(&cli.run(arguments).ok(), random, kept);

        for (what, after) in then {
            tofu.configure(&configuration(provider, &hcl(resource, after)));
            let theirs = their_plan(&["plan"]);
            let ours = our_plan(&with(&["plan", resource, "--state", "state"], &options(after)));
            assert_eq!(plan(&ours), plan(&theirs), "{resource} {after:?}");
            assert!(plan(&theirs)[0].ends_with(what), "{resource} {after:?}: {theirs}");
        }
        let theirs = their_plan(&["plan", "-destroy"]);
        let destroy = ["destroy", resource, "--state", "state", "--auto-approve"];
        // The plan is what it shows before it carries it out.
        assert_eq!(plan(&our_plan(&destroy)), plan(&theirs), "{resource}");
        assert!(plan(&theirs)[0].ends_with("will be destroyed"), "{theirs}");
    }
}
