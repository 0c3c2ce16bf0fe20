//! Misconduct of a committee's member: two contradicting statements of one round, both signed, so that anybody can check it.
//!
//! ```text
//! offset len
//!      0   1  kind: 1 two proposals, 2 two blocks
//!      1   5  tier
//!      6   8  round
//!     14  32  the member's key
//!     46  32  one root or block hash, the smaller
//!     78  64  the member's signature over it
//!    142  32  the other
//!    174  64  its signature
//! ```
//!
//! A proposal is *sealed* by its proposer: it signs `"cst.prop"` ‖ round ‖ root. A block is signed as [`Share`](crate::Share) says.

use crate::certificate::share_message;
use crate::hash::Hash;
use crate::keys::{CheckSignatures, PublicKey, SecretKey, Signature, SignedMessage};
use crate::round_id::{RoundId, Tier};
use crate::transaction::NetworkId;
use crate::wire::{Reader, WireError};
use bytemuck::{Pod, Zeroable};

const SEAL_DOMAIN: &[u8; 8] = b"cst.prop";

/// What a member did twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MisconductKind {
    /// Sealed two different proposals.
    TwoProposals = 1,
    /// Signed two different blocks.
    TwoBlocks = 2,
}

/// Two signed statements of one member that exclude each other: 238 bytes, drawn above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
pub struct Misconduct {
    kind: u8,
    tier: [u8; Tier::LEN_BYTES],
    round: [u8; 8],
    /// Who did it.
    pub member: PublicKey,
    statements: [Statement; 2],
}

const _: () = assert!(size_of::<Misconduct>() == 238 && align_of::<Misconduct>() == 1);

/// A hash and its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
pub struct Statement {
    /// A proposal's root, or a block's hash.
    pub hash: Hash,
    /// The member's signature.
    pub signature: Signature,
}

/// Why something is no proof of misconduct. The fault of who offers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MisconductError {
    /// Not the right bytes.
    #[error("misconduct: {0}")]
    Wire(#[from] WireError),
    /// The statements are one, or stand in the wrong order.
    #[error("misconduct: the two statements are not two in rising order")]
    NotTwo,
    /// A signature that does not verify.
    #[error("misconduct: a signature of {0} does not verify")]
    BadSignature(PublicKey),
}

impl Misconduct {
    /// A proof from two statements; `None` if they are the same.
    pub fn new(
        kind: MisconductKind,
        (tier, round): (Tier, u64),
        member: PublicKey,
        mut statements: [Statement; 2],
    ) -> Option<Self> {
        statements.sort_by_key(|statement| statement.hash);
        let is_two = statements[0].hash != statements[1].hash;
        let (tier, round) = (tier.to_bytes(), round.to_le_bytes());
        is_two.then_some(Misconduct { kind: kind as u8, tier, round, member, statements })
    }

    /// What was done.
    pub fn kind(&self) -> MisconductKind {
        match self.kind {
            1 => MisconductKind::TwoProposals,
            _ => MisconductKind::TwoBlocks,
        }
    }

    /// The round it was done in.
    pub fn round(&self) -> u64 {
        u64::from_le_bytes(self.round)
    }

    /// Reads a proof at the front of `reader`; its signatures are not checked here.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, MisconductError> {
        let proof: Misconduct = *reader.view()?;
        if !matches!(proof.kind, 1 | 2) {
            return Err(WireError::Unknown { what: "kind", value: proof.kind.into() }.into());
        }
        Tier::read(&mut Reader::new(&proof.tier))?;
        let [first, second] = &proof.statements;
        if first.hash >= second.hash { Err(MisconductError::NotTwo) } else { Ok(proof) }
    }

    /// Checks that the member signed both, in `network`.
    pub fn verify(&self, network: NetworkId, check: &dyn CheckSignatures) -> Result<(), MisconductError> {
        let tier = Tier::read(&mut Reader::new(&self.tier))?;
        let id = RoundId { network, tier, number: self.round() };
        let messages = self.statements.map(|statement| match self.kind() {
            MisconductKind::TwoProposals => seal_message(&id, &statement.hash.0),
            MisconductKind::TwoBlocks => share_message(&id, &statement.hash),
        });
        let items = [0, 1].map(|i| SignedMessage {
            public_key: self.member,
            signature: self.statements[i].signature,
            message: &messages[i],
        });
        if check.check(&items) == [true; 2] { Ok(()) } else { Err(MisconductError::BadSignature(self.member)) }
    }
}

/// Seals a proposal: signs its root.
pub fn seal_proposal(id: &RoundId, root: &[u8; 32], key: &SecretKey) -> Signature {
    key.sign(&seal_message(id, root))
}

/// Whether `proposer` sealed that root.
pub fn is_sealed_by(
    id: &RoundId,
    root: &[u8; 32],
    proposer: PublicKey,
    seal: Signature,
    check: &dyn CheckSignatures,
) -> bool {
    let message = seal_message(id, root);
    check.check(&[SignedMessage { public_key: proposer, signature: seal, message: &message }]) == [true]
}

fn seal_message(id: &RoundId, root: &[u8; 32]) -> [u8; 61] {
    id.message(SEAL_DOMAIN, root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Share;
    use crate::certificate::StrictCheck;
    use proptest::prelude::*;

    const ID: RoundId = RoundId { network: NetworkId([3; 8]), tier: Tier::Cluster(2), number: 9 };

    fn key() -> SecretKey {
        SecretKey::from_seed([5; 32])
    }

    fn proposals() -> Misconduct {
        let statement = |byte| Statement { hash: Hash([byte; 32]), signature: seal_proposal(&ID, &[byte; 32], &key()) };
        let statements = [statement(8), statement(7)];
        Misconduct::new(MisconductKind::TwoProposals, (ID.tier, ID.number), key().public_key(), statements).unwrap()
    }

    #[test]
    fn two_signed_statements_of_one_round_are_proof() {
        assert_eq!(proposals().verify(ID.network, &StrictCheck), Ok(()));
        let share = |byte| {
            let share = Share::sign(&ID, Hash([byte; 32]), &key());
            Statement { hash: share.block, signature: share.signature }
        };
        let place = (ID.tier, ID.number);
        let blocks = Misconduct::new(MisconductKind::TwoBlocks, place, key().public_key(), [share(1), share(2)]);
        assert_eq!(blocks.unwrap().verify(ID.network, &StrictCheck), Ok(()));
        assert_eq!(Misconduct::new(MisconductKind::TwoBlocks, place, key().public_key(), [share(1); 2]), None);
    }

    #[test]
    fn a_seal_is_no_share_and_other_rounds_do_not_count() {
        let proof = proposals();
        let kind = MisconductKind::TwoBlocks;
        let as_blocks = Misconduct::new(kind, (ID.tier, ID.number), proof.member, proof.statements).unwrap();
        let next_round =
            Misconduct::new(proof.kind(), (ID.tier, ID.number + 1), proof.member, proof.statements).unwrap();
        for wrong in [as_blocks, next_round] {
            assert_eq!(wrong.verify(ID.network, &StrictCheck), Err(MisconductError::BadSignature(proof.member)));
        }
        assert!(proof.verify(NetworkId([4; 8]), &StrictCheck).is_err());
    }

    proptest! {
        #[test]
        fn it_reads_back_and_no_changed_byte_is_proof(at in 0..238usize, bit in 0u8..8) {
            let proof = proposals();
            let mut bytes = bytemuck::bytes_of(&proof).to_vec();
            prop_assert_eq!(Misconduct::read(&mut Reader::new(&bytes)), Ok(proof));
            bytes[at] ^= 1 << bit;
            if let Ok(changed) = Misconduct::read(&mut Reader::new(&bytes)) {
                prop_assert!(changed.verify(ID.network, &StrictCheck).is_err());
            }
        }
    }
}
