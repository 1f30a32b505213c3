//! What is too large, too long or too much.

use tonic::Code;
use tracing::Level;

use crate::services::log::Log;
use crate::services::log::LogOptions;
use crate::services::log::LogStats;
use crate::services::log::RECORD_BYTES;
use crate::services::log::Record;
use crate::services::log::tests::Result;
use crate::services::log::tests::host;
use crate::services::wire::log as wire;
use crate::services::wire::log::log_client::LogClient;

fn log_of(records: usize) -> Log {
    Log::with_options(LogOptions { records, ..LogOptions::default() })
}

#[tokio::test]
async fn records_for_which_there_is_no_room_are_counted_and_the_host_is_told() -> Result {
    let (sink, service) = host();
    let log = log_of(4);
    for i in 0..10 {
        log.info(i.to_string());
    }
    assert_eq!(log.dropped(), 6);
    let control = service.control();
    tokio::spawn(log.attach(service));
    log.flush().await?;
    assert_eq!(sink.messages(), ["0", "1", "2", "3"]);
    assert_eq!(*sink.dropped.lock(), [("p".to_owned(), 6)]);
    assert_eq!(control.stats(), LogStats { records: 4, dropped: 6, ..LogStats::default() });

    // There is room again, and what was reported is not reported twice.
    log.info("again");
    log.flush().await?;
    assert_eq!(sink.messages().len(), 5);
    assert_eq!(sink.dropped.lock().len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_queue_is_bounded_in_bytes_as_well() {
    let log = Log::with_options(LogOptions { bytes: 3 * RECORD_BYTES, ..LogOptions::default() });
    for _ in 0..10 {
        log.record(Record::new(Level::INFO, "").with_field("f", "x".repeat(RECORD_BYTES)));
    }
    assert_eq!(log.dropped(), 7);
}

#[tokio::test]
async fn many_large_records_go_in_messages_that_the_host_accepts() -> Result {
    let (sink, service) = host();
    let options = LogOptions { bytes: 100 * RECORD_BYTES, ..LogOptions::default() };
    let log = Log::with_options(options);
    for _ in 0..100 {
        log.record(Record::new(Level::INFO, "").with_field("f", "x".repeat(RECORD_BYTES)));
    }
    tokio::spawn(log.attach(service));
    log.flush().await?;
    assert_eq!(sink.records.lock().len(), 100);
    Ok(())
}

#[tokio::test]
async fn the_host_cuts_a_record_that_is_too_large_and_counts_it() -> Result {
    let (sink, service) = host();
    let control = service.control();
    // Not by our client, which would have cut it.
    let message = "x".repeat(100_000);
    let record = wire::Record { message, cut: 1, ..Default::default() };
    let batch = wire::Batch { records: vec![record], dropped: 0 };
    let mut directives =
        LogClient::new(service).attach(tokio_stream::once(batch)).await?.into_inner();
    while directives.message().await?.is_some() {}

    let (_, record) = sink.records.lock()[0].clone();
    assert!(record.message.len() <= RECORD_BYTES && record.message.ends_with('…'));
    let kept = record.message.len() - '…'.len_utf8();
    assert_eq!(record.cut, 1 + 100_000 - kept as u64);
    assert_eq!(control.stats().cut, 1);
    Ok(())
}

#[tokio::test]
async fn the_host_refuses_a_batch_that_is_too_large_unread() -> Result {
    let (sink, service) = host();
    let message = "x".repeat(300 * 1024);
    let record = wire::Record { message, ..Default::default() };
    let batch = wire::Batch { records: vec![record], dropped: 0 };
    let mut directives =
        LogClient::new(service).attach(tokio_stream::once(batch)).await?.into_inner();
    assert!(directives.message().await?.is_some_and(|first| first.level.is_some()));
    let refused = directives.message().await;
    assert_eq!(refused.map_err(|status| status.code()), Err(Code::OutOfRange));
    assert!(sink.records.lock().is_empty());
    Ok(())
}

#[tokio::test]
async fn recording_from_many_threads_accounts_for_every_record() -> Result {
    let (sink, service) = host();
    let log = log_of(64);
    tokio::spawn(log.attach(service));
    let threads = (0..4).map(|_| {
        let log = log.clone();
        std::thread::spawn(move || (0..5000).for_each(|_| log.info("x")))
    });
    let threads = threads.collect::<Vec<_>>();
    tokio::task::spawn_blocking(|| threads.into_iter().try_for_each(|thread| thread.join()))
        .await?
        .map_err(|_| "a thread panicked")?;
    log.flush().await?;
    let dropped = sink.dropped.lock().iter().map(|(_, count)| count).sum::<u64>();
    assert_eq!(dropped, log.dropped());
    assert_eq!(sink.records.lock().len() as u64 + dropped, 20_000);
    Ok(())
}
