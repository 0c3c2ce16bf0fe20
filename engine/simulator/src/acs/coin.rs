//! The coin of simulated runs: shares that everybody can compute, checked like real ones.

use constellation_acs::Coin;

/// A node's coin in the run of a seed. The adversary may look at a share only once it is sent, or if its owner is faulty.
#[derive(Clone, Copy, Debug)]
pub struct OpenCoin {
    /// Whose coin it is.
    pub me: usize,
    /// Of the run.
    pub seed: u64,
}

impl OpenCoin {
    /// What a share verifies to; the smallest output's low bit is the coin.
    pub(crate) fn output(proof: &[u8]) -> [u8; 32] {
        *blake3::hash(proof).as_bytes()
    }
}

impl Coin for OpenCoin {
    fn share(&self, instance: u16, round: u32) -> Vec<u8> {
        let mut input = self.seed.to_le_bytes().to_vec();
        input.extend([self.me as u8, instance as u8]);
        input.extend(round.to_le_bytes());
        blake3::hash(&input).as_bytes()[..16].to_vec()
    }

    fn check(&self, node: usize, instance: u16, round: u32, proof: &[u8]) -> Option<[u8; 32]> {
        let share = Self { me: node, seed: self.seed }.share(instance, round);
        (share == proof).then(|| Self::output(proof))
    }
}
