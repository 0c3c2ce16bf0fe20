//! One common subset under attack: what a run is made of, and how to start one.

mod adversary;
mod check;
mod coin;
mod fragments;
mod network;
mod nodes;
mod plan;
mod queue;
mod report;
mod siege;

pub use adversary::Adversary;
pub use check::Violation;
pub use coin::OpenCoin;
pub use report::{Report, Rounds, Summary};

use crate::chance::Chance;
use crate::scenario::faulty_max;

/// One run of one common subset; the seed chooses which nodes are faulty.
pub type Scenario = crate::scenario::Scenario<Adversary>;

/// What came of it.
pub type Outcome = crate::scenario::Outcome<Report, Violation>;

impl Scenario {
    /// Runs it. A machine's panic is the caller's to catch: it is a violation too.
    pub fn run(&self) -> Outcome {
        let mut chance = Chance::new(self.seed());
        let plan = plan::Plan::new(self.nodes(), self.faulty(), self.adversary(), &mut chance);
        let mut network = network::Network::new(plan, self.seed(), chance);
        let violation = network.run().err();
        Outcome { report: network.into_report(), violation }
    }
}
