//! Graphs of who trades with whom, with heavy-tailed degrees, grown star by star from a seed; and epochs of transfers on them.
//!
//! A newcomer makes [`RELATIONS`] relations to stars that were there before. What differs is to whom:
//! - [`Graph::Communities`]: planted communities with preferential attachment. Its community is drawn from [`STARS_PER_COMMUNITY`]⁻¹ as many
//!   communities as stars, with sizes as of Zipf's law (the i-th has a share as 1/i); each relation goes to its own community, but with a probability
//!   of [`OUTSIDE_PERCENT`] to the whole network; there to a star in proportion to one more than its relations.
//! - [`Graph::Triads`]: Holme and Kim 2002, preferential attachment with triad formation: after a first relation, each next one goes with a
//!   probability of [`TRIAD_PERCENT`] to a neighbour of the last star attached to preferentially. Clustered, but without communities.
//! - [`Graph::Plain`]: Barabási and Albert 1999, preferential attachment alone: neither.
//!
//! A transfer takes a relation at random, all alike, and a direction at random: so a star's traffic is as heavy-tailed as its relations are.

use crate::random::{Random, Zipf};

/// Relations that a newcomer makes.
pub const RELATIONS: usize = 4;
/// Stars of a community, in the mean.
pub const STARS_PER_COMMUNITY: usize = 100;
/// Relations that go to the whole network instead of the own community.
pub const OUTSIDE_PERCENT: usize = 10;
/// Relations that close a triangle, after a newcomer's first.
pub const TRIAD_PERCENT: usize = 90;

/// How a graph grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Graph {
    /// Planted communities with preferential attachment.
    Communities,
    /// Preferential attachment with triad formation.
    Triads,
    /// Preferential attachment.
    Plain,
}

/// Two stars that trade, by number.
pub type Relation = [usize; 2];

impl Graph {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Communities, Self::Triads, Self::Plain];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Communities => "communities",
            Self::Triads => "holme-kim",
            Self::Plain => "barabasi-albert",
        }
    }

    /// The relations of so many stars, more than [`RELATIONS`].
    pub fn grow(self, stars: usize, seed: u64) -> Vec<Relation> {
        let mut random = Random(seed);
        match self {
            Self::Communities => communities(stars, &mut random),
            Self::Triads => attachment(stars, TRIAD_PERCENT, &mut random),
            Self::Plain => attachment(stars, 0, &mut random),
        }
    }
}

/// An epoch's transfers.
pub fn transfers(relations: &[Relation], count: usize, random: &mut Random) -> Vec<Relation> {
    let mut one = || {
        let [a, b] = relations[random.below(relations.len())];
        if random.below(2) == 0 { [a, b] } else { [b, a] }
    };
    (0..count).map(|_| one()).collect()
}

fn pick(stars: &[usize], random: &mut Random) -> usize {
    stars[random.below(stars.len())]
}

/// Preferential attachment is a draw from a list that has each star once for being there (in the communities) and once for each relation.
fn communities(stars: usize, random: &mut Random) -> Vec<Relation> {
    let communities = stars.div_ceil(STARS_PER_COMMUNITY);
    let sizes = Zipf::new(communities);
    let mut members = vec![Vec::new(); communities];
    let (mut everybody, mut home, mut relations) = (Vec::new(), Vec::new(), Vec::new());
    for star in 0..stars {
        let mine = sizes.draw(random);
        let mut others = Vec::new();
        for _ in 0..RELATIONS {
            let is_outside = random.below(100) < OUTSIDE_PERCENT || members[mine].is_empty();
            let pool = if is_outside { &everybody } else { &members[mine] };
            if !pool.is_empty() {
                others.push(pick(pool, random));
            }
        }
        home.push(mine);
        members[mine].push(star);
        everybody.push(star);
        for other in others {
            relations.push([star, other]);
            for end in [star, other] {
                members[home[end]].push(end);
                everybody.push(end);
            }
        }
    }
    relations
}

/// Begins with a clique of one star more than a newcomer has relations.
fn attachment(stars: usize, triad_percent: usize, random: &mut Random) -> Vec<Relation> {
    let mut neighbours: Vec<Vec<usize>> = vec![Vec::new(); stars];
    let (mut ends, mut relations) = (Vec::new(), Vec::new());
    for star in 0..stars {
        let mut others = Vec::new();
        let mut last: Option<usize> = None;
        while others.len() < RELATIONS.min(star) {
            let other = match last {
                _ if star <= RELATIONS => others.len(),
                Some(last) if random.below(100) < triad_percent => pick(&neighbours[last], random),
                _ => {
                    let other = pick(&ends, random);
                    last = Some(other);
                    other
                }
            };
            if !others.contains(&other) {
                others.push(other);
            }
        }
        for other in others {
            relations.push([star, other]);
            ends.extend([star, other]);
            neighbours[star].push(other);
            neighbours[other].push(star);
        }
    }
    relations
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARS: usize = 3000;

    fn degrees(relations: &[Relation]) -> Vec<usize> {
        let mut degrees = vec![0; STARS];
        relations.iter().flatten().for_each(|star| degrees[*star] += 1);
        degrees
    }

    /// In each graph the busiest star has far more than the mean, and most have less.
    #[test]
    fn degrees_have_heavy_tails() {
        for graph in Graph::ALL {
            let relations = graph.grow(STARS, 1);
            assert!(relations.len() > STARS * RELATIONS * 98 / 100 && relations.len() <= STARS * RELATIONS);
            let degrees = degrees(&relations);
            let mean = 2 * RELATIONS;
            assert!(*degrees.iter().max().unwrap() > 10 * mean, "{graph:?}");
            assert!(degrees.iter().filter(|degree| **degree < mean).count() > STARS / 2, "{graph:?}");
            assert_eq!(relations, graph.grow(STARS, 1));
            assert_ne!(relations, graph.grow(STARS, 2));
        }
    }

    /// Stars with a common neighbour are often neighbours where triads are formed, and seldom where they are not.
    #[test]
    fn triads_close() {
        let triangles = |graph: Graph| {
            let mut neighbours = vec![std::collections::BTreeSet::new(); STARS];
            for [a, b] in graph.grow(STARS, 1) {
                neighbours[a].insert(b);
                neighbours[b].insert(a);
            }
            let pairs = (0..STARS).flat_map(|a| neighbours[a].range(a..).map(move |b| (a, *b)));
            pairs.map(|(a, b)| neighbours[a].intersection(&neighbours[b]).count()).sum::<usize>()
        };
        assert!(triangles(Graph::Triads) > 3 * triangles(Graph::Plain));
    }

    #[test]
    fn transfers_follow_relations_both_ways() {
        let drawn = transfers(&[[1, 2], [3, 4]], 1000, &mut Random(1));
        for one in [[1, 2], [2, 1], [3, 4], [4, 3]] {
            let count = drawn.iter().filter(|transfer| **transfer == one).count();
            assert!((200..300).contains(&count), "{one:?}: {count}");
        }
    }
}
