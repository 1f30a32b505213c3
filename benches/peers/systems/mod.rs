//! The systems in Rust, as their two processes.

use std::process::ExitCode;

use tokio::sync::mpsc;

use crate::Failure;
use crate::figures::Figures;
use crate::options::Child;
use crate::options::Parent;
use crate::plan::Phase;
use crate::proto;
use crate::system::System;
use crate::work::latency::Latencies;

mod tonic_direct;
mod trunkline;
mod uds_floor;

/// The parent: starts children, prints what they report.
pub async fn parent(options: Parent) -> Result<ExitCode, Failure> {
    crate::pair::end_with_the_first_process();
    let mut figures = Figures::default();
    if options.plan.phase == Phase::Cold {
        let mut starts = Latencies::default();
        for _ in 0..options.plan.starts {
            let one = launch(&options).await?;
            let millis =
                one.metrics.get("cold_start_ms_p50").ok_or("the child measured nothing")?;
            starts.push((millis * 1e6) as u64);
        }
        figures.set("cold_start_ms_p50", starts.percentile(0.50)? / 1e3);
    } else {
        figures = launch(&options).await?;
    }
    println!("{}", figures.to_line());
    Ok(ExitCode::SUCCESS)
}

/// Starts a child, and waits for its report and its end.
async fn launch(options: &Parent) -> Result<Figures, Failure> {
    match options.system {
        System::UdsFloor | System::UdsFloorCt => uds_floor::launch(options).await,
        System::TonicDirect | System::TonicDirectCt => tonic_direct::launch(options).await,
        System::Trunkline | System::TrunklineCt => trunkline::launch(options).await,
        other => Err(format!("{} is not in Rust", other.name()).into()),
    }
}

/// The child.
pub async fn child(options: Child) -> Result<ExitCode, Failure> {
    match options.system {
        System::UdsFloor | System::UdsFloorCt => uds_floor::child(options).await,
        System::TonicDirect | System::TonicDirectCt => tonic_direct::child(options).await,
        System::Trunkline | System::TrunklineCt => Ok(trunkline::child(options).await),
        other => Err(format!("{} is not in Rust", other.name()).into()),
    }
}

/// The command line of a child that is started now.
fn arguments(options: &Parent) -> Vec<String> {
    let mut arguments = vec!["child".to_owned(), options.system.name().to_owned()];
    arguments.extend(options.plan.arguments());
    arguments.push(format!("--started-at={}", crate::clock::now()));
    arguments
}

/// Where a child's report arrives.
fn reports() -> (mpsc::Sender<proto::Figures>, mpsc::Receiver<proto::Figures>) {
    mpsc::channel(1)
}
