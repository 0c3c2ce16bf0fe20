//! The signatures that are verified: made once, before any clock runs.

use constellation_verify::{BatchError, OwnedBatch};
use ed25519_dalek::{Signer, SigningKey};

/// The length of every message in bytes, near that of one half of a transaction.
const MESSAGE_BYTES: usize = 168;

/// What is special about a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Every signature is valid and by a key not seen before in the pass.
    NewKeys,
    /// The same, with one invalid signature in every batch.
    OneBad,
}

impl Case {
    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NewKeys => "new_keys",
            Self::OneBad => "one_bad",
        }
    }
}

/// Signatures cut into batches of one size.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What is special about it.
    pub case: Case,
    /// Signatures in each batch; the last one may have fewer.
    pub batch_size: usize,
    /// The batches.
    pub batches: Vec<OwnedBatch>,
    /// How many signatures are valid in all batches together.
    pub valid: usize,
    /// How many signatures there are in all batches together.
    pub signatures: usize,
}

impl Workload {
    /// `signatures` signatures by as many keys, in batches of `batch_size` (at least one).
    ///
    /// # Errors
    /// [`BatchError::TooLong`] when one batch would pass 4 GiB of messages.
    pub fn new(case: Case, signatures: usize, batch_size: usize) -> Result<Self, BatchError> {
        let batch_size = batch_size.max(1);
        let mut batches = Vec::new();
        let mut valid = signatures;
        for first in (0..signatures).step_by(batch_size) {
            let end = signatures.min(first + batch_size);
            let bad = (case == Case::OneBad).then_some(first + (end - first) / 2);
            valid -= usize::from(bad.is_some());
            let mut batch = OwnedBatch::new();
            for number in first..end {
                push_signature(&mut batch, number, bad == Some(number))?;
            }
            batches.push(batch);
        }
        Ok(Self { case, batch_size, batches, valid, signatures })
    }
}

fn push_signature(batch: &mut OwnedBatch, number: usize, is_bad: bool) -> Result<(), BatchError> {
    let mut secret = [0x5A; 32];
    secret[..8].copy_from_slice(&(number as u64).to_le_bytes());
    let key = SigningKey::from_bytes(&secret);
    let mut message = [0xA5; MESSAGE_BYTES];
    message[..8].copy_from_slice(&(number as u64).to_le_bytes());
    let mut signature = key.sign(&message).to_bytes();
    // A bit of S: the signature stays well formed and only the equation can tell.
    signature[40] ^= u8::from(is_bad);
    batch.push(&key.verifying_key().to_bytes(), &signature, &[&message])
}
