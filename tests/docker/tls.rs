//! TLS on loopback, with certificates made for the test.

use std::error::Error;
use std::fs;
use std::net::SocketAddr;

use trunkline::docker::CallError;
use trunkline::docker::Client;
use trunkline::docker::ClientAuth;
use trunkline::docker::Directories;
use trunkline::docker::MinVersion;
use trunkline::docker::Registry;
use trunkline::docker::RetryPolicy;
use trunkline::docker::TlsOptions;
use trunkline::docker::serve::TcpEndpoint;

use crate::certificates::Certificates;
use crate::served::Served;
use crate::served::Signals;
use crate::served::plugin;

/// Trusts their authority and nobody else.
fn trusting(certificates: &Certificates) -> TlsOptions {
    TlsOptions::new().ca_file(certificates.path("ca.pem")).exclusive_roots()
}

/// The same, and presents one of them.
fn presenting(name: &str, certificates: &Certificates, options: TlsOptions) -> TlsOptions {
    let key = certificates.path(&format!("{name}-key.pem"));
    options.identity(certificates.path(&format!("{name}.pem")), key)
}

fn server(certificates: &Certificates) -> TlsOptions {
    presenting("server", certificates, TlsOptions::new())
}

async fn serve(options: TlsOptions) -> Served {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = TcpEndpoint::at(any).tls(options).bind().await.unwrap();
    Served::start(plugin(&Signals::default()), listener)
}

async fn call(served: &Served, options: &TlsOptions) -> Result<u8, CallError> {
    let client = Client::builder(&served.address).tls(options).build().unwrap();
    client.with_retry(RetryPolicy::never()).call("Test.Echo", &1).await
}

/// All that an error says.
fn told(error: &CallError) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told += &format!(": {error}");
        cause = error.source();
    }
    told
}

#[tokio::test]
async fn a_plugin_whose_certificate_is_trusted_is_called() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let served = serve(server(&ours)).await;
    assert!(served.address.is_tls());
    assert_eq!(call(&served, &trusting(&ours)).await.unwrap(), 1);
    let not_trusted = call(&served, &trusting(&others)).await.unwrap_err();
    assert!(matches!(not_trusted, CallError::Unreachable { .. }), "{not_trusted:?}");
    assert!(told(&not_trusted).contains("invalid peer certificate"), "{}", told(&not_trusted));
    // Only who says so takes anybody.
    let anybody = TlsOptions::new().insecure_skip_verify();
    assert_eq!(call(&served, &anybody).await.unwrap(), 1);
}

#[tokio::test]
async fn a_certificate_of_another_name_is_not_taken() {
    let ours = Certificates::new();
    let served = serve(presenting("client", &ours, TlsOptions::new())).await;
    let error = call(&served, &trusting(&ours)).await.unwrap_err();
    assert!(told(&error).contains("not valid for name"), "{}", told(&error));
}

#[tokio::test]
async fn a_plugin_may_want_certificates_of_its_clients() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let checking = |auth| server(&ours).ca_file(ours.path("ca.pem")).client_auth(auth);
    let good = presenting("client", &ours, trusting(&ours));
    let bad = presenting("client", &others, trusting(&ours));
    for (auth, without) in [(ClientAuth::Required, false), (ClientAuth::IfGiven, true)] {
        let served = serve(checking(auth)).await;
        assert_eq!(call(&served, &good).await.unwrap(), 1);
        assert_eq!(call(&served, &trusting(&ours)).await.is_ok(), without, "{auth:?}");
        call(&served, &bad).await.unwrap_err();
    }
}

#[tokio::test]
async fn the_lowest_version_is_spoken_or_nothing() {
    let ours = Certificates::new();
    let served = serve(server(&ours).min_version(MinVersion::Tls13)).await;
    let newest = trusting(&ours).min_version(MinVersion::Tls13);
    assert_eq!(call(&served, &newest).await.unwrap(), 1);
    assert_eq!(call(&served, &trusting(&ours)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_plugin_that_is_not_encrypted_is_not_called_where_it_should_be() {
    let ours = Certificates::new();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = TcpEndpoint::at(any).bind().await.unwrap();
    let (_, port) = listener.address().host_and_port().unwrap();
    let mut served = Served::start(plugin(&Signals::default()), listener);
    served.address = format!("https://127.0.0.1:{port}").parse().unwrap();
    let error = call(&served, &trusting(&ours)).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error:?}");

    let encrypted = serve(server(&ours)).await;
    let (_, port) = encrypted.address.host_and_port().unwrap();
    let plain = Client::new(&format!("tcp://127.0.0.1:{port}").parse().unwrap()).unwrap();
    let error = plain.call::<_, u8>("Test.Echo", &1).await.unwrap_err();
    assert!(matches!(error, CallError::Lost { attempts: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn a_json_file_has_all_that_it_takes() {
    let ours = Certificates::new();
    let checking = server(&ours).ca_file(ours.path("ca.pem")).client_auth(ClientAuth::Required);
    let served = serve(checking).await;
    let spec = serde_json::json!({
        "Name": "another",
        "Addr": served.address.to_string(),
        "TLSConfig": {
            "CAFile": ours.path("ca.pem"),
            "CertFile": ours.path("client.pem"),
            "KeyFile": ours.path("client-key.pem"),
            "InsecureSkipVerify": false,
            "MinVersion": 772,
        },
    });
    fs::write(ours.path("secure.json"), spec.to_string()).unwrap();
    let registry = Registry::new(Directories::new("/nonexistent", [ours.path(".")]));
    let plugin = registry.get("secure", "Test").await.unwrap();
    assert_eq!(plugin.name(), "secure");
    assert_eq!(plugin.client().call::<_, u8>("Test.Echo", &1).await.unwrap(), 1);
}
