//! A call that is being made: what all kinds have in common.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tonic::Code;
use tonic::Request;
use tonic::Status;
use trunkline::Error;
use trunkline::Registration;

use crate::callbacks;
use crate::calls;
use crate::channels;
use crate::payload::Source;
use crate::payload::Way;
use crate::plan::Cut;
use crate::plan::Kind;
use crate::plan::Plan;
use crate::proto::Piece;
use crate::run::Run;
use crate::worker::Client;

pub struct Job {
    pub call: u64,
    pub plan: Plan,
    pub run: Arc<Run>,
    pub patience: Duration,
}

/// Why a call did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// As planned, it was dropped.
    Cut,
    Status(Status),
    Broker(Error),
    /// What came is not what was sent.
    Wrong(String),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::DataLoss => Self::Wrong(status.message().to_owned()),
            _ => Self::Status(status),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Broker(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(broker) => Self::Broker(broker.clone()),
            None => Self::Wrong(format!("{error} ({:?})", error.source())),
        }
    }
}

impl Job {
    pub async fn perform(&self) -> Result<(), Failure> {
        match self.plan.kind {
            Kind::Unary => calls::unary(self).await,
            Kind::Client => calls::client(self).await,
            Kind::Server => calls::server(self).await,
            Kind::Bidi => calls::bidi(self).await,
            Kind::Bytes => calls::bytes(self).await,
            Kind::State => calls::state(self).await,
            Kind::Callback => callbacks::callback(self).await,
            Kind::Nested => callbacks::nested(self).await,
            Kind::Open => channels::open(self).await,
        }
    }

    pub fn source(&self) -> &Source {
        &self.run.worker.source
    }

    /// The client to call with.
    pub fn client(&self) -> Result<Client, Error> {
        self.run.shared(self.plan.channel)
    }

    /// Whoever has the client needs it no more: with [`Cut::Channel`] it goes, and
    /// so does the sub-channel that it was on.
    pub fn done_with(&self, client: Client) {
        drop(client);
        if self.plan.cut == Cut::Channel {
            // Whether there can be another is nothing to this call.
            let _ = self.run.replace(self.plan.channel);
        }
    }

    /// A request with the planned deadline.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Cut::Deadline(timeout) = self.plan.cut {
            request.set_timeout(timeout);
        }
        request
    }

    pub fn pieces(&self) -> impl Iterator<Item = Piece> + Send + 'static {
        let (source, call) = (self.source().clone(), self.call);
        (0..self.plan.parts).map(move |index| source.piece(call, index, Way::There))
    }

    pub fn check(&self, piece: &Piece, index: u32) -> Result<(), Failure> {
        let checked = self.source().check(piece, self.call, index, Way::Back);
        checked.map_err(Failure::Wrong)
    }

    /// Whether the response, of which so many parts are there, is to be dropped.
    pub fn cut_at(&self, parts: u32) -> Result<(), Failure> {
        match self.plan.cut {
            Cut::Part(last) if parts >= last => Err(Failure::Cut),
            _ => Ok(()),
        }
    }

    /// Awaits a call, during which the registration is dropped if that is the plan.
    pub async fn while_registered<T>(
        &self,
        registration: impl Into<Option<Registration>>,
        call: impl Future<Output = T>,
    ) -> T {
        let mut registration = registration.into();
        tokio::pin!(call);
        if let Cut::Registration(time) = self.plan.cut {
            tokio::select! {
                output = &mut call => return output,
                () = tokio::time::sleep(time) => drop(registration.take()),
            }
        }
        let output = call.await;
        drop(registration);
        output
    }
}

/// That a message is what it should be.
pub fn same<T: PartialEq + std::fmt::Debug>(came: &T, expected: &T) -> Result<(), Failure> {
    if came == expected {
        return Ok(());
    }
    let wrong = format!("{came:?} came instead of {expected:?}");
    Err(Failure::Wrong(wrong))
}
