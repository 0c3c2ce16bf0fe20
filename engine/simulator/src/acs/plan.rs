//! What an adversary's name and a seed make of a run: who is faulty and how, in what order messages arrive, what is repeated, who crashes.

use super::adversary::Adversary;
use super::siege::Goal;
use crate::chance::Chance;

/// How a node behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    Honest,
    Silent,
    /// Runs a machine, and one in so many of its votes to a peer is dropped, changed, invented.
    Liar {
        drop: u64,
        change: u64,
        invent: u64,
    },
    /// Runs a machine, and tells the other side another payload and the opposite of every vote; or everybody both.
    Equivocator {
        tells_both: bool,
    },
    /// Runs a machine, but lets only some have its payload, or only those of them that ask for it.
    Hider {
        from: u128,
        waits: bool,
    },
    /// Runs two machines, each speaking to its side.
    Twins,
    /// Runs a machine, and sends fragments that are wrong.
    Forger,
    /// Runs a machine, and sends votes for rounds far ahead.
    Flooder,
    /// Runs a machine, but in the besieged agreements votes what the siege tells it to.
    Besieger,
}

/// In what order messages arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    InStep,
    Random,
    LastFirst,
    /// Slow links deliver when nothing else is left, or once in a while; all are alike after so many deliveries.
    Slow {
        /// The nodes that each node's slow links lead to.
        links: Vec<u128>,
        heals_at: Option<u64>,
    },
    /// See `siege`.
    Siege(Goal),
}

/// A run, but for its chance.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub n: usize,
    pub natures: Vec<Nature>,
    /// Who proposes in the coded form.
    pub is_coded: Vec<bool>,
    pub order: Order,
    /// The half that equivocators, twins and partitions cut off.
    pub side: u128,
    /// One in so many deliveries is repeated once.
    pub repeat_one_in: u64,
    /// At one in so many deliveries, one node sends another everything again.
    pub replay_one_in: u64,
    /// So many crashes of honest nodes, at most, one in so many deliveries.
    pub crashes_max: u64,
    pub crash_one_in: u64,
}

const NEVER: u64 = u64::MAX;

impl Plan {
    pub fn new(n: usize, faulty: usize, adversary: Adversary, chance: &mut Chance) -> Self {
        let side = chance.side(n);
        let mut natures = vec![Nature::Honest; n];
        for node in chance.nodes(faulty, n) {
            natures[node] = nature(adversary, n, chance);
        }
        // Rarely: decoding is most of the work of a run in which everybody does.
        let coded_one_in = match adversary {
            Adversary::WrongShards => 1,
            _ => chance.pick(&[NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, 2, 1]),
        };
        let mut plan = Self {
            n,
            natures,
            is_coded: (0..n).map(|_| chance.one_in(coded_one_in)).collect(),
            order: order(adversary, n, side, chance),
            side,
            repeat_one_in: NEVER,
            replay_one_in: NEVER,
            crashes_max: 0,
            crash_one_in: NEVER,
        };
        plan.disturb(adversary, chance);
        plan
    }

    /// Repeats and crashes.
    fn disturb(&mut self, adversary: Adversary, chance: &mut Chance) {
        let n = self.n as u64;
        match adversary {
            Adversary::InStep
            | Adversary::CoinAware
            | Adversary::CoinSplitting
            | Adversary::Unbinding
            | Adversary::ForgedShares
            | Adversary::ScatteredShares
            | Adversary::Outrunning
            | Adversary::SplitDecision => return,
            Adversary::Replay => (self.repeat_one_in, self.replay_one_in) = (3, 20 * n),
            _ if chance.one_in(2) => (self.repeat_one_in, self.replay_one_in) = (20, 1000),
            _ => {}
        }
        if adversary == Adversary::Restart {
            (self.crashes_max, self.crash_one_in) = (3 * n, chance.pick(&[2, 4, 16]) * n);
        } else if chance.one_in(3) {
            (self.crashes_max, self.crash_one_in) = (4, 15 * n);
        }
    }
}

fn nature(adversary: Adversary, n: usize, chance: &mut Chance) -> Nature {
    const ANY: [Adversary; 7] = [
        Adversary::Silence,
        Adversary::Lies,
        Adversary::Equivocation,
        Adversary::Hiding,
        Adversary::WrongShards,
        Adversary::Twins,
        Adversary::Flood,
    ];
    match adversary {
        Adversary::InStep | Adversary::Silence => Nature::Silent,
        Adversary::Lies => {
            let mut rate = || chance.pick(&[2, 5, 30, NEVER]);
            Nature::Liar { drop: rate(), change: rate(), invent: rate() }
        }
        Adversary::Equivocation => Nature::Equivocator { tells_both: chance.one_in(3) },
        Adversary::Hiding => {
            let from = if chance.one_in(2) { chance.side(n) } else { !(1 << chance.index(n)) };
            Nature::Hider { from, waits: chance.one_in(2) }
        }
        Adversary::WrongShards => Nature::Forger,
        Adversary::Twins => Nature::Twins,
        Adversary::Flood => Nature::Flooder,
        Adversary::CoinAware
        | Adversary::CoinSplitting
        | Adversary::Unbinding
        | Adversary::ForgedShares
        | Adversary::ScatteredShares
        | Adversary::Outrunning
        | Adversary::SplitDecision => Nature::Besieger,
        Adversary::RandomOrder
        | Adversary::LastFirst
        | Adversary::SlowNode
        | Adversary::SlowLinks
        | Adversary::Partition
        | Adversary::Replay
        | Adversary::Restart
        | Adversary::Mixed => {
            let any = chance.pick(&ANY);
            nature(any, n, chance)
        }
    }
}

fn order(adversary: Adversary, n: usize, side: u128, chance: &mut Chance) -> Order {
    const ANY: [Adversary; 5] =
        [Adversary::RandomOrder, Adversary::LastFirst, Adversary::SlowNode, Adversary::SlowLinks, Adversary::Partition];
    let slow = |is_slow: &mut dyn FnMut(usize, usize) -> bool, heals_at| {
        let links = (0..n).map(|from| (0..n).fold(0, |links, to| links | u128::from(is_slow(from, to)) << to));
        Order::Slow { links: links.collect(), heals_at }
    };
    match adversary {
        Adversary::InStep => Order::InStep,
        Adversary::RandomOrder => Order::Random,
        Adversary::LastFirst => Order::LastFirst,
        Adversary::SlowNode => {
            let node = chance.index(n);
            slow(&mut |from, to| from == node || to == node, None)
        }
        Adversary::SlowLinks => {
            let share = 2 + chance.below(4);
            slow(&mut |_, _| chance.one_in(share), None)
        }
        Adversary::Partition => {
            let heals_at = chance.below(200 * n as u64);
            slow(&mut |from, to| (side >> from) & 1 != (side >> to) & 1, Some(heals_at))
        }
        Adversary::CoinAware => Order::Siege(Goal::Hold),
        Adversary::CoinSplitting => Order::Siege(Goal::HoldBySplitting),
        Adversary::Unbinding => Order::Siege(Goal::HoldUnbound),
        Adversary::ForgedShares => Order::Siege(Goal::HoldByForgery),
        Adversary::ScatteredShares => Order::Siege(Goal::HoldByScattering),
        Adversary::Outrunning => Order::Siege(Goal::Outrun),
        Adversary::SplitDecision => Order::Siege(Goal::Disagree),
        Adversary::Silence
        | Adversary::Lies
        | Adversary::Equivocation
        | Adversary::Hiding
        | Adversary::WrongShards
        | Adversary::Twins
        | Adversary::Flood
        | Adversary::Replay
        | Adversary::Restart
        | Adversary::Mixed => {
            let any = chance.pick(&ANY);
            order(any, n, side, chance)
        }
    }
}
