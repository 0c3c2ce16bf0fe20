//! What a member's key is for in a common subset: the agreement's weak coin, made of verifiable random outputs bound to network, tier, round and
//! instance, and the seal of its proposal.

use crate::event::Compute;
use constellation_acs::{Coin, Root, Seal, Seals};
use constellation_chain::{Committee, Hasher, RoundId, SecretKey, Signature, is_sealed_by, seal_proposal, vrf};
use std::sync::Arc;

/// A committee member's source of coin shares and seals for one round of consensus.
#[derive(Clone)]
pub struct VrfCoin {
    pub(crate) key: SecretKey,
    pub(crate) committee: Committee,
    pub(crate) id: RoundId,
    pub(crate) compute: Arc<dyn Compute>,
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

impl Seals for VrfCoin {
    fn seal(&self, root: &Root) -> Seal {
        seal_proposal(&self.id, root, &self.key).0
    }

    fn is_sealed(&self, proposer: usize, root: &Root, seal: &Seal) -> bool {
        let key = self.committee.get(proposer);
        key.is_some_and(|key| is_sealed_by(&self.id, root, *key, Signature(*seal), &*self.compute))
    }
}
