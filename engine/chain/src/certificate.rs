//! Certificates: n−f signatures of a committee over one block hash.
//!
//! ```text
//! offset len
//!      0  16  signers: bit i stands for committee index i
//!     16  64  signature of the lowest signer, then of the next …
//! ```
//!
//! Each signer signs `"cst.cert"` ‖ round (network, tier, number) ‖ block hash. The round is in the hash too; it is signed beside it so that two
//! shares of one round are proof against their signer without the blocks.

use crate::committee::{COMMITTEE_MAX, Committee, Members};
use crate::hash::Hash;
use crate::keys::{CheckSignatures, PublicKey, SecretKey, Signature, SignedMessage};
use crate::round_id::RoundId;
use crate::wire::{Reader, WireError};
use std::collections::BTreeMap;

const DOMAIN: &[u8; 8] = b"cst.cert";

/// One member's signature under a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The signed block.
    pub block: Hash,
    /// The member's signature over `"cst.cert"` ‖ round ‖ block.
    pub signature: Signature,
}

impl Share {
    /// Signs `block` as that of round `id`.
    pub fn sign(id: &RoundId, block: Hash, key: &SecretKey) -> Share {
        Share { block, signature: key.sign(&share_message(id, &block)) }
    }

    /// Whether `signer` made this share in round `id`.
    pub fn is_valid(&self, id: &RoundId, signer: PublicKey, check: &dyn CheckSignatures) -> bool {
        let message = share_message(id, &self.block);
        check.check(&[SignedMessage { public_key: signer, signature: self.signature, message: &message }]) == [true]
    }
}

/// A quorum's signatures under one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    signers: Members,
    signatures: Vec<Signature>,
}

/// Why a certificate does not hold. Always the fault of who served it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Too few signers.
    #[error("certificate has {found} signers, {wanted} are needed")]
    TooFew {
        /// Signers named.
        found: usize,
        /// The committee's quorum.
        wanted: usize,
    },
    /// A signer that is not in the committee.
    #[error("certificate names signer {0}, which the committee does not have")]
    NotAMember(usize),
    /// A signature that does not verify.
    #[error("certificate: the signature of {0} does not verify")]
    BadSignature(PublicKey),
}

impl Certificate {
    /// A certificate from shares that were checked, by committee index.
    pub fn from_shares(shares: &BTreeMap<usize, Signature>) -> Self {
        let mut signers = Members::default();
        for &index in shares.keys() {
            signers.insert(index);
        }
        Certificate { signers, signatures: shares.values().copied().collect() }
    }

    /// Who signed.
    pub fn signers(&self) -> Members {
        self.signers
    }

    /// Each signer's committee index and signature.
    pub fn shares(&self) -> impl Iterator<Item = (usize, Signature)> {
        self.signers.iter().zip(self.signatures.iter().copied())
    }

    /// Checks that a quorum of `committee` signed `block` as that of round `id`.
    pub fn verify(
        &self,
        id: &RoundId,
        block: &Hash,
        committee: &Committee,
        check: &dyn CheckSignatures,
    ) -> Result<(), CertificateError> {
        let signers = self.check_signers(committee)?;
        let message = share_message(id, block);
        let signed = |(public_key, signature): (PublicKey, &Signature)| SignedMessage {
            public_key,
            signature: *signature,
            message: &message,
        };
        let items: Vec<_> = signers.into_iter().zip(&self.signatures).map(signed).collect();
        match check.check(&items).iter().position(|valid| !valid) {
            Some(bad) => Err(CertificateError::BadSignature(items[bad].public_key)),
            None => Ok(()),
        }
    }

    /// The signers, if they are a quorum of `committee`; their signatures are not checked.
    pub(crate) fn check_signers(&self, committee: &Committee) -> Result<Vec<PublicKey>, CertificateError> {
        let (found, wanted) = (self.signers.count(), committee.quorum());
        if found < wanted {
            return Err(CertificateError::TooFew { found, wanted });
        }
        let member = |index| committee.get(index).copied().ok_or(CertificateError::NotAMember(index));
        self.signers.iter().map(member).collect()
    }

    /// Appends the certificate's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.signers.0.to_le_bytes());
        out.extend_from_slice(bytemuck::cast_slice(&self.signatures));
    }

    /// Reads the certificate at the front of `reader`.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let signers = Members(u128::from_le_bytes(*reader.view()?));
        debug_assert!(signers.count() <= COMMITTEE_MAX);
        let signatures = bytemuck::cast_slice(reader.bytes(signers.count() * size_of::<Signature>())?).to_vec();
        Ok(Certificate { signers, signatures })
    }
}

/// What a member signs under a block.
pub(crate) fn share_message(id: &RoundId, block: &Hash) -> [u8; 61] {
    id.message(DOMAIN, &block.0)
}

/// A [`CheckSignatures`] for this crate's own tests.
#[cfg(test)]
pub(crate) struct StrictCheck;

#[cfg(test)]
impl CheckSignatures for StrictCheck {
    fn check(&self, items: &[SignedMessage<'_>]) -> Vec<bool> {
        let one = |item: &SignedMessage<'_>| {
            let signature = ed25519_dalek::Signature::from_bytes(&item.signature.0);
            ed25519_dalek::VerifyingKey::from_bytes(&item.public_key.0)
                .is_ok_and(|key| key.verify_strict(item.message, &signature).is_ok())
        };
        items.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NetworkId, Tier};

    const ID: RoundId = RoundId { network: NetworkId([3; 8]), tier: Tier::Galaxy, number: 5 };

    fn committee() -> (Vec<SecretKey>, Committee) {
        let keys: Vec<SecretKey> = (0..4).map(|i| SecretKey::from_seed([i; 32])).collect();
        let committee = Committee::new(keys.iter().map(SecretKey::public_key).collect());
        (keys, committee)
    }

    fn signed_by(keys: &[SecretKey], indices: &[usize], block: Hash) -> Certificate {
        Certificate::from_shares(&indices.iter().map(|&i| (i, Share::sign(&ID, block, &keys[i]).signature)).collect())
    }

    #[test]
    fn a_quorum_holds_and_less_does_not() {
        let (keys, committee) = committee();
        let block = Hash([9; 32]);
        let verify = |indices: &[usize]| signed_by(&keys, indices, block).verify(&ID, &block, &committee, &StrictCheck);
        assert_eq!(verify(&[0, 2, 3]), Ok(()));
        assert_eq!(verify(&[0, 1, 2, 3]), Ok(()));
        assert_eq!(verify(&[0, 3]), Err(CertificateError::TooFew { found: 2, wanted: 3 }));
        let other = signed_by(&keys, &[0, 1, 2], Hash([8; 32])).verify(&ID, &block, &committee, &StrictCheck);
        assert_eq!(other, Err(CertificateError::BadSignature(keys[0].public_key())));
        let other_round = RoundId { number: 6, ..ID };
        let elsewhere = signed_by(&keys, &[0, 1, 2], block).verify(&other_round, &block, &committee, &StrictCheck);
        assert_eq!(elsewhere, Err(CertificateError::BadSignature(keys[0].public_key())));
    }

    #[test]
    fn strangers_do_not_count() {
        let (keys, committee) = committee();
        let block = Hash([9; 32]);
        let mut shares: BTreeMap<usize, Signature> =
            [0, 1].map(|i| (i, Share::sign(&ID, block, &keys[i]).signature)).into();
        shares.insert(100, Share::sign(&ID, block, &keys[2]).signature);
        let verdict = Certificate::from_shares(&shares).verify(&ID, &block, &committee, &StrictCheck);
        assert_eq!(verdict, Err(CertificateError::NotAMember(100)));
    }

    #[test]
    fn it_reads_back() {
        let (keys, _) = committee();
        let certificate = signed_by(&keys, &[1, 3], Hash([1; 32]));
        let mut bytes = Vec::new();
        certificate.write(&mut bytes);
        assert_eq!(bytes.len(), 16 + 128);
        assert_eq!(Certificate::read(&mut Reader::new(&bytes)), Ok(certificate));
        assert!(Certificate::read(&mut Reader::new(&bytes[..143])).is_err());
    }
}
