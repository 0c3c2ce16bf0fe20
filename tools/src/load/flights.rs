//! The transactions on their way: what each waits for, and which of them hang on another.

use super::stars::StarIndex;
use constellation_chain::{Hash, KeyMap, Transaction};
use std::collections::{HashMap, HashSet};

/// A transaction that has not ended.
pub struct Flight {
    /// The transaction.
    pub transaction: Transaction,
    /// Its stars.
    pub pair: [StarIndex; 2],
    /// When it was due.
    pub intended_us: u64,
    /// The node it was, or is to be, sent to; none while no node can be reached.
    pub node: Option<usize>,
    /// Whether it is in that node's queue.
    pub is_queued: bool,
    /// When it was last sent.
    pub sent_us: Option<u64>,
    /// Whether a node has taken it into its pool.
    pub is_admitted: bool,
    /// When it was seen in a black hole, though not yet at its own node.
    pub seen_us: Option<u64>,
}

/// All transactions that have not ended.
#[derive(Default)]
pub struct Flights {
    flights: KeyMap<Hash, Flight>,
    unadmitted: usize,
}

impl Flights {
    pub fn len(&self) -> usize {
        self.flights.len()
    }

    pub fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// Those that no node has taken into its pool yet.
    pub fn unadmitted(&self) -> usize {
        self.unadmitted
    }

    /// A transaction, signed just now, that is to be sent.
    pub fn start(&mut self, transaction: Transaction, pair: [StarIndex; 2], intended_us: u64) -> Hash {
        let id = transaction.id();
        let flight = Flight {
            transaction,
            pair,
            intended_us,
            node: None,
            is_queued: false,
            sent_us: None,
            is_admitted: false,
            seen_us: None,
        };
        self.flights.insert(id, flight);
        self.unadmitted += 1;
        id
    }

    pub fn get_mut(&mut self, id: &Hash) -> Option<&mut Flight> {
        self.flights.get_mut(id)
    }

    /// A node has it in its pool; true when none had before.
    pub fn admit(&mut self, id: &Hash) -> Option<[StarIndex; 2]> {
        let flight = self.flights.get_mut(id).filter(|flight| !flight.is_admitted)?;
        flight.is_admitted = true;
        self.unadmitted -= 1;
        Some(flight.pair)
    }

    pub fn end(&mut self, id: &Hash) -> Option<Flight> {
        let flight = self.flights.remove(id)?;
        self.unadmitted -= usize::from(!flight.is_admitted);
        Some(flight)
    }

    /// The ids of those that `pick` wants.
    pub fn ids(&self, pick: impl Fn(&Flight) -> bool) -> Vec<Hash> {
        self.flights.iter().filter(|(_, flight)| pick(flight)).map(|(id, _)| *id).collect()
    }

    /// `id`, and every transaction that follows it on some star's chain, or follows one that does.
    pub fn with_successors(&self, id: Hash) -> Vec<Hash> {
        let mut after: HashMap<Hash, Vec<Hash>> = HashMap::new();
        for (id, flight) in &self.flights {
            for (_, half) in flight.transaction.halves() {
                after.entry(half.previous).or_default().push(*id);
            }
        }
        let mut found = vec![id];
        let mut seen = HashSet::from([id]);
        let mut next = 0;
        while let Some(id) = found.get(next) {
            let successors = after.get(id).into_iter().flatten().filter(|id| seen.insert(**id));
            let successors: Vec<Hash> = successors.copied().collect();
            found.extend(successors);
            next += 1;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use constellation_chain::{NetworkId, Offer, SecretKey, StarHead};

    #[test]
    fn successors_are_found_across_stars() {
        let keys: Vec<SecretKey> = (0..5).map(|byte| SecretKey::from_seed([byte; 32])).collect();
        let mut heads = [StarHead::default(); 5];
        let mut flights = Flights::default();
        let mut sign = |a: usize, b: usize| {
            let transaction = Offer::transfer(NetworkId::default(), &keys[a], heads[a], keys[b].public_key(), 1)
                .countersign(&keys[b], heads[b])
                .unwrap();
            for index in [a, b] {
                heads[index] = StarHead { sequence: heads[index].sequence + 1, head: transaction.id() };
            }
            flights.start(transaction, [a as u32, b as u32], 0)
        };
        let (first, aside, second, third) = (sign(0, 1), sign(3, 4), sign(1, 2), sign(2, 3));
        assert_eq!(flights.with_successors(first), [first, second, third]);
        assert_eq!(flights.with_successors(aside), [aside, third]);
        assert_eq!(flights.unadmitted(), 4);
        assert!(flights.admit(&first).is_some() && flights.admit(&first).is_none());
        flights.end(&first);
        flights.end(&aside);
        assert_eq!((flights.unadmitted(), flights.len()), (2, 2));
    }
}
