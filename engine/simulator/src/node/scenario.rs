//! Whole nodes against an adversary: load, trouble, peace, and what must hold then.

use std::sync::Arc;

use constellation_protocol::Compute;

use super::churn::{self, Requests};
use super::deceit::Deceit;
use super::logs::Changes;
use super::network::{Network, Options};
use super::stars::Stars;
use super::watch::Violation;

const SECOND_US: u64 = 1_000_000;
const STARS: usize = 40;
/// A network has one to so many clusters, in turn with the seed.
const CLUSTERS: u64 = 3;
/// Transfers while there is trouble, and the time between two.
const TRANSFERS: usize = 120;
const GAP_US: u64 = 20_000;
/// Peace lasts so many times three seconds before who lacks something is stuck.
const PEACE_ROUNDS: u64 = 12;

crate::scenario::adversaries! {
    /// What happens to the nodes. The faulty ones are the last.
    up to 64;
    Calm = "calm": "nothing happens; faulty nodes are mute",
    Kills = "kills": "honest nodes are killed at any time, one or several, and come back",
    MassKill = "mass-kill": "all nodes but one are killed at once and come back",
    LostJournal = "lost-journal": "honest nodes come back without their journals, one at a time",
    Partition = "partition": "two halves that do not reach each other, and then do",
    Lies = "lies": "faulty nodes change votes, payloads, signatures, heights and blocks",
    Spoilers = "spoilers": "faulty nodes propose transactions and certificates that do not verify",
    Flood = "flood": "faulty nodes speak up to 10,000 rounds ahead",
    Resize = "resize": "clusters split and merge as stars come and go; now and then nodes are killed or cut off meanwhile",
    Churn = "churn": "validators leave, two in five at once, some go down, and they join again, while clusters split and nodes are cut off",
    Mixed = "mixed": "each faulty node, kills and partitions by chance, from all of the above",
}

impl Adversary {
    /// Whether it kills or cuts off honest nodes: faulty ones besides may be more than the protocol bears.
    pub fn hurts_honest_nodes(self) -> bool {
        matches!(self, Self::Kills | Self::MassKill | Self::LostJournal | Self::Partition | Self::Resize | Self::Churn)
    }
}

/// One run of whole nodes, all of them validators and facilitators.
pub type Scenario = crate::scenario::Scenario<Adversary>;

/// What came of it.
pub type Outcome = crate::scenario::Outcome<Report, Violation>;

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
    /// Who took part, and how that changed.
    pub changes: Changes,
}

impl Scenario {
    /// Runs it; `compute` checks the signatures.
    pub fn run(&self, compute: Arc<dyn Compute>) -> Outcome {
        let (seed, nodes) = (self.seed(), self.nodes());
        let clusters = 1 + (seed % CLUSTERS) as u32;
        let fixed = Options::new(seed, nodes, (clusters, nodes), STARS);
        let options = match self.adversary() {
            Adversary::Resize => churn::resizing(fixed),
            Adversary::Churn => churn::churning(fixed),
            _ => fixed,
        };
        let mut run = Run {
            scenario: *self,
            network: Network::new(options, compute),
            stars: Stars::new(STARS),
            requests: Requests::new(nodes),
            kills: 0,
            changes: Changes::default(),
        };
        let violation = run.run().err();
        Outcome { report: run.report(), violation }
    }
}

pub(super) struct Run {
    scenario: Scenario,
    pub network: Network,
    pub stars: Stars,
    pub requests: Requests,
    kills: u64,
    changes: Changes,
}

impl Run {
    fn run(&mut self) -> Result<(), Violation> {
        self.corrupt();
        self.network.run(50_000);
        let (nodes, faulty, adversary) = (self.scenario.nodes(), self.scenario.faulty(), self.scenario.adversary());
        self.trouble(adversary);
        let goes_on =
            adversary == Adversary::LostJournal || !adversary.hurts_honest_nodes() && adversary != Adversary::Mixed;
        if goes_on && self.network.latencies_us().len() == 0 {
            return Err(Violation::Standstill { faulty, nodes });
        }
        self.peace()
    }

    /// Makes the last nodes deceive.
    fn corrupt(&mut self) {
        const ANY: [Deceit; 5] =
            [Deceit::Mute, Deceit::Lies, Deceit::Flood, Deceit::SpoiltCertificates, Deceit::SpoiltProposals];
        let (nodes, faulty, adversary) = (self.scenario.nodes(), self.scenario.faulty(), self.scenario.adversary());
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
                | Adversary::Resize
                | Adversary::Churn
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
            Adversary::Resize => self.resize(),
            Adversary::Churn => self.churn(),
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

    pub fn kill_some(&mut self) {
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

    pub fn kill_for_a_while(&mut self, victims: Vec<usize>) {
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

    pub fn partition(&mut self) {
        self.load(TRANSFERS / 3);
        let side = self.network.chance.half(self.scenario.nodes());
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
            let requests_applied = honest.iter().all(|&node| self.requests.all_applied(&self.network, node));
            if requests_applied && honest.iter().all(|&node| self.stars.all_applied(&self.network, node)) {
                break;
            }
            self.stars.resend(&mut self.network);
            self.requests.resend(&mut self.network);
        }
        if let Some(violation) = self.network.violation() {
            return Err(violation.clone());
        }
        self.changes = self.network.check_logs()?;
        self.network.check_owners()?;
        for node in honest {
            let applied = self.network.applied(node);
            let sent = self.stars.sent.iter().chain(&self.requests.sent);
            let missing = sent.filter(|transaction| !applied.contains(&transaction.id())).count();
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
            messages: self.network.sent.messages,
            bytes: self.network.sent.bytes,
            faults: self.network.faults.len() as u64,
            kills: self.kills,
            changes: self.changes,
        }
    }
}
