//! Options of TLS: what the JSON means, and what files must have in them.

use std::fs;
use std::path::Path;

use rcgen::CertificateParams;
use rcgen::KeyPair;
use rustix::fs::CWD;
use rustix::fs::FileType;
use rustix::fs::Mode;

use super::*;

fn options(json: &str) -> TlsOptions {
    serde_json::from_str(json).unwrap()
}

fn refused(json: &str) -> String {
    serde_json::from_str::<TlsOptions>(json).unwrap_err().to_string()
}

/// A certificate that is its own issuer, and its key.
fn write_identity(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

/// A folder with an identity in it, and options that name it.
fn identity() -> (TlsOptions, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    write_identity(folder.path());
    let [cert, key] = ["cert.pem", "key.pem"].map(|file| folder.path().join(file));
    (TlsOptions::new().identity(cert, key), folder)
}

#[test]
fn the_json_is_dockers() {
    let all = options(
        r#"{"CAFile":"ca","CertFile":"c","KeyFile":"k","InsecureSkipVerify":true,
            "ClientAuth":4,"ExclusiveRootPools":true,"MinVersion":772}"#,
    );
    let same = TlsOptions::new()
        .ca_file("ca")
        .identity("c", "k")
        .insecure_skip_verify()
        .client_auth(ClientAuth::Required)
        .exclusive_roots()
        .min_version(MinVersion::Tls13);
    assert_eq!(all, same);
    let empty = r#"{"CAFile":"","CertFile":"","KeyFile":null,"MinVersion":0,"Unknown":1}"#;
    assert_eq!(options(empty), TlsOptions::new());
}

#[test]
fn options_without_a_ca_do_not_switch_verification_off() {
    assert!(!options(r#"{"CertFile":"c","KeyFile":"k"}"#).insecure);
}

#[test]
fn what_would_be_less_secure_than_it_looks_is_refused() {
    assert!(refused(r#"{"MinVersion":769}"#).contains("too low"));
    assert!(refused(r#"{"MinVersion":1}"#).contains("no version 1"));
    assert!(refused(r#"{"ClientAuth":2}"#).contains("without checking"));
    assert!(refused(r#"{"ClientAuth":-1}"#).contains("no ClientAuth -1"));
}

#[test]
fn a_certificate_and_its_key_come_together() {
    let (both, _folder) = identity();
    both.clone().insecure_skip_verify().client().unwrap();
    both.server().unwrap();
    let half = options(r#"{"CertFile":"c","InsecureSkipVerify":true}"#);
    assert!(matches!(half.client(), Err(TlsError::HalfIdentity)));
    assert!(matches!(TlsOptions::new().server(), Err(TlsError::NoIdentity)));
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_named() {
    let (_, folder) = identity();
    let none = folder.path().join("none.pem");
    let options = TlsOptions::new().ca_file(&none).exclusive_roots();
    let error = options.client().unwrap_err();
    assert!(error.to_string().contains("none.pem"), "{error}");
    fs::write(none, "no certificate").unwrap();
    assert!(matches!(options.client(), Err(TlsError::NoCertificate { .. })));

    let [cert, key] = ["cert.pem", "key.pem"].map(|file| folder.path().join(file));
    let swapped = TlsOptions::new().identity(key, cert);
    assert!(matches!(swapped.server(), Err(TlsError::NoCertificate { .. })));
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (options, folder) = identity();
    let other = KeyPair::generate().unwrap();
    fs::write(folder.path().join("key.pem"), other.serialize_pem()).unwrap();
    assert!(matches!(options.server(), Err(TlsError::Setup(_))));
}

#[test]
fn who_checks_clients_says_by_what() {
    let (options, _folder) = identity();
    let checking = options.client_auth(ClientAuth::Required);
    assert!(matches!(checking.server(), Err(TlsError::NoClientRoots)));
}

#[test]
fn a_pipe_is_not_waited_for_and_an_endless_file_not_read() {
    let (options, folder) = identity();
    let key = folder.path().join("key.pem");
    fs::write(&key, vec![b'x'; 1024 * 1024 + 1]).unwrap();
    assert!(matches!(options.server(), Err(TlsError::TooLong { limit: 0x10_0000, .. })));
    for file in ["key.pem", "cert.pem"] {
        let path = folder.path().join(file);
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(
            matches!(options.server(), Err(TlsError::File { path: named, .. }) if named == path)
        );
    }
}
