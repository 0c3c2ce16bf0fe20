//! The agreement's weak coin, made of verifiable random outputs bound to network, tier, round and instance.

use crate::message::Tier;
use constellation_acs::Coin;
use constellation_chain::{Committee, Hasher, NetworkId, SecretKey, vrf};

/// A committee member's source of coin shares for one round of consensus.
#[derive(Clone)]
pub struct VrfCoin {
    pub(crate) key: SecretKey,
    pub(crate) committee: Committee,
    pub(crate) network: NetworkId,
    pub(crate) tier: Tier,
    pub(crate) number: u64,
}

impl VrfCoin {
    fn input(&self, instance: u16, round: u32) -> [u8; 32] {
        let mut tier = Vec::with_capacity(5);
        self.tier.write(&mut tier);
        Hasher::new(b"cst.coin")
            .update(&self.network.0)
            .update(&tier)
            .update(&self.number.to_le_bytes())
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
