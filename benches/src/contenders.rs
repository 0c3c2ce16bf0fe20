//! The implementations that are compared, each behind the same face.

use constellation_verify::{Backend, Batch, Engine};
use ed25519_dalek::{Signature, VerifyingKey};

/// Something that verifies batches.
pub trait Contender {
    /// The name in reports.
    fn name(&self) -> String;

    /// Verifies `batch`, decoding its keys anew, and returns how many signatures are valid.
    fn count_valid(&mut self, batch: &Batch<'_>) -> usize;
}

/// Every contender this build has and this machine can run, ours first.
#[must_use]
pub fn contenders() -> Vec<Box<dyn Contender>> {
    let mut contenders: Vec<Box<dyn Contender>> = Vec::new();
    for engine in Backend::available().into_iter().filter_map(|backend| Engine::new(backend).ok()) {
        contenders.push(Box::new(Ours(engine)));
    }
    contenders.push(Box::new(OneByOne { name: "ed25519_dalek_strict", verify: dalek_strict }));
    contenders.push(Box::new(DalekBatch));
    #[cfg(all(
        target_arch = "x86_64",
        target_feature = "avx512f",
        target_feature = "avx512bw",
        target_feature = "avx512dq",
        target_feature = "avx512ifma"
    ))]
    contenders.push(Box::new(simd::Ed25519Simd::default()));
    #[cfg(feature = "rivals")]
    for (name, verify) in rivals::ALL {
        contenders.push(Box::new(OneByOne { name, verify }));
    }
    contenders
}

struct Ours(Engine);

impl Contender for Ours {
    fn name(&self) -> String {
        self.0.backend().to_string()
    }

    fn count_valid(&mut self, batch: &Batch<'_>) -> usize {
        self.0.verify(batch).count_valid()
    }
}

/// A library that verifies one signature at a time.
struct OneByOne {
    name: &'static str,
    verify: fn(&[u8; 32], &[u8; 64], &[u8]) -> bool,
}

impl Contender for OneByOne {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn count_valid(&mut self, batch: &Batch<'_>) -> usize {
        let signed = batch.public_keys().iter().zip(batch.signatures()).zip(batch.messages().iter());
        signed.filter(|((key, signature), message)| (self.verify)(key, signature, message)).count()
    }
}

fn dalek_strict(public_key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
    VerifyingKey::from_bytes(public_key)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

/// dalek's batch: one answer for the whole batch, so a batch that fails is then verified one by one.
struct DalekBatch;

impl Contender for DalekBatch {
    fn name(&self) -> String {
        "ed25519_dalek_batch".to_owned()
    }

    fn count_valid(&mut self, batch: &Batch<'_>) -> usize {
        let messages: Vec<&[u8]> = batch.messages().iter().collect();
        let signatures: Vec<Signature> = batch.signatures().iter().map(Signature::from_bytes).collect();
        let keys: Result<Vec<VerifyingKey>, _> = batch.public_keys().iter().map(VerifyingKey::from_bytes).collect();
        let whole = keys.and_then(|keys| ed25519_dalek::verify_batch(&messages, &signatures, &keys));
        match whole {
            Ok(()) => batch.len(),
            Err(_) => OneByOne { name: "", verify: dalek_strict }.count_valid(batch),
        }
    }
}

#[cfg(all(
    target_arch = "x86_64",
    target_feature = "avx512f",
    target_feature = "avx512bw",
    target_feature = "avx512dq",
    target_feature = "avx512ifma"
))]
mod simd {
    use constellation_verify::Batch;
    use ed25519_simd::{VerifyInput, Zip215Verifier};

    use super::Contender;
    use crate::report::ED25519_SIMD;

    /// `ed25519-simd` under its cofactored rule, without its key cache. Its inputs are views built for each batch,
    /// which is within the measurement and costs about a hundredth of it.
    #[derive(Default)]
    pub(super) struct Ed25519Simd {
        verifier: Zip215Verifier,
        verdicts: Vec<bool>,
    }

    impl Contender for Ed25519Simd {
        fn name(&self) -> String {
            ED25519_SIMD.to_owned()
        }

        fn count_valid(&mut self, batch: &Batch<'_>) -> usize {
            let signed = batch.public_keys().iter().zip(batch.signatures()).zip(batch.messages().iter());
            let inputs: Vec<VerifyInput<'_>> = signed
                .map(|((&public_key, &signature), message)| VerifyInput { public_key, signature, message })
                .collect();
            self.verdicts.clear();
            self.verdicts.resize(inputs.len(), false);
            self.verifier.verify_batch(&inputs, &mut self.verdicts);
            self.verdicts.iter().filter(|&&valid| valid).count()
        }
    }
}

#[cfg(feature = "rivals")]
mod rivals {
    type Verify = fn(&[u8; 32], &[u8; 64], &[u8]) -> bool;

    pub(super) const ALL: [(&str, Verify); 3] =
        [("aws_lc_rs", aws_lc_rs), ("ed25519_zebra", ed25519_zebra), ("ring", ring)];

    fn aws_lc_rs(public_key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
        use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
        UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
    }

    fn ed25519_zebra(public_key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
        use ed25519_zebra::{Signature, VerificationKey};
        VerificationKey::try_from(*public_key)
            .is_ok_and(|key| key.verify(&Signature::from(*signature), message).is_ok())
    }

    fn ring(public_key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
        use ring::signature::{ED25519, UnparsedPublicKey};
        UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
    }
}
