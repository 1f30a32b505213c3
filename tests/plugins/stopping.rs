//! How plugins end: in order, by force, and when somebody kills them.

use futures::StreamExt;
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use trunkline::Error;
use trunkline::Fault;
use trunkline::Reason;
use trunkline::host::EndCause;
use trunkline::host::Exit;
use trunkline::host::PluginHandle;

use crate::bin;
use crate::harness::assert_no_process;
use crate::harness::assert_works;
use crate::harness::echo;
use crate::harness::eventually;
use crate::harness::good;
use crate::harness::host;
use crate::harness::impatient;
use crate::harness::is_running;
use crate::harness::kill;
use crate::harness::patient;
use crate::harness::stop;
use crate::harness::tell;
use crate::harness::until;
use crate::harness::within;
use crate::support::demo::NestRequest;
use crate::support::demo::Payload;
use crate::support::echo::Echo;

/// A call that runs for as long as the test wants it to.
struct Running {
    send: mpsc::Sender<Payload>,
    replies: tonic::Streaming<Payload>,
}

impl Running {
    async fn start(plugin: &PluginHandle) -> Self {
        let (send, requests) = mpsc::channel(1);
        let begun = echo(plugin).bidi(ReceiverStream::new(requests)).await;
        let mut call = Self { send, replies: begun.expect("begun").into_inner() };
        call.exchange().await.expect("it runs");
        call
    }

    async fn exchange(&mut self) -> Result<Option<Payload>, tonic::Status> {
        // Fails if the call is over, which its replies tell.
        let _ = self.send.send(Payload::default()).await;
        within(self.replies.message()).await
    }
}

#[tokio::test]
async fn a_call_that_runs_may_finish_while_the_plugin_is_stopped() {
    let launch = host().launch("good", bin::plugin("good")).stop_policy(patient());
    let plugin = launch.start().await.expect("launched");
    let mut call = Running::start(&plugin).await;
    let work = async {
        plugin.broker().going_away().await;
        let refused = echo(&plugin).unary(Payload::default()).await.expect_err("going away");
        let error = Error::of(&refused).expect("the broker's error");
        assert_eq!((error.reason(), error.fault()), (Reason::GoingAway, Fault::Local));
        assert!(error.has_not_begun());
        for _ in 0..10 {
            assert!(call.exchange().await.expect("it still runs").is_some());
        }
        let Running { send, replies } = call;
        drop(send);
        assert_eq!(replies.count().await, 0);
    };
    let (end, ()) = within(async { tokio::join!(plugin.stop(), work) }).await;
    assert_eq!(end.cause, EndCause::Stopped);
    stop(plugin).await;
}

#[tokio::test]
async fn a_call_beyond_the_drain_time_fails_and_the_plugin_ends_well() {
    let launch = host().launch("good", bin::plugin("good"));
    let policy = trunkline::host::StopPolicy { drain: impatient().drain, ..patient() };
    let plugin = launch.stop_policy(policy).start().await.expect("launched");
    let mut call = Running::start(&plugin).await;
    let (end, status) = within(async { tokio::join!(plugin.stop(), call.replies.message()) }).await;
    let status = status.expect_err("its time was up");
    let error = Error::of(&status).expect("the broker's error");
    assert_eq!((error.reason(), error.fault()), (Reason::TrunkEnded, Fault::Local));
    assert_eq!(end.cause, EndCause::Stopped);
    stop(plugin).await;
}

#[tokio::test]
async fn callbacks_of_a_call_that_runs_are_let_through_while_the_plugin_is_stopped() {
    let launch = host().launch("good", bin::plugin("good")).stop_policy(patient());
    let plugin = launch.start().await.expect("launched");
    tell(&plugin, "connect").await.expect("connected");
    let own = Echo::default();
    own.set_broker(plugin.broker());
    let registered = plugin.broker().register(Gate::new(own.server(), plugin.broker().clone()));
    let nest = NestRequest { depth: 5, callback: registered.id().get(), ..NestRequest::default() };
    let mut echo = echo(&plugin);
    let (end, reply) = within(async {
        let nested = echo.nest(nest);
        tokio::join!(
            async {
                eventually("the call runs", || (plugin.broker().stats().streams > 1).then_some(()))
                    .await;
                plugin.stop().await
            },
            nested
        )
    })
    .await;
    assert_eq!(reply.expect("let through").into_inner().reached, 5);
    assert_eq!(end.cause, EndCause::Stopped);
    drop(registered);
    stop(plugin).await;
}

/// Serves only when the trunk is going away.
#[derive(Clone)]
struct Gate<S> {
    inner: S,
    broker: trunkline::WeakBroker,
}

impl<S> Gate<S> {
    fn new(inner: S, broker: trunkline::Broker) -> Self {
        Self { inner, broker: broker.downgrade() }
    }
}

impl<S, R> tower::Service<R> for Gate<S>
where
    S: tower::Service<R> + Clone + Send + 'static,
    S::Future: Send,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = futures::future::BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut inner = self.inner.clone();
        let broker = self.broker.clone();
        Box::pin(async move {
            if let Some(broker) = broker.upgrade() {
                broker.going_away().await;
            }
            inner.call(request).await
        })
    }
}

#[tokio::test]
async fn stopping_twice_or_after_the_end_tells_the_same_end() {
    let plugin = good().await;
    let (one, two) = within(async { tokio::join!(plugin.stop(), plugin.stop()) }).await;
    assert_eq!(one, two);
    assert_eq!(within(plugin.kill()).await, one);
    assert_eq!(one.exit.map(|exit| exit.success()), Some(true));
    assert_no_process(plugin.pid());
}

#[tokio::test]
async fn killing_ends_a_plugin_at_once_and_tells_its_callers() {
    let launch = host().launch("good", bin::plugin("good")).stop_policy(patient());
    let plugin = launch.start().await.expect("launched");
    let mut call = Running::start(&plugin).await;
    let end = within(plugin.kill()).await;
    assert_eq!(end.exit.and_then(|exit| exit.signal), Some(Signal::KILL.as_raw()));
    let status = within(call.replies.message()).await.expect_err("killed");
    let error = Error::of(&status).expect("the broker's error");
    assert_eq!((error.reason(), error.fault()), (Reason::TrunkEnded, Fault::Local));
    assert_no_process(plugin.pid());
}

#[tokio::test]
async fn dropping_the_handle_leaves_no_process_and_tells_the_callers() {
    let plugin = good().await;
    let pid = plugin.pid();
    let mut call = Running::start(&plugin).await;
    drop(plugin);
    let status = within(call.replies.message()).await.expect_err("killed");
    assert_eq!(Error::of(&status).map(Error::reason), Some(Reason::TrunkEnded));
    eventually("the process is gone", || (!is_running(pid)).then_some(())).await;
}

#[test]
fn dropping_the_runtime_leaves_no_process() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let plugin = runtime.block_on(good());
    let pid = plugin.pid();
    drop(runtime);
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let gone = eventually("the process is gone", || (!is_running(pid)).then_some(()));
    waiting.expect("a runtime").block_on(gone);
    drop(plugin);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_a_plugin_tells_every_waiter_how_it_died() {
    const CALLS: usize = 50;
    let plugin = good().await;
    let other = good().await;
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let mut echo = echo(&plugin);
        calls.spawn(async move { echo.hang(Payload::default()).await.map(drop) });
    }
    let mut stream = Running::start(&plugin).await;
    let running = (CALLS + 1).to_string();
    until("all calls run", async || tell(&plugin, "running").await.expect("told") == running).await;
    kill(plugin.pid(), Signal::KILL);
    let mut told = vec![within(stream.replies.message()).await.expect_err("it was killed")];
    while let Some(call) = within(calls.join_next()).await {
        told.push(call.expect("no panic").expect_err("it was killed"));
    }
    assert_eq!(told.len(), CALLS + 1);
    for status in &told {
        let error = Error::of(status).expect("the broker's error");
        assert_eq!((error.reason(), error.fault()), (Reason::TrunkEnded, Fault::Connection));
        let exit = Exit::of(status).expect("the exit");
        assert_eq!((exit.code, exit.signal), (None, Some(Signal::KILL.as_raw())));
        assert_eq!(Exit::of(error), Some(exit));
    }
    let late = plugin.open("demo.v1.Echo").expect_err("there is no trunk any more");
    assert_eq!(late.reason(), Reason::TrunkEnded);
    assert_eq!(Exit::of(&late).and_then(|exit| exit.signal), Some(Signal::KILL.as_raw()));
    let end = within(plugin.ended()).await;
    assert_eq!(end.exit.and_then(|exit| exit.signal), Some(Signal::KILL.as_raw()));
    assert_no_process(plugin.pid());
    assert_works(&other).await;
    stop(other).await;
}

#[tokio::test]
async fn an_interrupt_from_the_terminal_does_not_end_a_plugin() {
    let plugin = good().await;
    kill(plugin.pid(), Signal::INT);
    assert_works(&plugin).await;
    stop(plugin).await;
}

#[tokio::test]
async fn a_plugin_can_be_started_again_after_it_was_killed() {
    for _ in 0..3 {
        let plugin = good().await;
        assert_works(&plugin).await;
        kill(plugin.pid(), Signal::KILL);
        within(plugin.ended()).await;
        assert!(plugin.open("demo.v1.Echo").is_err(), "its trunk is closed");
    }
}
