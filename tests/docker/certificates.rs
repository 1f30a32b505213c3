//! Certificates for loopback, in files, as both we and Go read them.

use std::fs;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;

use crate::served::Folder;

/// An authority (`ca.pem`), and certificates of it for `server`, which is at 127.0.0.1, and
/// for `client`.
pub struct Certificates(Folder);

impl Certificates {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let certificates = Self(Folder::new());
        let write = |file: &str, pem: String| {
            fs::write(certificates.path(file), pem).expect("a new file");
        };
        write("ca.pem", authority.pem());
        for (name, host) in [("server", "127.0.0.1"), ("client", "client")] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new([host.to_owned()]).expect("a name");
            let certificate = params.signed_by(&key, &authority).expect("a certificate");
            write(&format!("{name}.pem"), certificate.pem());
            write(&format!("{name}-key.pem"), key.serialize_pem());
        }
        certificates
    }

    /// The path of a file beside them, as text.
    pub fn path(&self, file: &str) -> String {
        self.0.path(file).display().to_string()
    }
}
