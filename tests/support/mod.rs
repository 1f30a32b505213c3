//! What the tests share: a pair of brokers in one process, and a service that
//! does all that a call can do.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod demo {
    #![allow(missing_docs, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/demo.v1.rs"));
}

pub mod capture;
pub mod echo;
pub mod go;
pub mod system;

use demo::echo_client::EchoClient;
use trunkline::Broker;
use trunkline::Builder;
use trunkline::Offers;
use trunkline::Role;
use trunkline::SubChannel;

/// Two ends of one trunk.
pub struct Pair {
    pub host: Broker,
    pub plugin: Broker,
}

pub fn host() -> Builder {
    Broker::builder(Role::Host).name("host", "1")
}

pub fn plugin() -> Builder {
    Broker::builder(Role::Plugin).name("plugin", "1")
}

/// A pair whose plugin offers an [`echo::Echo`] of its own trunk.
pub async fn pair() -> Pair {
    pair_with(host(), plugin()).await
}

/// A pair of these, over an in-memory pipe; the plugin offers Echo.
pub async fn pair_with(host: Builder, plugin: Builder) -> Pair {
    let echo = echo::Echo::default();
    let offers = Offers::new().service(echo.clone().server());
    let (host, plugin) = connect(host, plugin.offers(offers)).await;
    echo.set_broker(&plugin);
    Pair { host, plugin }
}

/// Connects two ends over an in-memory pipe.
pub async fn connect(host: Builder, plugin: Builder) -> (Broker, Broker) {
    let (a, b) = tokio::io::duplex(256 * 1024);
    tokio::try_join!(host.dial(a), plugin.accept(b)).expect("a trunk")
}

impl Pair {
    pub fn echo(&self) -> EchoClient<SubChannel> {
        let channel = self.host.open("demo.v1.Echo").expect("the trunk is open");
        EchoClient::new(channel)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }
}

/// Runs other tasks until they have nothing left to do at this instant of the
/// paused clock.
pub async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}
