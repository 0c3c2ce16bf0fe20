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

pub use adversary::{Adversary, UnknownAdversary};
pub use check::Violation;
pub use coin::OpenCoin;
pub use report::{Report, Rounds, Summary};

use std::fmt::{self, Display};

use crate::chance::Chance;

/// Most nodes of a run.
pub const NODES_MAX: usize = constellation_acs::MAX_NODES;

/// One run: everything that happens in it follows from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    nodes: usize,
    faulty: usize,
    adversary: Adversary,
    seed: u64,
}

/// Why there is no such run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// No committee has so many nodes.
    #[error("a committee has 1 to {NODES_MAX} nodes, not {0}")]
    Nodes(usize),
    /// More faulty nodes than the protocol claims to bear.
    #[error("of {nodes} nodes at most {most} may be faulty, not {faulty}")]
    Faulty {
        /// Committee size.
        nodes: usize,
        /// Faulty nodes asked for.
        faulty: usize,
        /// Faulty nodes that it bears.
        most: usize,
    },
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened.
    pub report: Report,
    /// What must never happen, if it did.
    pub violation: Option<Violation>,
}

impl Scenario {
    /// A run of `nodes`, of which `faulty`, chosen by the seed, are the adversary's.
    ///
    /// # Errors
    /// When the protocol makes no claim for such a committee.
    pub fn new(nodes: usize, faulty: usize, adversary: Adversary, seed: u64) -> Result<Self, ScenarioError> {
        if !(1..=NODES_MAX).contains(&nodes) {
            return Err(ScenarioError::Nodes(nodes));
        }
        let most = faulty_max(nodes);
        if faulty > most {
            return Err(ScenarioError::Faulty { nodes, faulty, most });
        }
        Ok(Self { nodes, faulty, adversary, seed })
    }

    /// The same with another seed.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Who is against it.
    pub fn adversary(&self) -> Adversary {
        self.adversary
    }

    /// What everything in it follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Runs it. A machine's panic is the caller's to catch: it is a violation too.
    pub fn run(&self) -> Outcome {
        let mut chance = Chance::new(self.seed);
        let plan = plan::Plan::new(self.nodes, self.faulty, self.adversary, &mut chance);
        let mut network = network::Network::new(plan, self.seed, chance);
        let violation = network.run().err();
        Outcome { report: network.into_report(), violation }
    }
}

impl Display for Scenario {
    /// As the arguments of `constellation sim acs` that replay it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, faulty, adversary, seed } = self;
        write!(formatter, "--nodes {nodes} --faulty {faulty} --adversary {adversary} --seed {seed}")
    }
}

/// f = ⌊(n−1)/3⌋: how many of `nodes` may be faulty.
pub fn faulty_max(nodes: usize) -> usize {
    nodes.saturating_sub(1) / 3
}
