//! The LSH block: a cluster's checkpoint, and its bytes.
//!
//! ```text
//! offset len
//!      0   1  version = 1
//!      1   1  count of proofs of misconduct
//!      2   2  zero
//!      4   4  cluster
//!      8   8  network id
//!     16   8  round, from 1
//!     24  32  hash of the cluster's previous LSH block (zero in round 1); also leaf 0 of the Merkle tree
//!     56   8  height of the last black hole seen: the one that named this round's facilitators
//!     64  32  its hash
//!     96   4  transaction count
//!    100   4  length of the transactions in bytes
//!    104  32  Merkle root over the previous hash and the hash of each transaction's record
//!    136 128  sketch of the accounts touched (a prefilter, never a commitment)
//!    264  16  proposers whose proposals were agreed on: bit i stands for committee index i
//!    280  32  root of the evidence: forks found in the transactions, then the proofs of misconduct
//!    312      end of the header; its hash, in the domain "cst.lshb", is the block's hash
//!      …      certificate
//!      …      contents: the transactions' records, one after the other; then the proofs of misconduct, 238 bytes each
//! ```

use crate::certificate::Certificate;
use crate::committee::Members;
use crate::evidence::find_forks;
use crate::hash::Hash;
use crate::merkle::merkle_root;
use crate::misconduct::{Misconduct, MisconductError};
use crate::round_id::{RoundId, Tier};
use crate::transaction::{FIXED_LEN_BYTES, NetworkId, Transaction, TransactionError};
use crate::wire::{Reader, WireError};
use bytemuck::{Pod, Zeroable};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Bytes of a sketch: one per bin.
pub const SKETCH_LEN_BYTES: usize = 128;

const VERSION: u8 = 1;

/// Proofs of misconduct in one LSH block, at most.
pub const MISCONDUCT_MAX: usize = u8::MAX as usize;

/// The header of an LSH block: 312 bytes, drawn above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct LshHeader {
    version: u8,
    misconduct_count: u8,
    zero: [u8; 2],
    cluster: [u8; 4],
    /// The network this block belongs to.
    pub network: NetworkId,
    round: [u8; 8],
    /// The cluster's previous LSH block.
    pub previous: Hash,
    black_hole_height: [u8; 8],
    /// The last black hole seen.
    pub black_hole: Hash,
    transaction_count: [u8; 4],
    transactions_len: [u8; 4],
    /// Merkle root of the contents.
    pub root: Hash,
    /// Locality sensitive sketch of the accounts touched.
    pub sketch: [u8; SKETCH_LEN_BYTES],
    proposers: [u8; 16],
    /// Root of the evidence found in the contents.
    pub evidence_root: Hash,
}

const _: () = assert!(size_of::<LshHeader>() == 312 && align_of::<LshHeader>() == 1);

/// Where a new LSH block stands.
#[derive(Clone, Copy, Debug)]
pub struct LshPlace {
    /// The cluster.
    pub cluster: u32,
    /// The network.
    pub network: NetworkId,
    /// The round, from 1.
    pub round: u64,
    /// The cluster's previous LSH block.
    pub previous: Hash,
    /// Height of the black hole that named the facilitators.
    pub black_hole_height: u64,
    /// Hash of that black hole.
    pub black_hole: Hash,
}

impl LshHeader {
    /// Cluster and round of the LSH block whose bytes these are, before anything of them is checked.
    pub fn place_at(bytes: &[u8]) -> Option<(u32, u64)> {
        let (cluster, round) = (bytes.get(4..8)?.first_chunk()?, bytes.get(16..24)?.first_chunk()?);
        Some((u32::from_le_bytes(*cluster), u64::from_le_bytes(*round)))
    }

    /// The block's hash.
    pub fn hash(&self) -> Hash {
        Hash::of(b"cst.lshb", bytemuck::bytes_of(self))
    }

    /// The cluster.
    pub fn cluster(&self) -> u32 {
        u32::from_le_bytes(self.cluster)
    }

    /// The round, from 1.
    pub fn round(&self) -> u64 {
        u64::from_le_bytes(self.round)
    }

    /// Height of the last black hole seen.
    pub fn black_hole_height(&self) -> u64 {
        u64::from_le_bytes(self.black_hole_height)
    }

    /// Transactions in the block.
    pub fn transaction_count(&self) -> usize {
        u32::from_le_bytes(self.transaction_count) as usize
    }

    /// Bytes of the contents: transactions and proofs of misconduct.
    pub fn contents_len_bytes(&self) -> usize {
        self.transactions_len_bytes() + usize::from(self.misconduct_count) * size_of::<Misconduct>()
    }

    fn transactions_len_bytes(&self) -> usize {
        u32::from_le_bytes(self.transactions_len) as usize
    }

    /// The round that made it.
    pub fn round_id(&self) -> RoundId {
        RoundId { network: self.network, tier: Tier::Cluster(self.cluster()), number: self.round() }
    }

    /// Facilitators whose proposals were agreed on.
    pub fn proposers(&self) -> Members {
        Members(u128::from_le_bytes(self.proposers))
    }

    /// Reads the header at the front of `reader`.
    pub fn read(reader: &mut Reader<'_>, network: NetworkId) -> Result<Self, LshBlockError> {
        let header: LshHeader = *reader.view()?;
        if header.version != VERSION || header.zero != [0; 2] {
            return Err(LshBlockError::Version(header.version));
        }
        if header.network != network {
            return Err(LshBlockError::Network(header.network));
        }
        Ok(header)
    }
}

/// An LSH block with its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LshBlock {
    /// The header.
    pub header: LshHeader,
    /// Its transactions, in canonical order.
    pub transactions: Vec<Arc<Transaction>>,
    /// Proofs of misconduct of committee members, in rising order; [`MISCONDUCT_MAX`] at most.
    pub misconduct: Vec<Misconduct>,
}

/// Why bytes are not an LSH block. Always the fault of who served them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LshBlockError {
    /// Not the right number of bytes.
    #[error("LSH block: {0}")]
    Wire(#[from] WireError),
    /// Another version of the format.
    #[error("LSH block version {0} is not known; this build reads version {VERSION}")]
    Version(u8),
    /// A block of another network.
    #[error("LSH block of network {0}")]
    Network(NetworkId),
    /// A transaction in it is malformed.
    #[error("LSH block: {0}")]
    Transaction(#[from] TransactionError),
    /// A proof of misconduct in it is malformed.
    #[error("LSH block: {0}")]
    Misconduct(#[from] MisconductError),
    /// The contents are not those the header commits to.
    #[error("LSH block: {0} does not match the header")]
    Mismatch(&'static str),
}

impl LshBlock {
    /// Folds agreed transactions, and what was proven against members, onto the previous block.
    ///
    /// # Panics
    /// When `misconduct` holds more than [`MISCONDUCT_MAX`]: what was agreed on is cut before.
    pub fn fold(
        place: LshPlace,
        proposers: Members,
        transactions: Vec<Arc<Transaction>>,
        misconduct: BTreeSet<Misconduct>,
        sketch: [u8; SKETCH_LEN_BYTES],
    ) -> Self {
        let transactions_len: usize = transactions.iter().map(|transaction| transaction.len_bytes()).sum();
        let misconduct = Vec::from_iter(misconduct);
        assert!(misconduct.len() <= MISCONDUCT_MAX, "{} proofs of misconduct in one block", misconduct.len());
        let header = LshHeader {
            version: VERSION,
            misconduct_count: misconduct.len() as u8,
            zero: [0; 2],
            cluster: place.cluster.to_le_bytes(),
            network: place.network,
            round: place.round.to_le_bytes(),
            previous: place.previous,
            black_hole_height: place.black_hole_height.to_le_bytes(),
            black_hole: place.black_hole,
            transaction_count: (transactions.len() as u32).to_le_bytes(),
            transactions_len: (transactions_len as u32).to_le_bytes(),
            root: contents_root(&place.previous, &transactions),
            sketch,
            proposers: proposers.0.to_le_bytes(),
            evidence_root: evidence_root(&place.previous, &transactions, &misconduct),
        };
        LshBlock { header, transactions, misconduct }
    }

    /// Appends the contents' bytes.
    pub fn write_contents(&self, out: &mut Vec<u8>) {
        for transaction in &self.transactions {
            transaction.write(out);
        }
        out.extend_from_slice(bytemuck::cast_slice(&self.misconduct));
    }

    /// Reads the contents that `header` commits to, and checks every commitment but the sketch (a prefilter) and the signatures.
    pub fn read_contents(header: LshHeader, reader: &mut Reader<'_>) -> Result<Self, LshBlockError> {
        let records = reader.bytes(header.transactions_len_bytes())?;
        if header.transaction_count() > records.len() / FIXED_LEN_BYTES {
            return Err(LshBlockError::Mismatch("transaction count"));
        }
        let mut records = Reader::new(records);
        let mut transactions = Vec::with_capacity(header.transaction_count());
        while !records.is_empty() {
            transactions.push(Arc::new(Transaction::read(&mut records, header.network)?));
        }
        if transactions.len() != header.transaction_count() {
            return Err(LshBlockError::Mismatch("transaction count"));
        }
        if contents_root(&header.previous, &transactions) != header.root {
            return Err(LshBlockError::Mismatch("Merkle root"));
        }
        let misconduct: Vec<Misconduct> =
            (0..header.misconduct_count).map(|_| Misconduct::read(reader)).collect::<Result<_, _>>()?;
        if !misconduct.is_sorted_by(|first, second| first < second) {
            return Err(LshBlockError::Mismatch("order of the proofs of misconduct"));
        }
        if evidence_root(&header.previous, &transactions, &misconduct) != header.evidence_root {
            return Err(LshBlockError::Mismatch("evidence root"));
        }
        Ok(LshBlock { header, transactions, misconduct })
    }
}

/// An LSH block, its certificate and its contents: what travels and what the log keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedLshBlock {
    /// The block.
    pub block: LshBlock,
    /// The facilitators' certificate.
    pub certificate: Certificate,
}

impl SealedLshBlock {
    /// Appends header, certificate and contents.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(bytemuck::bytes_of(&self.block.header));
        self.certificate.write(out);
        self.block.write_contents(out);
    }

    /// Reads the block at the front of `reader`; the certificate's signatures are not checked here.
    pub fn read(reader: &mut Reader<'_>, network: NetworkId) -> Result<Self, LshBlockError> {
        let header = LshHeader::read(reader, network)?;
        let certificate = Certificate::read(reader)?;
        let block = LshBlock::read_contents(header, reader)?;
        Ok(SealedLshBlock { block, certificate })
    }
}

fn evidence_root(previous: &Hash, transactions: &[Arc<Transaction>], misconduct: &[Misconduct]) -> Hash {
    let forks = find_forks(transactions.iter().map(|transaction| &**transaction));
    merkle_root(previous, forks.iter().map(bytemuck::bytes_of).chain(misconduct.iter().map(bytemuck::bytes_of)))
}

fn contents_root(previous: &Hash, transactions: &[Arc<Transaction>]) -> Hash {
    let leaves: Vec<Hash> = transactions.iter().map(|transaction| transaction.record_hash()).collect();
    merkle_root(previous, leaves.iter().map(|leaf| &leaf.0[..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MisconductKind, Offer, PublicKey, SecretKey, Signature, StarHead, Statement};
    use proptest::prelude::*;

    const NETWORK: NetworkId = NetworkId([3; 8]);

    fn misconduct(byte: u8) -> Misconduct {
        let statement = |hash| Statement { hash: Hash([hash; 32]), signature: Signature([byte; 64]) };
        let place = (Tier::Galaxy, 4);
        let statements = [statement(1), statement(2)];
        Misconduct::new(MisconductKind::TwoBlocks, place, PublicKey([byte; 32]), statements).unwrap()
    }

    fn sealed(count: u8) -> SealedLshBlock {
        let key = |byte| SecretKey::from_seed([byte; 32]);
        let transactions = (0..count)
            .map(|i| {
                let offer = Offer::transfer(NETWORK, &key(2 * i), StarHead::default(), key(2 * i + 1).public_key(), 9);
                Arc::new(offer.countersign(&key(2 * i + 1), StarHead::default()).unwrap())
            })
            .collect();
        let place = LshPlace {
            cluster: 1,
            network: NETWORK,
            round: 4,
            previous: Hash([1; 32]),
            black_hole_height: 2,
            black_hole: Hash([2; 32]),
        };
        let misconduct = (0..count / 3).map(misconduct).collect();
        let block = LshBlock::fold(place, Members(0b111), transactions, misconduct, [7; SKETCH_LEN_BYTES]);
        SealedLshBlock { block, certificate: Certificate::from_shares(&Default::default()) }
    }

    #[test]
    fn it_reads_back() {
        for count in [0, 1, 7] {
            let sealed = sealed(count);
            let mut bytes = Vec::new();
            sealed.write(&mut bytes);
            assert_eq!(SealedLshBlock::read(&mut Reader::new(&bytes), NETWORK), Ok(sealed));
        }
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_an_error_or_another_hash(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let sealed = sealed(3);
            let mut bytes = Vec::new();
            sealed.write(&mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(other) = SealedLshBlock::read(&mut Reader::new(&bytes), NETWORK) {
                let same_hash = other.block.header.hash() == sealed.block.header.hash();
                prop_assert!(!same_hash || other.certificate != sealed.certificate);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..1500), valid_front: bool) {
            if valid_front && bytes.len() > 16 {
                bytes[..16].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3]);
            }
            prop_assert!(SealedLshBlock::read(&mut Reader::new(&bytes), NETWORK).is_err());
        }
    }
}
