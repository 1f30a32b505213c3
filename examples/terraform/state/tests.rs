//! States that are written, and what is no state.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;

fn kept() -> Kept {
    Kept {
        format_version: FORMAT_VERSION,
        provider: "registry.terraform.io/hashicorp/random".to_owned(),
        kind: "random_string".to_owned(),
        schema_version: 2,
        attributes: json!({"length": 8, "result": null}),
        sensitive: vec![".result".to_owned()],
        private: vec![0, 255],
        identity: Some(KeptIdentity { schema_version: 1, value: json!({"id": "a"}) }),
        tainted: true,
    }
}

#[test]
fn what_is_written_is_read_and_only_its_owner_may() {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::new(&folder.path().join("state.json")).lock().unwrap();
    assert_eq!(file.load().unwrap(), None);
    file.write(&kept()).unwrap();
    assert_eq!(file.load().unwrap(), Some(kept()));
    let mode = fs::metadata(file.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    file.remove().unwrap();
    file.remove().unwrap();
    assert_eq!(file.load().unwrap(), None);
    file.write(&kept()).unwrap();
    drop(file);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn what_is_no_state_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    for text in ["", "{", "{\"version\": 4}", "[1]", "{\"format_version\": 1}"] {
        fs::write(&path, text).unwrap();
        let error = StateFile::new(&path).load().unwrap_err();
        assert!(matches!(error, StateError::Broken { .. }), "{text}: {error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::write(&path, "{\"format_version\": 7, \"new\": 1}").unwrap();
    let error = StateFile::new(&path).load().unwrap_err();
    assert!(matches!(error, StateError::Version { found: 7, .. }), "{error}");
}

#[test]
fn a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    StateFile::new(&target).lock().unwrap().write(&kept()).unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let changed = Kept { tainted: false, ..kept() };
    StateFile::new(&link).lock().unwrap().write(&changed).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(StateFile::new(&target).load().unwrap(), Some(changed));
}

#[test]
fn what_cannot_be_written_is_noticed_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let missing = StateFile::new(&folder.path().join("missing/state.json"));
    assert!(matches!(missing.lock(), Err(StateError::Write { .. })));
    let directory = StateFile::new(folder.path());
    assert!(matches!(directory.load(), Err(StateError::Read { .. })));
    assert!(matches!(directory.lock(), Err(StateError::Write { .. })));
    StateFile::new(&folder.path().join("state.json")).lock().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_link_to_what_is_not_there_yet_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("elsewhere/next", &link).unwrap();
    std::os::unix::fs::symlink("target", folder.path().join("elsewhere/next")).unwrap();
    StateFile::new(&link).lock().unwrap().write(&kept()).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let target = StateFile::new(&folder.path().join("elsewhere/target"));
    assert_eq!(target.load().unwrap(), Some(kept()));
}

#[test]
fn links_without_end_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("link", &link).unwrap();
    assert!(matches!(StateFile::new(&link).load(), Err(StateError::Read { .. })));
}

#[test]
fn what_is_said_of_a_broken_state_shows_none_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    for text in [r#"{"format_version": "TOPSECRET"}"#, r#"{"format_version": 1, "type": 5, "#] {
        fs::write(&path, text).unwrap();
        let error = StateFile::new(&path).load().unwrap_err();
        let said = crate::report::explain(&error);
        assert!(said.contains("line 1") && !said.contains("SECRET"), "{said}");
    }
}
