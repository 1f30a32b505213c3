//! The examples `terraform` and `terraform_provider` as programs, and how they are run.

use std::env;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::sync::OnceLock;

/// The folder of the examples, which are built if they are not there in their present form.
fn examples() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--example", "terraform"]);
        build.args(["--example", "terraform_provider"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(status.expect("cargo can be run").success(), "the examples cannot be built");
        // This test is in `deps`, beside `examples`.
        let this = env::current_exe().expect("the path of this test");
        let target = this.parent().and_then(Path::parent).expect("a target folder");
        target.join("examples")
    })
}

/// Our command-line program.
pub fn terraform() -> PathBuf {
    examples().join("terraform")
}

/// Our provider.
pub fn notebook() -> PathBuf {
    examples().join("terraform_provider")
}

/// What a program said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// What it printed, if it ended well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }
}
