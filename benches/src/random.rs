//! Numbers that follow from a seed, alike on every machine.

use std::sync::Arc;

/// SplitMix64: for payloads, orders of delivery and graphs.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// So many bytes.
    pub fn bytes(&mut self, len: usize) -> Arc<[u8]> {
        let mut bytes = vec![0; len];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        bytes.into()
    }
}

/// Zipf's law: of so many, the i-th is drawn in proportion to 1/i.
pub struct Zipf {
    /// Sums of 1/i, in units of 2^-32.
    sums: Vec<u64>,
}

impl Zipf {
    /// Of `count`, which is not zero.
    pub fn new(count: usize) -> Self {
        let mut sum = 0;
        let next = |rank: usize| {
            sum += (1 << 32) / rank as u64;
            sum
        };
        Self { sums: (1..=count).map(next).collect() }
    }

    /// One of them, from 0.
    pub fn draw(&self, random: &mut Random) -> usize {
        let total = self.sums.last().copied().unwrap_or(1);
        let drawn = random.below(total as usize) as u64;
        self.sums.partition_point(|sum| *sum <= drawn)
    }
}
