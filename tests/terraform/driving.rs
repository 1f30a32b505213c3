//! Our command-line program with real providers: everything that it can do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use serde_json::json;

use crate::cli::Cli;
use crate::cli::plugin_dir;
use crate::peers::Provider;
use crate::tofu::platform;

/// Providers with a resource of theirs, and what of it to set, to change in place and to
/// change so that it must be made anew.
const RANDOMS: [Provider; 2] = [Provider::Random, Provider::Random6];

#[test]
fn a_resource_is_made_read_replaced_and_destroyed() {
    for provider in RANDOMS {
        let Some(cli) = Cli::new(provider) else { return };
        let make = ["apply", "random_string", "--state", "state", "--auto-approve", "--set"];
        let said = cli.run(&[&make[..], &["length=8"]].concat()).ok();
        assert!(said.contains("Plan: 1 to add, 0 to change, 0 to destroy."), "{said}");
        assert!(said.contains("Resources: 1 added, 0 changed, 0 destroyed."), "{said}");
        let made = cli.state("state");
        let result = made["attributes"]["result"].as_str().expect("it is known now").to_owned();
        assert_eq!(result.len(), 8);
        let mode = fs::metadata(cli.path("state")).expect("a state").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let said = cli.run(&["read", "random_string", "--state", "state"]).ok();
        assert!(said.contains(&result), "{said}");
        assert_eq!(cli.state("state"), made);

        let plan = ["plan", "random_string", "--state", "state", "--set"];
        let said = cli.run(&[&plan[..], &["length=8"]].concat()).ok();
        assert!(said.contains("No changes."), "{said}");

        let said = cli.run(&[&plan[..], &["length=9"]].concat()).ok();
        assert!(said.contains("8 -> 9 # forces replacement"), "{said}");
        cli.run(&[&make[..], &["length=9"]].concat()).ok();
        let remade = cli.state("state")["attributes"]["result"].clone();
        assert_eq!(remade.as_str().map(str::len), Some(9));

        let destroy = ["destroy", "random_string", "--state", "state", "--auto-approve"];
        let said = cli.run(&destroy).ok();
        assert!(said.contains("Resources: 1 destroyed."), "{said}");
        assert!(!cli.path("state").exists());
    }
}

#[test]
fn a_resource_of_2019_is_made_and_destroyed_by_rules_of_its_own() {
    let Some(cli) = Cli::new(Provider::Local) else { return };
    let make = ["apply", "local_file", "--state", "state", "--auto-approve"];
    let config = ["--set", "filename=note.txt", "--set", "content=a\nb"];
    cli.run(&[&make[..], &config[..]].concat()).ok();
    assert_eq!(fs::read(cli.path("note.txt")).expect("it was made"), b"a\nb");
    let (code, read) = cli.json(&["data", "local_file", "--set", "filename=note.txt"]);
    assert_eq!((code, &read["values"]["content"]), (Some(0), &json!("a\nb")));

    // Somebody else removes it.
    fs::remove_file(cli.path("note.txt")).expect("it is there");
    let said = cli.run(&["read", "local_file", "--state", "state"]).ok();
    assert!(said.contains("gone"), "{said}");
    assert!(!cli.path("state").exists());

    cli.run(&[&make[..], &config[..]].concat()).ok();
    cli.run(&["destroy", "local_file", "--state", "state", "--auto-approve"]).ok();
    assert!(!cli.path("note.txt").exists());

    let Some(cli) = Cli::new(Provider::Null) else { return };
    let make = ["apply", "null_resource", "--state", "state", "--auto-approve", "--set"];
    cli.run(&[&make[..], &[r#"triggers={"a":"1"}"#]].concat()).ok();
    assert_eq!(cli.state("state")["attributes"]["triggers"], json!({"a": "1"}));
    let again = cli.run(&[&make[..], &[r#"triggers={"a":"2"}"#]].concat()).ok();
    assert!(again.contains("# forces replacement"), "{again}");
    let (code, data) = cli.json(&["data", "null_data_source", "--set", r#"inputs={"a":"x"}"#]);
    assert_eq!((code, &data["values"]["outputs"]), (Some(0), &json!({"a": "x"})));
}

#[test]
fn a_resource_of_protocol_6_on_another_server_is_made_and_destroyed() {
    let Some(cli) = Cli::new(Provider::Simple6) else { return };
    let make = ["apply", "simple_resource", "--state", "state", "--auto-approve"];
    let config = ["--set", "value=x", "--set", "value_wo=for the provider only"];
    let said = cli.run(&[&make[..], &config[..]].concat()).ok();
    assert!(said.contains("(write-only attribute)"), "{said}");
    let state = cli.state("state");
    assert_eq!(state["attributes"]["value"], json!("x"));
    assert!(!state.to_string().contains("for the provider only"), "{state}");
    cli.run(&["destroy", "simple_resource", "--state", "state", "--auto-approve"]).ok();
}

#[test]
fn unknown_and_null_survive_the_way_to_the_provider_and_back() {
    for provider in RANDOMS {
        let Some(cli) = Cli::new(provider) else { return };
        let config = json!({"length": 4, "keepers": {"known": "k", "null": null, "late": ""}});
        cli.write("config", &config);
        let plan = ["plan", "random_string", "--config", "config", "--unknown"];
        let (code, plan) = cli.json(&[&plan[..], &[r#"keepers["late"]"#]].concat());
        assert_eq!(code, Some(0), "{plan:#}");
        let change = &plan["resource_change"]["change"];
        assert_eq!(change["actions"], json!(["create"]));
        assert_eq!(change["after"]["keepers"]["known"], json!("k"));
        assert_eq!(change["after"]["keepers"]["null"], Value::Null);
        assert_eq!(change["after_unknown"]["keepers"], json!({"late": true}), "{plan:#}");
        assert_eq!(change["after_unknown"]["result"], json!(true));
        assert_eq!(change["after"]["override_special"], Value::Null);
    }
}

#[test]
fn sensitive_values_are_in_the_state_and_nowhere_else() {
    let Some(cli) = Cli::new(Provider::Random) else { return };
    let make = ["apply", "random_password", "--state", "state", "--auto-approve"];
    let said = cli.run(&[&make[..], &["--set", "length=20"]].concat());
    let password = cli.state("state")["attributes"]["result"].clone();
    let password = password.as_str().expect("a password");
    let sensitive = &cli.state("state")["sensitive"];
    assert_eq!(sensitive, &json!([".bcrypt_hash", ".result"]));
    let read = cli.run(&["read", "random_password", "--state", "state"]);
    let plan = ["plan", "random_password", "--state", "state", "--set", "length=21"];
    let plan = cli.run(&plan);
    let destroy = ["destroy", "random_password", "--state", "state", "--auto-approve"];
    for said in [said, read, plan, cli.run(&destroy)] {
        assert_eq!(said.code, Some(0), "{said:#?}");
        assert!(!said.stdout.contains(password) && !said.stderr.contains(password), "{said:#?}");
        assert!(said.stdout.contains("(sensitive value)"), "{said:#?}");
    }
}

#[test]
fn what_a_provider_rejects_is_told_with_the_attribute_that_it_means() {
    for provider in RANDOMS {
        let Some(cli) = Cli::new(provider) else { return };
        for command in ["validate resource", "plan"] {
            let arguments: Vec<_> = command.split(' ').chain(["random_string", "--set"]).collect();
            let arguments = [&arguments[..], &["length=0"]].concat();
            let said = cli.run(&arguments);
            assert_eq!(said.code, Some(1), "{said:#?}");
            let told = "\
╷
│ Error: Invalid Attribute Value
│
│   with random_string.example,
│   on attribute .length
│
│ Attribute length value must be at least 1, got: 0
╵
";
            assert!(said.stderr.contains(told), "{}", said.stderr);
            let (code, document) = cli.json(&arguments);
            let diagnostic = &document["diagnostics"][0];
            assert_eq!((code, &diagnostic["attribute"]), (Some(1), &json!(".length")));
            assert_eq!(diagnostic["severity"], json!("error"));
        }
        cli.run(&["validate", "resource", "random_string", "--set", "length=1"]).ok();
    }
}

#[test]
fn a_configuration_that_does_not_fit_the_schema_is_told_before_the_provider_sees_it() {
    let Some(cli) = Cli::new(Provider::Random) else { return };
    let plan = |settings: &[&str]| cli.run(&[&["plan", "random_string"], settings].concat());
    let cases: [(&[&str], &str); 4] = [
        (&[], "length"),
        (&["--set", "length=many"], "length"),
        (&["--set", "length=1", "--set", "colour=red"], "colour"),
        (&["--set", "length=1", "--unknown", "size"], "size"),
    ];
    for (settings, named) in cases {
        let said = plan(settings);
        assert!(matches!(said.code, Some(1 | 2)), "{said:#?}");
        assert!(said.stderr.contains(named), "{said:#?}");
    }
    let said = cli.run(&["plan", "random_animal"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.stderr.contains("random_animal"), "{said:#?}");
}

#[test]
fn functions_are_called_and_say_which_argument_is_wrong() {
    for provider in [Provider::Time, Provider::Time6] {
        let Some(cli) = Cli::new(provider) else { return };
        let (code, answer) = cli.json(&["call", "rfc3339_parse", "2023-07-25T23:43:16Z"]);
        assert_eq!((code, &answer["result"]["month_name"]), (Some(0), &json!("July")));
        assert_eq!(answer["result"]["unix"], json!(1_690_328_596));
        let said = cli.run(&["call", "rfc3339_parse", "yesterday"]);
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.stderr.contains("Invalid value for \"timestamp\" parameter"), "{said:#?}");
        let said = cli.run(&["call", "rfc3339_parse"]);
        assert!(matches!(said.code, Some(1 | 2)), "{said:#?}");
    }
}

#[test]
fn a_provider_is_picked_from_a_directory_by_address_version_and_platform() {
    let Some(new) = Provider::Random.program() else { return };
    let Some(other) = Provider::Null.program() else { return };
    let here = platform();
    let folder = plugin_dir(&[
        ("registry.terraform.io/hashicorp/random", "3.6.0", &here, &new),
        // Not what would be picked: their programs are no `random`.
        ("registry.terraform.io/hashicorp/random", "3.10.0", "plan9_mips", &other),
        ("registry.terraform.io/hashicorp/random", "2.3.4", &here, &other),
        ("registry.terraform.io/hashicorp/null", "3.2.1", &here, &other),
        ("example.com/acme/random", "9.0.0", &here, &other),
    ]);
    let folder = folder.path().display().to_string();
    let schema = |address: &str, more: &[&str]| {
        let cli = Cli::with(&["--plugin-dir", &folder, "--address", address]);
        cli.run(&[more, &["schema"]].concat())
    };
    for address in ["random", "hashicorp/random", "registry.terraform.io/hashicorp/random"] {
        let said = schema(address, &[]).ok();
        assert!(said.contains("random_string"), "{address}: {said}");
    }
    let constrained = schema("hashicorp/random", &["--provider-version", "< 3"]).ok();
    assert!(constrained.contains("null_resource"), "{constrained}");
    let foreign = schema("example.com/acme/random", &["--provider-version", "~> 9.0"]).ok();
    assert!(foreign.contains("null_resource"), "{foreign}");

    let missing = schema("hashicorp/random", &["--provider-version", "~> 4.0"]);
    assert!(matches!(missing.code, Some(1 | 2)), "{missing:#?}");
    for there in ["3.6.0", "2.3.4"] {
        assert!(missing.stderr.contains(there), "it says what is there: {missing:#?}");
    }
    let missing = schema("hashicorp/aws", &[]);
    assert!(matches!(missing.code, Some(1 | 2)), "{missing:#?}");
    assert!(missing.stderr.contains("hashicorp/null"), "it says what is there: {missing:#?}");
    let elsewhere = schema("hashicorp/null", &["--platform", "plan9_mips"]);
    assert!(matches!(elsewhere.code, Some(1 | 2)), "{elsewhere:#?}");
    assert!(elsewhere.stderr.contains(&here), "it says what is there: {elsewhere:#?}");
}

#[test]
fn a_state_that_is_broken_or_anothers_is_refused_and_left_as_it_is() {
    let Some(cli) = Cli::new(Provider::Random) else { return };
    for (name, content) in
        [("empty", ""), ("half", "{\"format_version\": 1,"), ("other", "{\"format_version\": 99}")]
    {
        fs::write(cli.path(name), content).expect("there is room");
        let said = cli.run(&["read", "random_string", "--state", name]);
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.stderr.contains(name), "it names the file: {said:#?}");
        assert_eq!(fs::read_to_string(cli.path(name)).expect("there"), content);
    }
    let make = ["apply", "random_string", "--state", "state", "--auto-approve", "--set"];
    cli.run(&[&make[..], &["length=3"]].concat()).ok();
    let before = cli.state("state");
    let said = cli.run(&["destroy", "random_id", "--state", "state", "--auto-approve"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert_eq!(cli.state("state"), before);
}

#[test]
fn nothing_is_done_without_approval() {
    let Some(cli) = Cli::new(Provider::Local) else { return };
    let apply = ["apply", "local_file", "--state", "state", "--set", "filename=note.txt"];
    // Nobody is at the standard input to say yes.
    let said = cli.run(&apply);
    assert_ne!(said.code, Some(0), "{said:#?}");
    assert!(!cli.path("note.txt").exists() && !cli.path("state").exists());
}
