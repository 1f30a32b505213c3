//! Programs in Go, built where they are tested: what it takes, and what to do without.

use std::env;
use std::fs;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// Where what is built goes. Version control ignores it.
pub const CACHE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/cache");

/// What was built; or, if it could not be, nothing and a line that says so. With
/// `TRUNKLINE_REQUIRE_PEERS=1` it fails.
pub fn found<T>(what: &str, built: Result<T, String>) -> Option<T> {
    match built {
        Ok(built) => Some(built),
        Err(why) if env::var_os("TRUNKLINE_REQUIRE_PEERS").is_some_and(|value| value == "1") => {
            panic!("no {what}: {why}")
        }
        Err(why) => {
            say(&format!("skipped: what needs {what}: {why}"));
            None
        }
    }
}

/// Builds in a folder of the cache, which is for one process at a time.
pub fn in_cache<T>(
    folder: &str,
    build: impl FnOnce(&Path) -> Result<T, String>,
) -> Result<T, String> {
    let folder = Path::new(CACHE).join(folder);
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let lock = File::create(Path::new(CACHE).join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    build(&folder)
}

/// Runs `go` and gives what it prints, or what it complains about.
pub fn go(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("go").args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| format!("`go` cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`go {}` failed:\n{}", arguments.join(" "), said.trim()))
}

/// The folder of a module's sources, from the module registry: `path@version`.
pub fn module(module: &str) -> Result<PathBuf, String> {
    let said = go(Path::new(CACHE), &["mod", "download", "-json", module])?;
    let said: serde_json::Value = serde_json::from_str(&said).map_err(|error| error.to_string())?;
    said["Dir"].as_str().map(PathBuf::from).ok_or_else(|| format!("{module} has no folder"))
}

/// Not with `eprintln!`, which a test that passes keeps to itself.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
