//! Peers that lie, in either role: ours stays up, keeps to bounds, and ends in order.

use std::fs;
use std::io::BufRead;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Child;
use std::process::Stdio;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::transport::Endpoint;
use trunkline::Error;
use trunkline::Reason;
use trunkline::host::LaunchError;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;
use trunkline::host::StopPolicy;

use crate::bin;
use crate::contract::go_plugin::ConnInfo;
use crate::contract::go_plugin::Empty;
use crate::contract::go_plugin::conn_info::Knock;
use crate::contract::go_plugin::grpc_broker_client::GrpcBrokerClient;
use crate::contract::go_plugin::grpc_controller_client::GrpcControllerClient;
use crate::probe::echo;
use crate::rust_host::Mode;
use crate::rust_host::prepare;
use crate::support::capture::Capture;
use crate::support::demo::Payload;
use crate::support::demo::echo_client::EchoClient;
use crate::support::echo::Echo;
use crate::support::system::LONG;
use crate::support::system::assert_no_process;
use crate::support::system::eventually;
use crate::support::system::is_running;
use crate::support::system::until;
use crate::support::system::within;

/// Steps that a plugin which does not obey gets through soon.
fn impatient() -> StopPolicy {
    let step = Duration::from_millis(100);
    StopPolicy { drain: step, grace: step, terminate: step, ..StopPolicy::default() }
}

fn liar(lie: &str) -> trunkline::host::Launch {
    prepare(bin::plugin(&format!("liar:{lie}")), Mode::PLAIN).stop_policy(impatient())
}

async fn lies(lie: &str) -> PluginHandle {
    let plugin = within(liar(lie).start()).await.expect("launched");
    works(&plugin).await;
    plugin
}

async fn works(plugin: &PluginHandle) {
    let sent = Payload { seq: 7, data: vec![7; 1000] };
    let got = within(echo(plugin).unary(sent.clone())).await.expect("answered").into_inner();
    assert_eq!(got, sent);
}

/// It never answers that it will end.
async fn goes(plugin: PluginHandle) {
    works(&plugin).await;
    within(plugin.stop()).await;
    assert_no_process(plugin.pid());
}

/// Resident bytes of this process.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    let kilobytes: usize = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    kilobytes * 1024
}

async fn why(plugin: &PluginHandle, id: u32) -> Option<Reason> {
    let mut client = EchoClient::new(plugin.broker().dial(id).expect("it runs"));
    let status = within(client.unary(Payload::default())).await.expect_err("nobody");
    Error::of(&status).map(Error::reason)
}

#[tokio::test]
async fn a_plugin_that_floods_announcements_takes_no_more_than_a_table() {
    let before = resident();
    let plugin = lies("floods-announcements").await;
    // The last is known when all have come, which may take longer than one dial.
    until("all have come", async || why(&plugin, 200_000).await == Some(Reason::Closed)).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes more");
    goes(plugin).await;
}

#[tokio::test]
async fn nonsense_that_a_plugin_announces_is_passed_over() {
    let plugin = lies("announces-nonsense").await;
    // The last of them shows that all have come; nobody is there.
    assert_eq!(why(&plugin, 7).await, Some(Reason::Closed));
    let asked = join_all([1, 2, 3, 4, 5, 6].map(|id| why(&plugin, id))).await;
    for reason in asked {
        let expected = matches!(reason, Some(Reason::Unknown | Reason::Closed | Reason::Protocol));
        assert!(expected, "{reason:?}");
    }
    goes(plugin).await;
}

#[tokio::test]
async fn a_plugin_that_knocks_though_it_does_not_multiplex_does_no_harm() {
    let plugin = lies("knocks").await;
    goes(plugin).await;
}

#[tokio::test]
async fn a_plugin_whose_broker_ends_at_once_can_be_called() {
    for lie in ["ends-its-broker", "refuses-its-broker"] {
        let plugin = lies(lie).await;
        let registration = plugin.broker().register(Echo::default().server());
        let _ = registration.number();
        assert_eq!(why(&plugin, 1).await, Some(Reason::Unknown));
        // More than wait to be announced.
        let many: Vec<_> =
            (0..1000).map(|_| plugin.broker().register(Echo::default().server())).collect();
        for one in &many {
            let _ = one.number();
        }
        drop((many, registration));
        goes(plugin).await;
    }
}

#[tokio::test]
async fn a_plugin_that_says_it_is_not_well_is_refused() {
    let error = within(liar("unwell").start()).await.expect_err("unwell");
    assert!(matches!(error, LaunchError::GoPlugin { .. }), "{error:?}");
    let error = crate::table::causes(&error);
    assert!(error.contains("NOT_SERVING"), "{error}");
}

/// A shell that says that it listens there.
fn at(path: &Path) -> PluginCommand {
    let script = format!("echo '1|1|unix|{}|grpc|'; exec sleep 1000", path.display());
    PluginCommand::new("/bin/sh").args(["-c", &script])
}

#[tokio::test]
async fn what_a_plugin_calls_its_socket_and_is_anothers_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "of somebody").expect("written");
    let error = within(prepare(at(&file), Mode::PLAIN).start()).await.expect_err("no socket");
    assert!(matches!(error, LaunchError::GoPlugin { .. }), "{error}");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "of somebody");

    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
    let launch = prepare(at(&socket), Mode::PLAIN).start_timeout(Duration::from_secs(1));
    let error = within(launch.start()).await.expect_err("nobody answers");
    assert!(matches!(error, LaunchError::TimedOut { .. }), "{error}");
    assert!(socket.exists());
}

#[tokio::test]
async fn a_plugin_that_speaks_no_http_is_refused() {
    let launch = liar("garbage").start_timeout(LONG);
    let error = within(launch.start()).await.expect_err("garbage");
    assert!(!matches!(error, LaunchError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn output_of_unknown_channels_and_in_large_chunks_does_no_harm() {
    for lie in ["unknown-channels", "large-chunks"] {
        let capture = Capture::start();
        let plugin = lies(lie).await;
        eventually("what comes after it is there", || {
            capture.all().into_iter().find(|event| event.message().contains("after all"))
        })
        .await;
        goes(plugin).await;
    }
    for lie in ["huge-chunk", "ends-its-output"] {
        goes(lies(lie).await).await;
    }
}

/// Our plugin, under a host of this test.
struct Served {
    child: Child,
    path: String,
    _folder: tempfile::TempDir,
}

impl Served {
    fn start(multiplexed: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = bin::by_hand("probe");
        command.env("TRUNKLINE_INTEROP", "bread").env("PLUGIN_UNIX_SOCKET_DIR", folder.path());
        if multiplexed {
            command.env("PLUGIN_MULTIPLEX_GRPC", "true");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        std::io::BufReader::new(stdout).read_line(&mut line).expect("a line");
        let path = line.split('|').nth(3).expect("an address").to_owned();
        Self { child, path, _folder: folder }
    }

    async fn connect(&self) -> UnixStream {
        loop {
            match UnixStream::connect(&self.path).await {
                // It has not accepted those before yet.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tokio::task::yield_now().await;
                }
                connected => return connected.expect("it listens"),
            }
        }
    }

    async fn channel(&self) -> Channel {
        channel(self.connect().await).await
    }

    fn resident(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        let kilobytes: usize =
            line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
        kilobytes * 1024
    }

    /// It does what a host asks of it, and ends when it is told to.
    async fn goes(mut self) {
        let channel = self.channel().await;
        works_for(&channel).await;
        // It may end without an answer.
        let _ = within(GrpcControllerClient::new(channel).shutdown(Empty {})).await;
        let ended = eventually("it has ended", || self.child.try_wait().expect("waited for"));
        let status = ended.await;
        assert!(status.success(), "{status}");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn channel(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Channel {
    try_channel(io).await.expect("HTTP/2")
}

async fn try_channel(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Channel, tonic::transport::Error> {
    let mut io = Some(TokioIo::new(io));
    let connector = tower::service_fn(move |_| {
        let io = io.take();
        std::future::ready(io.ok_or(std::io::Error::from(ErrorKind::NotConnected)))
    });
    let endpoint = Endpoint::from_static("http://localhost");
    endpoint.connect_with_connector(connector).await
}

async fn works_for(channel: &Channel) {
    let sent = Payload { seq: 7, data: vec![7; 1000] };
    let got = within(EchoClient::new(channel.clone()).unary(sent.clone())).await;
    assert_eq!(got.expect("answered").into_inner(), sent);
}

fn knock(service_id: u32) -> ConnInfo {
    let knock = Knock { knock: true, ack: false, error: String::new() };
    ConnInfo { service_id, knock: Some(knock), ..ConnInfo::default() }
}

#[tokio::test]
async fn a_host_may_ask_for_the_broker_a_hundred_times() {
    let plugin = Served::start(false);
    let channel = plugin.channel().await;
    let mut asking = Vec::new();
    for _ in 0..100 {
        let mut client = GrpcBrokerClient::new(channel.clone());
        asking.push(tokio::spawn(async move {
            let asked = client.start_stream(futures::stream::pending::<ConnInfo>()).await;
            // Holds what it got.
            let _asked = asked;
            std::future::pending::<()>().await
        }));
    }
    works_for(&channel).await;
    for asked in &asking {
        asked.abort();
    }
    drop(channel);
    plugin.goes().await;
}

#[tokio::test]
async fn a_host_may_connect_two_hundred_times() {
    let plugin = Served::start(false);
    let mut open = Vec::new();
    for _ in 0..200 {
        open.push(plugin.connect().await);
    }
    // Those beyond the limit are closed; the rest waits for a host to speak.
    let mut closed = 0;
    for io in &mut open[100..] {
        let mut bytes = [0; 1024];
        loop {
            match within(io.read(&mut bytes)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        closed += 1;
    }
    assert_eq!(closed, 100);
    drop(open);
    // What they took is free again, a moment later.
    let again = async {
        loop {
            let Ok(channel) = try_channel(plugin.connect().await).await else { continue };
            let sent = Payload::default();
            if EchoClient::new(channel).unary(sent).await.is_ok() {
                break;
            }
        }
    };
    within(again).await;
    plugin.goes().await;
}

#[tokio::test]
async fn garbage_on_its_socket_does_a_plugin_no_harm() {
    let plugin = Served::start(false);
    for garbage in [
        &[0xa5; 65536][..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff",
    ] {
        let mut io = plugin.connect().await;
        // It may hang up in the middle.
        let _ = within(io.write_all(garbage)).await;
        let mut rest = Vec::new();
        let _ = within(io.read_to_end(&mut rest)).await;
    }
    plugin.goes().await;
}

#[tokio::test]
async fn a_host_that_floods_announcements_takes_no_more_than_a_table() {
    let plugin = Served::start(false);
    let channel = plugin.channel().await;
    works_for(&channel).await;
    let before = plugin.resident();
    let nowhere = |id: u32| ConnInfo {
        service_id: id,
        network: "unix".to_owned(),
        address: format!("/nowhere/{id}"),
        knock: None,
    };
    let (done, mut all_sent) = mpsc::channel(1);
    let flood = futures::stream::iter((1..=200_000).map(nowhere));
    let flood = flood.chain(futures::stream::once(async move {
        let _ = done.send(()).await;
        std::future::pending().await
    }));
    let mut client = GrpcBrokerClient::new(channel.clone());
    let talking = tokio::spawn(async move { client.start_stream(flood).await.map(drop) });
    within(all_sent.recv()).await;
    works_for(&channel).await;
    let grown = plugin.resident().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes more");
    talking.abort();
    drop(channel);
    plugin.goes().await;
}

/// A session of yamux on a plugin's socket, as a host has it.
struct Session {
    opens: mpsc::Sender<tokio::sync::oneshot::Sender<yamux::Stream>>,
}

impl Session {
    fn start(io: UnixStream) -> Self {
        use tokio_util::compat::TokioAsyncReadCompatExt;
        let (opens, mut asked) = mpsc::channel::<tokio::sync::oneshot::Sender<yamux::Stream>>(1);
        let config = yamux::Config::default();
        let mut session = yamux::Connection::new(io.compat(), config, yamux::Mode::Client);
        tokio::spawn(async move {
            let mut next = None;
            std::future::poll_fn(|cx| {
                if next.is_none()
                    && let std::task::Poll::Ready(asked) = asked.poll_recv(cx)
                {
                    let Some(reply) = asked else { return std::task::Poll::Ready(()) };
                    next = Some(reply);
                }
                if next.is_some()
                    && let std::task::Poll::Ready(Ok(stream)) = session.poll_new_outbound(cx)
                {
                    let _ = next.take().expect("some").send(stream);
                    cx.waker().wake_by_ref();
                }
                while let std::task::Poll::Ready(inbound) = session.poll_next_inbound(cx) {
                    if !matches!(inbound, Some(Ok(_))) {
                        return std::task::Poll::Ready(());
                    }
                }
                std::task::Poll::Pending
            })
            .await;
        });
        Self { opens }
    }

    async fn open(&self) -> tokio_util::compat::Compat<yamux::Stream> {
        use tokio_util::compat::FuturesAsyncReadCompatExt;
        let (reply, stream) = tokio::sync::oneshot::channel();
        self.opens.send(reply).await.expect("the session runs");
        within(stream).await.expect("opened").compat()
    }
}

#[tokio::test]
async fn a_host_that_knocks_for_what_is_not_there_and_does_not_read_is_bounded() {
    let mut plugin = Served::start(true);
    let session = Session::start(plugin.connect().await);
    let main = channel(session.open().await).await;
    works_for(&main).await;
    let before = plugin.resident();
    let (send, knocks) = mpsc::channel(1);
    let mut client = GrpcBrokerClient::new(main.clone());
    let asked = client.start_stream(ReceiverStream::new(knocks));
    // Answers come, and nobody reads them.
    let answers = within(asked).await.expect("a broker");
    let mut refused = 0_u32;
    for id in 0..200_000 {
        // The plugin may stop reading, which is as good.
        if tokio::time::timeout(std::time::Duration::from_secs(1), send.send(knock(id)))
            .await
            .is_err()
        {
            refused += 1;
            break;
        }
    }
    works_for(&main).await;
    let grown = plugin.resident().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes more, stopped {refused}");
    drop((answers, send));
    let _ = within(GrpcControllerClient::new(main).shutdown(Empty {})).await;
    let status = eventually("it has ended", || plugin.child.try_wait().expect("waited for")).await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn garbage_instead_of_yamux_ends_a_plugin() {
    for garbage in [&[0xa5; 65536][..], b"GET / HTTP/1.1\r\n\r\n", &[0; 3]] {
        let mut plugin = Served::start(true);
        let mut io = plugin.connect().await;
        let _ = within(io.write_all(garbage)).await;
        if garbage.len() < 12 {
            drop(io);
        }
        let status =
            eventually("it has ended", || plugin.child.try_wait().expect("waited for")).await;
        assert!(status.code().is_some(), "it ended by itself: {status}");
    }
}

#[tokio::test]
async fn garbage_in_a_stream_of_yamux_ends_that_stream_alone() {
    let mut plugin = Served::start(true);
    let session = Session::start(plugin.connect().await);
    let main = channel(session.open().await).await;
    works_for(&main).await;
    for _ in 0..300 {
        // Nobody has knocked: go-plugin takes such a stream for one to its own server.
        let mut stream = session.open().await;
        let _ = within(stream.write_all(&[0xa5; 1024])).await;
    }
    works_for(&main).await;
    let _ = within(GrpcControllerClient::new(main).shutdown(Empty {})).await;
    let status = eventually("it has ended", || plugin.child.try_wait().expect("waited for")).await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_host_that_hangs_up_in_the_middle_of_everything_ends_a_plugin() {
    let mut plugin = Served::start(true);
    let session = Session::start(plugin.connect().await);
    let main = channel(session.open().await).await;
    works_for(&main).await;
    let mut hanging = EchoClient::new(main.clone());
    let hanging = tokio::spawn(async move { hanging.hang(Payload::default()).await.map(drop) });
    works_for(&main).await;
    hanging.abort();
    drop((main, session));
    let status = eventually("it has ended", || plugin.child.try_wait().expect("waited for")).await;
    assert!(status.code().is_some(), "it ended by itself: {status}");
    assert!(!is_running(plugin.child.id()));
}
