//! Byte streams: one end sends a call's number, a length and as many bytes, the
//! other checks and sends back all that comes.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use trunkline::ByteListener;
use trunkline::ByteStream;

use super::Running;
use super::Worker;

/// The name that streams are offered under.
pub const NAME: &str = "stress.v1.Echo";

/// What is read and written at once, in bytes.
const CHUNK: usize = 16 * 1024;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Serves all streams that are opened, each in a task of its own.
pub async fn serve_all(worker: Worker, mut listener: ByteListener) {
    while let Some(stream) = listener.accept().await {
        let worker = worker.clone();
        // The one who opened it sees the failure, too.
        tokio::spawn(async move { serve(&worker, stream).await.map(drop) });
    }
}

/// Serves one stream. Returns how many bytes came.
pub async fn serve(worker: &Worker, mut stream: ByteStream) -> Outcome<u64> {
    let call = stream.read_u64().await?;
    let running = worker.begin(call, 0);
    let length = stream.read_u64().await?;
    let mut buffer = vec![0; CHUNK];
    let mut position = 0;
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        check(&running, position, &buffer[..count])?;
        stream.write_all(&buffer[..count]).await?;
        position += count as u64;
    }
    let short = || format!("byte stream {call:#x} is of {length} bytes, not {position}");
    running.right((position == length).then_some(()).ok_or_else(short))?;
    running.done();
    stream.shutdown().await?;
    Ok(length)
}

fn check(running: &Running, position: u64, data: &[u8]) -> Outcome<()> {
    let call = running.call;
    let is_right = running.worker.source.is_stream(call, position, data);
    let wrong = || format!("byte stream {call:#x} is not as sent near byte {position}");
    Ok(running.right(is_right.then_some(()).ok_or_else(wrong))?)
}

/// Sends a call's stream and compares what comes back. With `cut` the stream is
/// dropped after so many bytes have come. Bytes that are not right are
/// [`io::ErrorKind::InvalidData`], which no trunk gives.
pub async fn call(
    worker: &Worker,
    stream: ByteStream,
    call: u64,
    length: u64,
    cut: Option<u64>,
) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let send = async {
        writer.write_u64(call).await?;
        writer.write_u64(length).await?;
        let mut position = 0;
        while position < length {
            let most = CHUNK.min((length - position) as usize);
            let data = worker.source.stream(call, position, most);
            writer.write_all(&data).await?;
            position += data.len() as u64;
        }
        writer.shutdown().await
    };
    let receive = async {
        let mut buffer = vec![0; CHUNK];
        let mut position = 0;
        loop {
            let count = reader.read(&mut buffer).await?;
            if !worker.source.is_stream(call, position, &buffer[..count]) {
                let wrong = format!("byte stream {call:#x} came back wrong near byte {position}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, wrong));
            }
            position += count as u64;
            if cut.is_some_and(|cut| position >= cut) {
                return Ok(());
            }
            if count == 0 && position == length {
                return Ok(());
            }
            if count == 0 {
                let short = format!("{position} of {length} bytes of stream {call:#x} came");
                return Err(io::Error::new(io::ErrorKind::InvalidData, short));
            }
        }
    };
    if cut.is_some() {
        // What was sent is dropped with the stream.
        return tokio::select! {
            received = receive => received,
            Err(error) = send => Err(error),
        };
    }
    tokio::try_join!(send, receive).map(|_| ())
}
