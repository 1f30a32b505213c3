//! Builds the Go program that is both processes of the systems in Go.

use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

/// Where its sources are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/go");

/// Returns the program, or why there is none.
pub async fn build(target: &Path) -> Result<PathBuf, String> {
    let program = target.join("peers-go").join("peers");
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(SOURCES)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match output.await {
        Ok(output) if output.status.success() => Ok(program),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(format!("`go build` failed in {SOURCES}:\n{said}"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err("there is no `go`".to_owned()),
        Err(error) => Err(format!("`go` cannot be run: {error}")),
    }
}
