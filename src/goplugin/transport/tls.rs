//! TLS between two processes that know each other's certificate: either side takes
//! exactly that one, in both roles, and nothing of the system's trust is asked.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::AlertDescription;
use rustls::CertificateError as RustlsCertificateError;
use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::DistinguishedName;
use rustls::ServerConfig;
use rustls::SignatureScheme;
use rustls::client::Resumption;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::server::NoServerSessionStorage;
use rustls::server::ParsedCertificate;
use rustls::server::danger::ClientCertVerified;
use rustls::server::danger::ClientCertVerifier;
use thiserror::Error;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::TlsConnector;
use tokio_rustls::TlsStream;

use crate::goplugin::handshake::certificate::Identity;
use crate::goplugin::handshake::certificate::SERVER_NAME;

/// HTTP/2 in ALPN. Go's gRPC closes a connection without it.
const HTTP2: &[u8] = b"h2";

/// How long a handshake may take. Between processes of one machine it takes
/// milliseconds; a peer that says nothing must not hold a connection for ever.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Encrypts connections to one peer, in whichever direction they are opened.
/// A clone is cheap.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
    server_name: ServerName<'static>,
}

impl Tls {
    /// Presents `ours` and takes for the peer only whoever has the key of `theirs`.
    pub(crate) fn new(ours: &Identity, theirs: CertificateDer<'static>) -> Result<Self, TlsError> {
        // An unusable certificate is found here, not at the first connection.
        ParsedCertificate::try_from(&theirs).map_err(TlsError::announced)?;
        // The provider is named: a process may have installed another as its
        // default, and not all can check P-521, which is what Go's peers have.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pin = Arc::new(Pin { certificate: theirs, provider: provider.clone() });
        let server_name = ServerName::try_from(SERVER_NAME)
            .map_err(|error| TlsError::Setup(io::Error::other(error)))?;
        Ok(Self {
            connector: client(ours, &pin, &provider).map_err(TlsError::setup)?.into(),
            acceptor: server(ours, &pin, &provider).map_err(TlsError::setup)?.into(),
            server_name,
        })
    }

    /// Speaks TLS as the side that has connected.
    ///
    /// In TLS 1.3 this ends before the peer has judged our certificate: if it
    /// refuses that, the first read fails. Dropping the future closes `io`.
    pub(crate) async fn connect<Io>(&self, io: Io) -> Result<TlsStream<Io>, TlsError>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let handshake = self.connector.connect(self.server_name.clone(), io);
        let stream = in_time(handshake).await?;
        expect_http2(stream.get_ref().1.alpn_protocol())?;
        Ok(stream.into())
    }

    /// Speaks TLS as the side that was connected to.
    ///
    /// Dropping the future closes `io`.
    pub(crate) async fn accept<Io>(&self, io: Io) -> Result<TlsStream<Io>, TlsError>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let stream = in_time(self.acceptor.accept(io)).await?;
        expect_http2(stream.get_ref().1.alpn_protocol())?;
        Ok(stream.into())
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

async fn in_time<S>(handshake: impl Future<Output = io::Result<S>>) -> Result<S, TlsError> {
    match timeout(HANDSHAKE_TIME, handshake).await {
        Ok(outcome) => outcome.map_err(TlsError::of),
        Err(_) => Err(TlsError::Timeout),
    }
}

fn expect_http2(negotiated: Option<&[u8]>) -> Result<(), TlsError> {
    if negotiated == Some(HTTP2) { Ok(()) } else { Err(TlsError::NoHttp2) }
}

// Resumption is off in both roles: connections are few and long, Go's peers never
// resume, and each ticket would be one more write to a peer that may have left.

fn client(
    ours: &Identity,
    pin: &Arc<Pin>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(pin.clone())
        .with_client_auth_cert(vec![ours.der().clone()], ours.key())?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn server(
    ours: &Identity,
    pin: &Arc<Pin>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(pin.clone())
        .with_single_cert(vec![ours.der().clone()], ours.key())?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Takes one certificate, to the byte, and checks that the peer has its key.
///
/// Nothing else is checked, because nothing else could make a different certificate
/// of it. webpki's verifier cannot be used: it takes no certificate for a peer's
/// that may also sign others, as go-plugin's may.
#[derive(Debug)]
struct Pin {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl Pin {
    fn check(&self, presented: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if *presented == self.certificate {
            return Ok(());
        }
        Err(RustlsCertificateError::ApplicationVerificationFailure.into())
    }

    fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    /// Includes `ecdsa_secp521r1_sha512`; without it a Go peer has nothing to sign with.
    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

/// A certificate is demanded: that is the trait's default.
impl ClientCertVerifier for Pin {
    /// None: to a list that lacks its issuer, a Go peer answers with no certificate.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

/// Why a connection could not be encrypted. It was closed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// TLS could not be set up on this side.
    #[error("TLS could not be set up with this side's certificate")]
    Setup(#[source] io::Error),

    /// What the peer announced as its certificate is none.
    #[error("what the peer announced is no certificate: the peer is at fault")]
    Announced(#[source] io::Error),

    /// The peer is another than the one that the host and its plugin know.
    #[error(
        "the peer presents another certificate than the one it announced: it is another process, \
         or one that serves with a certificate of its own"
    )]
    OtherCertificate,

    /// The peer connected without a certificate.
    #[error("the peer presents no certificate: it does not know that both sides need one")]
    NoCertificate,

    /// The peer ended the handshake: it does not take this side for the one that it
    /// knows, or it cannot do what this side asks for.
    #[error("the peer refuses this side's TLS handshake: {alert}")]
    Refused {
        /// The peer's reason, as TLS names it.
        alert: String,
    },

    /// The peer does not name HTTP/2 as what it speaks.
    #[error(
        "the peer does not offer HTTP/2 in its TLS handshake (ALPN \"h2\"), as gRPC demands: \
         update the peer's gRPC library"
    )]
    NoHttp2,

    /// The peer does not speak TLS.
    #[error("the peer does not speak TLS: host and plugin differ in whether they use it")]
    NotTls(#[source] io::Error),

    /// The peer did not complete the handshake in 10 seconds.
    #[error("the peer did not complete the TLS handshake in {} s", HANDSHAKE_TIME.as_secs())]
    Timeout,

    /// The connection ended, or the peer broke the rules of TLS.
    #[error("the TLS handshake with the peer failed")]
    Handshake(#[source] io::Error),
}

impl TlsError {
    fn setup(error: rustls::Error) -> Self {
        Self::Setup(io::Error::other(error))
    }

    fn announced(error: rustls::Error) -> Self {
        Self::Announced(io::Error::other(error))
    }

    /// What an error of a handshake means, or of the first read after it, where a
    /// refusal by the peer may come to light.
    pub(crate) fn of(error: io::Error) -> Self {
        use RustlsCertificateError::ApplicationVerificationFailure;
        use rustls::Error;

        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match tls {
            Some(Error::InvalidCertificate(ApplicationVerificationFailure)) => {
                Self::OtherCertificate
            }
            Some(Error::NoCertificatesPresented) => Self::NoCertificate,
            Some(
                Error::NoApplicationProtocol
                | Error::AlertReceived(AlertDescription::NoApplicationProtocol),
            ) => Self::NoHttp2,
            Some(Error::AlertReceived(alert)) => Self::Refused { alert: format!("{alert:?}") },
            Some(Error::InvalidMessage(_)) => Self::NotTls(error),
            _ => Self::Handshake(error),
        }
    }
}

#[cfg(test)]
mod tests;
