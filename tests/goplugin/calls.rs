//! What a call means to an application is the same over go-plugin's wire: its deadline,
//! its end, its callbacks; what is there by name, and what is not.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tonic::Code;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use trunkline::Error;
use trunkline::Reason;
use trunkline::host::Launch;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;
use trunkline::services::state::MemoryStore;

use crate::bin;
use crate::bin::callback::Callback;
use crate::contract::interop::CallbackRequest;
use crate::contract::interop::DialManyRequest;
use crate::peers::Version;
use crate::peers::peers;
use crate::probe::echo;
use crate::probe::probe;
use crate::probe::started;
use crate::probe::tell;
use crate::probe::told;
use crate::rust_host::Mode;
use crate::rust_host::host;
use crate::rust_host::prepare;
use crate::rust_host::subject;
use crate::rust_host::wire;
use crate::support::capture::Capture;
use crate::support::demo::NestRequest;
use crate::support::demo::Payload;
use crate::support::demo::Word;
use crate::support::demo::dictionary_server::Dictionary;
use crate::support::demo::dictionary_server::DictionaryServer;
use crate::support::demo::echo_client::EchoClient;
use crate::support::echo::Echo;
use crate::support::system::eventually;
use crate::support::system::until;
use crate::support::system::within;

/// The host's Echo, which calls the plugin back.
fn own(plugin: &PluginHandle) -> Echo {
    let own = Echo::default();
    own.set_broker(plugin.broker());
    own
}

fn reason(status: &Status) -> Option<Reason> {
    Error::of(status).map(Error::reason)
}

#[tokio::test]
async fn a_deadline_is_seen_by_the_callee_and_by_the_callbacks_on_its_behalf() {
    for mode in Mode::ALL {
        let plugin = probe(mode).await;
        told(&plugin, "connect").await;
        let registration = plugin.broker().register(own(&plugin).server());
        for depth in [0, 1, 2, 5] {
            let callback = registration.id().get();
            let mut request = Request::new(NestRequest { depth, callback, hang: false });
            request.set_timeout(Duration::from_secs(1000));
            let reply = within(echo(&plugin).nest(request)).await.expect("answered").into_inner();
            assert_eq!(reply.reached, depth);
            assert!((1..=1_000_000).contains(&reply.deadline_ms), "{}: {reply:?}", mode.name);
            let request = NestRequest { depth, callback, hang: false };
            let reply = within(echo(&plugin).nest(request)).await.expect("answered").into_inner();
            assert_eq!(reply.deadline_ms, 0, "there is none");
        }
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn a_deadline_that_passes_ends_the_call_and_all_below_it() {
    for mode in Mode::ALL {
        let plugin = probe(mode).await;
        told(&plugin, "connect").await;
        let own = own(&plugin);
        let running = own.running.clone();
        let registration = plugin.broker().register(own.server());
        let callback = registration.id().get();
        let mut request = Request::new(NestRequest { depth: 3, callback, hang: true });
        request.set_timeout(Duration::from_millis(300));
        let status = within(echo(&plugin).nest(request)).await.expect_err("it hangs");
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        eventually("the host's handlers are gone", || {
            (running.load(Ordering::SeqCst) == 0).then_some(())
        })
        .await;
        until("the plugin's are", async || told(&plugin, "running").await == "0").await;
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn dropping_a_call_drops_its_handler_and_the_callbacks_on_its_behalf() {
    for mode in Mode::ALL {
        let plugin = probe(mode).await;
        told(&plugin, "connect").await;
        let own = own(&plugin);
        let running = own.running.clone();
        let registration = plugin.broker().register(own.server());
        let callback = registration.id().get();
        let mut client = echo(&plugin);
        let request = NestRequest { depth: 3, callback, hang: true };
        let call = tokio::spawn(async move { client.nest(request).await });
        // The first and the third are the plugin's.
        eventually("the callbacks run", || (running.load(Ordering::SeqCst) == 2).then_some(()))
            .await;
        until("all run", async || told(&plugin, "running").await == "2").await;
        call.abort();
        eventually("the host's handlers are gone", || {
            (running.load(Ordering::SeqCst) == 0).then_some(())
        })
        .await;
        until("the plugin's are", async || told(&plugin, "running").await == "0").await;
        drop(registration);
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn an_id_that_was_never_given_is_unknown_at_either_end() {
    for mode in Mode::ALL {
        let plugin = probe(mode).await;
        let mut client = EchoClient::new(plugin.broker().dial(4711_u32).expect("it runs"));
        let here = async {
            let status = within(client.unary(Payload::default())).await.expect_err("nobody");
            assert_eq!(reason(&status), Some(Reason::Unknown), "{}: {status:?}", mode.name);
        };
        let ((), there) = tokio::join!(here, told(&plugin, "why-id 4711"));
        assert_eq!(there, "Unknown", "{}", mode.name);
        // Nothing is held up by it.
        let id = told(&plugin, "hand 1").await.parse::<u32>().expect("a number");
        let mut client = EchoClient::new(plugin.broker().dial(id).expect("it runs"));
        within(client.unary(Payload::default())).await.expect("answered");
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn an_id_beyond_32_bits_is_unknown() {
    let plugin = probe(Mode::PLAIN).await;
    let mut client = plugin.broker().dial(1_u64 << 40).map(EchoClient::new);
    let error = match &mut client {
        Ok(client) => reason(&within(client.unary(Payload::default())).await.expect_err("nobody")),
        Err(error) => Some(error.reason()),
    };
    assert_eq!(error, Some(Reason::Unknown));
    within(plugin.stop()).await;
}

#[tokio::test]
async fn calls_fail_with_closed_when_the_registration_they_run_on_is_dropped() {
    for mode in Mode::ALL {
        let plugin = probe(mode).await;
        let id = told(&plugin, "hand 1").await.parse::<u32>().expect("a number");
        let mut client = EchoClient::new(plugin.broker().dial(id).expect("it runs"));
        within(client.unary(Payload::default())).await.expect("answered");
        let mut hanging = client.clone();
        let hanging = tokio::spawn(async move { hanging.hang(Payload::default()).await });
        until("it runs", async || told(&plugin, "running").await == "1").await;
        told(&plugin, "forget").await;
        let status = within(hanging).await.expect("no panic").expect_err("dropped");
        assert_eq!(reason(&status), Some(Reason::Closed), "{}: {status:?}", mode.name);
        until("its handler is gone", async || told(&plugin, "running").await == "0").await;
        let status = within(client.unary(Payload::default())).await.expect_err("dropped");
        let (later, expected) = (reason(&status), later_than_dropped(mode));
        assert_eq!(later, Some(expected), "{}: {status:?}", mode.name);
        within(plugin.stop()).await;
    }
}

/// Who knocks is told that nobody is there, and not whether somebody was.
fn later_than_dropped(mode: Mode) -> Reason {
    if mode.mux { Reason::Unknown } else { Reason::Closed }
}

#[tokio::test]
async fn there_are_no_byte_streams() {
    for mode in [Mode::PLAIN, Mode::MUX] {
        let plugin = probe(mode).await;
        let broker = plugin.broker();
        let errors = [
            broker.open_bytes("x").expect_err("none"),
            broker.dial_bytes(7_u32).expect_err("none"),
            broker.register_bytes().expect_err("none"),
        ];
        for error in errors {
            assert_eq!(error.reason(), Reason::Unsupported);
        }
        let there = told(&plugin, "bytes").await;
        assert_eq!(there, "[Some(Unsupported), Some(Unsupported), Some(Unsupported)]");
        within(plugin.stop()).await;
    }
}

#[derive(Clone)]
struct Shouting;

#[tonic::async_trait]
impl Dictionary for Shouting {
    async fn translate(&self, word: Request<Word>) -> Result<Response<Word>, Status> {
        Ok(Response::new(Word { text: word.into_inner().text.to_uppercase() }))
    }
}

fn offering(name: &str, mode: Mode) -> Launch {
    let host = host().offer(DictionaryServer::new(Shouting)).state(Arc::new(MemoryStore::new()));
    host.launch(name, bin::plugin("probe")).go_plugin(wire(mode))
}

#[tokio::test]
async fn a_plugin_of_ours_reaches_what_it_is_granted_by_name() {
    for mode in Mode::ALL {
        let launch = offering("granted", mode).grant("demo.v1.Dictionary").grant_state();
        let plugin = started(launch, mode).await;
        assert_eq!(told(&plugin, "translate hello").await, "HELLO", "{}", mode.name);
        told(&plugin, "put key value").await;
        assert_eq!(told(&plugin, "get key").await, "Some(\"value\")");
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn what_is_not_granted_is_denied_and_what_is_not_there_is_unknown() {
    for mode in Mode::ALL {
        let plugin = started(offering("denied", mode), mode).await;
        for service in ["demo.v1.Dictionary", "trunkline.state.v1.State"] {
            let why = told(&plugin, format!("why {service}")).await;
            assert_eq!(why, "status PermissionDenied", "{service}");
        }
        let why = told(&plugin, "why no.such.Service").await;
        assert_eq!(why, "status Unimplemented", "{}", mode.name);
        let status = tell(&plugin, "translate hello").await.expect_err("it is refused");
        assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn events_of_our_plugin_reach_the_host_once() {
    for mode in [Mode::PLAIN, Mode::MUX_MTLS] {
        let capture = Capture::start();
        let plugin = probe(mode).await;
        told(&plugin, "log heard once").await;
        eventually("it is heard", || {
            capture.all().into_iter().find(|event| event.message().contains("heard once"))
        })
        .await;
        within(plugin.stop()).await;
        let all = capture.all();
        let heard = all.iter().filter(|event| event.message().contains("heard once"));
        let heard: Vec<_> = heard.collect();
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert_eq!(heard[0].level, tracing::Level::WARN);
    }
}

#[tokio::test]
async fn what_is_registered_for_a_call_goes_away_with_it() {
    for mode in Mode::ALL {
        let plugin = probe(mode).await;
        told(&plugin, "connect").await;
        let registration = plugin.broker().register(own(&plugin).server());
        let callback = registration.id().get();
        let mut request = Request::new(NestRequest { depth: 3, callback, hang: false });
        registration.for_call(request.extensions_mut());
        let reply = within(echo(&plugin).nest(request)).await.expect("answered").into_inner();
        assert_eq!(reply.reached, 3);
        eventually("it is gone", || (plugin.broker().stats().registrations == 0).then_some(()))
            .await;
        // And with one that is given up.
        let registration = plugin.broker().register(own(&plugin).server());
        let callback = registration.id().get();
        let mut request = Request::new(NestRequest { depth: 3, callback, hang: true });
        registration.for_call(request.extensions_mut());
        let mut client = echo(&plugin);
        let call = tokio::spawn(async move { client.nest(request).await });
        until("it runs", async || told(&plugin, "running").await == "2").await;
        call.abort();
        eventually("it is gone", || (plugin.broker().stats().registrations == 0).then_some(()))
            .await;
        until("the plugin's end is, too", async || {
            told(&plugin, "stats").await.contains("registrations=0")
        })
        .await;
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn a_host_can_ping_and_a_plugin_cannot() {
    for mode in Mode::ALL {
        let plugin = probe(mode).await;
        within(plugin.broker().ping()).await.expect("it is well");
        assert_eq!(told(&plugin, "ping").await, "Unsupported");
        let broker = plugin.broker().clone();
        within(plugin.kill()).await;
        let error = within(broker.ping()).await.expect_err("it is gone");
        assert_eq!(error.reason(), Reason::TrunkEnded, "{}: {error}", mode.name);
    }
}

#[tokio::test]
async fn two_hundred_ids_may_be_handed_out_before_the_first_is_dialled() {
    for mode in Mode::ALL {
        let plugin = probe(mode).await;
        let made: Vec<_> =
            (0..200).map(|_| plugin.broker().register(Echo::default().server())).collect();
        let ids: Vec<_> = made.iter().map(|made| made.number().to_string()).collect();
        told(&plugin, format!("dial {}", ids.join(" "))).await;
        drop(made);
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_call_alone() {
    for mode in Mode::ALL {
        let plugin = probe(mode).await;
        let fail =
            crate::support::demo::FailRequest { message: "panic".into(), ..Default::default() };
        let status = within(echo(&plugin).fail(fail)).await.expect_err("it panics");
        assert_eq!(status.code(), Code::Internal, "{}: {status:?}", mode.name);
        told(&plugin, "stats").await;
        within(plugin.stop()).await;
    }
}

/// Streams that nobody reads, until no more goes into them; and then a call.
async fn stalled(mode: Mode, bytes_each: usize) {
    const STREAMS: usize = 20;
    let plugin = probe(mode).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let mut unread = Vec::new();
    for _ in 0..STREAMS {
        let sent = sent.clone();
        let endless = futures::stream::repeat_with(move || {
            sent.fetch_add(1, Ordering::SeqCst);
            Payload { seq: 0, data: vec![7; bytes_each] }
        });
        unread.push(within(echo(&plugin).bidi(endless)).await.expect("begun"));
    }
    let mut quiet = 0;
    while quiet < 10 {
        let before = sent.load(Ordering::SeqCst);
        told(&plugin, "stats").await;
        quiet = if sent.load(Ordering::SeqCst) == before { quiet + 1 } else { 0 };
    }
    assert_eq!(told(&plugin, "running").await, STREAMS.to_string());
    for reply in &mut unread {
        within(reply.get_mut().message()).await.expect("it runs").expect("a message");
    }
    drop(unread);
    within(plugin.stop()).await;
}

#[tokio::test]
async fn streams_of_small_messages_that_stall_stall_nothing_else() {
    for mode in [Mode::PLAIN, Mode::MUX] {
        stalled(mode, 10).await;
    }
}

#[tokio::test]
async fn streams_of_large_messages_that_stall_stall_nothing_else() {
    for mode in [Mode::PLAIN, Mode::MUX] {
        stalled(mode, 100_000).await;
    }
}

/// go-plugin forgets what it has not dialled in five seconds.
#[tokio::test]
async fn an_id_that_go_has_forgotten_can_be_handed_out_again() {
    let Some(peers) = peers(Version::V1_8_0) else { return };
    let launch = prepare(PluginCommand::new(peers.plugin), Mode::PLAIN);
    let plugin = within(launch.start()).await.expect("launched");
    let registration = plugin.broker().register(Callback { number: 7 }.server());
    let id = registration.number();
    // Its own clock is what counts, so there is no way but to let it pass.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let mut client = subject(&plugin).expect("open");
    assert_eq!(registration.number(), id);
    let request = CallbackRequest { service_id: id, text: "late".into() };
    let heard = within(client.call_back(request)).await.expect("answered").into_inner();
    assert_eq!(heard.text, "[late]");
    // Once dialled, it is handed out for the next time.
    let service_ids = vec![registration.number()];
    let reply = within(client.dial_many(DialManyRequest { service_ids })).await.expect("answered");
    assert_eq!(reply.into_inner().numbers, [7]);
    within(plugin.stop()).await;
}
