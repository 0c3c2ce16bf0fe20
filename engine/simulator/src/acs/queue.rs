//! Messages on their way, and which of them arrives next.

use super::plan::Order;
use super::siege::{Siege, contains};
use crate::chance::Chance;
use crate::votes::{Bytes, Vote};

/// A message on its way to one endpoint.
pub(crate) struct Packet {
    /// The node that sent it.
    pub from: usize,
    /// The endpoint it is for.
    pub to: usize,
    /// That node's name.
    pub to_node: usize,
    /// Longest chain of messages that ends with it.
    pub depth: u32,
    pub bytes: Bytes,
    /// Its only vote, in a siege.
    pub vote: Option<Vote>,
}

pub(crate) struct Queue {
    order: Order,
    fast: Vec<Packet>,
    /// What the order holds back.
    slow: Vec<Packet>,
}

impl Queue {
    pub fn new(order: Order) -> Self {
        Self { order, fast: Vec::new(), slow: Vec::new() }
    }

    pub fn push(&mut self, packet: Packet) {
        let is_slow = match &self.order {
            Order::Slow { links, .. } => contains(links[packet.from], packet.to_node),
            Order::InStep | Order::Random | Order::LastFirst | Order::Siege(_) => false,
        };
        if is_slow { self.slow.push(packet) } else { self.fast.push(packet) }
    }

    pub fn len(&self) -> usize {
        self.fast.len() + self.slow.len()
    }

    /// Loses everything that is on its way to an endpoint.
    pub fn forget(&mut self, to: usize) {
        self.fast.retain(|packet| packet.to != to);
        self.slow.retain(|packet| packet.to != to);
    }

    /// The next to arrive, after so many others.
    pub fn next(&mut self, deliveries: u64, siege: Option<&mut Siege>, chance: &mut Chance) -> Option<Packet> {
        match (&self.order, siege) {
            (Order::Siege(_), Some(siege)) => self.next_allowed(siege, chance),
            (Order::LastFirst, _) if !chance.one_in(50) => self.fast.pop(),
            (Order::Slow { heals_at, .. }, _) => {
                if heals_at.is_some_and(|heals_at| deliveries >= heals_at) {
                    self.order = Order::Random;
                    self.fast.append(&mut self.slow);
                }
                let is_slow_turn = self.fast.is_empty() || chance.one_in(500);
                let queue = if is_slow_turn && !self.slow.is_empty() { &mut self.slow } else { &mut self.fast };
                take_any(queue, chance)
            }
            _ => take_any(&mut self.fast, chance),
        }
    }

    fn next_allowed(&mut self, siege: &mut Siege, chance: &mut Chance) -> Option<Packet> {
        let is_allowed = |siege: &Siege, packet: &Packet| {
            packet.vote.as_ref().is_none_or(|vote| siege.allows(packet.from, packet.to_node, vote))
        };
        loop {
            while let Some(packet) = take_any(&mut self.fast, chance) {
                if is_allowed(siege, &packet) {
                    return Some(packet);
                }
                self.slow.push(packet);
            }
            self.fast.extend(self.slow.extract_if(.., |packet| is_allowed(siege, packet)));
            if self.fast.is_empty() {
                if self.slow.is_empty() {
                    return None;
                }
                siege.ease();
            }
        }
    }
}

fn take_any(queue: &mut Vec<Packet>, chance: &mut Chance) -> Option<Packet> {
    if queue.is_empty() { None } else { Some(queue.swap_remove(chance.index(queue.len()))) }
}
