//! How brokered connections come about: a socket for each, or streams of one session.

use std::sync::Arc;

use tokio::sync::watch;

use crate::broker::dialects::Code;
use crate::broker::dialects::StreamError;
use crate::error::Error;
use crate::goplugin::session::Core;
use crate::goplugin::session::classic::Classic;
use crate::goplugin::session::multiplexed::Multiplexed;
use crate::goplugin::transport::socket::Io;
use crate::goplugin::wire::ConnInfo;

/// go-plugin's two ways to make brokered connections.
#[derive(Debug)]
pub(in crate::goplugin) enum Paths {
    Classic(Classic),
    Multiplexed(Multiplexed),
}

impl Paths {
    /// Lets the peer connect for this number from now on.
    pub(in crate::goplugin) fn accept(&self, core: &Arc<Core>, id: u32, stop: watch::Receiver<()>) {
        match self {
            Self::Classic(classic) => classic.accept(core, id, stop),
            Self::Multiplexed(multiplexed) => multiplexed.accept(id),
        }
    }

    pub(in crate::goplugin) fn unregister(&self, id: u32) {
        match self {
            Self::Classic(classic) => classic.unregister(id),
            Self::Multiplexed(multiplexed) => multiplexed.unregister(id),
        }
    }

    /// The peer is about to learn the number.
    pub(in crate::goplugin) fn hand_out(&self, core: &Arc<Core>, id: u32) {
        match self {
            Self::Classic(classic) => classic.hand_out(core, id),
            // It asks when it wants to connect.
            Self::Multiplexed(_) => {}
        }
    }

    /// Connects to what the peer has registered under this number.
    pub(in crate::goplugin) async fn dial(&self, core: &Core, id: u32) -> Result<Io, Error> {
        let io = match self {
            Self::Classic(classic) => classic.dial(id).await?,
            Self::Multiplexed(multiplexed) => multiplexed.dial(id).await?,
        };
        match &core.tls {
            Some(tls) => match tls.connect(io).await {
                Ok(io) => Ok(Box::new(io)),
                Err(error) => Err(Error::from(StreamError::Peer(Code::Protocol)).because(error)),
            },
            None => Ok(io),
        }
    }

    /// Takes a message of the peer's broker.
    pub(in crate::goplugin) async fn heard(&self, info: ConnInfo) {
        match self {
            Self::Classic(classic) => classic.heard(info),
            Self::Multiplexed(multiplexed) => multiplexed.heard(info).await,
        }
    }

    /// Sends what this side has to say by itself, for as long as it is polled.
    pub(in crate::goplugin) async fn speak(&self, core: &Core) {
        match self {
            Self::Classic(classic) => classic.speak(core).await,
            // It only answers, and dials.
            Self::Multiplexed(_) => std::future::pending().await,
        }
    }

    /// A host begins to talk to the broker: what another has said is over.
    pub(in crate::goplugin) fn forget(&self, core: &Core) {
        if let Self::Classic(classic) = self {
            classic.forget(core);
        }
    }

    /// The session has ended.
    pub(in crate::goplugin) fn close(&self) {
        if let Self::Multiplexed(multiplexed) = self {
            multiplexed.close();
        }
    }
}
