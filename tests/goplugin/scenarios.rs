//! What our host does with a plugin, in either language.

use std::error::Error;

use futures::future::try_join_all;
use trunkline::host::EndCause;
use trunkline::host::PluginHandle;

use crate::bin::callback;
use crate::bin::callback::Callback;
use crate::contract::interop::BigBackRequest;
use crate::contract::interop::CallbackRequest;
use crate::contract::interop::CrashRequest;
use crate::contract::interop::DialManyRequest;
use crate::contract::interop::HandRequest;
use crate::contract::interop::Nothing;
use crate::contract::interop::Payload;
use crate::contract::interop::StreamBackRequest;
use crate::contract::interop::Summary;
use crate::rust_host::host;
use crate::rust_host::subject;
use crate::support::system::is_running;
use crate::support::system::within;

pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// More than the 4 MiB that gRPC takes unless told otherwise.
const BIG: u32 = 5 << 20;

/// How many brokered connections each way at once.
const MANY: u32 = 200;

/// The numbers of many begin here, so that none is an id.
const BASE: u32 = 1000;

pub fn holds(condition: bool, otherwise: impl Into<String>) -> Outcome {
    if condition { Ok(()) } else { Err(otherwise.into().into()) }
}

pub async fn call(plugin: &PluginHandle) -> Outcome {
    let mut subject = subject(plugin)?;
    let sent = Payload { seq: 7, data: vec![7; 1000] };
    let got = subject.echo(sent.clone()).await?.into_inner();
    holds(got == sent, "something else came back")?;
    let version = subject.version(Nothing {}).await?.into_inner().number;
    holds(plugin.version() == Some(version), format!("{:?}, not {version}", plugin.version()))?;
    let sent = (0..10).map(|seq| Payload { seq, data: Vec::new() });
    let mut got = subject.converse(futures::stream::iter(sent)).await?.into_inner();
    for seq in 0..10 {
        let payload = got.message().await?;
        holds(payload.is_some_and(|payload| payload.seq == seq), "out of order")?;
    }
    holds(got.message().await?.is_none(), "more came back than was sent")
}

/// The plugin calls what the host has registered; and the other way round. Registered
/// twice, because without multiplexing go-plugin dials an id only once.
pub async fn calls_back(plugin: &PluginHandle) -> Outcome {
    for text in ["hello", "again"] {
        let registration = plugin.broker().register(Callback::default().server());
        let request = CallbackRequest { service_id: registration.number(), text: text.into() };
        let heard = subject(plugin)?.call_back(request).await?.into_inner().text;
        holds(heard == format!("[{text}]"), format!("the callback was answered {heard:?}"))?;
    }
    let number = declared(plugin, 77).await?;
    holds(number == 77, format!("the plugin handed number {number}"))
}

/// Has the plugin register, and asks what it has registered for its number.
async fn declared(plugin: &PluginHandle, number: u32) -> Outcome<u32> {
    let handed = subject(plugin)?.hand(HandRequest { number }).await?.into_inner();
    let mut client = callback::client(plugin.broker().dial(handed.service_id)?);
    Ok(client.declare(Nothing {}).await?.into_inner().number)
}

pub async fn streams_back(plugin: &PluginHandle) -> Outcome {
    const MESSAGES: u32 = 500;
    const BYTES_EACH: u32 = 2000;
    let registration = plugin.broker().register(Callback::default().server());
    let request = StreamBackRequest {
        service_id: registration.number(),
        messages: MESSAGES,
        bytes_each: BYTES_EACH,
    };
    let back = subject(plugin)?.stream_back(request).await?.into_inner();
    let handed = subject(plugin)?.hand(HandRequest { number: 1 }).await?.into_inner();
    let client = callback::client(plugin.broker().dial(handed.service_id)?);
    let forth = callback::converse(client, MESSAGES, BYTES_EACH).await?;
    let bytes = u64::from(MESSAGES) * u64::from(BYTES_EACH);
    let expected = Summary { messages: MESSAGES.into(), bytes, intact: true };
    holds(back == expected && forth == expected, format!("back {back:?}, forth {forth:?}"))
}

/// Every one of many must be who it was meant to be.
pub async fn many(plugin: &PluginHandle) -> Outcome {
    let numbers: Vec<u32> = (BASE..BASE + MANY).collect();
    let forth = try_join_all(numbers.iter().map(|number| declared(plugin, *number))).await?;
    holds(forth == numbers, misrouted("forth", &forth))?;

    let servers = numbers.iter().map(|number| Callback { number: *number }.server());
    let registrations: Vec<_> = servers.map(|server| plugin.broker().register(server)).collect();
    let service_ids = registrations.iter().map(|registration| registration.number()).collect();
    let reply = subject(plugin)?.dial_many(DialManyRequest { service_ids }).await?.into_inner();
    let failures = reply.failures;
    holds(
        failures.is_empty(),
        format!("{} failed, such as {:?}", failures.len(), failures.first()),
    )?;
    holds(reply.numbers == numbers, misrouted("back", &reply.numbers))
}

fn misrouted(way: &str, numbers: &[u32]) -> String {
    let wrong = (BASE..).zip(numbers).filter(|(expected, number)| expected != *number);
    format!("{way}: {} reached another", wrong.count())
}

pub async fn big(plugin: &PluginHandle) -> Outcome {
    let mut subject = subject(plugin)?;
    let sent = Payload { seq: 1, data: vec![1; BIG as usize] };
    let got = subject.echo(sent.clone()).await?.into_inner();
    holds(got == sent, "something else came back")?;
    let registration = plugin.broker().register(Callback::default().server());
    let request = BigBackRequest { service_id: registration.number(), bytes: BIG };
    let back = subject.big_back(request).await?.into_inner();
    let handed = subject.hand(HandRequest { number: 1 }).await?.into_inner();
    let client = callback::client(plugin.broker().dial(handed.service_id)?);
    let forth = callback::big(client, BIG).await?;
    let expected = Summary { messages: 1, bytes: BIG.into(), intact: true };
    holds(back == expected && forth == expected, format!("back {back:?}, forth {forth:?}"))
}

/// Stops a plugin that is busy: it goes by itself.
pub async fn stops(plugin: PluginHandle) -> Outcome {
    let mut hanging = subject(&plugin)?;
    let hanging = tokio::spawn(async move { hanging.hang(Nothing {}).await });
    // The one that hangs is there before it is stopped.
    call(&plugin).await?;
    let end = within(plugin.stop()).await;
    holds(end.cause == EndCause::Stopped, format!("it ended {end:?}"))?;
    holds(end.exit.is_some_and(|exit| exit.success()), format!("it ended {end:?}"))?;
    holds(within(hanging).await?.is_err(), "the call that hangs was answered")?;
    holds(!is_running(plugin.pid()), "the process is left")
}

/// A plugin that ends in the middle of a call.
pub async fn crashes(plugin: PluginHandle) -> Outcome {
    let crash = CrashRequest { how: "exit:3".into() };
    let answered = within(subject(&plugin)?.crash(crash)).await;
    holds(answered.is_err(), "a plugin that crashes answered")?;
    let end = within(plugin.ended()).await;
    let code = end.exit.and_then(|exit| exit.code);
    holds(code == Some(3), format!("it ended {end:?}"))?;
    let late = match subject(&plugin) {
        Ok(mut subject) => within(subject.version(Nothing {})).await.is_err(),
        Err(_) => true,
    };
    holds(late, "a plugin that has ended answered")?;
    holds(!is_running(plugin.pid()), "the process is left")
}

/// A second host attaches to the plugin of a first, and stops it.
pub async fn reattaches(first: PluginHandle) -> Outcome {
    call(&first).await?;
    let reattach = first.reattach_config().ok_or("it cannot be reattached to")?;
    let second = within(host().reattach("subject", reattach).start()).await?;
    holds(second.pid() == first.pid(), "it is another process")?;
    let sent = Payload { seq: 9, data: vec![9; 9] };
    let got = within(subject(&second)?.echo(sent.clone())).await?.into_inner();
    holds(got == sent, "something else came back")?;
    within(second.stop()).await;
    let end = within(first.ended()).await;
    holds(end.exit.is_some_and(|exit| exit.success()), format!("it ended {end:?}"))?;
    holds(!is_running(first.pid()), "the process is left")
}
