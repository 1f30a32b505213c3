//! Keeping what came of a change, wherever that can be: in its state, or else on standard
//! output, or else on standard error. Nobody else knows it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use crate::locate::ProviderAddress;
use crate::output::Output;
use crate::output::Rescued;
use crate::output::UNSAVED_STATE;
use crate::render::json;
use crate::report::Failed;
use crate::report::Report;
use crate::report::sentence;
use crate::resource::Object;
use crate::resource::Resource;
use crate::state::Kept;
use crate::state::LockedState;

const FAILED: &str = "Failed to write the state";

/// Keeps what there is of a resource now: `None` if there is nothing. What cannot be written
/// is printed.
pub fn keep(
    provider: &ProviderAddress,
    file: &LockedState,
    resource: &Resource,
    object: Option<&Object>,
    output: &mut Output,
    report: &mut Report,
) -> Result<(), Failed> {
    let address = &resource.address;
    let Some(object) = object else {
        return file.remove().map_err(|error| {
            let detail = format!("{address} is not there any more. {}", sentence(&error));
            report.fail(address, "Failed to remove the state", detail)
        });
    };
    let (unsaved, why, what) = match Kept::new(provider, resource, object) {
        Ok(kept) => match file.write(&kept) {
            Ok(()) => return Ok(()),
            Err(error) => {
                let what = format!("save it as {}", file.path().display());
                (serde_json::to_value(&kept).unwrap_or_default(), sentence(&error), what)
            }
        },
        // Nothing that is accepted from a provider is like that: if it is all the same, what
        // can be said of it is better than nothing.
        Err(error) => {
            let what = "it is no state, but has all that is known".to_owned();
            (plain(object), sentence(&error), what)
        }
    };
    let printed = match output.rescue(UNSAVED_STATE, unsaved) {
        Rescued::InDocument => "stands in this document instead, as `unsaved_state`",
        Rescued::ToStdout => "is printed to standard output instead",
        Rescued::ToStderr => "is printed to standard error instead, for standard output is broken",
        Rescued::Nowhere => "could not be printed either, and is lost",
    };
    let detail = format!(
        "{why}\n\nWhat was to be written {printed}: {what}. Without it nobody knows what there \
         is of {address}."
    );
    Err(report.fail(address, FAILED, detail))
}

/// What is known of an object, whatever it is.
fn plain(object: &Object) -> Json {
    serde_json::json!({
        "attributes": json::plain(&object.value),
        "identity": object.identity.as_ref().map(json::plain),
        "private": STANDARD.encode(&object.private),
        "tainted": object.is_tainted,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::Mutex;

    use tempfile::TempDir;

    use super::*;
    use crate::state::StateFile;
    use crate::testing::block;
    use crate::testing::computed;
    use crate::testing::object as fields;
    use crate::testing::text;
    use crate::tfplugin::cty::Type;
    use crate::tfplugin::cty::Value;
    use crate::tfplugin::schema::Schema;

    /// Remembers what is written; or is full, as a disk may be.
    #[derive(Clone, Debug, Default)]
    struct Written(Option<Arc<Mutex<Vec<u8>>>>);

    impl Written {
        fn new() -> Self {
            Self(Some(Arc::default()))
        }

        fn text(&self) -> String {
            let written = self.0.as_ref().map(|written| written.lock().unwrap().clone());
            String::from_utf8(written.unwrap_or_default()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let Some(written) = &self.0 else { return Err(io::ErrorKind::StorageFull.into()) };
            written.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What was tried to be kept in a folder that is gone, and what was said.
    struct Tried {
        folder: TempDir,
        stdout: Written,
        stderr: Written,
        as_json: bool,
    }

    impl Tried {
        fn new(stdout: Written, as_json: bool) -> Self {
            Self { folder: tempfile::tempdir().unwrap(), stdout, stderr: Written::new(), as_json }
        }

        fn keep(&self, value: Value) -> String {
            let block = block([("result", computed(Type::String))], []);
            let name = "random_string.a".parse().unwrap();
            let schema = Schema { version: 0, block };
            let resource = Resource::new(&name, "random_string.a".to_owned(), schema, None, false);
            let object =
                Object { value, private: b"mine".to_vec(), identity: None, is_tainted: false };
            let folder = self.folder.path().join("gone");
            fs::create_dir(&folder).unwrap();
            let file = StateFile::new(&folder.join("state.json")).lock().unwrap();
            fs::remove_dir_all(&folder).unwrap();
            let provider = "hashicorp/random".parse().unwrap();
            let (stdout, stderr) = (self.stdout.clone(), self.stderr.clone());
            let mut output = Output::on(Box::new(stdout), Box::new(stderr), self.as_json);
            let mut report = Report::default();
            let result = keep(&provider, &file, &resource, Some(&object), &mut output, &mut report);
            assert_eq!(result, Err(Failed));
            output.finish(&report);
            let [entry] = report.entries() else { unreachable!("one thing went wrong") };
            entry.diagnostic.detail.clone()
        }
    }

    fn result() -> Value {
        fields([("result", text("only here"))])
    }

    #[test]
    fn a_state_that_cannot_be_written_is_printed_and_can_be_saved() {
        let tried = Tried::new(Written::new(), false);
        let said = tried.keep(result());
        assert!(said.contains("to standard output") && said.contains("gone/state.json"));
        let kept: Kept = serde_json::from_str(&tried.stdout.text()).unwrap();
        assert_eq!(kept.attributes, serde_json::json!({"result": "only here"}));
        assert_eq!(kept.private, b"mine");
    }

    #[test]
    fn it_is_printed_to_standard_error_if_standard_output_is_full() {
        let tried = Tried::new(Written::default(), false);
        let said = tried.keep(result());
        assert!(said.contains("to standard error"), "{said}");
        let stderr = tried.stderr.text();
        let (printed, diagnostics) = stderr.split_at(stderr.find('╷').unwrap());
        let kept: Kept = serde_json::from_str(printed).unwrap();
        assert_eq!(kept.attributes, serde_json::json!({"result": "only here"}));
        assert!(diagnostics.contains(FAILED), "{diagnostics}");
    }

    #[test]
    fn it_stands_in_the_document_which_goes_where_it_can() {
        for stdout in [Written::new(), Written::default()] {
            let is_full = stdout.0.is_none();
            let tried = Tried::new(stdout, true);
            let said = tried.keep(result());
            assert!(said.contains("`unsaved_state`"), "{said}");
            let printed = if is_full { tried.stderr.text() } else { tried.stdout.text() };
            let document: Json = serde_json::from_str(&printed).unwrap();
            assert_eq!(document["unsaved_state"]["attributes"]["result"], "only here");
            assert_eq!(document["diagnostics"][0]["summary"], FAILED);
        }
    }

    #[test]
    fn it_is_not_said_to_be_printed_where_it_is_not() {
        let tried = Tried { stderr: Written::default(), ..Tried::new(Written::default(), false) };
        let said = tried.keep(result());
        assert!(said.contains("is lost"), "{said}");
    }

    #[test]
    fn what_is_no_state_is_printed_as_far_as_it_is_known() {
        let tried = Tried::new(Written::new(), false);
        tried.keep(fields([("result", Value::unknown()), ("stranger", text("also here"))]));
        let printed: Json = serde_json::from_str(&tried.stdout.text()).unwrap();
        assert_eq!(
            printed["attributes"],
            serde_json::json!({"result": null, "stranger": "also here"})
        );
        assert_eq!(printed["private"], "bWluZQ==");
    }
}
