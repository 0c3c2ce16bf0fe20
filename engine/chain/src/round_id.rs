//! Which round of consensus: what proposals and block signatures are bound to, so that two of one round contradict each other.
//!
//! ```text
//! offset len
//!      0   1  tier: 0 cluster, 1 galaxy
//!      1   4  cluster (zero for the galaxy)
//!      5   8  round (for the galaxy: the height)
//! ```

use crate::transaction::NetworkId;
use crate::wire::{Reader, WireError};

/// Where a round of consensus takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Among the facilitators of a star cluster.
    Cluster(u32),
    /// Among the validators of the galaxy.
    Galaxy,
}

impl Tier {
    /// Bytes of a tier.
    pub const LEN_BYTES: usize = 5;

    /// The tier's bytes.
    pub fn to_bytes(self) -> [u8; Self::LEN_BYTES] {
        let (byte, cluster) = match self {
            Tier::Cluster(cluster) => (0, cluster),
            Tier::Galaxy => (1, 0),
        };
        let [a, b, c, d] = cluster.to_le_bytes();
        [byte, a, b, c, d]
    }

    /// Reads the tier at the front of `reader`.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match (reader.u8()?, reader.u32()?) {
            (0, cluster) => Ok(Tier::Cluster(cluster)),
            (1, 0) => Ok(Tier::Galaxy),
            (byte, _) => Err(WireError::Unknown { what: "tier", value: byte.into() }),
        }
    }
}

/// One round of consensus in one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoundId {
    /// The network.
    pub network: NetworkId,
    /// The tier.
    pub tier: Tier,
    /// The round; for the galaxy the height.
    pub number: u64,
}

impl RoundId {
    /// What a member signs to vouch for `hash` in this round: domain, network (8), tier (5), round (8), hash (32).
    pub(crate) fn message(&self, domain: &[u8; 8], hash: &[u8; 32]) -> [u8; 61] {
        let mut message = [0; 61];
        message[..8].copy_from_slice(domain);
        message[8..16].copy_from_slice(&self.network.0);
        message[16..21].copy_from_slice(&self.tier.to_bytes());
        message[21..29].copy_from_slice(&self.number.to_le_bytes());
        message[29..].copy_from_slice(hash);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_read_back_and_nothing_else_does() {
        for tier in [Tier::Cluster(0), Tier::Cluster(0x0102_0304), Tier::Galaxy] {
            assert_eq!(Tier::read(&mut Reader::new(&tier.to_bytes())), Ok(tier));
        }
        for bytes in [[1, 1, 0, 0, 0], [2, 0, 0, 0, 0]] {
            assert!(Tier::read(&mut Reader::new(&bytes)).is_err());
        }
    }

    #[test]
    fn every_part_of_a_round_is_signed() {
        let id = RoundId { network: NetworkId([1; 8]), tier: Tier::Cluster(2), number: 3 };
        let message = |id: RoundId| id.message(b"cst.test", &[9; 32]);
        for other in [
            RoundId { network: NetworkId([2; 8]), ..id },
            RoundId { tier: Tier::Galaxy, ..id },
            RoundId { number: 4, ..id },
        ] {
            assert_ne!(message(id), message(other));
        }
    }
}
