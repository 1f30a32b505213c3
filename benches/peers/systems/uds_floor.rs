//! 64 bytes to and fro on a Unix socket, with nothing around them: what the kernel and
//! tokio take for a message each way and for waking a task in another process.

use std::process::ExitCode;
use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::Failure;
use crate::clock;
use crate::figures::Figures;
use crate::options;
use crate::plan::Phase;
use crate::work::latency::Latencies;
use crate::work::latency::Until;

/// What goes to and fro.
type Ball = [u8; 64];

pub async fn launch(options: &options::Parent) -> Result<Figures, Failure> {
    let folder = tempfile::tempdir()?;
    let listener = UnixListener::bind(folder.path().join("socket"))?;
    let echo = tokio::spawn(async move { echo(listener.accept().await?.0).await });
    let child = Command::new(std::env::current_exe()?)
        .args(super::arguments(options))
        .arg("--sockets")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        return Err(format!("the child ended: {}", output.status).into());
    }
    echo.await??;
    Figures::from_output(&String::from_utf8_lossy(&output.stdout))
}

async fn echo(mut stream: UnixStream) -> std::io::Result<()> {
    let mut ball: Ball = [0; 64];
    while stream.read_exact(&mut ball).await.is_ok() {
        stream.write_all(&ball).await?;
    }
    Ok(())
}

pub async fn child(options: options::Child) -> Result<ExitCode, Failure> {
    let folder = options.sockets.ok_or("the child is told no folder of sockets")?;
    let work = tokio::spawn(async move {
        let mut stream = UnixStream::connect(folder.join("socket")).await?;
        let mut figures = Figures::default();
        if options.plan.phase == Phase::Cold {
            play(&mut stream).await?;
            let millis = (clock::now() - options.started_at) as f64 / 1e6;
            figures.set("cold_start_ms_p50", millis);
        } else {
            rally(&mut stream, Until::after(options.plan.warm_up())).await?;
            let mut latencies = rally(&mut stream, Until::after(options.plan.time())).await?;
            latencies.record(&mut figures, "seq_call_us")?;
        }
        Ok::<_, Failure>(figures)
    });
    println!("{}", work.await??.to_line());
    Ok(ExitCode::SUCCESS)
}

/// There and back, again and again.
async fn rally(stream: &mut UnixStream, until: Until) -> Result<Latencies, Failure> {
    let mut latencies = Latencies::default();
    while !until.is_over() {
        latencies.push(play(stream).await?);
    }
    Ok(latencies)
}

/// Once there and back; how many nanoseconds it took.
async fn play(stream: &mut UnixStream) -> Result<u64, Failure> {
    let mut ball: Ball = [7; 64];
    let began = clock::now();
    stream.write_all(&ball).await?;
    stream.read_exact(&mut ball).await?;
    Ok(clock::now() - began)
}
