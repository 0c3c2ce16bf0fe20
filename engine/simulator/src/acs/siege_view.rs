//! What a scheduler that sees everything knows of a round that it besieges: what each honest node has cast and counted.

use constellation_acs::{Step, Value};

use super::coin::OpenCoin;
use crate::votes::Vote;

/// A set of nodes, by bit.
pub(crate) type Nodes = u128;

pub(crate) fn contains(nodes: Nodes, node: usize) -> bool {
    nodes >> node & 1 == 1
}

/// One honest node in one round of one agreement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    /// The estimate it entered with: its first echo.
    pub estimate: Option<bool>,
    cast: [bool; 5],
    /// It has released its share.
    pub has_released: bool,
    has_cast_smallest: bool,
    echo: [Nodes; 3],
    echo4: [Nodes; 3],
    /// Whose shares it has by themselves.
    pub shares: Nodes,
    smallest_from: Nodes,
    smallest: Option<[u8; 32]>,
}

impl Sight {
    /// A vote of the node itself.
    pub fn on_cast(&mut self, me: usize, vote: &Vote) {
        match vote {
            Vote::Agree { step, value, .. } => {
                self.cast[*step as usize] = true;
                if *step == Step::Echo {
                    self.estimate = self.estimate.or(value.bit());
                }
            }
            Vote::Coin { .. } => self.has_released = true,
            Vote::CoinMin { .. } => self.has_cast_smallest = true,
            Vote::Echo { .. } | Vote::Ready { .. } | Vote::ReadyAsEchoed { .. } | Vote::Decided { .. } => {}
        }
        self.on_delivered(me, vote);
    }

    /// A vote that reached the node.
    pub fn on_delivered(&mut self, from: usize, vote: &Vote) {
        match vote {
            Vote::Agree { step: Step::Echo, value, .. } => self.echo[*value as usize] |= 1 << from,
            Vote::Agree { step: Step::Echo4, value, .. } => self.echo4[*value as usize] |= 1 << from,
            Vote::Coin { proof, .. } => {
                self.shares |= 1 << from;
                self.look_at(proof);
            }
            Vote::CoinMin { proof, .. } => {
                self.smallest_from |= 1 << from;
                self.look_at(proof);
            }
            Vote::Agree { .. }
            | Vote::Echo { .. }
            | Vote::Ready { .. }
            | Vote::ReadyAsEchoed { .. }
            | Vote::Decided { .. } => {}
        }
    }

    fn look_at(&mut self, proof: &[u8]) {
        let output = OpenCoin::output(proof);
        self.smallest = Some(self.smallest.map_or(output, |smallest| smallest.min(output)));
    }

    pub fn has_cast(&self, step: Step) -> bool {
        self.cast[step as usize]
    }

    pub fn approves(&self, value: Value, quorum: u32) -> bool {
        self.echo[value as usize].count_ones() >= quorum
    }

    pub fn approves_second(&self, value: Value, quorum: u32) -> bool {
        self.echo4[value as usize].count_ones() >= quorum
    }

    /// The coin as it stands at the node, once it has what it waits for.
    pub fn coin(&self, quorum: u32) -> Option<bool> {
        let is_complete = self.has_cast_smallest && self.smallest_from.count_ones() >= quorum;
        self.smallest.filter(|_| is_complete).map(|output| output[31] & 1 == 1)
    }
}
