//! Sees from outside the runtime that the runtime lives: a deadlock of its threads
//! stops every timer in it, and every watchdog with them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::console;

const BEAT: Duration = Duration::from_millis(250);

/// Ends the process if the runtime runs nothing for twice that long.
pub fn start(runtime: &Runtime, patience: Duration) {
    let beats = Arc::new(AtomicU64::new(0));
    let counted = beats.clone();
    runtime.spawn(async move {
        loop {
            beats.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(BEAT).await;
        }
    });
    std::thread::spawn(move || {
        loop {
            let before = counted.load(Ordering::Relaxed);
            std::thread::sleep(patience * 2);
            if counted.load(Ordering::Relaxed) == before {
                console::note(format!(
                    "hung: the host's runtime has run nothing for {:?}",
                    patience * 2
                ));
                std::process::exit(1);
            }
        }
    });
}
