//! Plugins that break the protocol, each in its own way.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use bytes::BytesMut;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use super::raw::Raw;
use super::raw::answer;
use super::raw::connection;
use super::raw::data;
use super::raw::encoded;
use super::raw::hello;
use super::raw::wire;
use super::raw::wire::frame::Control;
use super::raw::wire::frame::Head;

/// How much a flood of data is, in bytes.
const FLOOD: usize = 64 << 20;

/// How much a flood of small frames is: more than a host could keep unnoticed.
const FLOOD_OF_FRAMES: usize = 300_000;

/// What every plugin may open.
const LOG: &str = "trunkline.log.v1.Log";

/// Commits the crime of this name. Returns the exit code.
pub async fn main(crime: &str) -> i32 {
    match crime {
        "exits-before-hello" => {
            eprintln!("first the licence was missing");
            eprintln!("then I gave up");
            3
        }
        "speaks-garbage" => {
            connection().write_all(&[b'x'; 4096]).expect("the host reads");
            hang()
        }
        "wrong-version" => {
            let mut raw = Raw::silent().await;
            raw.control(Control::Hello(hello(7, 9))).await.expect("the host reads");
            raw.until_the_end().await;
            0
        }
        "claims-another-run" => {
            let mut raw = Raw::silent().await;
            let run = vec![7; 16];
            let claim = wire::Hello { run, ..hello(1, 1) };
            raw.control(Control::Hello(claim)).await.expect("the host reads");
            raw.until_the_end().await;
            0
        }
        "claims-to-be-a-host" => {
            let mut raw = Raw::silent().await;
            let role = wire::Role::Host.into();
            let claim = wire::Hello { role, ..hello(1, 1) };
            raw.control(Control::Hello(claim)).await.expect("the host reads");
            raw.until_the_end().await;
            0
        }
        "half-a-hello-then-hangs" => {
            let mut raw = Raw::silent().await;
            half_a_frame(&mut raw, Control::Hello(hello(1, 1))).await;
            std::future::pending().await
        }
        "half-a-hello-then-exits" => {
            let mut raw = Raw::silent().await;
            half_a_frame(&mut raw, Control::Hello(hello(1, 1))).await;
            4
        }
        "half-a-frame-then-hangs" => {
            let mut raw = Raw::start().await;
            raw.call().await;
            half_a_frame(&mut raw, Control::Ping(wire::Ping { token: 1 })).await;
            std::future::pending().await
        }
        "half-a-frame-then-exits" => {
            let mut raw = Raw::start().await;
            raw.call().await;
            half_a_frame(&mut raw, Control::Ping(wire::Ping { token: 1 })).await;
            5
        }
        "never-reads" => {
            let mut raw = Raw::start().await;
            raw.call().await;
            hang()
        }
        "overruns-its-window" => overrun().await,
        "ignores-go-away" => {
            let mut raw = Raw::start().await;
            raw.until_the_end().await;
            0
        }
        "ignores-go-away-and-signals" => {
            let _deaf = signal(SignalKind::terminate()).expect("a handler");
            Raw::start().await.until_the_end().await;
            say("the trunk has ended");
            std::future::pending().await
        }
        "closes-the-trunk-and-lives-on" => {
            let mut raw = Raw::start().await;
            raw.call().await;
            let _ = rustix::net::shutdown(connection(), rustix::net::Shutdown::Both);
            std::future::pending().await
        }
        "leaves-the-trunk-to-a-child" => leave_the_trunk(|_| {}).await,
        "leaves-the-trunk-to-another-group" => {
            leave_the_trunk(|child| _ = child.process_group(0)).await
        }
        flood => flooding(flood).await,
    }
}

/// What a host sees that looks at the output.
fn say(line: &str) {
    println!("{line}");
}

/// Does nothing at all, for ever: not even what HTTP/2 asks for.
fn hang() -> ! {
    loop {
        thread::park();
    }
}

/// Exits with 6 in the middle of a call, and leaves a child that has standard input:
/// the trunk.
#[expect(clippy::zombie_processes, reason = "the child is to outlive this process")]
async fn leave_the_trunk(change: impl FnOnce(&mut Command)) -> i32 {
    Raw::start().await.call().await;
    let mut child = Command::new("sleep");
    change(child.arg("1000"));
    let child = child.spawn().expect("a child");
    say(&format!("child {}", child.id()));
    6
}

async fn half_a_frame(raw: &mut Raw, control: Control) {
    let whole = encoded(&wire::Frame { control: Some(control), ..wire::Frame::default() });
    raw.bytes(whole.slice(..whole.len() / 2)).await.expect("the host reads");
    // One turn of the connection's task, which writes it.
    tokio::task::yield_now().await;
}

/// Answers every call with more than its window takes.
async fn overrun() -> i32 {
    let mut raw = Raw::start().await;
    let limits = raw.host.limits.expect("a hello has limits");
    loop {
        let stream = raw.call().await;
        let part = vec![0; limits.frame_data as usize];
        raw.frame(answer(stream, part.clone())).await.expect("the host reads");
        for _ in 0..=limits.initial_window / limits.frame_data {
            raw.frame(data(stream, part.clone())).await.expect("the host reads");
        }
    }
}

/// Waits for a call, and then sends as much as the host takes, without ever reading
/// an answer. Says so when it was a flood, and goes on until it is cut off.
async fn flooding(kind: &str) -> i32 {
    let mut raw = Raw::start().await;
    let stream = raw.call().await;
    let frame_data = raw.host.limits.expect("a hello has limits").frame_data as usize;
    let mut number = 2;
    raw.frame(answer(stream, Vec::new())).await.expect("the host reads");
    raw.control(open(number, LOG)).await.expect("the host reads");
    let (mut frames, mut said) = (0, false);
    loop {
        let mut batch = BytesMut::new();
        while batch.len() < 32 * 1024 {
            number += 2;
            let frame = match kind {
                "floods-data" => data(stream, vec![0; frame_data]),
                "floods-empty-data" => data(stream, Vec::new()),
                "floods-nothing" => wire::Frame::default(),
                "floods-pings" => control(Control::Ping(wire::Ping { token: number })),
                "floods-opens" => control(open(number, LOG)),
                "floods-refused-opens" => control(open(number, "no.such.Service")),
                "floods-calls" => call(number, 2),
                "floods-opens-and-closes" => {
                    batch.extend(encoded(&control(open(number, LOG))));
                    control(Control::Close(wire::Close { channel: number, code: 0 }))
                }
                other => panic!("no such crime: {other}"),
            };
            batch.extend(encoded(&frame));
            frames += 1;
        }
        if raw.bytes(batch.freeze()).await.is_err() {
            // Cut off, as it should be; the host sees the rest.
            return 7;
        }
        let enough = if kind == "floods-data" { FLOOD / frame_data } else { FLOOD_OF_FRAMES };
        if frames >= enough && !said {
            said = true;
            say("flooded");
        }
    }
}

fn control(control: Control) -> wire::Frame {
    wire::Frame { control: Some(control), ..wire::Frame::default() }
}

fn open(channel: u64, service: &str) -> Control {
    let target = Some(wire::open::Target::Service(service.to_owned()));
    Control::Open(wire::Open { channel, target, kind: wire::Kind::Calls.into() })
}

fn call(stream: u64, channel: u64) -> wire::Frame {
    let head = wire::RequestHead {
        channel,
        path: "/trunkline.log.v1.Log/Attach".to_owned(),
        ..wire::RequestHead::default()
    };
    wire::Frame { stream, head: Some(Head::Request(head)), ..wire::Frame::default() }
}
