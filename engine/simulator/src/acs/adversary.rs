//! The adversaries by name. What each does is in `plan`, `nodes` and `siege`.

use std::fmt::{self, Display};
use std::str::FromStr;

/// Who orders the messages and what the faulty nodes do. What a name leaves open (order, lies, repeats) the seed chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Adversary {
    /// Every message takes one delay; faulty nodes are silent.
    InStep,
    /// Messages arrive in random order.
    RandomOrder,
    /// The last message sent arrives first.
    LastFirst,
    /// One node's links deliver when nothing else is left.
    SlowNode,
    /// Some links deliver when nothing else is left.
    SlowLinks,
    /// Two sides that hear each other after a while only.
    Partition,
    /// Faulty nodes say nothing.
    Silence,
    /// Faulty nodes drop, change and invent votes.
    Lies,
    /// Faulty nodes tell two halves two payloads and opposite votes.
    Equivocation,
    /// Faulty nodes let only some have their payloads, as late as they can.
    Hiding,
    /// Faulty nodes send fragments that are wrong, or no payload's.
    WrongShards,
    /// A faulty node runs twice, each instance speaking to one half.
    Twins,
    /// Faulty nodes vote up to 10,000 rounds ahead.
    Flood,
    /// Old messages come again and again.
    Replay,
    /// Honest nodes crash at any step and come back from their journals.
    Restart,
    /// Delays votes, knowing each coin share once it is sent, to keep the round's value away from the coin.
    CoinAware,
    /// As coin-aware, and delays coin shares by their values, to split the coin.
    CoinSplitting,
    /// As coin-aware, and keeps some nodes out of a round until the others' shares show its coin.
    Unbinding,
    /// As coin-aware, with forged shares that would be the smallest.
    ForgedShares,
    /// Every node sees as few coin shares as it must, and others than its neighbours.
    ScatteredShares,
    /// As coin-splitting, while one node hears nothing; then the others need that node.
    Outrunning,
    /// Delays and forges votes so that some decide what the others need not.
    SplitDecision,
    /// Every faulty node and the order of messages by chance, all of the above together.
    Mixed,
}

impl Adversary {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::InStep,
        Self::RandomOrder,
        Self::LastFirst,
        Self::SlowNode,
        Self::SlowLinks,
        Self::Partition,
        Self::Silence,
        Self::Lies,
        Self::Equivocation,
        Self::Hiding,
        Self::WrongShards,
        Self::Twins,
        Self::Flood,
        Self::Replay,
        Self::Restart,
        Self::CoinAware,
        Self::CoinSplitting,
        Self::Unbinding,
        Self::ForgedShares,
        Self::ScatteredShares,
        Self::Outrunning,
        Self::SplitDecision,
        Self::Mixed,
    ];

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
            Self::InStep => ("in-step", "every message takes one delay; faulty nodes are silent"),
            Self::RandomOrder => ("random-order", "messages arrive in random order"),
            Self::LastFirst => ("last-first", "the last message sent arrives first"),
            Self::SlowNode => ("slow-node", "one node's links deliver when nothing else is left"),
            Self::SlowLinks => ("slow-links", "some links deliver when nothing else is left"),
            Self::Partition => ("partition", "two sides that hear each other after a while only"),
            Self::Silence => ("silence", "faulty nodes say nothing"),
            Self::Lies => ("lies", "faulty nodes drop, change and invent votes"),
            Self::Equivocation => {
                ("equivocation", "faulty nodes tell two halves two payloads and opposite votes, or everybody both")
            }
            Self::Hiding => ("hiding", "faulty nodes let only some have their payloads, or only who asks"),
            Self::WrongShards => ("wrong-shards", "faulty nodes send fragments that are wrong, or of no payload"),
            Self::Twins => ("twins", "a faulty node runs twice, each instance speaking to one half"),
            Self::Flood => ("flood", "faulty nodes vote up to 10,000 rounds ahead"),
            Self::Replay => ("replay", "old messages come again and again"),
            Self::Restart => ("restart", "honest nodes crash at any step and come back from their journals"),
            Self::CoinAware => (
                "coin-aware",
                "delays votes to keep a round's value away from its coin, which it sees as soon as it is sent",
            ),
            Self::CoinSplitting => (
                "coin-splitting",
                "as coin-aware, and delays coin shares by their values, so that nodes see different coins",
            ),
            Self::Unbinding => (
                "unbinding",
                "as coin-aware, and keeps some nodes out of a round until the others' shares show its coin",
            ),
            Self::ForgedShares => ("forged-shares", "as coin-aware, with forged shares that would be the smallest"),
            Self::ScatteredShares => {
                ("scattered-shares", "every node sees as few coin shares as it must, and others than its neighbours")
            }
            Self::Outrunning => {
                ("outrunning", "as coin-splitting, while one node hears nothing; then the others need that node")
            }
            Self::SplitDecision => {
                ("split-decision", "delays and forges votes so that some decide what others need not")
            }
            Self::Mixed => ("mixed", "each faulty node, the order and the restarts by chance, from all of the above"),
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
#[error("no adversary is called {0:?}")]
pub struct UnknownAdversary(pub String);

impl FromStr for Adversary {
    type Err = UnknownAdversary;

    fn from_str(name: &str) -> Result<Self, UnknownAdversary> {
        let found = Self::ALL.into_iter().find(|adversary| adversary.name() == name);
        found.ok_or_else(|| UnknownAdversary(name.to_owned()))
    }
}
