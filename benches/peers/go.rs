//! Builds the Go program that is both processes of the systems in Go.

use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

/// Where its sources are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/go");

/// Why there is no program, for people.
#[derive(Clone, Debug)]
pub enum NoProgram {
    /// There is no Go here: its systems are left out.
    NoGo(String),
    /// There is one, and it failed.
    NotBuilt(String),
}

/// Builds the program into a folder of cargo's target folder.
pub async fn build(target: &Path) -> Result<PathBuf, NoProgram> {
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
            Err(NoProgram::NotBuilt(format!("`go build` failed in {SOURCES}:\n{said}")))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(NoProgram::NoGo("there is no `go` here".to_owned()))
        }
        Err(error) => Err(NoProgram::NotBuilt(format!("`go` cannot be run: {error}"))),
    }
}
