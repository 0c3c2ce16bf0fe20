//! What members propose: transactions at the cluster tier; at the galaxy tier certified LSH blocks, by header, and the verifiable
//! output that goes into the beacon.
//!
//! ```text
//! cluster:  transactions' records, one after the other
//! galaxy:   80 bytes proof of the proposer's verifiable output, then for each LSH block: header (312), certificate
//! ```

use constellation_chain::{
    Certificate, FIXED_LEN_BYTES, Hash, Hasher, LshBlockError, LshHeader, NetworkId, PublicKey, Reader, SecretKey,
    Transaction, TransactionError, WireError, record_at, vrf,
};
use std::sync::Arc;

/// LSH blocks of one cluster that one black hole can take: how far a cluster runs ahead of its galaxy.
pub(crate) const ROUNDS_AHEAD_OF_GALAXY: u64 = 2;

pub(crate) fn encode_transactions(transactions: &[Arc<Transaction>]) -> Arc<[u8]> {
    let mut out = Vec::with_capacity(transactions.iter().map(|transaction| transaction.len_bytes()).sum());
    for transaction in transactions {
        transaction.write(&mut out);
    }
    out.into()
}

/// Reads a proposal's transactions, each with whether it is one that `known` gave for its record.
pub(crate) fn decode_transactions<'a>(
    bytes: &[u8],
    network: NetworkId,
    known: impl Fn(&[u8]) -> Option<&'a Arc<Transaction>>,
) -> Result<Vec<(Arc<Transaction>, bool)>, TransactionError> {
    let mut reader = Reader::new(bytes);
    let mut transactions = Vec::with_capacity(bytes.len() / FIXED_LEN_BYTES);
    while !reader.is_empty() {
        let record = record_at(&mut reader)?;
        transactions.push(match known(record) {
            Some(transaction) => (transaction.clone(), true),
            None => (Arc::new(Transaction::decode(record, network)?), false),
        });
    }
    Ok(transactions)
}

/// A validator's proposal.
pub(crate) struct GalaxyProposal {
    pub proof: [u8; vrf::PROOF_LEN_BYTES],
    pub blocks: Vec<(LshHeader, Certificate)>,
}

impl GalaxyProposal {
    /// The longest proposal there can be: `facilitators` sign each of the blocks.
    pub fn max_bytes(facilitators: usize) -> usize {
        let block = size_of::<LshHeader>() + 16 + 64 * facilitators;
        vrf::PROOF_LEN_BYTES + ROUNDS_AHEAD_OF_GALAXY as usize * block
    }

    pub fn encode(&self) -> Arc<[u8]> {
        let mut out = self.proof.to_vec();
        for (header, certificate) in &self.blocks {
            out.extend_from_slice(bytemuck::bytes_of(header));
            certificate.write(&mut out);
        }
        out.into()
    }

    pub fn decode(bytes: &[u8], network: NetworkId) -> Result<Self, LshBlockError> {
        let mut reader = Reader::new(bytes);
        let proof = *reader.view()?;
        let mut blocks = Vec::new();
        while !reader.is_empty() {
            if blocks.len() as u64 == ROUNDS_AHEAD_OF_GALAXY {
                return Err(WireError::LeftOver(reader.rest().len()).into());
            }
            blocks.push((LshHeader::read(&mut reader, network)?, Certificate::read(&mut reader)?));
        }
        Ok(GalaxyProposal { proof, blocks })
    }
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
            prop_assert_eq!(decode_transactions(&bytes, network, |_| None).is_ok(), bytes.is_empty());
            if let Ok(proposal) = GalaxyProposal::decode(&bytes, network) {
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
        let with = |count| GalaxyProposal { proof: [7; 80], blocks: vec![block.clone(); count] }.encode();
        assert!(GalaxyProposal::decode(&with(2), NetworkId::default()).is_ok());
        assert!(GalaxyProposal::decode(&with(3), NetworkId::default()).is_err());
        assert!(with(2).len() <= GalaxyProposal::max_bytes(0));
    }
}
