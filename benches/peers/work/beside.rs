//! Small calls on one sub-channel while a bulk transfer runs on another.

use super::Caller;
use super::Opener;
use super::bulk;
use super::latency::Until;
use super::speed::echoes;
use crate::Failure;
use crate::figures::Figures;
use crate::plan::Plan;

/// Small calls are made one after the other, from the beginning of the transfer to its
/// end. Those of the warm-up do not count, but slow the transfer down all the same.
pub async fn measure<C: Caller>(
    opener: &Opener<C>,
    plan: &Plan,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let small = opener.open().await?;
    let large = if C::HAS_SUB_CHANNELS { opener.open().await? } else { small.clone() };
    let end = Until::after(plan.warm_up() + plan.time());
    let payloads = bulk::same_again().take_while(move |_| !end.is_over());
    let transfer = tokio::spawn(bulk::send::<C>(large, payloads));
    echoes::<C>(&small, Until::after(plan.warm_up())).await?;
    echoes::<C>(&small, end).await?.record(figures, "small_during_bulk_us")?;
    figures.set("bulk_during_small_mb_s", transfer.await??);
    Ok(())
}
