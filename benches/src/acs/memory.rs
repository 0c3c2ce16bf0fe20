//! The network in memory: an inbox for each node, one thread for all.

use std::collections::VecDeque;
use std::sync::Arc;

use constellation_acs::Target;

use super::node::{Frame, Node};
use super::{Delivery, Epoch, Run};
use crate::machine::cpu_ms;
use crate::random::Random;

pub struct Memory {
    delivery: Delivery,
    random: Random,
    inboxes: Vec<VecDeque<Packet>>,
}

struct Packet {
    from: usize,
    /// Messages in the chain that ends with this one.
    chain: u32,
    frame: Frame,
}

/// A node, and the longest chain of messages that it has heard.
struct Place {
    node: Node,
    chain: u32,
    has_output: bool,
}

impl Memory {
    pub fn new(delivery: Delivery, nodes: usize) -> Self {
        let inboxes = (0..nodes).map(|_| VecDeque::new()).collect();
        Self { delivery, random: Random(1), inboxes }
    }

    fn start(&mut self, payloads: &[Arc<[u8]>], epoch: &mut Epoch) -> Vec<Place> {
        let place = |me| Place { node: Node::new(me, payloads), chain: 0, has_output: false };
        let mut places: Vec<_> = (0..payloads.len()).map(place).collect();
        for (me, place) in places.iter_mut().enumerate() {
            self.turn(me, 0, place, epoch);
        }
        places
    }

    /// Delivers until nothing is on its way.
    fn run(&mut self, places: &mut [Place], epoch: &mut Epoch) {
        let mut order = Vec::new();
        loop {
            order.clear();
            order.extend((0..places.len()).filter(|&me| !self.inboxes[me].is_empty()));
            if order.is_empty() {
                return;
            }
            match self.delivery {
                Delivery::Turns => {
                    self.shuffle(&mut order);
                    for &me in &order {
                        self.turn(me, usize::MAX, &mut places[me], epoch);
                    }
                }
                Delivery::Steps => {
                    let arrived: Vec<usize> = self.inboxes.iter().map(VecDeque::len).collect();
                    for &me in &order {
                        self.turn(me, arrived[me], &mut places[me], epoch);
                    }
                }
                // As many messages as there are nodes with any, before it is looked at again who has.
                Delivery::Single => {
                    for _ in 0..order.len() {
                        let me = order[self.random.below(order.len())];
                        self.turn(me, 1, &mut places[me], epoch);
                    }
                }
            }
        }
    }

    /// The node takes at most `count` messages, and speaks.
    fn turn(&mut self, me: usize, count: usize, place: &mut Place, epoch: &mut Epoch) {
        let count = count.min(self.inboxes[me].len());
        for Packet { from, chain, frame } in self.inboxes[me].drain(..count) {
            place.chain = place.chain.max(chain);
            place.node.take(from, &frame);
        }
        if !place.has_output && place.node.has_output() {
            place.has_output = true;
            epoch.message_delays = epoch.message_delays.max(place.chain);
        }
        self.flush(me, place, epoch);
    }

    fn flush(&mut self, me: usize, place: &mut Place, epoch: &mut Epoch) {
        let (chain, n) = (place.chain + 1, self.inboxes.len());
        place.node.flush(|target, frame| {
            for to in (0..n).filter(|&to| to != me && (target == Target::All || target == Target::One(to))) {
                epoch.count(&frame);
                self.inboxes[to].push_back(Packet { from: me, chain, frame: frame.clone() });
            }
        });
    }

    fn shuffle(&mut self, order: &mut [usize]) {
        for end in (1..order.len()).rev() {
            order.swap(end, self.random.below(end + 1));
        }
    }
}

impl Run for Memory {
    fn epoch(&mut self, payloads: &[Arc<[u8]>]) -> std::io::Result<Option<Epoch>> {
        let mut epoch = Epoch::default();
        let start = cpu_ms();
        let mut places = self.start(payloads, &mut epoch);
        self.run(&mut places, &mut epoch);
        epoch.cpu_ms = cpu_ms() - start;
        let is_finished = places.iter().all(|place| place.node.is_finished());
        epoch.outputs = places.iter().map(|place| place.node.output()).collect();
        epoch.faults = places.iter_mut().flat_map(|place| place.node.take_faults()).collect();
        let start = cpu_ms();
        drop(places);
        epoch.cpu_ms += cpu_ms() - start;
        Ok(is_finished.then_some(epoch))
    }
}
