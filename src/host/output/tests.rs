//! Real pipes and processes: all that is written is logged, and the pump ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::io::PipeWriter;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tracing::Event;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use super::*;
use crate::host::command::PluginCommand;
use crate::host::lines::LONGEST_PIECE;
use crate::host::process::Child;
use crate::host::process::Process;

const STDOUT: &str = "trunkline::plugin::stdout";
const STDERR: &str = "trunkline::plugin::stderr";

/// Only a bound for what must not hang; nothing waits for it to pass.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("this takes for ever")
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Logged {
    target: String,
    span: Option<&'static str>,
    message: String,
    continues: bool,
}

/// Keeps the events of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Logged>>>);

impl Log {
    fn keep() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn of(&self, target: &str) -> Vec<Logged> {
        let all = self.0.lock();
        all.iter().filter(|logged| logged.target == target).cloned().collect()
    }

    fn messages(&self, target: &str) -> Vec<String> {
        self.of(target).into_iter().map(|logged| logged.message).collect()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut logged = Logged {
            target: event.metadata().target().to_owned(),
            span: context.event_span(event).map(|span| span.name()),
            ..Logged::default()
        };
        event.record(&mut logged);
        self.0.lock().push(logged);
    }
}

impl Visit for Logged {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "continues" {
            self.continues = value;
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

/// A pump and the other ends of its pipes: standard output and error.
fn pumped() -> (OutputPump, PipeWriter, PipeWriter) {
    let (stdout, write_stdout) = io::pipe().unwrap();
    let (stderr, write_stderr) = io::pipe().unwrap();
    let stdout = pipe::Receiver::from_owned_fd(stdout.into()).unwrap();
    let stderr = pipe::Receiver::from_owned_fd(stderr.into()).unwrap();
    let pump = OutputPump::start(
        stdout,
        stderr,
        Hooks::default(),
        &tracing::info_span!("plugin", pid = 7),
    );
    (pump, write_stdout, write_stderr)
}

async fn run(script: &str) -> (Child, OutputPump) {
    let command = PluginCommand::new("/bin/sh").args(["-c", script]);
    let process = soon(Process::spawn(&command, BTreeMap::new(), true)).await.unwrap();
    let span = tracing::info_span!("plugin");
    (process.child, OutputPump::start(process.stdout, process.stderr, Hooks::default(), &span))
}

#[tokio::test]
async fn every_line_is_an_event_in_the_plugins_span() {
    let (log, _guard) = Log::keep();
    let (pump, mut stdout, mut stderr) = pumped();
    stdout.write_all(b"one\r\n\ntwo").unwrap();
    stderr.write_all(b"\xff\x1b[31mred\n").unwrap();
    let tail = pump.tail();
    soon(pump.stop()).await;
    assert_eq!(log.messages(STDOUT), ["one", "", "two"]);
    assert_eq!(log.messages(STDERR), [r"\xff\u{1b}[31mred"]);
    assert!(log.of(STDOUT).iter().all(|logged| logged.span == Some("plugin")));
    assert!(log.of(STDOUT).iter().all(|logged| !logged.continues));
    assert_eq!(tail.text(), r"\xff\u{1b}[31mred");
}

#[tokio::test]
async fn a_plugin_that_writes_a_megabyte_on_one_line_is_never_blocked() {
    let (log, _guard) = Log::keep();
    let (mut child, pump) = run("head -c 1000000 /dev/zero | tr '\\0' x").await;
    assert!(soon(child.wait()).await.success());
    soon(pump.stop()).await;
    let pieces = log.of(STDOUT);
    let (last, others) = pieces.split_last().unwrap();
    assert!(others.iter().all(|piece| piece.continues && piece.message.len() == LONGEST_PIECE));
    assert!(!last.continues);
    assert_eq!(others.len() * LONGEST_PIECE + last.message.len(), 1_000_000);
}

#[tokio::test]
async fn binary_output_is_never_too_much() {
    let (_log, _guard) = Log::keep();
    let (mut child, pump) =
        run("head -c 300000 /dev/urandom >&2; head -c 300000 /dev/urandom").await;
    assert!(soon(child.wait()).await.success());
    soon(pump.stop()).await;
}

#[tokio::test]
async fn the_last_words_of_a_process_are_logged_although_its_children_hold_the_pipes() {
    let (log, _guard) = Log::keep();
    let (mut child, pump) = run("sleep 1000 & echo broken >&2; exit 3").await;
    assert_eq!(soon(child.wait()).await.code, Some(3));
    let tail = pump.tail();
    soon(pump.stop()).await;
    assert_eq!(log.messages(STDERR), ["broken"]);
    assert_eq!(tail.text(), "broken");
}

#[tokio::test]
async fn a_stopped_pump_reads_what_is_there_and_ends_while_the_pipe_is_held_open() {
    let (log, _guard) = Log::keep();
    let (pump, mut stdout, _stderr) = pumped();
    let written = "x\n".repeat(CHUNK);
    stdout.write_all(written.as_bytes()).unwrap();
    soon(pump.stop()).await;
    assert_eq!(log.messages(STDOUT).len(), CHUNK);
}

#[tokio::test]
async fn a_dropped_pump_ends_by_itself() {
    let (pump, stdout, _stderr) = pumped();
    let mut stdout = pipe::Sender::from_owned_fd(stdout.into()).unwrap();
    drop(pump);
    let refused = soon(async {
        loop {
            if let Err(error) = stdout.write_all(b"on and on\n").await {
                return error.kind();
            }
        }
    });
    assert_eq!(refused.await, io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn the_pump_ends_with_the_pipes() {
    let (log, _guard) = Log::keep();
    let (pump, mut stdout, stderr) = pumped();
    stdout.write_all(b"bye").unwrap();
    drop((stdout, stderr));
    soon(pump.stdout).await.unwrap();
    soon(pump.stderr).await.unwrap();
    assert_eq!(log.messages(STDOUT), ["bye"]);
}

#[test]
fn a_writer_without_end_cannot_keep_the_pump_from_ending() {
    let (log, _guard) = Log::keep();
    let mut lines = LineSplitter::default();
    let zero = File::open("/dev/zero").unwrap();
    let mut sink = Sink { pipe: Pipe::Stdout, hook: None };
    drain(zero, &mut lines, &mut sink, &mut [0; CHUNK]).unwrap();
    lines.finish(|piece| sink.take(piece));
    assert_eq!(log.of(STDOUT).len(), MOST_DRAINED / LONGEST_PIECE);
    let reported = log.messages("trunkline::host::output");
    assert!(reported[0].contains("the rest is not logged"), "{reported:?}");
}
