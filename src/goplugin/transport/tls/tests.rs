//! TLS over an in-memory pipe, with peers that are right and peers that are not.

use rustls::version::TLS12;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;
use tokio::io::duplex;
use tokio::join;

use super::*;

const PIPE: usize = 16 * 1024;

type Outcome = Result<TlsStream<DuplexStream>, TlsError>;

fn go() -> Identity {
    Identity::generate_with(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap()
}

fn rust() -> Identity {
    Identity::generate().unwrap()
}

/// Two ends that know each other.
fn pair(one: &Identity, other: &Identity) -> (Tls, Tls) {
    let end = |ours: &Identity, theirs: &Identity| Tls::new(ours, theirs.der().clone()).unwrap();
    (end(one, other), end(other, one))
}

async fn meet(connecting: &Tls, accepting: &Tls) -> (Outcome, Outcome) {
    let (near, far) = duplex(PIPE);
    join!(connecting.connect(near), accepting.accept(far))
}

async fn exchange(connecting: &Tls, accepting: &Tls) {
    let (near, far) = meet(connecting, accepting).await;
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    let mut received = [0; 4];
    near.write_all(b"ping").await.unwrap();
    near.flush().await.unwrap();
    far.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"ping");
    far.write_all(b"pong").await.unwrap();
    far.flush().await.unwrap();
    near.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"pong");
}

/// Changes how one end connects.
fn with_client(tls: &Tls, change: impl FnOnce(&mut ClientConfig)) -> Tls {
    let mut config = ClientConfig::clone(tls.connector.config());
    change(&mut config);
    Tls { connector: Arc::new(config).into(), ..tls.clone() }
}

/// Changes how one end accepts.
fn with_server(tls: &Tls, change: impl FnOnce(&mut ServerConfig)) -> Tls {
    let mut config = ServerConfig::clone(tls.acceptor.config());
    change(&mut config);
    Tls { acceptor: Arc::new(config).into(), ..tls.clone() }
}

#[tokio::test(start_paused = true)]
async fn each_can_connect_to_the_other() {
    for (one, other) in [(rust(), rust()), (rust(), go()), (go(), go())] {
        let (one, other) = pair(&one, &other);
        exchange(&one, &other).await;
        exchange(&other, &one).await;
    }
}

/// An end that knows no TLS 1.3 when it connects.
fn tls_1_2(ours: &Identity, theirs: &Identity) -> Tls {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let pin = Pin { certificate: theirs.der().clone(), provider: provider.clone() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pin))
        .with_client_auth_cert(vec![ours.der().clone()], ours.key())
        .unwrap();
    config.alpn_protocols = vec![HTTP2.to_vec()];
    let tls = Tls::new(ours, theirs.der().clone()).unwrap();
    Tls { connector: Arc::new(config).into(), ..tls }
}

#[tokio::test(start_paused = true)]
async fn tls_1_2_will_do_and_tells_both_ends_of_a_wrong_certificate() {
    for theirs in [rust(), go()] {
        let ours = go();
        let (_, accepting) = pair(&ours, &theirs);
        exchange(&tls_1_2(&ours, &theirs), &accepting).await;

        let (near, far) = meet(&tls_1_2(&go(), &theirs), &accepting).await;
        assert!(matches!(near, Err(TlsError::Refused { .. })), "{near:?}");
        assert!(matches!(far, Err(TlsError::OtherCertificate)), "{far:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_accepts_with_another_certificate_is_refused() {
    let (host, plugin) = (rust(), rust());
    let (connecting, _) = pair(&host, &plugin);
    let (_, impostor) = pair(&host, &rust());
    let (near, far) = meet(&connecting, &impostor).await;
    assert!(matches!(near, Err(TlsError::OtherCertificate)), "{near:?}");
    assert!(matches!(far, Err(TlsError::Refused { .. })), "{far:?}");
}

#[tokio::test(start_paused = true)]
async fn who_connects_with_another_certificate_is_refused_and_reads_that() {
    let (host, plugin) = (rust(), rust());
    let (_, accepting) = pair(&host, &plugin);
    let (impostor, _) = pair(&rust(), &plugin);
    let (near, far) = meet(&impostor, &accepting).await;
    assert!(matches!(far, Err(TlsError::OtherCertificate)), "{far:?}");
    let read = near.unwrap().read(&mut [0; 1]).await;
    assert!(matches!(TlsError::of(read.unwrap_err()), TlsError::Refused { .. }));
}

/// The certificate alone is public: it is in the environment and on a pipe.
#[tokio::test(start_paused = true)]
async fn the_right_certificate_without_its_key_is_refused() {
    let (host, plugin, thief) = (rust(), rust(), rust());
    let (connecting, accepting) = pair(&host, &plugin);

    let stolen = |certificate: &CertificateDer<'static>| {
        let key = aws_lc_rs::sign::any_ecdsa_type(&thief.key()).unwrap();
        Arc::new(rustls::sign::CertifiedKey::new(vec![certificate.clone()], key))
    };
    let server = with_server(&accepting, |config| {
        let key = stolen(plugin.der());
        config.cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(key));
    });
    let (near, _) = meet(&connecting, &server).await;
    assert!(matches!(near, Err(TlsError::Handshake(_))), "{near:?}");

    let client = with_client(&connecting, |config| {
        let key = stolen(host.der());
        config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(key));
    });
    let (_, far) = meet(&client, &accepting).await;
    assert!(matches!(far, Err(TlsError::Handshake(_))), "{far:?}");
}

#[tokio::test(start_paused = true)]
async fn who_connects_without_a_certificate_is_refused() {
    let (connecting, accepting) = pair(&rust(), &rust());
    let bare = with_client(&connecting, |config| {
        config.client_auth_cert_resolver = Arc::new(NoCertificate);
    });
    let (_, far) = meet(&bare, &accepting).await;
    assert!(matches!(far, Err(TlsError::NoCertificate)), "{far:?}");
}

#[derive(Debug)]
struct NoCertificate;

impl rustls::client::ResolvesClientCert for NoCertificate {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_http2_is_refused_in_either_role() {
    let (one, other) = pair(&rust(), &rust());
    for protocols in [vec![], vec![b"http/1.1".to_vec()]] {
        let old = with_client(&one, |config| config.alpn_protocols.clone_from(&protocols));
        let (_, far) = meet(&old, &other).await;
        assert!(matches!(far, Err(TlsError::NoHttp2)), "{far:?}");
        let old = with_server(&other, |config| config.alpn_protocols.clone_from(&protocols));
        let (near, _) = meet(&one, &old).await;
        assert!(matches!(near, Err(TlsError::NoHttp2)), "{near:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_speaks_plain_http2_is_told_apart() {
    let (tls, _) = pair(&rust(), &rust());
    let (near, mut far) = duplex(PIPE);
    far.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let error = tls.accept(near).await.unwrap_err();
    assert!(matches!(error, TlsError::NotTls(_)), "{error:?}");

    let (near, mut far) = duplex(PIPE);
    far.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap(); // empty SETTINGS
    let error = tls.connect(near).await.unwrap_err();
    assert!(matches!(error, TlsError::NotTls(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_ends_or_says_nothing_is_an_error() {
    let (tls, _) = pair(&rust(), &rust());
    let (near, far) = duplex(PIPE);
    drop(far);
    let error = tls.connect(near).await.unwrap_err();
    assert!(matches!(error, TlsError::Handshake(_)), "{error:?}");

    let (near, _silent) = duplex(PIPE);
    let error = tls.accept(near).await.unwrap_err();
    assert!(matches!(error, TlsError::Timeout), "{error:?}");
}

#[test]
fn what_was_announced_must_be_a_certificate() {
    let error = Tls::new(&rust(), CertificateDer::from(vec![7; 100])).unwrap_err();
    assert!(matches!(error, TlsError::Announced(_)), "{error:?}");
}

#[test]
fn signatures_with_p_521_are_asked_for() {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let pin = Pin { certificate: rust().der().clone(), provider };
    assert!(pin.schemes().contains(&SignatureScheme::ECDSA_NISTP521_SHA512));
}
