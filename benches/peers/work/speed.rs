//! Everything that is measured of a pair that works: latencies, rates, bulk.

use super::Caller;
use super::Client;
use super::Opener;
use super::beside;
use super::bulk;
use super::callers;
use super::latency::Latencies;
use super::latency::Until;
use super::opens;
use super::payload;
use crate::Failure;
use crate::clock;
use crate::figures::Figures;
use crate::plan::Plan;
use crate::proto::parent_client::ParentClient;

pub async fn measure<C: Caller>(caller: C, plan: &Plan) -> Result<Figures, Failure> {
    let opener = Opener { base: ParentClient::new(caller.base()), caller };
    let mut figures = Figures::default();
    let one = opener.open().await?;

    echoes::<C>(&one, Until::after(plan.warm_up())).await?;
    echoes::<C>(&one, Until::after(plan.time())).await?.record(&mut figures, "seq_call_us")?;
    for number in [1, 16, 64, 256] {
        let clients = vec![one.clone(); number];
        let rate = callers::measure::<C>(&opener, clients, plan).await?;
        figures.set(format!("calls_per_s_{number}"), rate.calls_per_second);
        if number == 256 {
            figures.set("cpu_us_per_call_256", rate.cpu_us_per_call);
        }
    }
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(opener.open().await?);
    }
    let rate = callers::measure::<C>(&opener, clients, plan).await?;
    figures.set("calls_per_s_64x1", rate.calls_per_second);

    figures.set("bulk_mb_s", bulk::measure::<C>(one.clone(), plan.bulk_mib).await?);
    let mut idle = echoes::<C>(&one, Until::after(plan.time())).await?;
    figures.set("small_idle_us_p50", idle.percentile(0.50)?);
    figures.set("small_idle_us_p99", idle.percentile(0.99)?);
    beside::measure(&opener, plan, &mut figures).await?;

    opens::latencies(&opener, Until::after(plan.warm_up())).await?;
    opens::latencies(&opener, Until::after(plan.time()))
        .await?
        .record(&mut figures, "open_first_call_us")?;
    figures.set("opens_per_s_16", opens::rate(&opener, plan.time()).await?);
    Ok(figures)
}

/// How long small calls take, one after the other.
pub async fn echoes<C: Caller>(client: &Client<C>, until: Until) -> Result<Latencies, Failure> {
    let mut client = client.clone();
    let mut latencies = Latencies::default();
    while !until.is_over() {
        let began = clock::now();
        client.echo(payload()).await?;
        latencies.push(clock::now() - began);
    }
    Ok(latencies)
}
