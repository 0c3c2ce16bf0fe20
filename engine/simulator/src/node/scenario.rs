//! Whole nodes against an adversary: load, trouble, peace, and what must hold then.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;

use constellation_protocol::Compute;

use super::deceit::Deceit;
use super::network::{Network, Options};
use super::stars::Stars;
use super::watch::Violation;
use crate::acs::faulty_max;

const SECOND_US: u64 = 1_000_000;
const STARS: usize = 40;
/// Transfers while there is trouble, and the time between two.
const TRANSFERS: usize = 120;
const GAP_US: u64 = 20_000;
/// Peace lasts so many times three seconds before who lacks something is stuck.
const PEACE_ROUNDS: u64 = 12;
/// Most nodes of a run.
const NODES_MAX: usize = 64;

/// What happens to the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Adversary {
    /// Nothing; faulty nodes are mute.
    Calm,
    /// Nodes are killed at any time, one or several, and come back.
    Kills,
    /// All nodes but one are killed at once and come back.
    MassKill,
    /// Nodes lose their journals, one at a time.
    LostJournal,
    /// Two halves that do not reach each other, and then do.
    Partition,
    /// Faulty nodes change what they send.
    Lies,
    /// Faulty nodes propose what does not verify.
    Spoilers,
    /// Faulty nodes speak up to 10,000 rounds ahead.
    Flood,
    /// All of the above.
    Mixed,
}

impl Adversary {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Calm,
        Self::Kills,
        Self::MassKill,
        Self::LostJournal,
        Self::Partition,
        Self::Lies,
        Self::Spoilers,
        Self::Flood,
        Self::Mixed,
    ];

    /// Whether it kills or cuts off honest nodes: faulty ones besides may be more than the protocol bears.
    pub fn hurts_honest_nodes(self) -> bool {
        matches!(self, Self::Kills | Self::MassKill | Self::LostJournal | Self::Partition)
    }

    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        self.entry().0
    }

    /// What it does, in a line.
    pub fn description(self) -> &'static str {
        self.entry().1
    }

    fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::Calm => ("calm", "nothing happens; faulty nodes are mute"),
            Self::Kills => ("kills", "honest nodes are killed at any time, one or several, and come back"),
            Self::MassKill => ("mass-kill", "all nodes but one are killed at once and come back"),
            Self::LostJournal => ("lost-journal", "honest nodes come back without their journals, one at a time"),
            Self::Partition => ("partition", "two halves that do not reach each other, and then do"),
            Self::Lies => ("lies", "faulty nodes change votes, payloads, signatures, heights and blocks"),
            Self::Spoilers => ("spoilers", "faulty nodes propose transactions and certificates that do not verify"),
            Self::Flood => ("flood", "faulty nodes speak up to 10,000 rounds ahead"),
            Self::Mixed => ("mixed", "each faulty node, kills and partitions by chance, from all of the above"),
        }
    }
}

impl Display for Adversary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A name that no adversary has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no adversary of nodes is called {0:?}")]
pub struct UnknownAdversary(pub String);

impl FromStr for Adversary {
    type Err = UnknownAdversary;

    fn from_str(name: &str) -> Result<Self, UnknownAdversary> {
        let found = Self::ALL.into_iter().find(|adversary| adversary.name() == name);
        found.ok_or_else(|| UnknownAdversary(name.to_owned()))
    }
}

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
    /// Too few or too many.
    #[error("a simulated galaxy has 1 to {NODES_MAX} nodes, not {0}")]
    Nodes(usize),
    /// More faulty nodes than the protocol claims to bear.
    #[error("of {nodes} nodes at most {most} may be faulty, not {faulty}")]
    Faulty {
        /// Nodes.
        nodes: usize,
        /// Faulty nodes asked for.
        faulty: usize,
        /// Faulty nodes that they bear.
        most: usize,
    },
}

/// The numbers of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Transfers that clients sent.
    pub submitted: u64,
    /// Of them, those in every honest log at the end.
    pub committed: u64,
    /// Black holes.
    pub height: u64,
    /// Virtual time, in microseconds.
    pub virtual_us: u64,
    /// From submission to the first log, summed over transfers, in microseconds.
    pub latency_sum_us: u64,
    /// The longest, in microseconds.
    pub latency_max_us: u64,
    /// Messages that honest nodes sent.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Faults seen, of faulty nodes.
    pub faults: u64,
    /// Kills.
    pub kills: u64,
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
    /// A run of `nodes`, all of them validators and facilitators, of which `faulty`, the last ones, are the adversary's.
    ///
    /// # Errors
    /// When the protocol makes no claim for such a galaxy.
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

    /// How many nodes are the adversary's.
    pub fn faulty(&self) -> usize {
        self.faulty
    }

    /// Runs it; `compute` checks the signatures.
    pub fn run(&self, compute: Arc<dyn Compute>) -> Outcome {
        let options = Options { seed: self.seed, nodes: self.nodes, seats: self.nodes, stars: STARS };
        let mut run =
            Run { scenario: *self, network: Network::new(options, compute), stars: Stars::new(STARS), kills: 0 };
        let violation = run.run().err();
        Outcome { report: run.report(), violation }
    }
}

impl Display for Scenario {
    /// As the arguments of `constellation sim node` that replay it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, faulty, adversary, seed } = self;
        write!(formatter, "--nodes {nodes} --faulty {faulty} --adversary {adversary} --seed {seed}")
    }
}

struct Run {
    scenario: Scenario,
    network: Network,
    stars: Stars,
    kills: u64,
}

impl Run {
    fn run(&mut self) -> Result<(), Violation> {
        self.corrupt();
        self.network.run(50_000);
        let Scenario { nodes, faulty, adversary, .. } = self.scenario;
        self.trouble(adversary);
        let goes_on =
            !matches!(adversary, Adversary::Kills | Adversary::MassKill | Adversary::Partition | Adversary::Mixed);
        if goes_on && self.network.latencies_us().len() == 0 {
            return Err(Violation::Standstill { faulty, nodes });
        }
        self.peace()
    }

    /// Makes the last nodes deceive.
    fn corrupt(&mut self) {
        const ANY: [Deceit; 5] =
            [Deceit::Mute, Deceit::Lies, Deceit::Flood, Deceit::SpoiltCertificates, Deceit::SpoiltProposals];
        let Scenario { nodes, faulty, adversary, .. } = self.scenario;
        for node in nodes - faulty..nodes {
            let choices: &[Deceit] = match adversary {
                Adversary::Calm => &[Deceit::Mute],
                Adversary::Lies => &[Deceit::Lies],
                Adversary::Spoilers => &[Deceit::SpoiltCertificates, Deceit::SpoiltProposals],
                Adversary::Flood => &[Deceit::Flood],
                Adversary::Kills
                | Adversary::MassKill
                | Adversary::LostJournal
                | Adversary::Partition
                | Adversary::Mixed => &ANY,
            };
            let deceit = self.network.chance.pick(choices);
            self.network.deceive(node, deceit);
        }
    }

    fn load(&mut self, transfers: usize) {
        for _ in 0..transfers {
            self.stars.send_one(&mut self.network);
            self.network.run(GAP_US);
        }
    }

    fn trouble(&mut self, adversary: Adversary) {
        match adversary {
            Adversary::Calm | Adversary::Lies | Adversary::Spoilers | Adversary::Flood => self.load(TRANSFERS),
            Adversary::Kills => (0..6).for_each(|_| self.kill_some()),
            Adversary::MassKill => (0..2).for_each(|_| self.kill_all_but_one()),
            Adversary::LostJournal => self.lose_journals(),
            Adversary::Partition => self.partition(),
            Adversary::Mixed => {
                for _ in 0..3 {
                    match self.network.chance.below(4) {
                        0 => self.kill_some(),
                        1 => self.kill_all_but_one(),
                        2 => self.partition(),
                        _ => self.load(TRANSFERS / 6),
                    }
                }
            }
        }
    }

    fn kill_some(&mut self) {
        self.load(TRANSFERS / 6);
        let honest = self.network.honest_up();
        let count = 1 + self.network.chance.index(honest.len());
        let victims = self.network.chance.nodes(count, honest.len());
        self.kill_for_a_while(victims.into_iter().map(|place| honest[place]).collect());
    }

    fn kill_all_but_one(&mut self) {
        self.load(TRANSFERS / 2);
        let mut victims = self.network.honest_up();
        victims.remove(self.network.chance.index(victims.len()));
        self.kill_for_a_while(victims);
    }

    fn kill_for_a_while(&mut self, victims: Vec<usize>) {
        for &victim in &victims {
            self.kills += 1;
            self.network.kill(victim);
        }
        let away_us = self.network.chance.below(400_000);
        self.network.run(away_us);
        for victim in victims {
            self.network.start(victim);
        }
    }

    fn lose_journals(&mut self) {
        for _ in 0..2 {
            self.load(TRANSFERS / 3);
            let honest = self.network.honest_up();
            let victim = self.network.chance.pick(&honest);
            self.kills += 1;
            self.network.kill(victim);
            self.network.start_without_journal(victim);
            self.load(TRANSFERS / 3);
            self.network.run(2 * SECOND_US);
            self.stars.resend(&mut self.network);
            self.network.run(2 * SECOND_US);
        }
    }

    fn partition(&mut self) {
        self.load(TRANSFERS / 3);
        let side = self.network.chance.half(self.scenario.nodes);
        self.network.cut(side);
        self.load(TRANSFERS / 3);
        self.network.heal();
        self.load(TRANSFERS / 3);
    }

    /// Nothing more happens but what faulty nodes do; clients send again what is not final.
    fn peace(&mut self) -> Result<(), Violation> {
        let honest = self.network.honest_up();
        for _ in 0..PEACE_ROUNDS {
            self.network.run(3 * SECOND_US);
            if honest.iter().all(|&node| self.stars.all_applied(&self.network, node)) {
                break;
            }
            self.stars.resend(&mut self.network);
        }
        if let Some(violation) = self.network.violation() {
            return Err(violation.clone());
        }
        self.network.check_logs()?;
        for node in honest {
            let applied = self.network.applied(node);
            let missing = self.stars.sent.iter().filter(|transaction| !applied.contains(&transaction.id())).count();
            if missing > 0 {
                return Err(Violation::Stuck { node, missing, waited_s: 3 * PEACE_ROUNDS });
            }
        }
        Ok(())
    }

    fn report(&self) -> Report {
        let honest = self.network.honest_up();
        let committed = honest.iter().map(|&node| self.network.applied(node).len()).min().unwrap_or_default();
        let height = honest.iter().map(|&node| self.network.height(node)).min().unwrap_or_default();
        Report {
            submitted: self.stars.sent.len() as u64,
            committed: committed as u64,
            height: height as u64,
            virtual_us: self.network.now_us(),
            latency_sum_us: self.network.latencies_us().sum(),
            latency_max_us: self.network.latencies_us().max().unwrap_or_default(),
            messages: self.network.messages,
            bytes: self.network.bytes,
            faults: self.network.faults.len() as u64,
            kills: self.kills,
        }
    }
}
