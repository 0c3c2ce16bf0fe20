//! The agreement's weak coin, made of verifiable random outputs bound to network, tier, round and instance.

use constellation_acs::Coin;
use constellation_chain::{Committee, Hasher, RoundId, SecretKey, vrf};

/// A committee member's source of coin shares for one round of consensus.
#[derive(Clone)]
pub struct VrfCoin {
    pub(crate) key: SecretKey,
    pub(crate) committee: Committee,
    pub(crate) id: RoundId,
}

impl VrfCoin {
    fn input(&self, instance: u16, round: u32) -> [u8; 32] {
        Hasher::new(b"cst.coin")
            .update(&self.id.network.0)
            .update(&self.id.tier.to_bytes())
            .update(&self.id.number.to_le_bytes())
            .update(&instance.to_le_bytes())
            .update(&round.to_le_bytes())
            .finish()
            .0
    }
}

impl Coin for VrfCoin {
    fn share(&self, instance: u16, round: u32) -> Vec<u8> {
        vrf::prove(&self.key, &self.input(instance, round)).to_vec()
    }

    fn check(&self, node: usize, instance: u16, round: u32, proof: &[u8]) -> Option<[u8; 32]> {
        let key = self.committee.get(node)?;
        vrf::verify(key, &self.input(instance, round), proof).map(|output| output.0)
    }
}
