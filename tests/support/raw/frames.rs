//! Frames, in short: what a script sends, without prost's ceremony.

use super::wire;
use super::wire::Code;
use super::wire::Frame;
use super::wire::frame::Control;
use super::wire::frame::Head;

pub fn control(control: Control) -> Frame {
    Frame { control: Some(control), ..Frame::default() }
}

pub fn open_named(channel: u64, service: &str) -> Frame {
    open(channel, wire::open::Target::Service(service.into()))
}

pub fn open_id(channel: u64, id: u64) -> Frame {
    open(channel, wire::open::Target::Registered(id))
}

fn open(channel: u64, target: wire::open::Target) -> Frame {
    control(Control::Open(wire::Open {
        channel,
        target: Some(target),
        kind: wire::Kind::Calls.into(),
    }))
}

pub fn open_bytes(channel: u64, service: &str) -> Frame {
    control(Control::Open(wire::Open {
        channel,
        target: Some(wire::open::Target::Service(service.into())),
        kind: wire::Kind::Bytes.into(),
    }))
}

pub fn close(channel: u64, code: Code) -> Frame {
    let code = code.into();
    control(Control::Close(wire::Close { channel, code }))
}

pub fn reset(stream: u64, code: Code) -> Frame {
    let code = code.into();
    control(Control::Reset(wire::Reset { stream, code }))
}

pub fn give(stream: u64, bytes: usize) -> Frame {
    let bytes = u32::try_from(bytes).expect("fits");
    control(Control::Credit(wire::Credit { stream, bytes }))
}

pub fn ping(token: u64) -> Frame {
    control(Control::Ping(wire::Ping { token }))
}

pub fn go_away(code: Code) -> Frame {
    let message = "the script says so".into();
    let code = code.into();
    control(Control::GoAway(wire::GoAway { code, message }))
}

pub fn request_head(channel: u64, path: &str) -> Head {
    Head::Request(wire::RequestHead { channel, path: path.into(), ..wire::RequestHead::default() })
}

/// The head of a call, with neither data nor end.
pub fn request(stream: u64, channel: u64, path: &str) -> Frame {
    Frame { stream, head: Some(request_head(channel, path)), ..Frame::default() }
}

pub fn response(stream: u64) -> Frame {
    Frame { stream, head: Some(Head::Response(wire::ResponseHead::default())), ..Frame::default() }
}

pub fn data(stream: u64, data: impl Into<Vec<u8>>) -> Frame {
    Frame { stream, data: data.into(), ..Frame::default() }
}

/// An end that says nothing; the callee's says `ok`.
pub fn end(stream: u64) -> Frame {
    Frame { stream, end: Some(wire::End::default()), ..Frame::default() }
}

pub fn ok() -> wire::End {
    wire::End { grpc_status: Some(0), ..wire::End::default() }
}

pub fn header(name: &str, value: impl Into<Vec<u8>>) -> wire::Header {
    wire::Header { name: name.into(), value: value.into() }
}

/// A gRPC message in its frame, as it stands in a call's data.
pub fn message(message: &impl prost::Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let len = u32::try_from(message.len()).expect("fits");
    let mut framed = vec![0];
    framed.extend_from_slice(&len.to_be_bytes());
    framed.extend(message);
    framed
}
