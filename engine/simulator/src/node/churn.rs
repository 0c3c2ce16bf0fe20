//! Networks whose members and clusters change: what nodes ask for, and the trouble meanwhile.

use std::sync::Arc;

use constellation_chain::{Growth, Kind, StarHead, Transaction};

use super::network::{Network, Options};
use super::scenario::Run;

/// Virtual time after which what was asked for is in force, if nothing hinders it.
const SOON_US: u64 = 1_000_000;
/// Transfers between two changes, and the time between two of them.
const TRANSFERS: usize = 16;
const GAP_US: u64 = 10_000;

/// Short epochs, and clusters that split when more than a few stars are active.
fn elastic(options: Options) -> Options {
    let growth = Growth {
        epoch_black_holes: 3 + options.seed % 6,
        clusters_max: Some(options.clusters + 4),
        cluster_stars_max: 6,
        validators_min: options.nodes.div_ceil(2),
        place_stars: options.seed.is_multiple_of(2),
    };
    Options { growth, ..options }
}

/// Clusters come and go; all nodes are facilitators, or fewer.
pub(super) fn resizing(options: Options) -> Options {
    let seats = if options.seed.is_multiple_of(3) { options.nodes.div_ceil(2) } else { options.nodes };
    elastic(Options { seats, ..options })
}

/// Members come and go too, some stand by, and all are facilitators, or fewer.
pub(super) fn churning(options: Options) -> Options {
    let Options { nodes, seed, .. } = options;
    let standby = (seed as usize % 2).min(nodes - 1);
    let facilitators = if seed.is_multiple_of(3) { nodes } else { nodes - leaving(nodes) };
    let seats = facilitators.min(nodes - standby);
    elastic(Options { seats, standby, ..options })
}

/// Two in five.
fn leaving(nodes: usize) -> usize {
    2 * nodes / 5
}

/// What nodes ask for, each on its own chain, as real ones do.
pub(super) struct Requests {
    heads: Vec<StarHead>,
    /// All of it, in order.
    pub sent: Vec<Arc<Transaction>>,
}

impl Requests {
    pub fn new(nodes: usize) -> Self {
        Requests { heads: vec![StarHead::default(); nodes], sent: Vec::new() }
    }

    /// A node asks to come or to go, at a node that is up.
    fn send(&mut self, network: &mut Network, node: usize, kind: Kind) {
        let request = network.request(node, kind, self.heads[node]);
        self.heads[node] = StarHead { sequence: request.initiator_half().sequence(), head: request.id() };
        let doors = network.honest_up();
        if !doors.is_empty() {
            let door = network.chance.pick(&doors);
            network.submit(door, &request);
        }
        self.sent.push(request);
    }

    pub fn resend(&self, network: &mut Network) {
        let Some(&door) = network.honest_up().first() else { return };
        self.sent.iter().for_each(|request| {
            network.submit(door, request);
        });
    }

    pub fn all_applied(&self, network: &Network, index: usize) -> bool {
        let applied = network.applied(index);
        self.sent.iter().all(|request| applied.contains(&request.id()))
    }
}

impl Run {
    /// Many stars are active, then few, then many.
    pub(super) fn resize(&mut self) {
        for active in [40, 4, 40] {
            for _ in 0..2 {
                self.load_from(active);
                match self.network.chance.below(6) {
                    0 => self.kill_some(),
                    1 => self.partition(),
                    _ => {}
                }
            }
        }
    }

    /// Members go and come, alone and many at once; some are off before they may be.
    pub(super) fn churn(&mut self) {
        for _ in 0..3 {
            self.load_from(40);
            match self.network.chance.below(4) {
                0 => self.depart(leaving(self.network.disks.len()).max(1)),
                1 => self.flap(),
                2 => self.ask_in_a_partition(),
                _ => self.depart(1),
            }
            self.load_from(20);
        }
        self.everybody_joins();
    }

    fn load_from(&mut self, active: usize) {
        for _ in 0..TRANSFERS {
            self.stars.send_one_of(&mut self.network, active);
            self.network.run(GAP_US);
        }
    }

    fn ask(&mut self, node: usize, kind: Kind) {
        self.requests.send(&mut self.network, node, kind);
    }

    /// So many leave at once. In half of the cases they wait until they are out before they are switched off.
    fn depart(&mut self, count: usize) {
        let leavers = self.network.chance.nodes(count, self.network.disks.len());
        let waits = self.network.chance.below(2) == 0;
        leavers.iter().for_each(|node| self.ask(*node, Kind::Leave));
        self.network.run(if waits { SOON_US } else { 50_000 });
        self.kill_for_a_while(leavers);
    }

    /// One that cannot make up its mind.
    fn flap(&mut self) {
        let node = self.network.chance.index(self.network.disks.len());
        for kind in [Kind::Leave, Kind::Join, Kind::Leave, Kind::Join] {
            self.ask(node, kind);
            let pause_us = self.network.chance.below(SOON_US / 2);
            self.network.run(pause_us);
        }
    }

    /// Some come and some go while two halves do not reach each other.
    fn ask_in_a_partition(&mut self) {
        let nodes = self.network.disks.len();
        let side = self.network.chance.half(nodes);
        self.network.cut(side);
        for kind in [Kind::Leave, Kind::Join] {
            let node = self.network.chance.index(nodes);
            self.ask(node, kind);
        }
        self.load_from(40);
        self.network.heal();
    }

    fn everybody_joins(&mut self) {
        (0..self.network.disks.len()).for_each(|node| self.ask(node, Kind::Join));
    }
}
