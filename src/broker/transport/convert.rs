//! Between the wire's messages and the machine's frames: the one place where
//! untrusted input becomes typed.

use std::time::Duration;

use bytes::Buf;
use bytes::Bytes;
use prost::Message;

use super::wire;
use crate::broker::protocol::Code;
use crate::broker::protocol::End;
use crate::broker::protocol::Entry;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Head;
use crate::broker::protocol::Hello;
use crate::broker::protocol::Id;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Metadata;
use crate::broker::protocol::PeerLimits;
use crate::broker::protocol::RequestHead;
use crate::broker::protocol::ResponseHead;
use crate::broker::protocol::Role;
use crate::broker::protocol::StreamFrame;
use crate::broker::protocol::Target;
use crate::broker::protocol::Violation;

/// The message without its data, and the data.
pub(super) fn encode(frame: Frame) -> (impl Message, Bytes) {
    to_wire(frame)
}

fn to_wire(frame: Frame) -> (wire::Frame, Bytes) {
    let control = match frame {
        Frame::Stream(frame) => return stream_to_wire(frame),
        Frame::Hello(hello) => wire::frame::Control::Hello(Box::new(hello_to_wire(hello))),
        Frame::Open { channel, target, kind } => wire::frame::Control::Open(wire::Open {
            channel: channel.get(),
            target: Some(match target {
                Target::Service(name) => wire::open::Target::Service(name),
                Target::Registered(id) => wire::open::Target::Registered(id),
            }),
            kind: match kind {
                Kind::Calls => wire::Kind::Calls,
                Kind::Bytes => wire::Kind::Bytes,
            }
            .into(),
        }),
        Frame::Close { channel, code } => wire::frame::Control::Close(wire::Close {
            channel: channel.get(),
            code: code_to_wire(code),
        }),
        Frame::Credit { stream, bytes } => {
            wire::frame::Control::Credit(wire::Credit { stream: stream.get(), bytes })
        }
        Frame::Reset { stream, code } => wire::frame::Control::Reset(wire::Reset {
            stream: stream.get(),
            code: code_to_wire(code),
        }),
        Frame::Ping(token) => wire::frame::Control::Ping(wire::Ping { token }),
        Frame::Pong(token) => wire::frame::Control::Pong(wire::Ping { token }),
        Frame::GoAway { code, message } => {
            wire::frame::Control::GoAway(wire::GoAway { code: code_to_wire(code), message })
        }
    };
    (wire::Frame { control: Some(control), ..wire::Frame::default() }, Bytes::new())
}

fn stream_to_wire(frame: StreamFrame) -> (wire::Frame, Bytes) {
    let head = frame.head.map(|head| match head {
        Head::Request(head) => wire::frame::Head::Request(wire::RequestHead {
            channel: head.channel.get(),
            path: head.path,
            metadata: metadata_to_wire(head.metadata),
            timeout_us: head.timeout.map_or(0, |timeout| {
                // 0 would be no deadline; one that has passed is the shortest.
                u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX).max(1)
            }),
            parent: head.parent.map_or(0, Id::get),
            depth: head.depth,
        }),
        Head::Response(head) => wire::frame::Head::Response(wire::ResponseHead {
            http_status: head.status.map_or(0, u32::from),
            metadata: metadata_to_wire(head.metadata),
        }),
    });
    let end = frame.end.map(|end| wire::End {
        trailers: metadata_to_wire(end.trailers),
        grpc_status: end.grpc_status,
    });
    let stream = frame.stream.get();
    (wire::Frame { stream, head, end, ..wire::Frame::default() }, frame.data)
}

/// Reads a message, and checks its shape. All that it holds is copied.
pub(super) fn decode(message: &[u8]) -> Result<Frame, Violation> {
    from_wire(wire::Frame::decode(message).map_err(|_| Violation::Malformed)?)
}

/// Reads a message whose data stays a part of the buffer if it is at least as long as
/// `shared_from`. Everything else is copied: it would keep the buffer alive.
pub(super) fn decode_shared(buffer: impl Buf, shared_from: usize) -> Result<Frame, Violation> {
    let mut message = wire::Frame::decode(buffer).map_err(|_| Violation::Malformed)?;
    if message.data.len() < shared_from {
        detach(&mut message.data);
    }
    let head = match &mut message.head {
        Some(wire::frame::Head::Request(head)) => head.metadata.as_mut_slice(),
        Some(wire::frame::Head::Response(head)) => head.metadata.as_mut_slice(),
        None => &mut [],
    };
    let end = message.end.iter_mut().flat_map(|end| &mut end.trailers);
    head.iter_mut().chain(end).for_each(|header| detach(&mut header.value));
    from_wire(message)
}

fn detach(bytes: &mut Bytes) {
    *bytes = Bytes::copy_from_slice(bytes);
}

fn from_wire(message: wire::Frame) -> Result<Frame, Violation> {
    let wire::Frame { stream, head, data, end, control } = message;
    let stream = Id::new(stream);
    match (stream, control) {
        (Some(stream), None) => {
            let head = head.map(head_from_wire).transpose()?;
            let end = end.map(|end| End {
                trailers: metadata_from_wire(end.trailers),
                grpc_status: end.grpc_status,
            });
            Ok(Frame::Stream(StreamFrame { stream, head, data, end }))
        }
        (None, Some(control)) if head.is_none() && data.is_empty() && end.is_none() => {
            control_from_wire(control)
        }
        _ => Err(Violation::Malformed),
    }
}

fn control_from_wire(control: wire::frame::Control) -> Result<Frame, Violation> {
    use wire::frame::Control;
    let id = |number| Id::new(number).ok_or(Violation::BadId);
    Ok(match control {
        Control::Hello(hello) => Frame::Hello(hello_from_wire(*hello)?),
        Control::Open(open) => Frame::Open {
            channel: id(open.channel)?,
            kind: match open.kind() {
                wire::Kind::Unspecified => return Err(Violation::Malformed),
                wire::Kind::Calls => Kind::Calls,
                wire::Kind::Bytes => Kind::Bytes,
            },
            target: match open.target {
                Some(wire::open::Target::Service(name)) => Target::Service(name),
                Some(wire::open::Target::Registered(id)) => Target::Registered(id),
                None => return Err(Violation::Malformed),
            },
        },
        Control::Close(close) => {
            Frame::Close { channel: id(close.channel)?, code: code_from_wire(close.code) }
        }
        Control::Credit(credit) => {
            Frame::Credit { stream: id(credit.stream)?, bytes: credit.bytes }
        }
        Control::Reset(reset) => {
            Frame::Reset { stream: id(reset.stream)?, code: code_from_wire(reset.code) }
        }
        Control::Ping(ping) => Frame::Ping(ping.token),
        Control::Pong(ping) => Frame::Pong(ping.token),
        Control::GoAway(away) => {
            Frame::GoAway { code: code_from_wire(away.code), message: away.message }
        }
    })
}

fn head_from_wire(head: wire::frame::Head) -> Result<Head, Violation> {
    Ok(match head {
        wire::frame::Head::Request(head) => Head::Request(RequestHead {
            channel: Id::new(head.channel).ok_or(Violation::BadId)?,
            path: head.path,
            metadata: metadata_from_wire(head.metadata),
            timeout: (head.timeout_us != 0).then(|| Duration::from_micros(head.timeout_us)),
            parent: Id::new(head.parent),
            depth: head.depth,
        }),
        wire::frame::Head::Response(head) => Head::Response(ResponseHead {
            status: match head.http_status {
                0 => None,
                status => Some(u16::try_from(status).map_err(|_| Violation::Malformed)?),
            },
            metadata: metadata_from_wire(head.metadata),
        }),
    })
}

fn metadata_to_wire(metadata: Metadata) -> Vec<wire::Header> {
    let header = |entry: Entry| wire::Header { name: entry.name, value: entry.value };
    metadata.0.into_iter().map(header).collect()
}

fn metadata_from_wire(headers: Vec<wire::Header>) -> Metadata {
    let entry = |header: wire::Header| Entry { name: header.name, value: header.value };
    Metadata(headers.into_iter().map(entry).collect())
}

fn hello_to_wire(hello: Hello) -> wire::Hello {
    let limits = hello.limits;
    wire::Hello {
        min_version: hello.versions.0,
        max_version: hello.versions.1,
        features: hello.features,
        role: match hello.role {
            Role::Host => wire::Role::Host,
            Role::Plugin => wire::Role::Plugin,
        }
        .into(),
        limits: Some(wire::Limits {
            channels: limits.channels,
            streams: limits.streams,
            initial_window: limits.initial_window,
            frame_data: limits.frame_data,
            metadata: limits.metadata,
            depth: limits.depth,
        }),
        run: hello.run.map_or_else(Bytes::new, |run| Bytes::copy_from_slice(&run)),
        name: hello.name,
        version: hello.version,
        application_version: hello.application_version,
        services: hello.services,
    }
}

fn hello_from_wire(hello: wire::Hello) -> Result<Hello, Violation> {
    let role = match hello.role() {
        wire::Role::Unspecified => return Err(Violation::Malformed),
        wire::Role::Host => Role::Host,
        wire::Role::Plugin => Role::Plugin,
    };
    let limits = hello.limits.ok_or(Violation::Malformed)?;
    let run = match hello.run.len() {
        0 => None,
        _ => Some(<[u8; 16]>::try_from(hello.run.as_ref()).map_err(|_| Violation::Malformed)?),
    };
    Ok(Hello {
        versions: (hello.min_version, hello.max_version),
        features: hello.features,
        role,
        limits: PeerLimits {
            channels: limits.channels,
            streams: limits.streams,
            initial_window: limits.initial_window,
            frame_data: limits.frame_data,
            metadata: limits.metadata,
            depth: limits.depth,
        },
        run,
        name: hello.name,
        version: hello.version,
        application_version: hello.application_version,
        services: hello.services,
    })
}

fn code_to_wire(code: Code) -> i32 {
    match code {
        Code::Done => wire::Code::Done,
        Code::Cancelled => wire::Code::Cancelled,
        Code::Unknown => wire::Code::Unknown,
        Code::Closed => wire::Code::Closed,
        Code::Denied => wire::Code::Denied,
        Code::Limit => wire::Code::Limit,
        Code::GoingAway => wire::Code::GoingAway,
        Code::Deadline => wire::Code::Deadline,
        Code::Protocol => wire::Code::Protocol,
        Code::Overrun => wire::Code::Overrun,
        Code::Failed => wire::Code::Failed,
        Code::Version => wire::Code::Version,
    }
    .into()
}

/// A code that this version does not know reads as `Failed`: it must not pass for a
/// good end.
fn code_from_wire(code: i32) -> Code {
    let Ok(code) = wire::Code::try_from(code) else {
        return Code::Failed;
    };
    match code {
        wire::Code::Done => Code::Done,
        wire::Code::Cancelled => Code::Cancelled,
        wire::Code::Unknown => Code::Unknown,
        wire::Code::Closed => Code::Closed,
        wire::Code::Denied => Code::Denied,
        wire::Code::Limit => Code::Limit,
        wire::Code::GoingAway => Code::GoingAway,
        wire::Code::Deadline => Code::Deadline,
        wire::Code::Protocol => Code::Protocol,
        wire::Code::Overrun => Code::Overrun,
        wire::Code::Failed => Code::Failed,
        wire::Code::Version => Code::Version,
    }
}
