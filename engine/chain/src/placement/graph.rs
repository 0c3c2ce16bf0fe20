//! The traffic as rows of neighbours, its stars numbered in the order of their keys.

use super::traffic::Edge;
use crate::keys::PublicKey;

/// A star, by its place among all stars of the graph.
pub(super) type Star = u32;

/// An undirected graph with weights, every edge in the rows of both its stars.
#[derive(Debug)]
pub(super) struct Graph {
    /// In order.
    pub stars: Vec<PublicKey>,
    /// Where each star's row ends; it begins where the one before ends.
    row_ends: Vec<usize>,
    neighbours: Vec<(Star, u32)>,
}

impl Graph {
    /// The graph of edges that are in the order of their pairs, each pair once.
    pub fn new(edges: &[Edge]) -> Self {
        let mut stars: Vec<PublicKey> = edges.iter().flat_map(|edge| edge.stars).collect();
        stars.sort_unstable();
        stars.dedup();
        let number = |key: &PublicKey| stars.binary_search(key).expect("every star of an edge is listed") as Star;
        let numbered: Vec<[Star; 2]> = edges.iter().map(|edge| edge.stars.each_ref().map(number)).collect();

        let mut row_ends = vec![0; stars.len()];
        for star in numbered.iter().flatten() {
            row_ends[*star as usize] += 1;
        }
        let mut sum = 0;
        for end in &mut row_ends {
            // For now where the row begins: filling the rows moves it to where it ends.
            sum += std::mem::replace(end, sum);
        }
        let mut neighbours = vec![(0, 0); sum];
        for ([a, b], edge) in numbered.iter().zip(edges) {
            for (from, to) in [(*a, *b), (*b, *a)] {
                let end = &mut row_ends[from as usize];
                neighbours[*end] = (to, edge.weight);
                *end += 1;
            }
        }
        Self { stars, row_ends, neighbours }
    }

    /// Whom a star trades with, and how much.
    pub fn neighbours(&self, star: Star) -> &[(Star, u32)] {
        let star = star as usize;
        let start = if star == 0 { 0 } else { self.row_ends[star - 1] };
        &self.neighbours[start..self.row_ends[star]]
    }

    /// The weight of all transfers of a star.
    pub fn load(&self, star: Star) -> u64 {
        self.neighbours(star).iter().map(|(_, weight)| u64::from(*weight)).sum()
    }
}
