//! What the tests of real processes share: hosts, plugins, and looking at the system.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::Once;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::Pid;
use rustix::process::Signal;
use tonic::Status;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use trunkline::SubChannel;
use trunkline::host::Host;
use trunkline::host::PluginEnd;
use trunkline::host::PluginHandle;
use trunkline::host::StopPolicy;

use crate::bin;
use crate::support::demo::GreetRequest;
use crate::support::demo::Payload;
use crate::support::demo::echo_client::EchoClient;
use crate::support::demo::greeter_client::GreeterClient;

/// How long anything may take on a machine that is busy.
pub const LONG: Duration = Duration::from_secs(60);

/// A host that offers nothing but the log, which goes nowhere.
pub fn host() -> Host {
    Host::new("tests", "1")
}

/// Launches the plugin that behaves.
pub async fn good() -> PluginHandle {
    host().launch("good", bin::plugin("good")).start().await.expect("launched")
}

/// Launches a plugin that is going to break the protocol, with little patience.
pub async fn criminal(crime: &str) -> PluginHandle {
    let launch = host().launch("criminal", bin::plugin(&format!("raw:{crime}")));
    launch.stop_policy(impatient()).start().await.expect("launched")
}

/// Steps that a plugin which does not obey gets through in no time.
pub fn impatient() -> StopPolicy {
    let step = Duration::from_millis(50);
    StopPolicy { drain: step, grace: step, terminate: step, ..StopPolicy::default() }
}

/// Steps that a plugin must not need.
pub fn patient() -> StopPolicy {
    StopPolicy { drain: LONG, grace: LONG, terminate: LONG, exit_report: LONG }
}

pub fn echo(plugin: &PluginHandle) -> EchoClient<SubChannel> {
    let channel = plugin.open("demo.v1.Echo").expect("the trunk is open");
    EchoClient::new(channel).max_decoding_message_size(usize::MAX)
}

/// Tells the plugin that behaves what to do.
pub async fn tell(plugin: &PluginHandle, line: impl Into<String>) -> Result<String, Status> {
    let channel = plugin.open("demo.v1.Greeter").map_err(|error| error.to_status())?;
    let request = GreetRequest { name: line.into() };
    Ok(GreeterClient::new(channel).greet(request).await?.into_inner().text)
}

/// A call that comes back proves that the plugin and its trunk are well.
pub async fn assert_works(plugin: &PluginHandle) {
    let sent = Payload { seq: 7, data: vec![7; 1000] };
    let reply = within(echo(plugin).unary(sent.clone())).await.expect("answered");
    assert_eq!(reply.into_inner(), sent);
}

/// Stops a plugin that behaves, which ends with success.
pub async fn stop(plugin: PluginHandle) -> PluginEnd {
    let end = within(plugin.stop()).await;
    assert_eq!(end.exit.and_then(|exit| exit.code), Some(0), "{end:?}");
    assert_no_process(plugin.pid());
    end
}

/// The future's output, which must not take for ever.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("it should not take so long")
}

/// Waits until the probe finds something.
pub async fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = probe() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(LONG, found).await;
    found.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

/// Asks until the answer is yes.
pub async fn until(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    let asking = async { while !probe().await {} };
    let yes = tokio::time::timeout(LONG, asking).await;
    yes.unwrap_or_else(|_| panic!("asked in vain whether {what}"));
}

/// Whether a process runs: it is there, and no zombie.
pub fn is_running(pid: u32) -> bool {
    !matches!(state(pid), Some('Z' | 'X') | None)
}

/// What a process does: `T` is stopped, `Z` is a zombie. `None` is that it is gone.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the state may hold anything, so from the back.
    stat.rsplit(')').next()?.trim().chars().next()
}

/// Nothing is left of a plugin that has ended, no zombie either.
pub fn assert_no_process(pid: u32) {
    assert!(!fs::exists(format!("/proc/{pid}")).expect("/proc"), "process {pid} is left");
}

pub fn kill(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid as i32).expect("a process id");
    rustix::process::kill_process(pid, signal).expect("a process to signal");
}

/// Open descriptors of this process.
pub fn descriptors() -> usize {
    // One is the folder's own.
    fs::read_dir("/proc/self/fd").expect("/proc").count() - 1
}

/// Threads of this process whose name begins so.
pub fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|comm| comm.starts_with(name)).count()
}

/// Children of this process that have ended and that nobody has waited for, and
/// those that run.
pub fn children() -> Vec<u32> {
    let this = format!(" {} ", std::process::id());
    let processes = fs::read_dir("/proc").expect("/proc");
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name: the state and the parent.
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| rest.get(2..).is_some_and(|it| it.starts_with(&this)))
    };
    numbers.filter(is_child).collect()
}

/// Runs a test in a process of its own, so that what it counts is nobody else's.
/// Gives its full name.
pub fn alone(name: &str, test: impl Future<Output = ()>) {
    const ALONE: &str = "TEST_ALONE";
    if env::var(ALONE).is_ok_and(|alone| alone == name) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(test);
    }
    let mut command = Command::new(env::current_exe().expect("the path of this test program"));
    command.args(["--exact", name, "--nocapture", "--test-threads=2"]).env(ALONE, name);
    let output = command.output().expect("this program starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{name}: {}\n{said}{complaint}", output.status);
}

/// A tracing event as it arrived.
#[derive(Clone, Debug)]
pub struct Captured {
    pub level: tracing::Level,
    pub target: String,
    /// With the message as `message`.
    pub fields: BTreeMap<String, String>,
    /// Outermost first: name and fields.
    pub spans: Vec<(String, BTreeMap<String, String>)>,
}

impl Captured {
    pub fn message(&self) -> &str {
        self.fields.get("message").map_or("", String::as_str)
    }
}

/// Takes in the tracing events of this thread, from INFO up, while it exists: all of
/// a test whose runtime has no other thread.
pub struct Capture {
    events: Arc<Mutex<Vec<Captured>>>,
}

thread_local! {
    static CAPTURE: RefCell<Option<Arc<Mutex<Vec<Captured>>>>> = const { RefCell::new(None) };
}

impl Capture {
    /// Sets up one subscriber for all threads. With one for each thread, `tracing`
    /// may take a callsite for unwanted that a thread without any has come to first.
    pub fn start() -> Self {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let layer = CaptureLayer.with_filter(LevelFilter::INFO);
            let subscriber = tracing_subscriber::registry().with(layer);
            tracing::subscriber::set_global_default(subscriber).expect("the first");
        });
        let events = Arc::new(Mutex::new(Vec::new()));
        CAPTURE.set(Some(events.clone()));
        Self { events }
    }

    pub fn all(&self) -> Vec<Captured> {
        self.events.lock().clone()
    }

    /// The lines that plugins wrote: to standard output, or to standard error.
    pub fn lines(&self, pipe: &str) -> Vec<Captured> {
        let target = format!("trunkline::plugin::{pipe}");
        self.all().into_iter().filter(|event| event.target == target).collect()
    }

    /// Waits for a line on standard output that begins so; the rest of it.
    pub async fn line(&self, start: &str) -> String {
        let what = format!("a plugin says {start:?}");
        eventually(&what, || {
            let lines = self.lines("stdout");
            lines.iter().find_map(|line| line.message().strip_prefix(start).map(str::to_owned))
        })
        .await
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        CAPTURE.set(None);
    }
}

struct CaptureLayer;

#[derive(Default)]
struct Texts(BTreeMap<String, String>);

impl Visit for Texts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for CaptureLayer {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        let mut texts = Texts::default();
        attributes.record(&mut texts);
        cx.span(id).expect("it is new").extensions_mut().insert(texts);
    }

    fn on_event(&self, event: &tracing::Event<'_>, cx: Context<'_, S>) {
        let Some(events) = CAPTURE.with_borrow(Option::clone) else {
            return;
        };
        let mut texts = Texts::default();
        event.record(&mut texts);
        let spans = cx.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let spans = spans.map(|span| {
            let fields = span.extensions().get::<Texts>().map(|texts| texts.0.clone());
            (span.name().to_owned(), fields.unwrap_or_default())
        });
        let metadata = event.metadata();
        events.lock().push(Captured {
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            fields: texts.0,
            spans: spans.collect(),
        });
    }
}
