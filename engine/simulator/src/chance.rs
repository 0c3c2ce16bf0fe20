//! The simulator's only source of chance.

/// SplitMix64: what it gives follows from its seed, on every machine.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// An index of a list of `len`, which is not 0.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// True once in `n` times; never for `u64::MAX`, more or less.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of `choices`, which are not none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// So many different nodes of `n`, in order.
    pub fn nodes(&mut self, count: usize, n: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..n).collect();
        for place in 0..count {
            let other = place + self.index(n - place);
            all.swap(place, other);
        }
        all.truncate(count);
        all.sort_unstable();
        all
    }

    /// One half of `n` nodes, as a set.
    pub fn half(&mut self, n: usize) -> u128 {
        self.nodes(n / 2, n).into_iter().fold(0, |half, node| half | 1 << node)
    }

    /// Two sides of `n` nodes, as the set of one of them; neither is empty if there are two nodes.
    pub fn side(&mut self, n: usize) -> u128 {
        loop {
            let side = (0..n).fold(0u128, |side, node| side | u128::from(self.one_in(2)) << node);
            let size = side.count_ones() as usize;
            if n < 2 || (1..n).contains(&size) {
                return side;
            }
        }
    }
}
