//! The certificates of one run, go-plugin's AutoMTLS: each side makes one, tells it
//! to the other, and takes no other for the other's.

use std::error::Error;
use std::fmt;
use std::time::Duration;
use std::time::SystemTime;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::SignatureAlgorithm;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

/// The name that Go's peers check a certificate for, whoever connects.
pub(crate) const SERVER_NAME: &str = "localhost";

/// How long before now a certificate becomes valid: clocks of two processes differ
/// if one is in a virtual machine.
const BEFORE_NOW: Duration = Duration::from_secs(30);

/// How long a certificate is valid. go-plugin's 30 years: it is pinned and dies with
/// the process, so its date protects nothing and must only never interfere.
const VALIDITY: Duration = Duration::from_secs(262_980 * 60 * 60);

/// A certificate and its key, of one run. The key never leaves the process.
pub(crate) struct Identity {
    der: CertificateDer<'static>,
    pem: String,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    /// Makes a new one, in well under a millisecond.
    ///
    /// The key is P-256 where go-plugin's own is P-521: a peer in Go takes any key,
    /// others often cannot check P-521, and P-256 is many times quicker.
    pub(crate) fn generate() -> Result<Self, CertificateError> {
        Self::generate_with(&rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// Makes a new one with a key of another kind.
    pub(crate) fn generate_with(
        algorithm: &'static SignatureAlgorithm,
    ) -> Result<Self, CertificateError> {
        let failed = |error| CertificateError::Generate(Box::new(error));
        let key = KeyPair::generate_for(algorithm).map_err(failed)?;
        let certificate = parameters(SystemTime::now())
            .and_then(|parameters| parameters.self_signed(&key))
            .map_err(failed)?;
        Ok(Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        })
    }

    /// The certificate as text, for `PLUGIN_CLIENT_CERT`.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificate as bytes, for the handshake line.
    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("pem", &self.pem).finish_non_exhaustive()
    }
}

/// What go-plugin's `generateCert` puts into a certificate. The serial number is
/// left to rcgen, which takes it from the key: as random, and as long.
fn parameters(now: SystemTime) -> Result<CertificateParams, rcgen::Error> {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let now = rcgen::date_time_ymd(1970, 1, 1) + since_epoch;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "HashiCorp");
    subject.push(DnType::CommonName, SERVER_NAME);

    let mut parameters = CertificateParams::new([SERVER_NAME.to_owned()])?;
    parameters.distinguished_name = subject;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyAgreement,
        KeyUsagePurpose::KeyCertSign,
    ];
    parameters.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    parameters.not_before = now - BEFORE_NOW;
    parameters.not_after = now + VALIDITY;
    Ok(parameters)
}

/// Reads the certificate of `PLUGIN_CLIENT_CERT`: the first of the text.
pub(crate) fn parse_pem(text: &str) -> Result<CertificateDer<'static>, CertificateError> {
    CertificateDer::from_pem_slice(text.as_bytes())
        .map_err(|error| CertificateError::Pem(Box::new(error)))
}

/// Why there is no certificate to speak TLS with.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// No certificate could be made: the cryptographic library does not work here.
    #[error("a certificate for this run could not be made")]
    Generate(#[source] Box<dyn Error + Send + Sync>),

    /// The host has sent something else than a certificate.
    #[error("the host has set PLUGIN_CLIENT_CERT to something that is no PEM certificate")]
    Pem(#[source] Box<dyn Error + Send + Sync>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_and_der_are_the_same_certificate() {
        let identity = Identity::generate().unwrap();
        assert!(identity.pem().starts_with("-----BEGIN CERTIFICATE-----\n"));
        assert_eq!(&parse_pem(identity.pem()).unwrap(), identity.der());
    }

    #[test]
    fn no_two_runs_have_the_same_certificate() {
        assert_ne!(Identity::generate().unwrap().der(), Identity::generate().unwrap().der());
    }

    #[test]
    fn a_clock_before_the_epoch_is_no_obstacle() {
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert!(parameters(early).is_ok());
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for text in ["", "certificate", "-----BEGIN CERTIFICATE-----\n?\n"] {
            assert!(matches!(parse_pem(text), Err(CertificateError::Pem(_))), "{text:?}");
        }
    }

    #[test]
    fn no_debug_output_has_the_key() {
        let shown = format!("{:?}", Identity::generate().unwrap());
        assert!(shown.contains("BEGIN CERTIFICATE") && !shown.contains("key"));
    }
}
