//! Where plugins are found, and where not.

use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::path::PathBuf;

use proptest::prelude::*;
use rustix::fs::CWD;
use rustix::fs::FileType;
use rustix::fs::Mode;

use super::scan::is_all_users;
use super::*;
use crate::docker::tls::TlsOptions;

/// One folder for sockets and spec files, as moby's tests have it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn directories(&self) -> Directories {
        Directories::new(self.0.path(), [self.0.path()])
    }

    fn path(&self, file: &str) -> PathBuf {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    fn listen(&self, file: &str) -> UnixListener {
        UnixListener::bind(self.path(file)).unwrap()
    }

    fn find(&self, name: &str) -> Result<Location, FindError> {
        self.directories().find(name)
    }

    fn scan(&self) -> Vec<String> {
        self.directories().scan().unwrap()
    }
}

/// moby's TestFileSpecPlugin.
#[test]
fn a_spec_file_is_an_address() {
    let cases = [
        ("echo.spec", "echo", "unix:///var/lib/docker/plugins/echo.sock"),
        ("echo2/echo2.spec", "echo2", "unix:///var/lib/docker/plugins/echo.sock"),
        ("foo.spec", "foo", "tcp://localhost:8080"),
        ("foo2/foo2.spec", "foo2", " tcp://localhost:8080 \n"),
    ];
    let folder = Folder::new();
    for (file, name, address) in cases {
        folder.write(file, address);
        let found = folder.find(name).unwrap();
        assert_eq!(found.name(), name);
        assert_eq!(found.file(), folder.path(file));
        assert_eq!(found.address().to_string(), address.trim());
        // Other than in Docker, nothing says that anybody may be the plugin.
        assert_eq!(found.tls(), None);
    }
    folder.write("bar.spec", "localhost:8080");
    let error = folder.find("bar").unwrap_err();
    assert!(matches!(error, FindError::Spec { source: SpecError::Address(_), .. }), "{error:?}");
}

/// moby's TestFileJSONSpecPlugin.
#[test]
fn a_json_file_is_an_address_and_options_of_tls() {
    let folder = Folder::new();
    folder.write(
        "example.json",
        r#"{"Name": "plugin-example", "Addr": "https://example.com/docker/plugin", "TLSConfig": {
            "CAFile": "/certs/ca.pem", "CertFile": "/certs/cert.pem", "KeyFile": "/certs/key.pem"
        }}"#,
    );
    let found = folder.find("example").unwrap();
    assert_eq!(found.name(), "example");
    assert_eq!(found.address(), &"https://example.com".parse().unwrap());
    let tls = TlsOptions::new().ca_file("/certs/ca.pem");
    assert_eq!(found.tls(), Some(&tls.identity("/certs/cert.pem", "/certs/key.pem")));
}

/// moby's TestFileJSONSpecPluginWithoutTLSConfig.
#[test]
fn a_json_file_may_say_nothing_of_tls() {
    let folder = Folder::new();
    folder.write("example.json", r#"{"Addr": "https://example.com/docker/plugin"}"#);
    assert_eq!(folder.find("example").unwrap().tls(), None);
    folder.write("other.json", r#"{"Addr": "https://example.com", "TLSConfig": {}}"#);
    assert_eq!(folder.find("other").unwrap().tls(), Some(&TlsOptions::new()));
}

/// moby's TestLocalSocket.
#[test]
fn a_socket_is_a_plugin_beside_others_or_in_a_folder_of_its_own() {
    for file in ["echo.sock", "echo/echo.sock"] {
        let folder = Folder::new();
        let _listener = folder.listen(file);
        let found = folder.find("echo").unwrap();
        assert_eq!(found, folder.find("echo").unwrap());
        assert_eq!(found.name(), "echo");
        assert_eq!(found.address().socket(), Some(folder.path(file).as_path()));
    }
}

#[test]
fn the_first_that_is_there_wins_also_if_it_is_wrong() {
    let folder = Folder::new();
    let order = ["a/a.json", "a.json", "a/a.spec", "a.spec"];
    for file in order {
        folder.write(file, "wrong");
        match folder.find("a") {
            Err(FindError::Spec { file: wrong, .. }) => assert_eq!(wrong, folder.path(file)),
            other => panic!("{other:?}"),
        }
    }
    // Not sockets, though they are called so.
    folder.write("a.sock", "");
    assert!(matches!(folder.find("a"), Err(FindError::Spec { .. })));
    let _inner = folder.listen("a/a.sock");
    assert_eq!(folder.find("a").unwrap().file(), folder.path("a/a.sock"));
    fs::remove_file(folder.path("a.sock")).unwrap();
    let _outer = folder.listen("a.sock");
    assert_eq!(folder.find("a").unwrap().file(), folder.path("a.sock"));
}

#[test]
fn an_earlier_directory_comes_before_a_later_one() {
    let (first, second) = (Folder::new(), Folder::new());
    let both = Directories::new("/nonexistent", [first.0.path(), second.0.path()]);
    second.write("a.spec", "tcp://second");
    assert_eq!(both.find("a").unwrap().address().to_string(), "tcp://second");
    first.write("a/a.json", r#"{"Addr": "tcp://first"}"#);
    assert_eq!(both.find("a").unwrap().address().to_string(), "tcp://first");
}

#[test]
fn what_is_not_there_is_not_found() {
    let folder = Folder::new();
    let error = folder.find("vegetable").unwrap_err();
    assert!(error.is_not_found() && crate::docker::is_not_found(&error));
}

#[test]
fn a_name_does_not_lead_out_of_the_directories() {
    let folder = Folder::new();
    folder.write("a.spec", "tcp://host");
    for name in ["", ".", "..", "../x", "x/../a", "/a", "a\0"] {
        assert!(matches!(folder.find(name), Err(FindError::Name { .. })), "{name:?}");
    }
    assert!(folder.find("a").is_ok());
}

#[test]
fn a_spec_file_without_end_is_not_read_to_its_end() {
    let folder = Folder::new();
    folder.write("a.spec", &" ".repeat(spec::MAX_SPEC + 1));
    let error = folder.find("a").unwrap_err();
    assert!(matches!(error, FindError::Spec { source: SpecError::TooLong, .. }));
}

/// moby's TestScan.
#[test]
fn a_scan_lists_what_is_found_and_nothing_where_nothing_is() {
    let folder = Folder::new();
    assert!(folder.scan().is_empty());
    assert!(Directories::new("/nonexistent", ["/nonexistent"]).scan().unwrap().is_empty());
    folder.write("echo.spec", "unix:///var/lib/docker/plugins/echo.sock");
    assert_eq!(folder.scan(), [folder.find("echo").unwrap().name()]);
}

/// moby's TestScanNotPlugins.
#[test]
fn a_folder_with_files_of_other_names_is_no_plugin() {
    let folder = Folder::new();
    let _listener = folder.listen("not-a-plugin/foo.sock");
    folder.write("not-a-plugin/foo.spec", "");
    assert!(folder.scan().is_empty());
    folder.write("not-a-plugin/not-a-plugin.spec", "");
    assert_eq!(folder.scan(), ["not-a-plugin"]);
}

#[test]
fn a_scan_names_each_plugin_once_and_only_what_can_be_found() {
    let folder = Folder::new();
    let _listeners = ["z.sock", "b/b.sock", "c.socket"].map(|file| folder.listen(file));
    folder.write("z.spec", "tcp://host");
    folder.write("z.json", "");
    folder.write("a.b.json", "");
    folder.write("a.b/a.b.md", "it comes before the spec file");
    folder.write("a.b/a.b.spec", "");
    folder.write("file.sock", "no socket");
    folder.write("readme.md", "");
    fs::create_dir(folder.path("folder.spec")).unwrap();
    assert_eq!(folder.scan(), ["b", "z", "a.b"]);
    for name in folder.scan() {
        assert!(!matches!(folder.find(&name), Err(error) if error.is_not_found()), "{name}");
    }
}

#[test]
fn a_directory_that_is_none_is_an_error() {
    let folder = Folder::new();
    folder.write("file", "");
    let error = Directories::new(folder.path("file"), [""; 0]).scan().unwrap_err();
    assert_eq!(error.folder(), folder.path("file"));
}

fn directories(variables: &[(&str, &str)]) -> Vec<String> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    let directories = Directories::of(variable);
    assert_eq!(directories.sockets(), Path::new("/run/docker/plugins"));
    directories.specs().iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn rootless_spec_files_are_in_the_users_own_directories() {
    let system = ["/etc/docker/plugins", "/usr/lib/docker/plugins"];
    let own = "/home/me/.local/lib/docker/plugins";
    let (rootless, home) = (("ROOTLESSKIT_STATE_DIR", "/run/user/1/x"), ("HOME", "/home/me"));
    assert_eq!(directories(&[home]), system);
    assert_eq!(directories(&[("ROOTLESSKIT_STATE_DIR", ""), home]), system);
    assert_eq!(directories(&[rootless]), system);
    assert_eq!(directories(&[rootless, home]), ["/home/me/.config/docker/plugins", own]);
    let config = ("XDG_CONFIG_HOME", "/cfg");
    assert_eq!(directories(&[rootless, home, config]), ["/cfg/docker/plugins", own]);
    let relative = ("XDG_CONFIG_HOME", "cfg");
    assert_eq!(directories(&[rootless, home, relative]), ["/home/me/.config/docker/plugins", own]);
}

#[test]
fn a_namespace_of_users_is_known_by_its_map() {
    assert!(is_all_users("         0          0 4294967295\n"));
    assert!(!is_all_users("         0       1000          1\n         1     100000      65536\n"));
    assert!(!is_all_users(""));
}

proptest! {
    #[test]
    fn whatever_a_spec_file_has_in_it_is_an_address_or_an_error(text: Vec<u8>) {
        if let Ok(address) = spec::parse_text(&text) {
            prop_assert_eq!(address.to_string().parse().ok(), Some(address));
        }
        let _ = spec::parse_json(&text);
    }
}

#[test]
fn a_pipe_is_no_spec_file_and_not_waited_for() {
    let folder = Folder::new();
    for file in ["a.spec", "b.json"] {
        let path = folder.path(file);
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(crate::docker::regular_file::read(&path, 1).is_err());
    }
    assert!(folder.find("a").unwrap_err().is_not_found());
    folder.write("b/b.json", r#"{"Addr":"unix:///b.sock"}"#);
    assert_eq!(folder.find("b").unwrap().file(), folder.path("b/b.json"));
    assert_eq!(folder.scan(), ["b"]);
}
