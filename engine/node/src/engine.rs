//! The verification engine in the protocol's terms.

use constellation_chain::{
    CheckSignatures, GenesisGalaxy, Hash, Offer, PublicKey, SKETCH_LEN_BYTES, SignedMessage, Transaction,
};
use constellation_protocol::Compute;
use constellation_verify::gpu::GpuOptions;
use constellation_verify::{Backend, Engine, EngineError, EngineOptions, OwnedBatch, Senders};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::config::NodeConfig;

/// Checks signatures and computes sketches with one backend of the verification engine.
#[derive(Clone)]
pub struct VerifyEngine {
    engine: Engine,
}

impl VerifyEngine {
    /// The engine that a node's configuration asks for, keeping compiled GPU programs in `cache_directory`.
    pub(crate) fn configured(config: &NodeConfig, cache_directory: PathBuf) -> Result<Self, EngineError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = match config.verify_threads {
            0 => cores / 2,
            // At most 1024.
            threads => threads as usize,
        };
        let gpu = GpuOptions {
            software_gpu: config.software_gpu,
            cache_directory: Some(cache_directory),
            ..GpuOptions::default()
        };
        let options = EngineOptions {
            backend: config.backend.0,
            threads: NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN),
            gpu,
            ..EngineOptions::default()
        };
        Ok(VerifyEngine { engine: Engine::with_options(&options)? })
    }

    /// An engine on the best backend of this machine's CPU.
    pub fn detect() -> Self {
        VerifyEngine { engine: Engine::detect() }
    }

    /// What operators see of it: the backend, and how the GPU fares where there is one.
    pub(crate) fn metrics(&self) -> serde_json::Value {
        let gpu = self.engine.gpu().map(|gpu| {
            let counters = gpu.counters();
            serde_json::json!({
                "device": gpu.device(),
                "is_ready": gpu.request_len() > 0,
                "last_fault": gpu.last_fault(),
                "requests": counters.requests,
                "answered": counters.answered,
                "redone_lost": counters.redone_lost,
                "redone_out_of_memory": counters.redone_out_of_memory,
                "redone_late": counters.redone_late,
                "redone_garbled": counters.redone_garbled,
                "redone_not_started": counters.redone_not_started,
                "signatures_gpu": counters.signatures_gpu,
                "signatures_cpu": counters.signatures_cpu,
            })
        });
        serde_json::json!({ "cpu": self.engine.cpu_backend().name(), "gpu": gpu })
    }

    /// The backend in use.
    pub fn backend(&self) -> Backend {
        self.engine.backend()
    }

    /// One verdict a transaction: whether all of its signatures hold, those of a carried black hole of one of `galaxies` among them. All
    /// signatures go through the engine as one batch.
    pub(crate) fn check_transactions(
        &self,
        senders: Senders,
        transactions: &[&Transaction],
        galaxies: &[GenesisGalaxy],
    ) -> Vec<bool> {
        let mut batch = SignatureBatch::default();
        let mut ends = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let messages = transaction.signed_messages(galaxies);
            for item in transaction.signatures(&messages) {
                batch.push(&item);
            }
            ends.push(batch.len());
        }
        let verdicts = batch.verify(&self.engine, senders);
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

impl VerifyEngine {
    /// One verdict an offer: whether its signature holds. All go through the engine as one batch.
    pub(crate) fn check_offers<'a>(&self, offers: impl Iterator<Item = &'a Offer>) -> Vec<bool> {
        let mut batch = SignatureBatch::default();
        for offer in offers {
            batch.push(&offer.signature(&offer.message()));
        }
        batch.verify(&self.engine, Senders::Any)
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

    fn verify(&self, engine: &Engine, senders: Senders) -> Vec<bool> {
        let verdicts = engine.verify_from(senders, &self.inner.as_batch());
        verdicts.iter().chain(std::iter::repeat_n(false, self.refused)).collect()
    }
}

impl CheckSignatures for VerifyEngine {
    fn check(&self, items: &[SignedMessage<'_>]) -> Vec<bool> {
        let mut batch = SignatureBatch::default();
        items.iter().for_each(|item| batch.push(item));
        batch.verify(&self.engine, Senders::Any)
    }
}

impl Compute for VerifyEngine {
    fn sketch(&self, key: &Hash, accounts: &[PublicKey]) -> [u8; SKETCH_LEN_BYTES] {
        constellation_verify::sketch(&key.0, accounts.iter().map(|account| &account.0))
    }
}
