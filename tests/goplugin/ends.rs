//! How plugins and hosts end over go-plugin's wire: in order, by force, and when somebody
//! kills them.

use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use trunkline::Error;
use trunkline::Fault;
use trunkline::Reason;
use trunkline::host::EndCause;
use trunkline::host::Exit;
use trunkline::host::LaunchError;
use trunkline::host::PluginHandle;
use trunkline::host::StopPolicy;

use crate::bin;
use crate::bin::callback;
use crate::bin::callback::Payloads;
use crate::contract::interop::HandRequest;
use crate::contract::interop::Nothing;
use crate::contract::interop::Number;
use crate::contract::interop::Payload as Part;
use crate::contract::interop::StreamBackRequest;
use crate::contract::interop::Text;
use crate::contract::interop::callback_server;
use crate::contract::interop::callback_server::CallbackServer;
use crate::other::Other;
use crate::peers::Version;
use crate::peers::peers;
use crate::probe::echo;
use crate::probe::prepared;
use crate::probe::probe;
use crate::probe::started;
use crate::probe::told;
use crate::rust_host::Mode;
use crate::rust_host::host;
use crate::rust_host::launch;
use crate::rust_host::subject;
use crate::support::demo::NestRequest;
use crate::support::demo::Payload;
use crate::support::demo::echo_client::EchoClient;
use crate::support::echo::Echo;
use crate::support::system::LONG;
use crate::support::system::assert_no_process;
use crate::support::system::eventually;
use crate::support::system::is_running;
use crate::support::system::kill;
use crate::support::system::until;
use crate::support::system::within;

async fn assert_ends(plugin: u32) {
    eventually("the orphan has ended", || (!is_running(plugin)).then_some(())).await;
}

#[tokio::test]
async fn kill_9_of_the_host_ends_our_plugin() {
    for mode in Mode::ALL {
        let mut host = Other::host(mode, "probe");
        let plugin = host.plugin().await;
        assert!(is_running(plugin));
        host.kill().await;
        assert_ends(plugin).await;
    }
}

#[tokio::test]
async fn kill_9_of_the_host_ends_a_plugin_in_go_that_multiplexes() {
    let Some(peers) = peers(Version::V1_8_0) else { return };
    let mut host = Other::host(Mode::MUX, peers.plugin.to_str().expect("text"));
    let plugin = host.plugin().await;
    host.kill().await;
    assert_ends(plugin).await;
}

async fn brokers_both_ways(plugin: &PluginHandle) {
    let registration = plugin.broker().register(Echo::default().server());
    told(plugin, format!("dial {}", registration.number())).await;
    let id: u32 = told(plugin, "hand 1").await.parse().expect("a number");
    let mut client = EchoClient::new(plugin.broker().dial(id).expect("it runs"));
    let sent = Payload { seq: 1, data: vec![1] };
    assert_eq!(within(client.unary(sent.clone())).await.expect("answered").into_inner(), sent);
}

#[tokio::test]
async fn a_plugin_that_outlives_its_host_brokers_with_the_next_which_stops_it() {
    let mut first = Other::host(Mode::PLAIN, "survivor");
    let pid = first.plugin().await;
    let reattach = first.reattach().await;
    first.kill().await;
    // One that holds nothing may come and go.
    for _ in 0..2 {
        let next = within(host().reattach("probe", reattach.clone().test(true)).start()).await;
        let next = next.expect("attached");
        brokers_both_ways(&next).await;
        within(next.stop()).await;
        assert!(is_running(pid));
    }
    let last = within(host().reattach("probe", reattach).start()).await.expect("attached");
    brokers_both_ways(&last).await;
    let end = within(last.stop()).await;
    assert_eq!(end.cause, EndCause::Stopped, "{end:?}");
    assert_ends(pid).await;
}

#[tokio::test]
async fn dropping_the_handle_of_a_plugin_that_was_reattached_to_ends_it() {
    let mut first = Other::host(Mode::PLAIN, "survivor");
    let pid = first.plugin().await;
    let reattach = first.reattach().await;
    first.kill().await;
    let next = within(host().reattach("probe", reattach).start()).await.expect("attached");
    told(&next, "stats").await;
    drop(next);
    assert_ends(pid).await;
}

#[tokio::test]
async fn reattaching_to_a_process_that_is_gone_says_that_it_does_not_run() {
    let mut first = Other::host(Mode::PLAIN, "probe");
    let pid = first.plugin().await;
    let reattach = first.reattach().await;
    first.kill().await;
    // Nobody waits for it, so that it may be a zombie for a moment.
    eventually("its number is free", || {
        std::fs::exists(format!("/proc/{pid}")).is_ok_and(|exists| !exists).then_some(())
    })
    .await;
    let error = within(host().reattach("probe", reattach).start()).await.expect_err("gone");
    assert!(matches!(error, LaunchError::NotRunning { pid: named, .. } if named == pid), "{error}");
}

/// A callback whose stream goes on for ever.
struct Endless;

#[tonic::async_trait]
impl callback_server::Callback for Endless {
    async fn hear(&self, request: tonic::Request<Text>) -> Result<tonic::Response<Text>, Status> {
        Ok(tonic::Response::new(request.into_inner()))
    }

    type ConverseStream = Payloads;

    async fn converse(
        &self,
        request: tonic::Request<tonic::Streaming<Part>>,
    ) -> Result<tonic::Response<Payloads>, Status> {
        Ok(tonic::Response::new(Box::pin(request.into_inner())))
    }

    async fn declare(&self, _: tonic::Request<Nothing>) -> Result<tonic::Response<Number>, Status> {
        std::future::pending().await
    }

    async fn big(&self, request: tonic::Request<Part>) -> Result<tonic::Response<Part>, Status> {
        Ok(tonic::Response::new(request.into_inner()))
    }
}

/// Every call to a plugin that is killed in the middle of them.
async fn killed_while_busy(mode: Mode) {
    const CALLS: usize = 50;
    let plugin = launch(bin::plugin("subject"), mode).await.expect("launched");
    let registration = plugin.broker().register(CallbackServer::new(Endless));
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let mut subject = subject(&plugin).expect("open");
        calls.spawn(async move { subject.hang(Nothing {}).await.map(drop) });
    }
    let mut streaming = subject(&plugin).expect("open");
    let request = StreamBackRequest {
        service_id: registration.number(),
        messages: u32::MAX,
        bytes_each: 1000,
    };
    calls.spawn(async move { streaming.stream_back(request).await.map(drop) });
    let mut ours = Vec::new();
    let mut handing = subject(&plugin).expect("open");
    let id = within(handing.hand(HandRequest { number: 1 }))
        .await
        .expect("handed")
        .into_inner()
        .service_id;
    let mut brokered = callback::client(plugin.broker().dial(id).expect("it runs"));
    let (send, requests) = mpsc::channel(1);
    send.send(Part::default()).await.expect("room");
    let talk = within(brokered.converse(ReceiverStream::new(requests))).await.expect("begun");
    let mut talk = talk.into_inner();
    within(talk.message()).await.expect("it runs");
    // The callback's stream runs when its connection is served.
    eventually("all run", || {
        let stats = plugin.broker().stats();
        (stats.streams >= CALLS + 3 && stats.serving == 1).then_some(())
    })
    .await;
    kill(plugin.pid(), Signal::KILL);
    while let Some(call) = within(calls.join_next()).await {
        ours.push(call.expect("no panic").expect_err("it was killed"));
    }
    ours.push(within(talk.message()).await.expect_err("it was killed"));
    assert_eq!(ours.len(), CALLS + 2);
    for status in &ours {
        let error = Error::of(status).unwrap_or_else(|| panic!("{}: {status:?}", mode.name));
        let found = (error.reason(), error.fault());
        assert_eq!(found, (Reason::TrunkEnded, Fault::Connection), "{}: {status:?}", mode.name);
        let exit = Exit::of(status).unwrap_or_else(|| panic!("{}: {status:?}", mode.name));
        assert_eq!((exit.code, exit.signal), (None, Some(Signal::KILL.as_raw())));
    }
    let end = within(plugin.ended()).await;
    assert_eq!(end.exit.and_then(|exit| exit.signal), Some(Signal::KILL.as_raw()));
    assert_no_process(plugin.pid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_a_plugin_tells_every_waiter_how_it_died() {
    killed_while_busy(Mode::PLAIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_a_plugin_tells_every_waiter_how_it_died_with_auto_mtls() {
    killed_while_busy(Mode::MTLS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_a_plugin_tells_every_waiter_how_it_died_with_mux() {
    killed_while_busy(Mode::MUX).await;
}

#[tokio::test]
async fn dropping_the_handle_leaves_no_process_and_tells_the_callers() {
    for mode in Mode::ALL {
        let plugin = probe(mode).await;
        let pid = plugin.pid();
        let mut hanging = echo(&plugin);
        let hanging = tokio::spawn(async move { hanging.hang(Payload::default()).await });
        until("it runs", async || told(&plugin, "running").await == "1").await;
        drop(plugin);
        let status = within(hanging).await.expect("no panic").expect_err("killed");
        assert_eq!(Error::of(&status).map(Error::reason), Some(Reason::TrunkEnded), "{status:?}");
        eventually("the process is gone", || (!is_running(pid)).then_some(())).await;
    }
}

#[tokio::test]
async fn closing_a_session_ends_its_calls_at_once_also_if_the_plugin_is_stopped() {
    for mode in Mode::ALL {
        let plugin = started(prepared(mode).stop_policy(patient()), mode).await;
        let broker = plugin.broker().clone();
        let mut hanging = echo(&plugin);
        let hanging = tokio::spawn(async move { hanging.hang(Payload::default()).await });
        until("it runs", async || told(&plugin, "running").await == "1").await;
        kill(plugin.pid(), Signal::STOP);
        broker.close();
        let status = within(hanging).await.expect("no panic").expect_err("closed");
        assert_eq!(Error::of(&status).map(Error::reason), Some(Reason::TrunkEnded), "{status:?}");
        // Before the process ends, which takes the steps of stopping it.
        assert!(is_running(plugin.pid()), "{}", mode.name);
        assert_eq!(broker.stats().streams, 0, "{}", mode.name);
        within(plugin.kill()).await;
        assert_no_process(plugin.pid());
    }
}

/// A call that runs for as long as the test wants it to.
struct Running {
    send: mpsc::Sender<Payload>,
    replies: tonic::Streaming<Payload>,
}

impl Running {
    async fn start(plugin: &PluginHandle) -> Self {
        let (send, requests) = mpsc::channel(1);
        let mut echo = echo(plugin);
        send.send(Payload::default()).await.expect("room");
        let begun = within(echo.bidi(ReceiverStream::new(requests))).await;
        let mut replies = begun.expect("begun").into_inner();
        within(replies.message()).await.expect("it runs");
        Self { send, replies }
    }

    async fn exchange(&mut self) -> Result<Option<Payload>, Status> {
        // Fails if the call is over, which its replies tell.
        let _ = self.send.send(Payload::default()).await;
        within(self.replies.message()).await
    }
}

/// Steps that a plugin must not need.
fn patient() -> StopPolicy {
    StopPolicy { drain: LONG, grace: LONG, terminate: LONG, exit_report: LONG }
}

#[tokio::test]
async fn a_call_that_runs_may_finish_while_the_plugin_is_stopped() {
    for mode in Mode::ALL {
        let plugin = started(prepared(mode).stop_policy(patient()), mode).await;
        told(&plugin, "connect").await;
        let registered = Echo::default();
        registered.set_broker(plugin.broker());
        let registration = plugin.broker().register(registered.server());
        let mut call = Running::start(&plugin).await;
        let work = async {
            plugin.broker().going_away().await;
            let refused = echo(&plugin).unary(Payload::default()).await.expect_err("going away");
            let error = Error::of(&refused).expect("the broker's error");
            assert_eq!((error.reason(), error.fault()), (Reason::GoingAway, Fault::Local));
            for _ in 0..10 {
                assert!(call.exchange().await.expect("it still runs").is_some());
            }
            let Running { send, mut replies } = call;
            drop(send);
            assert!(replies.message().await.expect("an orderly end").is_none());
        };
        let (end, ()) = within(async { tokio::join!(plugin.stop(), work) }).await;
        assert_eq!(end.cause, EndCause::Stopped);
        assert!(end.exit.is_some_and(|exit| exit.success()), "{}: {end:?}", mode.name);
        drop(registration);
        assert_no_process(plugin.pid());
    }
}

/// A call that calls back, and is called back in turn, may go on doing so.
#[tokio::test]
async fn a_call_that_runs_may_still_call_back_while_the_plugin_is_stopped() {
    for mode in Mode::ALL {
        let plugin = started(prepared(mode).stop_policy(patient()), mode).await;
        told(&plugin, "connect").await;
        let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
        let own = Echo { gate: Some(gate.clone()), ..Echo::default() };
        own.set_broker(plugin.broker());
        let running = own.running.clone();
        let registration = plugin.broker().register(own.server());
        let request = NestRequest { depth: 5, callback: registration.id().get(), hang: false };
        let mut client = echo(&plugin);
        let nested = tokio::spawn(async move { client.nest(request).await });
        eventually("it has called back", || {
            (running.load(std::sync::atomic::Ordering::SeqCst) > 0).then_some(())
        })
        .await;
        let work = async {
            plugin.broker().going_away().await;
            gate.add_permits(10);
            nested.await.expect("no panic")
        };
        let (end, nested) = within(async { tokio::join!(plugin.stop(), work) }).await;
        assert_eq!(nested.expect(mode.name).into_inner().reached, 5);
        assert!(end.exit.is_some_and(|exit| exit.success()), "{}: {end:?}", mode.name);
    }
}
