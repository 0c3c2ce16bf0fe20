//! The black hole: a block of the main chain, and its bytes.
//!
//! ```text
//! offset len
//!      0   1  version = 1
//!      1   3  zero
//!      4   4  LSH block count
//!      8   8  network id
//!     16   8  height, from 1
//!     24  32  hash of the previous black hole (the genesis hash at height 1); also leaf 0 of the Merkle tree
//!     56  32  Merkle root over the previous hash and the hashes of the accepted LSH blocks in canonical order
//!     88  32  hash of the censored list, followed by the clusters elected anew
//!    120  32  root of the evidence the ledger found
//!    152  32  state commitment after this black hole
//!    184  32  meme root (zero until a network keeps memes)
//!    216  32  beacon
//!    248  32  hash over who takes part next: facilitators, validators, candidates, and every star's cluster
//!    280   4  transaction count, over all LSH blocks
//!    284   4  count of clusters whose facilitators were elected anew
//!    288      end of the header; its hash, in the domain "cst.hole", is the block's hash
//!      …      certificate
//!      …      the LSH blocks, sealed, in canonical order: by cluster, then by round
//!      …   4  count of censored transactions, then for each: 4 bytes place, 1 byte reason
//!      …   4  count of evidence, then for each 104 bytes
//!      …      the clusters elected anew, 4 bytes each, in rising order
//! ```
//!
//! The censored list is sparse, and says why: five bytes for each transaction that did not apply, none for those that did.

use crate::certificate::Certificate;
use crate::evidence::Evidence;
use crate::hash::Hash;
use crate::ledger::{Application, Censored, Reason};
use crate::lsh_block::{LshBlockError, SealedLshBlock};
use crate::merkle::merkle_root;
use crate::placement::CLUSTERS_MAX;
use crate::round_id::{RoundId, Tier};
use crate::transaction::{NetworkId, Transaction};
use crate::wire::{Reader, WireError};
use bytemuck::{Pod, Zeroable};
use std::sync::Arc;

const VERSION: u8 = 1;
/// Three of each cluster fit.
const LSH_BLOCKS_MAX: usize = 1024;
const _: () = assert!(LSH_BLOCKS_MAX >= 3 * CLUSTERS_MAX as usize);

/// The header of a black hole: 288 bytes, drawn above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlackHoleHeader {
    version: u8,
    zero: [u8; 3],
    lsh_block_count: [u8; 4],
    /// The network.
    pub network: NetworkId,
    height: [u8; 8],
    /// The previous black hole.
    pub previous: Hash,
    /// Root over the accepted LSH blocks.
    pub root: Hash,
    /// Hash of the censored list, followed by the clusters elected anew.
    pub censored: Hash,
    /// Root of the evidence.
    pub evidence_root: Hash,
    /// State commitment after this black hole.
    pub state: Hash,
    /// Root of the memes.
    pub meme_root: Hash,
    /// The beacon.
    pub beacon: Hash,
    /// Hash over who takes part next: facilitators, validators, candidates, and every star's cluster.
    pub facilitators: Hash,
    transaction_count: [u8; 4],
    reelected_count: [u8; 4],
}

const _: () = assert!(size_of::<BlackHoleHeader>() == 288 && align_of::<BlackHoleHeader>() == 1);

impl BlackHoleHeader {
    /// The black hole's hash.
    pub fn hash(&self) -> Hash {
        Hash::of(b"cst.hole", bytemuck::bytes_of(self))
    }

    /// Height, from 1.
    pub fn height(&self) -> u64 {
        u64::from_le_bytes(self.height)
    }

    pub(crate) fn version(&self) -> u8 {
        self.version
    }

    /// Whether version and reserved bytes are as this build writes them.
    pub(crate) fn is_of_this_version(&self) -> bool {
        self.version == VERSION && self.zero == [0; 3]
    }

    /// The round that made it.
    pub fn round_id(&self) -> RoundId {
        RoundId { network: self.network, tier: Tier::Galaxy, number: self.height() }
    }

    /// LSH blocks accepted.
    pub fn lsh_block_count(&self) -> usize {
        u32::from_le_bytes(self.lsh_block_count) as usize
    }

    /// Transactions over all LSH blocks.
    pub fn transaction_count(&self) -> usize {
        u32::from_le_bytes(self.transaction_count) as usize
    }
}

/// A black hole with all it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlackHole {
    /// The header.
    pub header: BlackHoleHeader,
    /// The accepted LSH blocks.
    pub lsh_blocks: Vec<Arc<SealedLshBlock>>,
    /// Transactions that did not apply.
    pub censored: Vec<Censored>,
    /// Forks proven.
    pub evidence: Vec<Evidence>,
    /// Clusters whose named rounds are void: their facilitators made no block of them, and others were elected.
    pub reelected: Vec<u32>,
}

/// A transaction, and why it did not apply; no reason when it did.
pub type Outcome<'a> = (&'a Arc<Transaction>, Option<Reason>);

/// Where a new black hole stands, and what its round settled beside the ledger.
#[derive(Clone, Debug)]
pub struct BlackHolePlace {
    /// The network.
    pub network: NetworkId,
    /// Height, from 1.
    pub height: u64,
    /// The previous black hole.
    pub previous: Hash,
    /// State commitment after this one.
    pub state: Hash,
    /// The beacon.
    pub beacon: Hash,
    /// Hash over who takes part next.
    pub facilitators: Hash,
    /// Clusters elected anew, in rising order.
    pub reelected: Vec<u32>,
}

/// Why bytes are not a black hole. Always the fault of who served them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlackHoleError {
    /// Not the right number of bytes.
    #[error("black hole: {0}")]
    Wire(#[from] WireError),
    /// Another version of the format.
    #[error("black hole version {0} is not known; this build reads version {VERSION}")]
    Version(u8),
    /// A block of another network.
    #[error("black hole of network {0}")]
    Network(NetworkId),
    /// An LSH block in it is malformed.
    #[error("black hole: {0}")]
    LshBlock(#[from] LshBlockError),
    /// What it holds is not what the header commits to.
    #[error("black hole: {0} does not match the header")]
    Mismatch(&'static str),
}

impl BlackHole {
    /// Folds accepted LSH blocks and what the ledger said of them onto the previous black hole.
    pub fn fold(place: BlackHolePlace, lsh_blocks: Vec<Arc<SealedLshBlock>>, application: Application) -> Self {
        let transaction_count: usize = lsh_blocks.iter().map(|sealed| sealed.block.transactions.len()).sum();
        let header = BlackHoleHeader {
            version: VERSION,
            zero: [0; 3],
            lsh_block_count: (lsh_blocks.len() as u32).to_le_bytes(),
            network: place.network,
            height: place.height.to_le_bytes(),
            previous: place.previous,
            root: lsh_root(&place.previous, &lsh_blocks),
            censored: censored_hash(&application.censored, &place.reelected),
            evidence_root: Evidence::root(&place.previous, &application.evidence),
            state: place.state,
            meme_root: Hash::ZERO,
            beacon: place.beacon,
            facilitators: place.facilitators,
            transaction_count: (transaction_count as u32).to_le_bytes(),
            reelected_count: (place.reelected.len() as u32).to_le_bytes(),
        };
        let Application { censored, evidence, .. } = application;
        BlackHole { header, lsh_blocks, censored, evidence, reelected: place.reelected }
    }

    /// All transactions in canonical order.
    pub fn transactions(&self) -> impl Iterator<Item = &Arc<Transaction>> {
        self.lsh_blocks.iter().flat_map(|sealed| &sealed.block.transactions)
    }

    /// Each transaction's outcome, in canonical order: `None` when it applied.
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome<'_>> {
        let mut censored = self.censored.iter().peekable();
        self.transactions().enumerate().map(move |(index, transaction)| {
            let reason = censored.next_if(|next| next.index as usize == index).map(|next| next.reason);
            (transaction, reason)
        })
    }

    /// Each LSH block with the outcomes of its transactions, in canonical order.
    pub fn outcomes_by_block(&self) -> impl Iterator<Item = (&Arc<SealedLshBlock>, Vec<Outcome<'_>>)> {
        let mut outcomes = self.outcomes();
        self.lsh_blocks.iter().map(move |sealed| {
            let count = sealed.block.transactions.len();
            (sealed, outcomes.by_ref().take(count).collect())
        })
    }

    /// Appends header, certificate and body: one record.
    pub fn write(&self, certificate: &Certificate, out: &mut Vec<u8>) {
        let contents: usize =
            self.lsh_blocks.iter().map(|sealed| sealed.block.header.contents_len_bytes() + 1024).sum();
        out.reserve(size_of::<BlackHoleHeader>() + 8192 + contents);
        out.extend_from_slice(bytemuck::bytes_of(&self.header));
        certificate.write(out);
        self.write_body(out);
    }

    /// The bytes of [`BlackHole::write`].
    pub fn to_bytes(&self, certificate: &Certificate) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(certificate, &mut out);
        out
    }

    /// A digest of all but the certificates: nodes may hold different quorums' signatures under the same block.
    pub fn contents_digest(&self) -> Hash {
        let mut out = bytemuck::bytes_of(&self.header).to_vec();
        for sealed in &self.lsh_blocks {
            out.extend_from_slice(bytemuck::bytes_of(&sealed.block.header));
            sealed.block.write_contents(&mut out);
        }
        write_censored(&self.censored, &mut out);
        out.extend_from_slice(bytemuck::cast_slice(&self.evidence));
        write_reelected(&self.reelected, &mut out);
        Hash::of(b"cst.dgst", &out)
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        for sealed in &self.lsh_blocks {
            sealed.write(out);
        }
        write_censored(&self.censored, out);
        out.extend_from_slice(&(self.evidence.len() as u32).to_le_bytes());
        out.extend_from_slice(bytemuck::cast_slice(&self.evidence));
        write_reelected(&self.reelected, out);
    }

    /// Reads a record and checks every commitment inside it. Certificates' signatures, transactions' signatures, the
    /// ledger's verdicts, beacon and facilitators need what is outside the record: they are the caller's to check.
    pub fn decode(bytes: &[u8], network: NetworkId) -> Result<(Self, Certificate), BlackHoleError> {
        let mut reader = Reader::new(bytes);
        let header: BlackHoleHeader = *reader.view()?;
        if !header.is_of_this_version() {
            return Err(BlackHoleError::Version(header.version));
        }
        if header.network != network {
            return Err(BlackHoleError::Network(header.network));
        }
        let certificate = Certificate::read(&mut reader)?;
        let hole = Self::read_body(header, &mut reader)?;
        reader.finish()?;
        hole.check_commitments()?;
        Ok((hole, certificate))
    }

    fn read_body(header: BlackHoleHeader, reader: &mut Reader<'_>) -> Result<Self, BlackHoleError> {
        if header.lsh_block_count() > LSH_BLOCKS_MAX {
            return Err(BlackHoleError::Mismatch("LSH block count"));
        }
        let mut lsh_blocks = Vec::with_capacity(header.lsh_block_count());
        for _ in 0..header.lsh_block_count() {
            lsh_blocks.push(Arc::new(SealedLshBlock::read(reader, header.network)?));
        }
        let censored_count = reader.count("censored transactions", reader.rest().len() / 5)?;
        let mut censored = Vec::with_capacity(censored_count);
        for _ in 0..censored_count {
            let (index, byte) = (reader.u32()?, reader.u8()?);
            let reason = Reason::from_byte(byte).ok_or(WireError::Unknown { what: "reason", value: byte.into() })?;
            censored.push(Censored { index, reason });
        }
        let evidence_count = reader.count("evidence", reader.rest().len() / size_of::<Evidence>())?;
        let evidence = bytemuck::cast_slice(reader.bytes(evidence_count * size_of::<Evidence>())?).to_vec();
        let reelected_count = u32::from_le_bytes(header.reelected_count);
        if reelected_count > CLUSTERS_MAX {
            return Err(BlackHoleError::Mismatch("count of clusters elected anew"));
        }
        let reelected = (0..reelected_count).map(|_| reader.u32()).collect::<Result<Vec<u32>, _>>()?;
        Ok(BlackHole { header, lsh_blocks, censored, evidence, reelected })
    }

    fn check_commitments(&self) -> Result<(), BlackHoleError> {
        let header = &self.header;
        let transactions = self.transactions().count();
        let rising = self.censored.windows(2).all(|pair| pair[0].index < pair[1].index)
            && self.censored.last().is_none_or(|last| (last.index as usize) < transactions);
        let checks = [
            ("transaction count", transactions == header.transaction_count()),
            ("Merkle root", lsh_root(&header.previous, &self.lsh_blocks) == header.root),
            ("order of the censored list", rising),
            ("order of the clusters elected anew", self.reelected.is_sorted_by(|one, next| one < next)),
            ("censored list", censored_hash(&self.censored, &self.reelected) == header.censored),
            ("evidence root", Evidence::root(&header.previous, &self.evidence) == header.evidence_root),
        ];
        match checks.iter().find(|(_, holds)| !holds) {
            Some((what, _)) => Err(BlackHoleError::Mismatch(what)),
            None => Ok(()),
        }
    }
}

fn lsh_root(previous: &Hash, blocks: &[Arc<SealedLshBlock>]) -> Hash {
    let hashes: Vec<Hash> = blocks.iter().map(|sealed| sealed.block.header.hash()).collect();
    merkle_root(previous, hashes.iter().map(|hash| &hash.0[..]))
}

fn write_censored(censored: &[Censored], out: &mut Vec<u8>) {
    out.extend_from_slice(&(censored.len() as u32).to_le_bytes());
    for one in censored {
        out.extend_from_slice(&one.index.to_le_bytes());
        out.push(one.reason as u8);
    }
}

fn write_reelected(reelected: &[u32], out: &mut Vec<u8>) {
    reelected.iter().for_each(|cluster| out.extend_from_slice(&cluster.to_le_bytes()));
}

fn censored_hash(censored: &[Censored], reelected: &[u32]) -> Hash {
    let mut bytes = Vec::new();
    write_censored(censored, &mut bytes);
    write_reelected(reelected, &mut bytes);
    Hash::of(b"cst.cens", &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsh_block::{LshBlock, LshPlace, SKETCH_LEN_BYTES};
    use crate::{Members, Offer, PublicKey, SecretKey, Share, StarHead};
    use proptest::prelude::*;

    const NETWORK: NetworkId = NetworkId([3; 8]);

    fn sealed(round: u64, count: u8) -> Arc<SealedLshBlock> {
        let key = |byte| SecretKey::from_seed([byte; 32]);
        let transactions = (0..count)
            .map(|i| {
                let to = key(100 + i);
                let offer = Offer::transfer(NETWORK, &key(i), StarHead::default(), to.public_key(), round);
                Arc::new(offer.countersign(&to, StarHead::default()).unwrap())
            })
            .collect();
        let place = LshPlace {
            cluster: 0,
            network: NETWORK,
            round,
            previous: Hash([1; 32]),
            black_hole_height: 0,
            black_hole: Hash([2; 32]),
        };
        let block = LshBlock::fold(place, Members(1), transactions, Default::default(), [0; SKETCH_LEN_BYTES]);
        let shares = [(0, Share::sign(&block.header.round_id(), block.header.hash(), &key(9)).signature)].into();
        Arc::new(SealedLshBlock { block, certificate: Certificate::from_shares(&shares) })
    }

    fn hole() -> (BlackHole, Certificate) {
        let application = Application {
            censored: vec![Censored { index: 1, reason: Reason::Fork }, Censored { index: 4, reason: Reason::Balance }],
            evidence: vec![Evidence::new(PublicKey([1; 32]), 5, Hash([2; 32]), Hash([3; 32]))],
            applied: 3,
        };
        let place = BlackHolePlace {
            network: NETWORK,
            height: 7,
            previous: Hash([5; 32]),
            state: Hash([6; 32]),
            beacon: Hash([7; 32]),
            facilitators: Hash([8; 32]),
            reelected: vec![2, 9],
        };
        let hole = BlackHole::fold(place, vec![sealed(1, 2), sealed(2, 3)], application);
        let shares =
            [(2, Share::sign(&hole.header.round_id(), hole.header.hash(), &SecretKey::from_seed([9; 32])).signature)]
                .into();
        (hole, Certificate::from_shares(&shares))
    }

    #[test]
    fn it_reads_back_with_its_outcomes() {
        let (hole, certificate) = hole();
        let read = BlackHole::decode(&hole.to_bytes(&certificate), NETWORK).unwrap();
        assert_eq!(read, (hole.clone(), certificate));
        let outcomes: Vec<_> = hole.outcomes().map(|(_, reason)| reason).collect();
        assert_eq!(outcomes, [None, Some(Reason::Fork), None, None, Some(Reason::Balance)]);
    }

    #[test]
    fn the_digest_leaves_certificates_out() {
        let (hole, _) = hole();
        let mut other = hole.clone();
        let mut resealed = (*other.lsh_blocks[0]).clone();
        resealed.certificate = Certificate::from_shares(&Default::default());
        other.lsh_blocks[0] = Arc::new(resealed);
        assert_eq!(hole.contents_digest(), other.contents_digest());
        other.censored.pop();
        assert_ne!(hole.contents_digest(), other.contents_digest());
        let other = BlackHole { reelected: vec![2], ..hole.clone() };
        assert_ne!(hole.contents_digest(), other.contents_digest());
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_an_error_or_another_block(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let (hole, certificate) = hole();
            let mut bytes = hole.to_bytes(&certificate);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok((other, other_certificate)) = BlackHole::decode(&bytes, NETWORK) {
                let certificates_differ = other_certificate != certificate
                    || other.lsh_blocks.iter().zip(&hole.lsh_blocks).any(|(a, b)| a.certificate != b.certificate);
                prop_assert!(certificates_differ || other.header.hash() != hole.header.hash());
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..900)) {
            prop_assert!(BlackHole::decode(&bytes, NETWORK).is_err());
        }
    }
}
