//! The libraries that are measured in this process, each behind the same face. Those that can take decoded keys are
//! given them, in the case of known keys, as a caller would who remembers keys: from a hash map.

use std::collections::HashMap;

use constellation_verify::Batch;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::Case;
use crate::contenders::Verifier;

/// A library, or one of its ways to verify.
#[derive(Clone, Copy, Debug)]
pub struct Library {
    /// The name in reports.
    pub name: &'static str,
    /// Whether it verifies batches; else it takes one signature at a time.
    pub has_batches: bool,
    /// Makes a verifier for one thread.
    pub verifier: fn(Case) -> Box<dyn Verifier>,
}

/// The batch verification of `ed25519-dalek`.
pub const ED25519_DALEK_BATCH: &str = "ed25519_dalek_batch";

/// The libraries of this build.
pub const ALL: &[Library] = &[
    Library {
        name: "ed25519_dalek_strict",
        has_batches: false,
        verifier: |case| Box::new(DalekStrict(DalekKeys::new(case))),
    },
    Library {
        name: ED25519_DALEK_BATCH,
        has_batches: true,
        verifier: |case| Box::new(DalekBatch { keys: DalekKeys::new(case) }),
    },
    #[cfg(feature = "rivals")]
    Library { name: "ed25519_zebra_batch", has_batches: true, verifier: |_| Box::new(rivals::ZebraBatch) },
    #[cfg(feature = "rivals")]
    Library { name: "aws_lc_rs", has_batches: false, verifier: |_| Box::new(rivals::OneByOne(rivals::aws_lc_rs)) },
    #[cfg(feature = "rivals")]
    Library { name: "ring", has_batches: false, verifier: |_| Box::new(rivals::OneByOne(rivals::ring)) },
];

/// A signature taken apart: key, signature, message.
type Signed<'a> = (&'a [u8; 32], &'a [u8; 64], &'a [u8]);

fn each<'a>(batch: &Batch<'a>) -> impl Iterator<Item = Signed<'a>> + use<'a> {
    let signed = batch.public_keys().iter().zip(batch.signatures()).zip(batch.messages().iter());
    signed.map(|((key, signature), message)| (key, signature, message))
}

/// Decodes keys, and remembers them in the case of known keys.
struct DalekKeys {
    known: Option<HashMap<[u8; 32], VerifyingKey>>,
}

impl DalekKeys {
    fn new(case: Case) -> Self {
        Self { known: (case == Case::KnownKeys).then(HashMap::new) }
    }

    fn get(&mut self, key: &[u8; 32]) -> Option<VerifyingKey> {
        let Some(known) = &mut self.known else {
            return VerifyingKey::from_bytes(key).ok();
        };
        if let Some(decoded) = known.get(key) {
            return Some(*decoded);
        }
        let decoded = VerifyingKey::from_bytes(key).ok()?;
        known.insert(*key, decoded);
        Some(decoded)
    }
}

struct DalekStrict(DalekKeys);

impl Verifier for DalekStrict {
    fn count_valid(&mut self, batch: &Batch<'_>) -> usize {
        each(batch).filter(|signed| dalek_strict(&mut self.0, signed)).count()
    }
}

fn dalek_strict(keys: &mut DalekKeys, (key, signature, message): &Signed<'_>) -> bool {
    keys.get(key).is_some_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

/// dalek's batch, which in a plain build picks AVX2 at run time. It has one answer for the whole batch, so a batch that
/// fails is then verified one by one.
struct DalekBatch {
    keys: DalekKeys,
}

impl Verifier for DalekBatch {
    fn count_valid(&mut self, batch: &Batch<'_>) -> usize {
        let messages: Vec<&[u8]> = batch.messages().iter().collect();
        let signatures: Vec<Signature> = batch.signatures().iter().map(Signature::from_bytes).collect();
        let keys: Option<Vec<VerifyingKey>> = batch.public_keys().iter().map(|key| self.keys.get(key)).collect();
        if keys.is_some_and(|keys| ed25519_dalek::verify_batch(&messages, &signatures, &keys).is_ok()) {
            return batch.len();
        }
        each(batch).filter(|signed| dalek_strict(&mut self.keys, signed)).count()
    }
}

#[cfg(feature = "rivals")]
mod rivals {
    use constellation_verify::Batch;
    use ed25519_zebra::batch::{Item, Verifier as Zebra};

    use super::{Signed, each};
    use crate::contenders::Verifier;

    /// zebra's batch. It has one answer for the whole batch too.
    pub(super) struct ZebraBatch;

    impl Verifier for ZebraBatch {
        fn count_valid(&mut self, batch: &Batch<'_>) -> usize {
            let item =
                |(key, signature, message): Signed<'_>| Item::from(((*key).into(), (*signature).into(), message));
            let items: Vec<Item> = each(batch).map(item).collect();
            let mut whole = Zebra::new();
            for item in &items {
                whole.queue(item.clone());
            }
            match whole.verify(rand::rng()) {
                Ok(()) => batch.len(),
                Err(_) => items.into_iter().filter(|item| item.clone().verify_single().is_ok()).count(),
            }
        }
    }

    /// A library that verifies one signature at a time.
    pub(super) struct OneByOne(pub(super) fn(&Signed<'_>) -> bool);

    impl Verifier for OneByOne {
        fn count_valid(&mut self, batch: &Batch<'_>) -> usize {
            each(batch).filter(|signed| self.0(signed)).count()
        }
    }

    pub(super) fn aws_lc_rs((key, signature, message): &Signed<'_>) -> bool {
        use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
        UnparsedPublicKey::new(&ED25519, key).verify(message, *signature).is_ok()
    }

    pub(super) fn ring((key, signature, message): &Signed<'_>) -> bool {
        use ring::signature::{ED25519, UnparsedPublicKey};
        UnparsedPublicKey::new(&ED25519, key).verify(message, *signature).is_ok()
    }
}
