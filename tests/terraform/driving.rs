//! Our command-line program with real providers: everything that it can do.

use std::fs;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use serde_json::json;

use crate::cli::Cli;
use crate::cli::plugin_dir;
use crate::peers::Provider;
use crate::running;
use crate::tofu::platform;

/// The same provider in both versions of the protocol.
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
    assert!(!cli.path("state").exists());
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
    let read = ["read", "random_password", "--state", "state"];
    let plan = ["plan", "random_password", "--state", "state", "--set", "length=21"];
    let texts = [said, cli.run(&read), cli.run(&plan)];
    let destroy = ["destroy", "random_password", "--state", "state", "--auto-approve"];
    let json = |arguments: &[&str]| cli.run(&[&["--json"], arguments].concat());
    let documents = [json(&read), json(&plan), json(&destroy)];
    for document in &documents {
        let hidden = r#""result": true"#;
        assert!(document.stdout.contains(hidden), "it is told to be sensitive: {document:#?}");
    }
    for said in &texts {
        assert!(said.stdout.contains("(sensitive value)"), "{said:#?}");
    }
    for said in texts.iter().chain(&documents) {
        assert_eq!(said.code, Some(0), "{said:#?}");
        assert!(!said.stdout.contains(password) && !said.stderr.contains(password), "{said:#?}");
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
    let cases: [(&[&str], &str); 5] = [
        (&[], "The argument \"length\" is required"),
        (&["--set", "length=many"], "--set length: the value is not written like JSON"),
        (&["--set", "length=[]"], "The value should be a number"),
        (&["--set", "length=1", "--set", "colour=1"], "An argument named \"colour\""),
        (&["--set", "length=1", "--unknown", "size"], "Nothing is at .size"),
    ];
    for (settings, told) in cases {
        let said = plan(settings);
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.stderr.contains(told), "{said:#?}");
    }
    let said = cli.run(&["plan", "random_animal"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.stderr.contains("no resource type \"random_animal\""), "{said:#?}");
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
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.stderr.contains("Not enough function arguments"), "{said:#?}");
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
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    for there in ["3.6.0", "2.3.4"] {
        assert!(missing.stderr.contains(there), "it says what is there: {missing:#?}");
    }
    let missing = schema("hashicorp/aws", &[]);
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    assert!(missing.stderr.contains("hashicorp/null"), "it says what is there: {missing:#?}");
    let elsewhere = schema("hashicorp/null", &["--platform", "plan9_mips"]);
    assert_eq!(elsewhere.code, Some(1), "{elsewhere:#?}");
    assert!(elsewhere.stderr.contains(&here), "it says what is there: {elsewhere:#?}");
}

#[test]
fn nothing_is_done_without_approval() {
    let Some(cli) = Cli::new(Provider::Local) else { return };
    let apply = ["apply", "local_file", "--state", "state", "--set", "filename=note.txt"];
    let answered = |answer: &str| {
        fs::write(cli.path("answer"), answer).expect("there is room");
        let mut command = cli.command(&apply);
        command.stdin(File::open(cli.path("answer")).expect("it is there"));
        running::run(command)
    };
    for answer in ["", "\n", "no\n", "y\n", "YES\n"] {
        let said = answered(answer);
        assert_eq!(said.code, Some(1), "{answer:?}: {said:#?}");
        assert!(said.stderr.contains("Error: Apply cancelled"), "{answer:?}: {said:#?}");
        assert!(!cli.path("note.txt").exists() && !cli.path("state").exists(), "{answer:?}");
    }
    answered("yes\n").ok();
    assert!(cli.path("note.txt").exists() && cli.path("state").exists());
}

#[test]
fn what_would_steer_a_terminal_is_shown_in_a_form_that_does_not() {
    let Some(cli) = Cli::new(Provider::Local) else { return };
    let set = ["local_file", "--set", "filename=note.txt", "--set"];
    let make = ["--state", "state", "--auto-approve"];
    // What begins a sequence, in seven bits and in eight.
    let content = "content=a\u{1b}[31mb\u{9b}c";
    let escaped = r"a\u001b[31mb\u009bc";
    let plan = cli.run(&[&["plan"], &set[..], &[content]].concat());
    assert!(plan.stdout.contains(&format!("= \"{escaped}\"\n")), "{plan:#?}");
    let apply = cli.run(&[&["apply"], &set[..], &[content], &make[..]].concat());
    let made = fs::read_to_string(cli.path("note.txt")).expect("it was made");
    assert_eq!(made, "a\u{1b}[31mb\u{9b}c");
    let read = cli.run(&["read", "local_file", "--state", "state"]);
    assert!(read.stdout.contains(escaped), "{read:#?}");
    // The provider tells the name in an error: what should be its folder is a file.
    let name = "filename=note.txt/a\u{1b}[31mb";
    let fails = ["apply", "local_file", "--set", name, "--state", "other", "--auto-approve"];
    let failed = cli.run(&fails);
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert!(failed.stderr.contains("note.txt/a\u{fffd}[31mb"), "{failed:#?}");
    let text = "content=a\u{1b}[31mb\nc";
    let lines = cli.run(&[&["plan"], &set[..], &[text]].concat());
    assert!(lines.stdout.contains("a\u{fffd}[31mb\n"), "{lines:#?}");
    let document = cli.run(&[&["--json", "plan"], &set[..], &[content]].concat());
    assert!(document.stdout.contains(&format!("\"content\": \"{escaped}\"")), "{document:#?}");
    for said in [plan, apply, read, failed, lines, document] {
        let steers = |text: &str| text.contains(|c: char| c.is_control() && c != '\n');
        assert!(!steers(&said.stdout) && !steers(&said.stderr), "{said:#?}");
    }
}
