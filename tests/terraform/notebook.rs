//! Our provider: under the real tool, and under our own host.

use std::fs;
use std::process::Command;

use serde_json::Value;
use serde_json::json;

use crate::cli::Cli;
use crate::programs::notebook;
use crate::running;
use crate::running::Said;
use crate::tofu::Tofu;

const DEMO: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/terraform_provider/demo/main.tf"));

const ADDRESS: &str = "example.com/trunkline/notebook";

/// The demonstration, in a folder of its own, in one version of the protocol.
struct Demo {
    tofu: Tofu,
    protocol: &'static str,
}

impl Demo {
    fn new(protocol: &'static str) -> Option<Self> {
        let tofu = Tofu::new(DEMO, &[(ADDRESS, "1.0.0", &notebook())])?;
        let this = Self { tofu, protocol };
        let said = this.run(&["init"]).ok();
        assert!(said.contains("has been successfully initialized!"), "{said}");
        Some(this)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.tofu.command(arguments);
        command.env("NOTEBOOK_PROTOCOL", self.protocol);
        command.env("NOTEBOOK_PATH", self.tofu.path("notes"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        running::run(self.command(arguments))
    }

    fn output(&self) -> Value {
        let said = self.tofu.run(&["output", "-json"]).ok();
        serde_json::from_str(&said).expect("JSON")
    }
}

/// What a plan says of each resource and the whole, without its details.
fn gist(plan: &str) -> Vec<&str> {
    let is_gist =
        |line: &&str| line.starts_with("  # ") && !line.contains('(') || line.starts_with("Plan: ");
    plan.lines().filter(is_gist).map(|line| line.trim_start_matches("  # ")).collect()
}

/// Without the spaces that align what stands in columns.
fn narrow(plan: &str) -> String {
    let lines = plan.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_real_tool_plans_applies_changes_and_destroys_with_our_provider() {
    for protocol in ["5", "6"] {
        let Some(demo) = Demo::new(protocol) else { return };
        let plan = demo.run(&["plan"]).ok();
        assert_eq!(
            gist(&plan),
            [
                "data.notebook_notes.recipes will be read during apply",
                "notebook_note.more[\"0\"] will be created",
                "notebook_note.more[\"1\"] will be created",
                "notebook_note.recipe will be created",
                "Plan: 3 to add, 0 to change, 0 to destroy.",
            ],
        );
        let plan = narrow(&plan);
        for line in [
            "+ id = (known after apply)",
            "+ revision = (known after apply)",
            "+ secret = (sensitive value)",
            "+ \"course\" = \"dessert\"",
            "+ reminder {",
        ] {
            assert!(plan.contains(line), "{line:?} is not in:\n{plan}");
        }
        let applied = demo.run(&["apply", "-auto-approve"]).ok();
        assert!(
            applied.contains("Apply complete! Resources: 3 added, 0 changed, 0 destroyed."),
            "{applied}"
        );
        let output = demo.output();
        assert_eq!(output["slug"]["value"], json!("creme-brulee"));
        assert_eq!(output["found"]["value"], json!(["Crème brûlée"]));
        assert_eq!(output["checksum"]["value"].as_str().map(str::len), Some(64));

        // Exit code 0 with this option: there is nothing to change.
        let again = demo.run(&["plan", "-detailed-exitcode"]).ok();
        assert!(again.contains("No changes. Your infrastructure matches"), "{again}");

        let change = ["-var", "body=More sugar."];
        let plan = demo.run(&[&["plan"], &change[..]].concat()).ok();
        assert!(narrow(&plan).contains("~ revision = 1 -> (known after apply)"), "{plan}");
        assert!(plan.contains("notebook_note.recipe will be updated in-place"), "{plan}");
        demo.run(&[&["apply", "-auto-approve"], &change[..]].concat()).ok();
        demo.run(&[&["plan", "-detailed-exitcode"], &change[..]].concat()).ok();

        let rename = ["-var", "title=Flan", "-var", "body=More sugar."];
        let plan = demo.run(&[&["plan"], &rename[..]].concat()).ok();
        assert!(plan.contains("notebook_note.recipe must be replaced"), "{plan}");
        let forces = "~ title = \"Crème brûlée\" -> \"Flan\" # forces replacement";
        assert!(narrow(&plan).contains(forces), "{plan}");
        demo.run(&[&["apply", "-auto-approve"], &rename[..]].concat()).ok();
        assert_eq!(demo.output()["slug"]["value"], json!("flan"));

        let destroyed = demo.run(&["destroy", "-auto-approve"]).ok();
        assert!(destroyed.contains("Destroy complete! Resources: 3 destroyed."), "{destroyed}");
    }
}

#[test]
fn a_hundred_notes_are_made_at_once_and_all_are_there() {
    let Some(demo) = Demo::new("6") else { return };
    let many = ["-var", "more=100", "-parallelism=50"];
    let applied = demo.run(&[&["apply", "-auto-approve"], &many[..]].concat()).ok();
    assert!(applied.contains("Resources: 101 added"), "{applied}");
    demo.run(&[&["plan", "-detailed-exitcode"], &many[..]].concat()).ok();
    let destroyed = demo.run(&[&["destroy", "-auto-approve"], &many[..]].concat()).ok();
    assert!(destroyed.contains("Resources: 101 destroyed."), "{destroyed}");
}

#[test]
fn what_our_provider_rejects_the_real_tool_tells_with_the_attribute() {
    let Some(demo) = Demo::new("6") else { return };
    let said = demo.run(&["plan", "-var", "title="]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.stderr.contains("with notebook_note.recipe,"), "{said:#?}");
    assert!(said.stderr.contains("  title  = var.title"), "{said:#?}");
}

#[test]
fn a_note_that_is_there_is_imported() {
    let Some(demo) = Demo::new("6") else { return };
    demo.run(&["apply", "-auto-approve"]).ok();
    let state = fs::read_to_string(demo.tofu.path("work/terraform.tfstate")).expect("a state");
    let state: Value = serde_json::from_str(&state).expect("JSON");
    let resources = state["resources"].as_array().expect("resources");
    let recipe = resources.iter().find(|resource| resource["name"] == "recipe").expect("the note");
    let id = recipe["instances"][0]["attributes"]["id"].as_str().expect("its id");
    demo.run(&["state", "rm", "notebook_note.recipe"]).ok();
    let rest = demo.run(&["plan", "-detailed-exitcode"]);
    assert_eq!(rest.code, Some(2), "it is forgotten: {rest:#?}");
    demo.run(&["import", "notebook_note.recipe", id]).ok();
    demo.run(&["plan", "-detailed-exitcode"]).ok();
    let nobodys = "00000000-0000-7000-8000-000000000000";
    for (id, told) in [("seven", "Not the id of a note"), (nobodys, "There is no such note")] {
        let said = demo.run(&["import", "notebook_note.more[\"0\"]", id]);
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.stderr.contains(told), "{said:#?}");
    }
}

/// Our program with our provider, in one dialect, with a store of notes.
fn ours(dialect: &[&str]) -> Cli {
    let program = notebook().display().to_string();
    let options = ["--provider", &program, "--address", ADDRESS];
    Cli::with(&[&options[..], dialect].concat())
}

/// How the program talks to the provider.
fn spoken(cli: &Cli) -> Value {
    let (code, document) = cli.json(&["schema"]);
    assert_eq!(code, Some(0), "{document:#}");
    document["provider"].clone()
}

/// Makes a note, changes it, finds it, makes it anew and destroys it.
fn life_of_a_note(cli: &Cli) {
    cli.write(
        "config",
        &json!({
            "title": "Crème brûlée", "body": "Cream.", "secret": "salt", "tags": {"kind": "recipe"},
            "author": {"name": "Ada"}, "reminder": [{"at": "2027-01-31T17:00:00Z"}],
        }),
    );
    let apply = |more: &[&str]| {
        let apply = ["apply", "notebook_note", "--state", "state", "--config", "config"];
        cli.run(&[&apply[..], &["--auto-approve"], more].concat()).ok()
    };
    let made = apply(&[]);
    assert!(narrow(&made).contains("+ secret = (sensitive value)"), "{made}");
    assert_eq!(cli.state("state")["attributes"]["revision"], json!(1));
    assert!(apply(&[]).contains("No changes."));

    let changed = apply(&["--set", "body=Yolks."]);
    assert!(narrow(&changed).contains("~ revision = 1 -> (known after apply)"), "{changed}");
    let (code, found) = cli.json(&["data", "notebook_notes", "--set", "tag=kind"]);
    assert_eq!((code, &found["values"]["notes"][0]["title"]), (Some(0), &json!("Crème brûlée")));

    let id = cli.state("state")["attributes"]["id"].as_str().expect("its id").to_owned();
    cli.run(&["import", "notebook_note", &id, "--state", "imported"]).ok();
    assert_eq!(cli.state("imported")["attributes"], cli.state("state")["attributes"]);

    let remade = apply(&["--set", "title=Flan"]);
    assert!(remade.contains("# forces replacement"), "{remade}");
    let gone = cli.run(&["read", "notebook_note", "--state", "imported"]).ok();
    assert!(gone.contains("gone"), "{gone}");
    cli.run(&["destroy", "notebook_note", "--state", "state", "--auto-approve"]).ok();
    let (_, found) = cli.json(&["data", "notebook_notes"]);
    assert_eq!(found["values"]["notes"], json!([]));
}

#[test]
fn under_our_host_the_same_binary_keeps_its_notes_in_the_hosts_state_store() {
    let cli = ours(&["--store", "store"]);
    assert_eq!(spoken(&cli)["dialect"], json!("trunkline"));
    life_of_a_note(&cli);
    assert!(cli.path("store").exists());
    assert!(!cli.path("notebook.redb").exists(), "it has no file of its own");
}

#[test]
fn over_go_plugins_wire_the_same_binary_keeps_its_notes_in_a_file_of_its_own() {
    for protocol in ["5", "6"] {
        let dialect = ["--no-native", "--protocol", protocol, "--provider-config", "provider"];
        let cli = ours(&dialect);
        cli.write("provider", &json!({"path": "notes"}));
        let spoken = spoken(&cli);
        assert_eq!(spoken["dialect"], json!("go-plugin"));
        assert_eq!(spoken["protocol"].to_string(), protocol);
        life_of_a_note(&cli);
        assert!(cli.path("notes").exists());
    }
}

#[test]
fn without_a_store_the_provider_says_what_is_missing() {
    let cli = ours(&[]);
    let said = cli.run(&["plan", "notebook_note", "--set", "title=x"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    let advice = "set `path` in the provider's configuration";
    assert!(said.stderr.contains(advice), "it says what to do: {said:#?}");
}
