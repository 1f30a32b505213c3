//! The examples `terraform` and `terraform_provider` as programs.

use std::collections::HashMap;
use std::env;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;

use serde_json::Value;

/// The examples by name, built as this test was, if they are not there in their present form.
fn example(name: &str) -> PathBuf {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--message-format=json"]);
        build.args(["--example", "terraform", "--example", "terraform_provider"]);
        let this = env::current_exe().expect("the path of this test");
        build.args(flags(&this)).current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = build.stderr(Stdio::inherit()).output().expect("cargo can be run");
        assert!(output.status.success(), "the examples cannot be built");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        said.lines().filter_map(executable).collect()
    });
    built.get(name).unwrap_or_else(|| panic!("cargo has not built {name}")).clone()
}

/// What cargo has to be told to build as it built the test with this path, which ends in
/// `[TRIPLE/]PROFILE/deps/NAME`. Settings from the environment it knows by itself.
fn flags(test: &Path) -> Vec<String> {
    let mut folders = test.ancestors().skip(2).filter_map(Path::file_name);
    let mut next = || folders.next().map(|name| name.to_string_lossy().into_owned());
    let profile = match next().expect("a folder").as_str() {
        "debug" => "dev".to_owned(),
        profile => profile.to_owned(),
    };
    let mut flags = vec!["--profile".to_owned(), profile];
    let is_triple =
        |name: &String| name.starts_with(env::consts::ARCH) && name.contains(env::consts::OS);
    if let Some(triple) = next().filter(is_triple) {
        flags.extend(["--target".to_owned(), triple]);
    }
    flags
}

/// The name and the path of what a message of cargo says was built.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).expect("JSON");
    let name = message["target"]["name"].as_str()?.to_owned();
    Some((name, message["executable"].as_str()?.into()))
}

/// Our command-line program.
pub fn terraform() -> PathBuf {
    example("terraform")
}

/// Our provider.
pub fn notebook() -> PathBuf {
    example("terraform_provider")
}

#[test]
fn the_examples_are_built_as_the_test_was() {
    let flags = |path: &str| flags(Path::new(path)).join(" ");
    assert_eq!(flags("/target/debug/deps/terraform-1"), "--profile dev");
    assert_eq!(flags("/x/release/deps/terraform-1"), "--profile release");
    let triple = format!("{}-unknown-{}-musl", env::consts::ARCH, env::consts::OS);
    let foreign = flags(&format!("/target/{triple}/slim/deps/terraform-1"));
    assert_eq!(foreign, format!("--profile slim --target {triple}"));
}
