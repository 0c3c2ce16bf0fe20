//! Signatures checked once for all nodes: each of them checks the same shares and certificates, and a verdict is the same everywhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use constellation_chain::{CheckSignatures, Hash, Hasher, PublicKey, SignedMessage};
use constellation_protocol::Compute;

/// An engine that remembers its verdicts.
pub(super) struct Remembered {
    engine: Arc<dyn Compute>,
    verdicts: Mutex<HashMap<Hash, bool>>,
}

impl Remembered {
    pub fn new(engine: Arc<dyn Compute>) -> Self {
        Remembered { engine, verdicts: Mutex::new(HashMap::new()) }
    }
}

fn name(item: &SignedMessage<'_>) -> Hash {
    Hasher::new(b"sim.sign").update(&item.public_key.0).update(&item.signature.0).update(item.message).finish()
}

impl CheckSignatures for Remembered {
    fn check(&self, items: &[SignedMessage<'_>]) -> Vec<bool> {
        let names: Vec<Hash> = items.iter().map(name).collect();
        // A run that panicked elsewhere has spoilt nothing here: verdicts are put in whole.
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |(_, name): &(&SignedMessage<'_>, &Hash)| !verdicts.contains_key(name);
        let (new, new_names): (Vec<SignedMessage<'_>>, Vec<Hash>) =
            items.iter().zip(&names).filter(is_new).map(|(item, name)| (*item, *name)).unzip();
        if !new.is_empty() {
            verdicts.extend(new_names.into_iter().zip(self.engine.check(&new)));
        }
        names.iter().map(|name| verdicts.get(name).is_some_and(|valid| *valid)).collect()
    }
}

impl Compute for Remembered {
    fn sketch(&self, key: &Hash, accounts: &[PublicKey]) -> [u8; 128] {
        self.engine.sketch(key, accounts)
    }
}
