//! The verification engine in the protocol's terms.

use constellation_chain::{CheckSignatures, Hash, PublicKey, SKETCH_LEN_BYTES, SignedMessage, Transaction};
use constellation_protocol::Compute;
use constellation_verify::{Backend, Batch, Engine, EngineError, OwnedBatch, Verdicts};

/// Checks signatures and computes sketches with one backend of the verification engine.
#[derive(Clone)]
pub struct VerifyEngine {
    engine: Engine,
}

impl VerifyEngine {
    /// An engine on a backend that the operator pinned.
    pub fn new(backend: Backend) -> Result<Self, EngineError> {
        Ok(VerifyEngine { engine: Engine::new(backend)? })
    }

    /// An engine on the best backend of this machine.
    pub fn detect() -> Self {
        VerifyEngine { engine: Engine::detect() }
    }

    /// The backend in use.
    pub fn backend(&self) -> Backend {
        self.engine.backend()
    }

    /// One verdict a transaction: whether all of its signatures hold. All signatures go through the engine as one batch.
    pub(crate) fn check_transactions(&self, transactions: &[&Transaction]) -> Vec<bool> {
        Self::check_with(transactions, |batch| self.engine.verify(batch))
    }

    /// The same for transactions from senders whose signatures were bad of late.
    pub(crate) fn check_suspect_transactions(&self, transactions: &[&Transaction]) -> Vec<bool> {
        Self::check_with(transactions, |batch| self.engine.verify_suspect(batch))
    }

    fn check_with(transactions: &[&Transaction], verify: impl Fn(&Batch<'_>) -> Verdicts) -> Vec<bool> {
        let mut batch = SignatureBatch::default();
        let mut ends = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let messages = transaction.signed_messages();
            for item in transaction.signatures(&messages) {
                batch.push(&item);
            }
            ends.push(batch.len());
        }
        let verdicts = batch.verify(verify);
        let mut start = 0;
        ends.into_iter()
            .map(|end| {
                let holds = verdicts[start..end].iter().all(|valid| *valid);
                start = end;
                holds
            })
            .collect()
    }
}

/// A batch that counts what the engine's 32-bit offsets cannot hold as invalid, which no caller's bounds let happen.
#[derive(Default)]
struct SignatureBatch {
    inner: OwnedBatch,
    refused: usize,
}

impl SignatureBatch {
    fn push(&mut self, item: &SignedMessage<'_>) {
        if self.refused > 0 || self.inner.push(&item.public_key.0, &item.signature.0, &[item.message]).is_err() {
            self.refused += 1;
        }
    }

    fn len(&self) -> usize {
        self.inner.len() + self.refused
    }

    fn verify(&self, verify: impl Fn(&Batch<'_>) -> Verdicts) -> Vec<bool> {
        let verdicts = verify(&self.inner.as_batch());
        verdicts.iter().chain(std::iter::repeat_n(false, self.refused)).collect()
    }
}

impl CheckSignatures for VerifyEngine {
    fn check(&self, items: &[SignedMessage<'_>]) -> Vec<bool> {
        let mut batch = SignatureBatch::default();
        items.iter().for_each(|item| batch.push(item));
        batch.verify(|batch| self.engine.verify(batch))
    }
}

impl Compute for VerifyEngine {
    fn sketch(&self, key: &Hash, accounts: &[PublicKey]) -> [u8; SKETCH_LEN_BYTES] {
        constellation_verify::sketch(&key.0, accounts.iter().map(|account| &account.0))
    }
}
