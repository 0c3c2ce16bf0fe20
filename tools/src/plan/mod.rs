//! The planner: from who may be faulty and how much is to be carried, to committees, clusters, times and loads. The safety of a
//! committee is exact (`gate`, on the engine's own safety gate); times and loads are a model (`model`) whose costs are
//! measured ones (`costs`). What comes out is a `Plan` (`report`), a page (`page`), or a `Refusal` that says why and what to change.

pub mod costs;
mod gate;
mod model;
mod page;
mod refusal;
mod report;

pub use costs::{CORES, ROUND_TRIP_MS, TRANSACTION_BYTES, UPLINK_MBIT, VERIFY_PER_S};
pub use page::page;
pub use refusal::Refusal;
pub use report::Plan;

use constellation_meme::Ratio;
use serde::Serialize;

/// What a network is to withstand and to carry.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Stars that can be elected.
    pub population: u32,
    /// Share of them that may be faulty; counted in whole stars, rounded up.
    pub faulty: Ratio,
    /// The most that the probability of a committee's failure may be, for each election.
    pub max_failure: Ratio,
    /// Transactions a second that become final.
    pub rate_per_s: u64,
    /// The nodes and what is between them.
    pub site: Site,
}

/// The nodes and what is between them: what an operator knows better than any default. All nodes are taken to be alike.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Site {
    /// There and back between two nodes, in milliseconds.
    pub round_trip_ms: f64,
    /// Signatures that a core verifies in a second, in large batches.
    pub verify_per_s: f64,
    /// Cores of a node.
    pub cores: u32,
    /// Bytes of a transaction's record.
    pub transaction_bytes: u32,
    /// What a node's link carries either way, in megabits a second.
    pub uplink_mbit: f64,
}

/// Plans for a demand.
///
/// # Errors
/// A demand that cannot be met, with the reason and what would help.
pub fn plan(demand: &Demand) -> Result<Plan, Refusal> {
    let committee = gate::committee(demand)?;
    let layout = model::layout(demand, committee.seats)?;
    Ok(Plan::new(demand, &committee, &layout))
}
