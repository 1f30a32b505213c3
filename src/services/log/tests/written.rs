//! A log that is written instead of attached to a host's service.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::services::log::FlushError;
use crate::services::log::Log;
use crate::services::log::LogError;
use crate::services::log::LogOptions;
use crate::services::log::Record;
use crate::services::log::tests::Result;
use crate::services::log::tests::host;

type Lines = Arc<Mutex<Vec<String>>>;

fn lines() -> (Lines, impl FnMut(&Record) + Send + 'static) {
    let lines = Lines::default();
    let kept = Arc::clone(&lines);
    (lines, move |record| kept.lock().push(format!("{} {}", record.level, record.message)))
}

#[tokio::test]
async fn a_flush_waits_until_all_is_written_also_what_was_recorded_before() -> Result {
    let (lines, write) = lines();
    let log = Log::new();
    log.info("before");
    assert_eq!(log.flush().await, Err(FlushError::Detached));
    tokio::spawn(log.write_to(write));
    log.error("after");
    log.flush().await?;
    assert_eq!(*lines.lock(), ["INFO before", "ERROR after"]);
    Ok(())
}

#[tokio::test]
async fn drops_are_written_as_a_warning_of_their_own() -> Result {
    let (lines, write) = lines();
    let log = Log::with_options(LogOptions { records: 1, ..LogOptions::default() });
    for message in ["kept", "dropped", "dropped"] {
        log.info(message);
    }
    tokio::spawn(log.write_to(write));
    log.flush().await?;
    let dropped = "WARN 2 log records had to be dropped".to_owned();
    // At the latest when the flush is through; the queue came to be full before.
    assert_eq!(*lines.lock(), [dropped, "INFO kept".to_owned()]);
    log.info("next");
    log.flush().await?;
    assert_eq!(lines.lock().last().map(String::as_str), Some("INFO next"));
    Ok(())
}

#[tokio::test]
async fn a_log_is_written_or_attached_but_not_both() -> Result {
    let (lines, write) = lines();
    let log = Log::new();
    let written = log.write_to(write);
    let (_, service) = host();
    assert!(matches!(log.attach(service).await, Err(LogError::Attached)));
    assert!(matches!(log.write_to(|_| {}).await, Err(LogError::Attached)));
    // A future that was dropped has lost nothing.
    log.info("m");
    drop(written);
    let (sink, service) = host();
    tokio::spawn(log.attach(service));
    log.flush().await?;
    assert_eq!(sink.messages(), ["m"]);
    assert!(lines.lock().is_empty());
    Ok(())
}

#[tokio::test]
async fn it_ends_with_the_last_handle_and_writes_the_rest_before() -> Result {
    let (lines, write) = lines();
    let log = Log::new();
    let written = log.write_to(write);
    log.info("last");
    drop(log);
    written.await?;
    assert_eq!(*lines.lock(), ["INFO last"]);
    Ok(())
}

#[tokio::test]
async fn the_level_can_be_set_where_no_host_sets_it() -> Result {
    let (lines, write) = lines();
    let log = Log::new();
    tokio::spawn(log.write_to(write));
    log.trace("not wanted");
    log.set_level(LevelFilter::TRACE);
    assert!(log.enabled(Level::TRACE));
    log.trace("wanted");
    log.flush().await?;
    assert_eq!(*lines.lock(), ["TRACE wanted"]);
    Ok(())
}

#[test]
fn it_can_be_written_from_a_thread_outside_of_the_runtime() -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (lines, write) = lines();
    let log = Log::new();
    let (handle, written) = (runtime.handle().clone(), log.write_to(write));
    let thread = std::thread::spawn(move || handle.block_on(written));
    runtime.block_on(async {
        log.info("m");
        log.flush().await
    })?;
    assert_eq!(*lines.lock(), ["INFO m"]);
    drop(log);
    thread.join().map_err(|_| "the thread panicked")??;
    Ok(())
}
