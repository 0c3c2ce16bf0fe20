//! Clusters for new stars. On the `communities` graph of `bench placement` the youngest stars, one in [`STARS_PER_NEW`], are left out until the
//! others have been placed by their traffic. Then each new star is given a cluster by its first transfers, and an epoch is drawn in which the
//! transfers of new stars are counted: those between clusters, of all that have a new star on one side.
//!
//! By `key`: where its key puts it. By `sketch`: the cluster whose accounts of the last epoch have the sketch most like that of its first
//! counterparties. By `counterparties`: the cluster that most of them live in, without a sketch.

use std::collections::BTreeMap;

use constellation_chain::{Hash, MoveLimits, Placement, PublicKey, Traffic, TrafficLimits};
use constellation_verify::{SKETCH_BINS, matching_bins, sketch};
use serde::Serialize;

use super::name;
use crate::machine::cpu_ms;
use crate::placement::{Graph, Relation, transfers};
use crate::random::Random;

/// Clusters.
pub const CLUSTERS: u32 = 16;
/// One star in so many is new.
pub const STARS_PER_NEW: usize = 20;
/// Numbers of first transfers that a new star is judged by.
pub const FIRST_TRANSFERS: [usize; 3] = [1, 4, 16];
/// Transfers of an epoch for each star.
const TRANSFERS_PER_STAR: usize = 5;
/// Epochs that the others are placed by.
const EPOCHS: u64 = 16;

/// One way to place new stars.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `key`, `sketch` or `counterparties`.
    pub method: &'static str,
    /// Transfers that a new star is judged by.
    pub first_transfers: usize,
    /// Of the transfers of new stars, the share between clusters.
    pub cross_share: f64,
    /// CPU time of placing one star, in microseconds.
    pub cpu_us_per_star: f64,
}

/// What is known when the new stars come.
struct World {
    keys: Vec<PublicKey>,
    /// Stars before this place are old.
    old: usize,
    relations: Vec<Relation>,
    placement: Placement,
    /// Of each cluster, the sketch of the accounts of its stars' transfers in the last epoch.
    sketches: Vec<[u8; SKETCH_BINS]>,
    sketch_key: [u8; 32],
}

/// Every way, on a graph of so many stars.
pub fn rows(stars: usize, seed: u64) -> Vec<Row> {
    let world = World::new(stars, seed);
    let mut rows = vec![world.row("key", 0, seed, |_, _| None)];
    for first in FIRST_TRANSFERS {
        rows.push(world.row("sketch", first, seed, World::by_sketch));
        rows.push(world.row("counterparties", first, seed, World::by_counterparties));
    }
    rows
}

impl World {
    fn new(stars: usize, seed: u64) -> Self {
        let relations = Graph::Communities.grow(stars, seed);
        let old = stars - stars.div_ceil(STARS_PER_NEW);
        let keys: Vec<PublicKey> = (0..stars as u64).map(|star| name(seed, star)).collect();
        let among_old: Vec<Relation> =
            relations.iter().filter(|ends| ends.iter().all(|star| *star < old)).copied().collect();
        let mut random = Random(!seed);
        let mut traffic = Traffic::new(TrafficLimits::default(), Hash::ZERO);
        let mut placement = Placement::new(CLUSTERS);
        let limits = MoveLimits { moves: stars.div_ceil(4), ..MoveLimits::default() };
        let mut last = Vec::new();
        for epoch in 1..=EPOCHS {
            last = transfers(&among_old, TRANSFERS_PER_STAR * stars, &mut random);
            last.iter().for_each(|[from, to]| traffic.record(keys[*from], keys[*to]));
            traffic.end_epoch(Hash(name(epoch, 0).0));
            placement.apply(&placement.moves(&traffic, limits));
        }
        let sketch_key = [7; 32];
        let touched = |cluster: u32| -> Vec<[u8; 32]> {
            let own = last.iter().filter(|[from, _]| placement.cluster_of(&keys[*from]) == cluster);
            own.flatten().map(|star| keys[*star].0).collect()
        };
        let sketches = (0..CLUSTERS).map(|cluster| sketch(&sketch_key, &touched(cluster))).collect();
        World { keys, old, relations, placement, sketches, sketch_key }
    }

    fn row(
        &self,
        method: &'static str,
        first_transfers: usize,
        seed: u64,
        place: impl Fn(&Self, &[PublicKey]) -> Option<u32>,
    ) -> Row {
        let mut random = Random(seed.rotate_left(32));
        let met = self.first_counterparties(first_transfers, &mut random);
        let start_ms = cpu_ms();
        let homes: Vec<u32> = met
            .iter()
            .zip(&self.keys[self.old..])
            .map(|(met, star)| place(self, met).unwrap_or(self.home(star)))
            .collect();
        let cpu_ms = cpu_ms() - start_ms;
        let of_new: Vec<Relation> =
            self.relations.iter().filter(|ends| ends.iter().any(|star| *star >= self.old)).copied().collect();
        let drawn = transfers(&of_new, TRANSFERS_PER_STAR * self.keys.len(), &mut random);
        let cluster = |star: usize| star.checked_sub(self.old).map_or(self.home(&self.keys[star]), |new| homes[new]);
        let cross = drawn.iter().filter(|[from, to]| cluster(*from) != cluster(*to)).count();
        Row {
            method,
            first_transfers,
            cross_share: cross as f64 / drawn.len() as f64,
            cpu_us_per_star: 1e3 * cpu_ms / met.len() as f64,
        }
    }

    fn home(&self, star: &PublicKey) -> u32 {
        self.placement.cluster_of(star)
    }

    /// Of each new star, the old stars of its first transfers.
    fn first_counterparties(&self, count: usize, random: &mut Random) -> Vec<Vec<PublicKey>> {
        let mut known: Vec<Vec<usize>> = vec![Vec::new(); self.keys.len() - self.old];
        for [one, other] in &self.relations {
            for (new, old) in [(one, other), (other, one)] {
                if *new >= self.old && *old < self.old {
                    known[*new - self.old].push(*old);
                }
            }
        }
        let mut draw = |known: &Vec<usize>| -> Vec<PublicKey> {
            let count = if known.is_empty() { 0 } else { count };
            (0..count).map(|_| self.keys[known[random.below(known.len())]]).collect()
        };
        known.iter().map(&mut draw).collect()
    }

    fn by_sketch(&self, met: &[PublicKey]) -> Option<u32> {
        let own = sketch(&self.sketch_key, met.iter().map(|star| &star.0));
        let likeness = |cluster: &u32| matching_bins(&own, &self.sketches[*cluster as usize]);
        // Where no cluster is like it, its key decides.
        (0..CLUSTERS).max_by_key(likeness).filter(|best| likeness(best) > 0)
    }

    fn by_counterparties(&self, met: &[PublicKey]) -> Option<u32> {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        met.iter().for_each(|star| *counts.entry(self.home(star)).or_default() += 1);
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(cluster, _)| cluster)
    }
}
