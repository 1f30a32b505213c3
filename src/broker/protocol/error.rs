//! Why things end: codes on the wire, violations, the end of a stream and of a trunk.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::id::Role;

/// Why a sub-channel, a call or a trunk was ended, as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// Nothing is wrong: done.
    Done,
    /// The one who asked no longer wants it.
    Cancelled,
    /// There is no such service, and never was.
    Unknown,
    /// There was such a service or sub-channel; it is closed.
    Closed,
    /// There is no grant for it.
    Denied,
    /// A limit that the peer announced is reached. Trying later may work.
    Limit,
    /// The peer is going away, and has not begun with what was asked.
    GoingAway,
    /// The deadline has passed.
    Deadline,
    /// The protocol was broken.
    Protocol,
    /// More was sent than the window allowed.
    Overrun,
    /// What was to serve it failed: the handler panicked or was lost.
    Failed,
    /// No version of the protocol is spoken by both ends.
    Version,
}

/// How a peer broke the protocol. Each ends the trunk, but for
/// [`Violation::Overrun`], which ends the stream that it happened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Something came before the hello.
    #[error("the peer sent a frame before its hello")]
    FrameBeforeHello,
    /// A second hello came.
    #[error("the peer sent a second hello")]
    SecondHello,
    /// Bytes came that are no frame.
    #[error("the peer sent what is not a frame")]
    Malformed,
    /// A frame is longer than the limits allow.
    #[error("the peer sent a frame that is longer than the limits allow")]
    FrameTooLong,
    /// A new number is not higher than those before it, or not the peer's to choose.
    #[error("the peer used a number for a channel or stream that it may not use")]
    BadId,
    /// A frame is for a stream that was never opened.
    #[error("the peer sent a frame for a stream that was never opened")]
    UnopenedStream,
    /// A call was opened on what is no channel of calls that the peer opened.
    #[error("the peer opened a call on a sub-channel that it cannot call on")]
    BadChannel,
    /// A head came twice, came late, or came from the side that may not send it.
    #[error("the peer sent a head where none may be")]
    BadHead,
    /// Data came before the head.
    #[error("the peer sent data before the head")]
    DataBeforeHead,
    /// Something came after the end of a stream.
    #[error("the peer went on sending after the end of a stream")]
    AfterEnd,
    /// Metadata is larger than the limits allow.
    #[error("the peer sent more metadata than the limits allow")]
    MetadataTooLong,
    /// Credit was given beyond what a window can hold.
    #[error("the peer gave more credit than a window can hold")]
    CreditOverflow,
    /// More was sent than the window allowed.
    #[error("the peer sent more than the window allowed")]
    Overrun,
    /// The peer asks for more answers than it reads.
    #[error("the peer asks for more answers than it reads")]
    DoesNotRead,
    /// The hello's limits are below what the protocol needs.
    #[error("the peer announced limits that no stream could work with")]
    BadLimits,
}

impl Violation {
    /// The code that tells the peer.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::Overrun => Code::Overrun,
            _ => Code::Protocol,
        }
    }
}

/// Two hellos that do not fit each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incompatible {
    /// No version is spoken by both.
    #[error(
        "no common protocol version: this side speaks {}, the peer {}; update the older one",
        range(.ours), range(.theirs)
    )]
    Version {
        /// Lowest and highest version of this side.
        ours: (u32, u32),
        /// Lowest and highest version of the peer.
        theirs: (u32, u32),
    },
    /// Both ends are hosts, or both are plugins.
    #[error("both ends of the trunk are {0:?}s")]
    SameRole(Role),
    /// The peer answers for another run than the one that was started.
    #[error("the peer belongs to another plugin run")]
    OtherRun,
}

fn range((low, high): &(u32, u32)) -> String {
    if low == high { format!("version {low}") } else { format!("versions {low} to {high}") }
}

/// Why a trunk ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EndReason {
    /// This side closed it.
    Closed,
    /// The peer said that it was done, and closed it.
    PeerClosed,
    /// The peer broke the protocol.
    Violation(Violation),
    /// The peer says that this side broke the protocol, or that versions do not fit.
    Accused {
        /// The code that it gave.
        code: Code,
        /// What it said, for people.
        message: Arc<str>,
    },
    /// The hellos do not fit.
    Incompatible(Incompatible),
    /// The connection under the trunk ended or failed without a goodbye.
    Lost(Option<Arc<dyn Error + Send + Sync>>),
    /// The peer sent no hello in time.
    HelloTimeout,
    /// The peer did not answer the keep-alive in time.
    Silent,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the trunk was closed by this side"),
            Self::PeerClosed => f.write_str("the trunk was closed by the peer"),
            Self::Violation(violation) => violation.fmt(f),
            Self::Accused { code, message } => {
                write!(f, "the peer ended the trunk ({code:?}): {message}")
            }
            Self::Incompatible(incompatible) => incompatible.fmt(f),
            Self::Lost(_) => f.write_str("the connection to the peer was lost"),
            Self::HelloTimeout => f.write_str("the peer sent no hello in time"),
            Self::Silent => f.write_str("the peer did not answer in time"),
        }
    }
}

/// By hand, because the cause of a lost connection must be the source itself, to be
/// found by its type; what `thiserror` derives gives the `Arc` around it.
impl Error for EndReason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Violation(violation) => Some(violation),
            Self::Incompatible(incompatible) => Some(incompatible),
            Self::Lost(Some(cause)) => Some(&**cause),
            _ => None,
        }
    }
}

impl From<Violation> for EndReason {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<Incompatible> for EndReason {
    fn from(incompatible: Incompatible) -> Self {
        Self::Incompatible(incompatible)
    }
}

impl EndReason {
    /// The code that tells the peer, where it must be told.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Closed => Some(Code::Done),
            Self::Violation(violation) => Some(violation.code()),
            Self::Incompatible(Incompatible::Version { .. }) => Some(Code::Version),
            Self::Incompatible(_) => Some(Code::Protocol),
            Self::PeerClosed | Self::Accused { .. } | Self::Lost(_) => None,
            Self::HelloTimeout | Self::Silent => Some(Code::Deadline),
        }
    }
}

/// Why a stream (a call or a byte stream) can go no further.
#[derive(Clone, Debug)]
pub(crate) enum StreamError {
    /// This side ended it.
    Local(Code),
    /// The peer ended it, or refused it or its channel.
    Peer(Code),
    /// The peer sent more than the window allowed.
    Overrun,
    /// The metadata is larger than the peer takes.
    MetadataTooLong { size: usize, limit: u32 },
    /// The trunk ended.
    Trunk(EndReason),
}
