//! The summary for programs. Latencies are in microseconds, times in seconds.

use hdrhistogram::Histogram;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::summary::PERCENTILES;
use super::summary::Summary;
use super::timeline::Span;
use crate::options::Fault;
use crate::options::Options;

pub fn json(summary: &Summary) -> Value {
    let counts = &summary.counts;
    let calls: Vec<_> = counts
        .calls
        .iter()
        .map(|((kind, direction), calls)| {
            json!({
                "kind": kind.name(),
                "direction": direction.to_string(),
                "ok": calls.ok,
                "cut": calls.cut,
                "failed": calls.failed,
                "latency_us": percentiles(&calls.latency),
            })
        })
        .collect();
    let problems: Map<_, _> = summary
        .problems
        .iter()
        .map(|(problem, count)| (problem.name().to_owned(), (*count).into()))
        .collect();
    json!({
        "clean": summary.problems.is_empty(),
        "problems": problems,
        "interrupted": summary.interrupt.map(|interrupt| interrupt.name()),
        "options": options(&summary.options),
        "seed": summary.seed,
        "seconds": summary.took.as_secs_f64(),
        "finished": summary.finished(),
        "ok": summary.ok(),
        "cut": summary.cut(),
        "failed": summary.failed(),
        "calls_per_second": summary.per_second(summary.finished()),
        "ok_per_second": summary.per_second(summary.ok()),
        "latency_us": percentiles(&summary.latency),
        "latency_from": if summary.schedule.is_some() { "schedule" } else { "begin" },
        "schedule": summary.schedule.map(|schedule| json!({
            "due": schedule.due,
            "waited_for_a_place": schedule.late,
            "never_begun": summary.not_begun(),
        })),
        "in_flight": level(&counts.in_flight),
        "streams": level(&counts.streams),
        "calls": calls,
        "events": summary.events,
        "memory_mib": { "now": summary.memory.0, "most": summary.memory.1 },
        "timeline": timeline(summary),
    })
}

fn options(options: &Options) -> Value {
    json!({
        "plugins": options.plugins,
        "channels": options.channels,
        "callers": options.callers,
        "payload": [options.payload.start(), options.payload.end()],
        "mix": options.mix.to_string(),
        "direction": options.direction.to_string(),
        "duration": options.duration().as_secs_f64(),
        "rate": options.rate,
        "faults": options.faults.names().collect::<Vec<_>>(),
        "every": options.every.as_secs_f64(),
        "tight": options.tight,
        "patience": options.patience().as_secs_f64(),
        "runtime": options.runtime.name(),
        "plugin_runtime": options.plugin_runtime.name(),
    })
}

/// `null` if there were none.
fn percentiles(latency: &Histogram<u64>) -> Value {
    if latency.is_empty() {
        return Value::Null;
    }
    let of = |(name, percentile): (&str, f64)| {
        (name.to_owned(), latency.value_at_percentile(percentile).into())
    };
    Value::Object(PERCENTILES.map(of).into_iter().collect())
}

fn level(samples: &Histogram<u64>) -> Value {
    json!({ "median": samples.value_at_percentile(50.0), "most": samples.max() })
}

fn timeline(summary: &Summary) -> Value {
    let buckets: Vec<_> = summary
        .spans()
        .map(|Span { middle, seconds, bucket }| {
            let latency = &bucket.latency;
            let at =
                |percentile| (!latency.is_empty()).then(|| latency.value_at_percentile(percentile));
            let faults: Map<_, _> = Fault::ALL
                .into_iter()
                .filter(|fault| bucket.faults[*fault as usize] > 0)
                .map(|fault| (fault.name().to_owned(), bucket.faults[fault as usize].into()))
                .collect();
            json!({
                "middle": middle,
                "seconds": seconds,
                "ok": bucket.ok,
                "failed": bucket.failed,
                "p50_us": at(50.0),
                "p99_us": at(99.0),
                "max_us": at(100.0),
                "in_flight": bucket.in_flight,
                "streams": bucket.streams,
                "faults": faults,
            })
        })
        .collect();
    Value::Array(buckets)
}
