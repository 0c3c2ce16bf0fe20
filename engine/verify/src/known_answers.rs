//! Signatures and transactions with known verdicts, made here from fixed secrets: what a CPU backend must get right to be picked by itself, and a GPU to be used at all.

use constellation_shaders::layout::{HalfFormat, TransactionFormat};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::scalar::Scalar;

use crate::transactions::{NO_KEY, write_messages};
use crate::{Messages, OwnedBatch, Transactions, rule};

/// `count` signatures, of which each `spoil_every`th is spoilt, the first one included, and the verdict of each.
pub(crate) fn known_answers(count: usize, spoil_every: usize) -> (OwnedBatch, Vec<bool>) {
    let mut batch = OwnedBatch::new();
    let mut verdicts = Vec::with_capacity(count);
    for index in 0..count {
        let mut signed = Signed::new(index);
        let is_spoilt = index % spoil_every == 0;
        if is_spoilt {
            signed.spoil(index / spoil_every);
        }
        if batch.push(&signed.public_key, &signed.signature, &[&signed.message]).is_ok() {
            verdicts.push(!is_spoilt);
        }
    }
    (batch, verdicts)
}

/// Transactions of a format of their own, and the verdict of each signature.
pub(crate) struct KnownTransactions {
    format: TransactionFormat,
    records: Vec<u8>,
    ends: Vec<u32>,
    pub(crate) verdicts: Vec<bool>,
}

impl KnownTransactions {
    /// `count` of them. Of five, one has a spoilt first signature, one a spoilt second one, and one no second key.
    pub(crate) fn new(count: usize) -> Self {
        let first = HalfFormat { domain: *b"known 1 ", key: 4, signature: 100, signed: 0, signed_len_bytes: 100 };
        let second = HalfFormat { domain: *b"known 2 ", key: 36, signature: 200, signed: 164, signed_len_bytes: 36 };
        let format = TransactionFormat::new([first, second]).expect("all parts lie on words within 264 bytes");
        let mut known = Self { format, records: Vec::new(), ends: Vec::new(), verdicts: Vec::new() };
        for index in 0..count {
            known.push(index);
        }
        known
    }

    fn push(&mut self, index: usize) {
        let [first, second] = self.format.halves();
        let signers = [Signer::new(2 * index), Signer::new(2 * index + 1)];
        let way = index % 5;
        let has_second = way != 2;
        // Records may be longer than what their format describes.
        let mut record: Vec<u8> =
            (0..=255).cycle().skip(index % 256).take(self.format.head_len_bytes() + index % 7).collect();
        let mut put = |at: u32, bytes: &[u8]| record[at as usize..][..bytes.len()].copy_from_slice(bytes);
        put(first.key, &signers[0].public_key());
        put(second.key, &if has_second { signers[1].public_key() } else { NO_KEY });
        let mut messages = Vec::new();
        let first_len = write_messages([first, second], &record, &mut messages);
        let mut signatures = [signers[0].sign(&messages[..first_len]), signers[1].sign(&messages[first_len..])];
        if let Some(signature) = signatures.get_mut(way) {
            signature[index % 64] ^= 1;
        }
        for (half, signature) in [first, second].into_iter().zip(signatures) {
            record[half.signature as usize..][..64].copy_from_slice(&signature);
        }
        self.verdicts.extend([way != 0, has_second && way != 1]);
        self.records.extend_from_slice(&record);
        // Each is short, and the self-test has few.
        self.ends.push(self.records.len() as u32);
    }

    pub(crate) fn transactions(&self) -> Transactions<'_> {
        let records = Messages::new(&self.records, &self.ends).expect("each record is pushed with its end");
        Transactions::new(&self.format, records).expect("each record has a whole head")
    }
}

/// Who signs with fixed secrets.
struct Signer {
    secret: Scalar,
    nonce: Scalar,
    index: usize,
}

impl Signer {
    fn new(index: usize) -> Self {
        let mut stream = blake3::Hasher::new().update(b"self-test").update(&index.to_le_bytes()).finalize_xof();
        let mut scalar = || {
            let mut bytes = [0; 64];
            stream.fill(&mut bytes);
            Scalar::from_bytes_mod_order_wide(&bytes)
        };
        Self { secret: scalar(), nonce: scalar(), index }
    }

    fn public_key(&self) -> [u8; 32] {
        (self.secret * ED25519_BASEPOINT_POINT).compress().to_bytes()
    }

    /// A valid signature. R carries a part of small order in some: only the cofactored equation takes those.
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let commitment = self.nonce * ED25519_BASEPOINT_POINT + EIGHT_TORSION[self.index % EIGHT_TORSION.len()];
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(commitment.compress().as_bytes());
        let response = self.nonce + rule::challenge(&self.public_key(), &signature, message) * self.secret;
        signature[32..].copy_from_slice(response.as_bytes());
        signature
    }
}

struct Signed {
    public_key: [u8; 32],
    signature: [u8; 64],
    message: Vec<u8>,
}

impl Signed {
    /// A valid signature.
    fn new(index: usize) -> Self {
        let signer = Signer::new(index);
        let message: Vec<u8> = (0..=255).cycle().take(index % 176).collect();
        Self { public_key: signer.public_key(), signature: signer.sign(&message), message }
    }

    /// Makes it invalid in one of the ways that a forger would try.
    fn spoil(&mut self, way: usize) {
        match way % 8 {
            0 => self.signature[33] ^= 1,
            1 => self.signature[1] ^= 1,
            2 => self.public_key[1] ^= 1,
            3 => match self.message.first_mut() {
                Some(byte) => *byte ^= 1,
                None => self.message.push(0),
            },
            // S + ℓ: the same response, not below ℓ.
            4 => add_group_order(&mut self.signature),
            // The neutral element: of small order.
            5 => self.public_key = std::array::from_fn(|byte| u8::from(byte == 0)),
            // y ≥ p.
            6 => self.signature[..32].fill(0xff),
            _ => self.signature = [0; 64],
        }
    }
}

fn add_group_order(signature: &mut [u8; 64]) {
    let largest = (-Scalar::ONE).to_bytes();
    // ℓ = (ℓ − 1) + 1: the 1 enters as the first carry.
    let mut carry = 1;
    for (byte, order) in signature[32..].iter_mut().zip(largest) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_transactions_have_the_verdicts_of_the_rule() {
        let known = KnownTransactions::new(50);
        let transactions = known.transactions();
        let [first, second] = known.format.halves();
        let mut messages = Vec::new();
        for (index, record) in transactions.records().iter().enumerate() {
            let first_len = write_messages([first, second], record, &mut messages);
            for (half, (format, message)) in
                [(first, &messages[..first_len]), (second, &messages[first_len..])].into_iter().enumerate()
            {
                let key = record[format.key as usize..].first_chunk().unwrap();
                let signature = record[format.signature as usize..].first_chunk().unwrap();
                let verdict = known.verdicts[2 * index + half];
                assert_eq!(rule::is_valid(key, signature, message), verdict, "half {half} of transaction {index}");
            }
        }
        assert_eq!(known.verdicts.iter().filter(|valid| !**valid).count(), 30);
    }

    #[test]
    fn the_known_answers_are_those_of_the_rule() {
        for spoil_every in [1, 3] {
            let (batch, verdicts) = known_answers(96, spoil_every);
            let batch = batch.as_batch();
            assert_eq!((batch.len(), verdicts.len()), (96, 96));
            for (index, verdict) in verdicts.into_iter().enumerate() {
                let (key, signature) = (&batch.public_keys()[index], &batch.signatures()[index]);
                assert_eq!(rule::is_valid(key, signature, batch.messages().at(index)), verdict, "signature {index}");
                assert_eq!(verdict, index % spoil_every != 0);
            }
        }
    }
}
