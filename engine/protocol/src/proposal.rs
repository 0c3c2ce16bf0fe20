//! What members propose: transactions at the cluster tier; at the galaxy tier certified LSH blocks, by header, and the verifiable
//! output that goes into the beacon.
//!
//! ```text
//! cluster:  1 byte count of proofs of misconduct, the proofs (238 each), then transactions' records, one after the other
//! galaxy:   80 bytes proof of the proposer's verifiable output, 2 bytes count of clusters that are stuck, for each its number (4) and its last
//!           accepted round (8), then for each LSH block: header (312), certificate
//! ```

use crate::misconduct::{PROOFS_MAX, PROOFS_MAX_BYTES};
use constellation_chain::{
    Certificate, FIXED_LEN_BYTES, Hash, Hasher, LshBlockError, LshHeader, Misconduct, MisconductError, NetworkId,
    PublicKey, Reader, SecretKey, Transaction, TransactionError, WireError, record_at, vrf,
};
use std::sync::Arc;

/// LSH blocks of one cluster that one black hole can take: how far a cluster runs ahead of its galaxy. One round broadcasts while another agrees and the
/// galaxy settles a third.
pub const ROUNDS_AHEAD_OF_GALAXY: u64 = 3;

/// A facilitator's proposal.
pub(crate) struct ClusterProposal {
    pub proofs: Vec<Misconduct>,
    /// Each with whether it was known already, signatures included.
    pub transactions: Vec<(Arc<Transaction>, bool)>,
}

/// Why bytes are not a facilitator's proposal. Always the proposer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClusterProposalError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Misconduct(#[from] MisconductError),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
}

impl ClusterProposal {
    pub fn encode(proofs: &[Misconduct], transactions: &[Arc<Transaction>]) -> Arc<[u8]> {
        debug_assert!(proofs.len() <= PROOFS_MAX);
        let records: usize = transactions.iter().map(|transaction| transaction.len_bytes()).sum();
        let mut out = Vec::with_capacity(PROOFS_MAX_BYTES + records);
        out.push(proofs.len() as u8);
        out.extend_from_slice(bytemuck::cast_slice(proofs));
        for transaction in transactions {
            transaction.write(&mut out);
        }
        out.into()
    }

    /// Reads a proposal; `known` gives the transactions of records where there are some already.
    pub fn decode(
        bytes: &[u8],
        network: NetworkId,
        known: impl FnOnce(&[&[u8]]) -> Vec<Option<Arc<Transaction>>>,
    ) -> Result<Self, ClusterProposalError> {
        let mut reader = Reader::new(bytes);
        let count = reader.u8()?;
        if usize::from(count) > PROOFS_MAX {
            let bound = PROOFS_MAX as u64;
            return Err(WireError::TooMany { what: "proofs of misconduct", count: count.into(), bound }.into());
        }
        let proofs = (0..count).map(|_| Misconduct::read(&mut reader)).collect::<Result<_, _>>()?;
        let mut records = Vec::with_capacity(reader.rest().len() / FIXED_LEN_BYTES);
        while !reader.is_empty() {
            records.push(record_at(&mut reader)?);
        }
        let transactions = records.iter().zip(known(&records)).map(|(record, known)| match known {
            Some(transaction) => Ok((transaction, true)),
            None => Ok((Arc::new(Transaction::decode(record, network)?), false)),
        });
        Ok(ClusterProposal { proofs, transactions: transactions.collect::<Result<_, TransactionError>>()? })
    }
}

/// A cluster whose facilitators, as far as the proposer can see, make no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stuck {
    pub cluster: u32,
    /// Its last round in a black hole: a complaint is of no account once there is another.
    pub accepted_round: u64,
}

/// A validator's proposal.
pub(crate) struct GalaxyProposal {
    pub proof: [u8; vrf::PROOF_LEN_BYTES],
    pub stuck: Vec<Stuck>,
    pub blocks: Vec<(LshHeader, Certificate)>,
}

impl GalaxyProposal {
    /// The longest proposal there can be: `facilitators` sign each of the blocks of `clusters` clusters.
    pub fn max_bytes(facilitators: usize, clusters: usize) -> usize {
        let block = size_of::<LshHeader>() + 16 + 64 * facilitators;
        vrf::PROOF_LEN_BYTES + 2 + 12 * clusters + blocks_max(clusters) * block
    }

    pub fn encode(&self) -> Arc<[u8]> {
        let mut out = self.proof.to_vec();
        out.extend_from_slice(&(self.stuck.len() as u16).to_le_bytes());
        for Stuck { cluster, accepted_round } in &self.stuck {
            out.extend_from_slice(&cluster.to_le_bytes());
            out.extend_from_slice(&accepted_round.to_le_bytes());
        }
        for (header, certificate) in &self.blocks {
            out.extend_from_slice(bytemuck::bytes_of(header));
            certificate.write(&mut out);
        }
        out.into()
    }

    pub fn decode(bytes: &[u8], network: NetworkId, clusters: usize) -> Result<Self, LshBlockError> {
        let mut reader = Reader::new(bytes);
        let proof = *reader.view()?;
        let count = u16::from_le_bytes(*reader.view::<[u8; 2]>()?);
        if usize::from(count) > clusters {
            let (what, bound) = ("stuck clusters", clusters as u64);
            return Err(WireError::TooMany { what, count: count.into(), bound }.into());
        }
        let mut stuck = Vec::with_capacity(count.into());
        for _ in 0..count {
            stuck.push(Stuck { cluster: reader.u32()?, accepted_round: reader.u64()? });
        }
        let mut blocks = Vec::new();
        while !reader.is_empty() {
            if blocks.len() == blocks_max(clusters) {
                return Err(WireError::LeftOver(reader.rest().len()).into());
            }
            blocks.push((LshHeader::read(&mut reader, network)?, Certificate::read(&mut reader)?));
        }
        if !stuck.is_sorted_by(|one, next| one.cluster < next.cluster) {
            return Err(WireError::Unknown { what: "order of stuck clusters", value: count.into() }.into());
        }
        Ok(GalaxyProposal { proof, stuck, blocks })
    }
}

/// LSH blocks that one black hole can take.
fn blocks_max(clusters: usize) -> usize {
    ROUNDS_AHEAD_OF_GALAXY as usize * clusters
}

/// The beacon's chain: each step mixes in the verifiable outputs of the round's accepted proposals.
pub(crate) struct BeaconRound {
    pub network: NetworkId,
    pub height: u64,
    pub previous: Hash,
}

impl BeaconRound {
    fn input(&self) -> [u8; 32] {
        Hasher::new(b"cst.beac")
            .update(&self.network.0)
            .update(&self.height.to_le_bytes())
            .update(&self.previous.0)
            .finish()
            .0
    }

    pub fn prove(&self, key: &SecretKey) -> [u8; vrf::PROOF_LEN_BYTES] {
        vrf::prove(key, &self.input())
    }

    pub fn output(&self, key: &PublicKey, proof: &[u8]) -> Option<Hash> {
        vrf::verify(key, &self.input(), proof)
    }

    /// The next beacon from the outputs, by committee index.
    pub fn next(&self, outputs: &[(usize, Hash)]) -> Hash {
        let mut hasher = Hasher::new(b"cst.bnxt");
        hasher.update(&self.previous.0);
        for (index, output) in outputs {
            hasher.update(&(*index as u64).to_le_bytes()).update(&output.0);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..900)) {
            let network = NetworkId::default();
            if let Ok(proposal) = ClusterProposal::decode(&bytes, network, |records| vec![None; records.len()]) {
                let transactions: Vec<_> = proposal.transactions.into_iter().map(|(one, _)| one).collect();
                prop_assert_eq!(&*ClusterProposal::encode(&proposal.proofs, &transactions), &bytes[..]);
            }
            if let Ok(proposal) = GalaxyProposal::decode(&bytes, network, 1) {
                prop_assert_eq!(&*proposal.encode(), &bytes[..]);
            }
        }
    }

    #[test]
    fn a_proposal_names_no_more_blocks_than_a_black_hole_takes() {
        let header = {
            let mut bytes = [0; 312];
            bytes[0] = 1;
            LshHeader::read(&mut Reader::new(&bytes), NetworkId::default()).unwrap()
        };
        let block = (header, Certificate::from_shares(&Default::default()));
        let stuck = vec![Stuck { cluster: 1, accepted_round: 7 }];
        let with = |count| {
            GalaxyProposal { proof: [7; 80], stuck: stuck.clone(), blocks: vec![block.clone(); count] }.encode()
        };
        let most = 2 * ROUNDS_AHEAD_OF_GALAXY as usize;
        assert!(GalaxyProposal::decode(&with(most), NetworkId::default(), 2).is_ok());
        assert!(GalaxyProposal::decode(&with(most + 1), NetworkId::default(), 2).is_err());
        assert!(with(most).len() <= GalaxyProposal::max_bytes(0, 2));
    }
}
