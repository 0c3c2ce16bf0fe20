//! The coin and the seals of simulated runs: what everybody can compute, checked like real ones.

use constellation_acs::{Coin, Root, Seal, Seals};

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

impl Seals for OpenCoin {
    fn seal(&self, root: &Root) -> Seal {
        seal(self.me, root)
    }

    fn is_sealed(&self, proposer: usize, root: &Root, proposed: &Seal) -> bool {
        *proposed == seal(proposer, root)
    }
}

/// What a node seals a root with; the adversary makes those of faulty nodes only.
pub(crate) fn seal(proposer: usize, root: &Root) -> Seal {
    let mut seal = [proposer as u8; 64];
    seal[..32].copy_from_slice(blake3::hash(root).as_bytes());
    seal
}
