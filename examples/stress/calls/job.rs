//! A call that is being made: what all kinds have in common.

use std::error::Error as _;
use std::future::Future;
use std::io;

use tonic::Code;
use tonic::Request;
use tonic::Status;
use trunkline::Error;
use trunkline::Reason;
use trunkline::Registration;

use super::Cut;
use super::Kind;
use super::Plan;
use super::Route;
use super::Shape;
use super::callbacks;
use super::channels;
use super::shapes;
use crate::ends::Client;
use crate::ends::End;
use crate::ends::Source;
use crate::ends::Way;
use crate::ends::client;
use crate::proto::Piece;
use crate::proto::Task;

pub struct Job {
    pub call: u64,
    pub shape: Shape,
    pub end: End,
    /// The service to call, if not the one that is offered by name.
    callback: Option<u64>,
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

impl Failure {
    /// What the broker says of it.
    pub fn reason(&self) -> Option<Reason> {
        let error = match self {
            Self::Status(status) => Error::of(status),
            Self::Broker(error) => Some(error),
            Self::Cut | Self::Wrong(_) => None,
        };
        error.map(Error::reason)
    }
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
    pub fn new(call: u64, shape: Shape, end: End) -> Self {
        Self { call, shape, end, callback: None }
    }

    /// What a plugin is asked to do.
    ///
    /// # Errors
    ///
    /// What is wrong with the task.
    pub fn of_task(task: Task, end: End) -> Result<Self, String> {
        let kind = Kind::ALL.get(task.kind as usize);
        let shape = Shape {
            kind: *kind.ok_or_else(|| format!("there is no kind {}", task.kind))?,
            parts: task.parts,
            variant: task.variant,
            channel: task.channel as usize,
            cut: task.cut.map_or(Cut::No, Cut::Part),
        };
        let callback = Some(task.callback).filter(|id| *id != 0);
        Ok(Self { call: task.call, shape, end, callback })
    }

    /// Makes the call, or has the plugin make it.
    pub async fn perform_by(&self, plan: &Plan) -> Result<(), Failure> {
        match plan.route {
            Route::Direct => self.perform().await,
            Route::Callback(service) => callbacks::ask(self, service).await,
        }
    }

    pub async fn perform(&self) -> Result<(), Failure> {
        match self.shape.kind {
            Kind::Unary => shapes::unary(self).await,
            Kind::Client => shapes::client(self).await,
            Kind::Server => shapes::server(self).await,
            Kind::Bidi => shapes::bidi(self).await,
            Kind::Bytes => shapes::bytes(self).await,
            Kind::State => shapes::state(self).await,
            Kind::Nested => callbacks::nested(self).await,
            Kind::Opens => channels::opens(self).await,
        }
    }

    pub fn source(&self) -> &Source {
        &self.end.worker.source
    }

    /// The client to call with.
    pub fn client(&self) -> Result<Client, Error> {
        match self.callback {
            Some(id) => self.end.broker.dial(id).map(client),
            None => self.end.shared(self.shape.channel),
        }
    }

    /// Whoever has the client needs it no more: with [`Cut::Channel`] it goes, and
    /// so does the sub-channel that it was on.
    pub fn done_with(&self, client: Client) {
        drop(client);
        if self.shape.cut == Cut::Channel {
            // Whether there can be another is nothing to this call.
            let _ = self.end.replace(self.shape.channel);
        }
    }

    /// A request with the planned deadline.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Cut::Deadline(timeout) = self.shape.cut {
            request.set_timeout(timeout);
        }
        request
    }

    pub fn pieces(&self) -> impl Iterator<Item = Piece> + Send + 'static {
        let (source, call) = (self.source().clone(), self.call);
        (0..self.shape.parts).map(move |index| source.piece(call, index, Way::There))
    }

    pub fn check(&self, piece: &Piece, index: u32) -> Result<(), Failure> {
        let checked = self.source().check(piece, self.call, index, Way::Back);
        checked.map_err(Failure::Wrong)
    }

    /// Whether the response, of which so many parts are there, is to be dropped.
    pub fn cut_at(&self, parts: u32) -> Result<(), Failure> {
        match self.shape.cut {
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
        if let Cut::Registration(time) = self.shape.cut {
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
