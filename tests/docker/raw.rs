//! A peer that says on a socket whatever a test tells it to.

use std::io;
use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use trunkline::docker::Address;

/// Listens, and leaves the connections to the test.
pub struct Raw {
    listener: UnixListener,
    pub address: Address,
}

impl Raw {
    pub fn at(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("nobody else is there");
        Self { listener, address: Address::unix(path).expect("short and absolute") }
    }

    /// The next connection, of which the head of a request was read.
    pub async fn request(&self) -> (UnixStream, String) {
        let mut stream = self.connection().await;
        let head = head(&mut stream).await.expect("a request");
        (stream, head)
    }

    pub async fn connection(&self) -> UnixStream {
        self.listener.accept().await.expect("a connection").0
    }
}

/// Reads to the empty line after a head, or to the end.
pub async fn head(stream: &mut UnixStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Waits until the other end has closed the connection, whatever it says before.
pub async fn closed(stream: &mut UnixStream) {
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}
