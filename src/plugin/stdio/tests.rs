//! Real pipes: what is written arrives, and whoever writes never waits.

use std::io::PipeWriter;
use std::io::Write;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::task::Context;
use std::task::Waker;

use futures::StreamExt;
use parking_lot::Mutex;

use super::*;
use crate::goplugin::stdio::Channel;
use crate::plugin::stdio::buffer::BUFFER;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
type Losses = Arc<Mutex<Vec<Lost>>>;

struct Test {
    pump: Pump,
    output: Output,
    stdout: PipeWriter,
    stderr: PipeWriter,
    losses: Losses,
}

fn start() -> Result<Test> {
    let (out_reader, stdout) = io::pipe()?;
    let (err_reader, stderr) = io::pipe()?;
    let losses = Losses::default();
    let kept = losses.clone();
    let pipes = [out_reader.into(), err_reader.into()];
    let (pump, output) = Pump::start(pipes, move |lost| kept.lock().push(lost))?;
    Ok(Test { pump, output, stdout, stderr, losses })
}

/// Takes everything up to the end.
async fn collect(output: Output) -> [Vec<u8>; 2] {
    let add = |mut all: [Vec<u8>; 2], (channel, bytes): (Channel, bytes::Bytes)| async move {
        all[usize::from(channel == Channel::Stderr)].extend(bytes);
        all
    };
    output.fold([vec![], vec![]], add).await
}

/// Bytes of which each place can be told from its neighbours.
fn numbers(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_be_bytes).take(length).collect()
}

#[tokio::test]
async fn what_is_written_arrives_in_order_and_the_end_waits_for_no_writer() -> Result {
    let Test { pump, output, mut stdout, mut stderr, losses } = start()?;
    let (out, err) = (numbers(700_000), numbers(90_001));
    for (out, err) in out.chunks(7_000).zip(err.chunks(901)) {
        stdout.write_all(out)?;
        stderr.write_all(err)?;
    }
    // The writers are still there, as in a child process.
    drop(pump);
    assert!(collect(output).await == [out, err]);
    assert_eq!(*losses.lock(), []);
    Ok(())
}

#[tokio::test]
async fn whoever_writes_never_waits_and_the_oldest_is_lost_and_counted() -> Result {
    let Test { pump, output, mut stdout, mut stderr, losses } = start()?;
    let written = numbers(5 * BUFFER + 3);
    stdout.write_all(&written)?;
    stderr.write_all(b"kept")?;
    drop(pump);
    let [out, err] = collect(output).await;
    assert!(out == written[4 * BUFFER + 3..]);
    assert_eq!(err, b"kept");
    let losses = losses.lock();
    let lost = Lost { channel: Channel::Stdout, bytes: 4 * BUFFER as u64 + 3 };
    assert_eq!(losses.last(), Some(&lost));
    assert!(losses.len() < 30, "{losses:?}");
    assert!(losses.iter().is_sorted_by_key(|lost| lost.bytes));
    Ok(())
}

#[tokio::test]
async fn a_stream_without_end_does_not_hold_up_the_other() -> Result {
    let Test { pump, mut output, mut stdout, mut stderr, .. } = start()?;
    stdout.write_all(&numbers(BUFFER))?;
    stderr.write_all(b"e")?;
    let mut flushed = pin!(pump.flushed());
    // Polled once, it has read the pipes.
    assert!(flushed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let mut first = Vec::new();
    for _ in 0..2 {
        let (channel, bytes) = output.next().await.ok_or("open")?;
        assert!(bytes.len() <= 16 * 1024);
        first.push(channel);
    }
    assert_eq!(first, [Channel::Stdout, Channel::Stderr]);
    Ok(())
}

#[tokio::test]
async fn it_is_flushed_when_all_that_was_written_before_is_taken() -> Result {
    let Test { pump, mut output, mut stdout, .. } = start()?;
    pump.flushed().await;
    stdout.write_all(b"before")?;
    let mut flushed = pin!(pump.flushed());
    assert!(flushed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(output.next().await, Some((Channel::Stdout, "before".into())));
    stdout.write_all(b"after")?;
    flushed.await;
    assert_eq!(output.next().await, Some((Channel::Stdout, "after".into())));
    Ok(())
}

#[tokio::test]
async fn a_reader_that_waits_is_woken() -> Result {
    let Test { pump, mut output, mut stderr, .. } = start()?;
    let reader = tokio::spawn(async move { (output.next().await, output.next().await) });
    tokio::task::yield_now().await;
    stderr.write_all(b"e")?;
    pump.flushed().await;
    drop(pump);
    assert_eq!(reader.await?, (Some((Channel::Stderr, "e".into())), None));
    Ok(())
}

#[tokio::test]
async fn without_a_reader_everything_is_lost_and_nothing_hangs() -> Result {
    let Test { pump, output, mut stdout, losses, .. } = start()?;
    stdout.write_all(b"12")?;
    drop(output);
    stdout.write_all(&numbers(2 * BUFFER))?;
    pump.flushed().await;
    drop(pump);
    let lost = Lost { channel: Channel::Stdout, bytes: 2 * BUFFER as u64 + 2 };
    assert_eq!(losses.lock().last(), Some(&lost));
    Ok(())
}

#[tokio::test]
async fn it_ends_when_the_program_has_closed_both_streams() -> Result {
    let Test { pump, output, mut stdout, stderr, .. } = start()?;
    drop(stderr);
    stdout.write_all(b"o")?;
    drop(stdout);
    assert_eq!(collect(output).await, [b"o".to_vec(), vec![]]);
    drop(pump);
    Ok(())
}

/// Set in the process of its own that the test needs.
const ALONE: &str = "TRUNKLINE_TEST_STDIO";

/// The descriptors belong to the whole process, so it starts this test again.
#[test]
fn descriptors_are_redirected_and_put_back() -> Result {
    if std::env::var_os(ALONE).is_some() {
        return tokio::runtime::Builder::new_current_thread().build()?.block_on(alone());
    }
    let test = "plugin::stdio::tests::descriptors_are_redirected_and_put_back";
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output()?;
    let (stdout, stderr) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    let shown = format!("{stdout}\n{stderr}");
    assert!(output.status.success(), "{shown}");
    assert!(stdout.contains("1 passed") && stdout.contains("out after"), "{shown}");
    let log = "a log line\npanic: boom (thread ";
    assert!(stderr.contains(log) && stderr.contains("err after"), "{shown}");
    for redirected in ["out", "out child", "err", "err child", "flood"] {
        assert!(!shown.lines().any(|line| line == redirected), "{redirected}: {shown}");
    }
    Ok(())
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "what is tested")]
async fn alone() -> Result {
    let losses = Losses::default();
    let kept = losses.clone();
    let (redirect, mut output) = Redirect::start(move |lost| kept.lock().push(lost))?;
    let log = redirect.log_writer();
    println!("out");
    eprintln!("err");
    Command::new("sh").args(["-c", "echo out child; echo err child >&2"]).status()?;
    print!("unended");
    log.write_line("a log line");
    install_panic_hook(log.clone());
    let panicked = std::panic::catch_unwind(|| panic!("boom"));
    assert!(panicked.is_err());

    let mut heard = [String::new(), String::new()];
    {
        let mut flushed = pin!(redirect.flushed());
        loop {
            tokio::select! {
                biased;
                chunk = output.next() => {
                    let (channel, bytes) = chunk.ok_or("open")?;
                    heard[usize::from(channel == Channel::Stderr)]
                        .push_str(std::str::from_utf8(&bytes)?);
                }
                () = &mut flushed => break,
            }
        }
    }
    assert_eq!(heard[0], "out\nout child\nunended");
    assert!(heard[1].starts_with("err\nerr child\n"), "{heard:?}");
    assert!(heard[1].contains("boom"), "the hook from before: {heard:?}");

    // Nobody takes it, and the only thread of the runtime is here.
    for _ in 0..BUFFER {
        println!("flood");
    }
    drop(redirect);
    println!("out after");
    eprintln!("err after");
    let [stdout, _] = collect(output).await;
    assert_eq!(stdout.len(), BUFFER);
    let lost = losses.lock().last().map(|lost| lost.bytes);
    assert_eq!(lost, Some(("flood\n".len() * BUFFER - BUFFER) as u64));
    assert_eq!(log.failed(), 0);
    Ok(())
}
