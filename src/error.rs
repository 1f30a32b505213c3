//! The public error: why a call, a sub-channel or a byte stream failed, and
//! whose fault it is.

use std::error;
use std::fmt;
use std::sync::Arc;

use tonic::Status;

use crate::broker::Code;
use crate::broker::EndReason;
use crate::broker::StreamError;

/// Why something on a trunk failed.
///
/// Clients that tonic generated see it as the source of a [`Status`]; get it
/// back with [`Error::of`]:
///
/// ```
/// # fn explain(status: tonic::Status) {
/// if let Some(error) = trunkline::Error::of(&status) {
///     eprintln!("{error}; worth another try: {}", error.is_retryable());
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Error {
    inner: Inner,
    cause: Option<Arc<dyn error::Error + Send + Sync>>,
}

#[derive(Clone, Debug)]
enum Inner {
    Stream(StreamError),
    Unsupported,
}

/// Whose doing an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This side's: it cancelled, closed, or asked for what may not be asked.
    Local,
    /// The peer's: it refused, reset, or broke the protocol.
    Peer,
    /// Nobody's: the connection was lost.
    Connection,
}

/// What happened, for code to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It was cancelled, or dropped, at the end that [`Error::fault`] names.
    Cancelled,
    /// No such service is offered, or no such id was ever given out.
    Unknown,
    /// The sub-channel or the registration is closed.
    Closed,
    /// There is no grant for the service.
    Denied,
    /// A limit is reached: see [`Limits`](crate::Limits).
    Limit,
    /// One end is going away. What was asked has not begun.
    GoingAway,
    /// The deadline has passed.
    Deadline,
    /// More was sent than the window allowed.
    Overrun,
    /// The handler panicked, was dropped before it answered, or ended a response that had
    /// begun with more trailers than the caller takes.
    Failed,
    /// The protocol was broken.
    Protocol,
    /// Metadata is larger than the peer takes.
    MetadataTooLong,
    /// The dialect that the peer speaks has no such thing: go-plugin's has no byte
    /// streams.
    Unsupported,
    /// The trunk ended: [`Error::trunk_end`] says why.
    TrunkEnded,
}

impl Error {
    /// The error in a status that a call on a sub-channel gave, if the broker
    /// made that status. A status that a handler answered with has none.
    pub fn of(status: &Status) -> Option<&Self> {
        let mut source = error::Error::source(status);
        while let Some(error) = source {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            source = error.source();
        }
        None
    }

    #[cfg_attr(
        not(feature = "plugin"),
        expect(dead_code, reason = "only a plugin has a handle before its trunk")
    )]
    pub(crate) fn closed() -> Self {
        StreamError::Local(Code::Closed).into()
    }

    /// What the dialect that the peer speaks does not have.
    #[cfg_attr(not(feature = "goplugin"), expect(dead_code, reason = "a trunk has everything"))]
    pub(crate) fn unsupported() -> Self {
        Self { inner: Inner::Unsupported, cause: None }
    }

    /// The same error, with what caused it as its source.
    #[cfg_attr(
        not(feature = "goplugin"),
        expect(dead_code, reason = "a trunk's errors carry their cause already")
    )]
    pub(crate) fn because(mut self, cause: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into().into());
        self
    }

    /// What happened.
    pub fn reason(&self) -> Reason {
        let Inner::Stream(error) = &self.inner else { return Reason::Unsupported };
        match error {
            StreamError::Local(code) | StreamError::Peer(code) => match code {
                Code::Cancelled => Reason::Cancelled,
                Code::Unknown => Reason::Unknown,
                Code::Done | Code::Closed => Reason::Closed,
                Code::Denied => Reason::Denied,
                Code::Limit => Reason::Limit,
                Code::GoingAway => Reason::GoingAway,
                Code::Deadline => Reason::Deadline,
                Code::Overrun => Reason::Overrun,
                Code::Failed => Reason::Failed,
                Code::Protocol | Code::Version => Reason::Protocol,
            },
            StreamError::Overrun => Reason::Overrun,
            StreamError::MetadataTooLong { .. } => Reason::MetadataTooLong,
            StreamError::Trunk(_) => Reason::TrunkEnded,
        }
    }

    /// Whose doing it is.
    pub fn fault(&self) -> Fault {
        let Inner::Stream(error) = &self.inner else { return Fault::Local };
        match error {
            StreamError::Local(_) | StreamError::MetadataTooLong { .. } => Fault::Local,
            StreamError::Peer(_) | StreamError::Overrun => Fault::Peer,
            StreamError::Trunk(reason) => match reason {
                EndReason::Closed => Fault::Local,
                EndReason::Lost(_) => Fault::Connection,
                _ => Fault::Peer,
            },
        }
    }

    /// Whether the same may work on this trunk later, and has certainly not
    /// begun: a limit that was reached.
    pub fn is_retryable(&self) -> bool {
        self.reason() == Reason::Limit
    }

    /// Whether the call has certainly not begun at the peer, so that it can be
    /// made elsewhere, such as on the trunk of a plugin started anew.
    pub fn has_not_begun(&self) -> bool {
        matches!(
            self.reason(),
            Reason::Limit
                | Reason::GoingAway
                | Reason::Unknown
                | Reason::Denied
                | Reason::MetadataTooLong
                | Reason::Unsupported
        )
    }

    /// Why the trunk ended, if that is what happened.
    pub fn trunk_end(&self) -> Option<&EndReason> {
        match &self.inner {
            Inner::Stream(StreamError::Trunk(reason)) => Some(reason),
            _ => None,
        }
    }

    /// The gRPC status of a call that failed so, with the error as its source.
    pub fn to_status(&self) -> Status {
        let code = match self.reason() {
            Reason::Cancelled => tonic::Code::Cancelled,
            Reason::Unknown | Reason::Unsupported => tonic::Code::Unimplemented,
            Reason::Closed => tonic::Code::NotFound,
            Reason::Denied => tonic::Code::PermissionDenied,
            Reason::Limit | Reason::MetadataTooLong => tonic::Code::ResourceExhausted,
            Reason::GoingAway | Reason::TrunkEnded => tonic::Code::Unavailable,
            Reason::Deadline => tonic::Code::DeadlineExceeded,
            Reason::Overrun | Reason::Failed | Reason::Protocol => tonic::Code::Internal,
        };
        let mut status = Status::new(code, self.to_string());
        status.set_source(Arc::new(self.clone()));
        status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner::Stream(error) = &self.inner else {
            return f.write_str("the dialect that the peer speaks has no such thing");
        };
        let (who, code) = match error {
            StreamError::Local(code) => ("this side", code),
            StreamError::Peer(code) => ("the peer", code),
            StreamError::Overrun => {
                return f.write_str("the peer sent more than the window allowed, and was cut off");
            }
            StreamError::MetadataTooLong { size, limit } => {
                return write!(f, "the metadata is {size} bytes; the peer takes at most {limit}");
            }
            StreamError::Trunk(reason) => return reason.fmt(f),
        };
        match code {
            Code::Done | Code::Closed => write!(f, "{who} has closed the sub-channel or stream"),
            Code::Cancelled => write!(f, "{who} cancelled it"),
            Code::Unknown => write!(f, "{who} offers no such service"),
            Code::Denied => write!(
                f,
                "{who} has not granted the service: a host grants it with `Launch::grant`"
            ),
            Code::Limit => write!(f, "a limit of {who} or its peer is reached; try again later"),
            Code::GoingAway => write!(f, "{who} is going away and begins nothing new"),
            Code::Deadline => write!(f, "the deadline has passed at {who}"),
            Code::Protocol | Code::Version => write!(f, "{who} found the protocol broken"),
            Code::Overrun => write!(f, "{who} received more than its window allows"),
            Code::Failed => write!(f, "the handler of {who} panicked or was dropped"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        if let Some(cause) = &self.cause {
            return Some(&**cause);
        }
        match &self.inner {
            Inner::Stream(StreamError::Trunk(reason)) => reason.source(),
            _ => None,
        }
    }
}

impl From<StreamError> for Error {
    fn from(inner: StreamError) -> Self {
        Self { inner: Inner::Stream(inner), cause: None }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.to_status()
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.reason() {
            Reason::Denied => std::io::ErrorKind::PermissionDenied,
            Reason::Unknown => std::io::ErrorKind::NotFound,
            Reason::Deadline => std::io::ErrorKind::TimedOut,
            Reason::Cancelled | Reason::TrunkEnded => std::io::ErrorKind::ConnectionReset,
            Reason::Closed => std::io::ErrorKind::BrokenPipe,
            _ => std::io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
