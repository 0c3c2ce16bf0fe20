//! What the tests share: reproducible signatures of every kind that a peer may send, and an oracle that shares no code with the crate.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::time::Duration;

use constellation_verify::gpu::{Gpu, GpuOptions, GpuTimeouts};
use constellation_verify::{Backend, Batch, Engine, EngineOptions, OwnedBatch, Verdicts};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha512};

/// A source of reproducible bytes.
pub struct Bytes(blake3::OutputReader);

impl Bytes {
    pub fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    pub fn below(&mut self, bound: usize) -> usize {
        u32::from_le_bytes(self.array()) as usize % bound
    }

    pub fn scalar(&mut self) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&self.array())
    }
}

/// The rule, from ZIP-215 (cofactored, S < ℓ, any encoding) and dalek's view of canonical and small.
pub fn oracle(public_key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
    let acceptable = |encoding: &[u8]| {
        let encoding = CompressedEdwardsY::from_slice(encoding).unwrap();
        encoding.decompress().is_some_and(|point| point.compress() == encoding && !point.is_small_order())
    };
    acceptable(public_key)
        && acceptable(&signature[..32])
        && ed25519_consensus::VerificationKey::try_from(*public_key)
            .is_ok_and(|key| key.verify(&ed25519_consensus::Signature::from(*signature), message).is_ok())
}

pub fn oracle_verdicts(batch: &Batch<'_>) -> Vec<bool> {
    let keys_and_signatures = batch.public_keys().iter().zip(batch.signatures());
    keys_and_signatures.zip(batch.messages().iter()).map(|((key, sig), message)| oracle(key, sig, message)).collect()
}

/// A software adapter may have to compile for as long as this on a busy machine.
const GPU_READY_WITHIN: Duration = Duration::from_secs(240);

/// An engine on every backend that this machine has; a software GPU will do.
pub fn engines() -> &'static [Engine] {
    static ENGINES: OnceLock<Vec<Engine>> = OnceLock::new();
    ENGINES.get_or_init(|| {
        let available = Backend::available();
        for backend in [Backend::Avx2, Backend::Avx512] {
            if !available.contains(&backend) {
                eprintln!("SKIPPED: this CPU cannot run the {backend} backend, which is NOT TESTED by this run");
            }
        }
        let on_cpu = available.into_iter().map(|backend| Engine::new(backend).unwrap());
        on_cpu.chain(gpu_engine()).collect()
    })
}

/// A new engine whose calls share so many threads.
pub fn sharing_engine(backend: Backend, threads: usize) -> Engine {
    let threads = NonZeroUsize::new(threads).unwrap();
    Engine::with_options(&EngineOptions { backend: Some(backend), threads, ..EngineOptions::default() }).unwrap()
}

/// An engine that leaves nothing to the CPU while the GPU works.
fn gpu_engine() -> Option<Engine> {
    let timeouts = GpuTimeouts { deadline: GPU_READY_WITHIN, patience: GPU_READY_WITHIN, ..GpuTimeouts::default() };
    let gpu = GpuOptions { software_gpu: true, batch_min: 0, timeouts, ..GpuOptions::default() };
    let options = EngineOptions { backend: Some(Backend::Gpu), gpu, ..EngineOptions::default() };
    let engine = Engine::with_options(&options).map_err(|error| error.to_string());
    let ready = engine.and_then(|engine| match engine.wait_ready(GPU_READY_WITHIN) {
        true => Ok(engine),
        false => Err(engine.gpu().and_then(Gpu::last_fault).unwrap_or_else(|| "it did not get ready".to_owned())),
    });
    match ready {
        Ok(engine) => {
            let mut batch = OwnedBatch::new();
            push_valid(&mut batch, &mut Bytes::new(0));
            assert!(engine.verify(&batch.as_batch()).all());
            let counters = engine.gpu().map(Gpu::counters).unwrap_or_default();
            assert!(counters.answered > 0 && counters.redone() == 0, "the CPU does the GPU's work: {counters:?}");
            Some(engine)
        }
        Err(cause) => {
            assert!(std::env::var("CONSTELLATION_REQUIRE_GPU").is_err(), "a GPU is required: {cause}");
            eprintln!("SKIPPED: {cause}: the gpu backend is NOT TESTED by this run");
            None
        }
    }
}

pub fn for_each_backend(body: impl Fn(&Engine)) {
    engines().iter().for_each(body);
}

/// The same with engines that have seen nothing yet: none suspects anybody, so every batch starts as one combination.
pub fn for_each_fresh_backend(body: impl Fn(&Engine)) {
    for engine in engines() {
        match engine.gpu() {
            Some(_) => body(engine),
            None => body(&Engine::new(engine.backend()).unwrap()),
        }
    }
}

pub fn assert_verdicts(engine: &Engine, verdicts: &Verdicts, expected: &[bool]) {
    assert_eq!(verdicts.len(), expected.len());
    for (index, (verdict, expected)) in verdicts.iter().zip(expected).enumerate() {
        assert_eq!(verdict, *expected, "signature {index} on {}", engine.backend());
    }
}

/// The key of a star: one of a few, so that batches hold several signatures of one and caches fill, or one never seen before.
fn star(bytes: &mut Bytes) -> SigningKey {
    let seed = match bytes.below(3) {
        0 => [bytes.below(40) as u8; 32],
        _ => bytes.array(),
    };
    SigningKey::from_bytes(&seed)
}

/// Adds a valid signature.
pub fn push_valid(batch: &mut OwnedBatch, bytes: &mut Bytes) {
    let key = star(bytes);
    let message = bytes.array::<300>();
    let message = &message[..bytes.below(301)];
    batch.push(&key.verifying_key().to_bytes(), &key.sign(message).to_bytes(), &[message]).unwrap();
}

/// Adds a signature spoilt in one of the ways a peer may spoil one, or, now and then, left as it was.
pub fn push_corrupted(batch: &mut OwnedBatch, bytes: &mut Bytes) {
    let key = star(bytes);
    let mut message = bytes.array::<64>().to_vec();
    let mut signature = key.sign(&message).to_bytes();
    let mut public_key = key.verifying_key().to_bytes();
    let bit = bytes.below(512);
    match bytes.below(7) {
        0 => public_key[bit % 256 / 8] ^= 1 << (bit % 8),
        1 => signature[bit / 8] ^= 1 << (bit % 8),
        2 => message.push(0),
        3 => public_key = bytes.array(),
        4 => signature[..32].copy_from_slice(&bytes.array::<32>()),
        5 => signature[32..].copy_from_slice(bytes.scalar().as_bytes()),
        _ => {}
    }
    batch.push(&public_key, &signature, &[&message]).unwrap();
}

/// Adds a signature made with small-order components in A and R: valid under the cofactored equation, and under the
/// cofactorless one only where the components happen to cancel. Half of them get a wrong S.
pub fn push_torsion_shifted(batch: &mut OwnedBatch, bytes: &mut Bytes) {
    let (secret, nonce) = (bytes.scalar(), bytes.scalar());
    let a = (EdwardsPoint::mul_base(&secret) + EIGHT_TORSION[bytes.below(8)]).compress();
    let r = (EdwardsPoint::mul_base(&nonce) + EIGHT_TORSION[bytes.below(8)]).compress();
    let wrong = Scalar::from(bytes.below(2) as u64);
    push_made(batch, bytes, a.as_bytes(), r.as_bytes(), |k| nonce + k * secret + wrong);
}

/// Adds a signature whose A or R is a point of small order, made so that the equation holds: only the byte checks refuse it.
pub fn push_small_order(batch: &mut OwnedBatch, bytes: &mut Bytes) {
    let (secret, nonce) = (bytes.scalar(), bytes.scalar());
    let small = EIGHT_TORSION[bytes.below(8)].compress();
    if bytes.below(2) == 0 {
        let r = EdwardsPoint::mul_base(&nonce).compress();
        push_made(batch, bytes, small.as_bytes(), r.as_bytes(), |_| nonce);
    } else {
        let a = EdwardsPoint::mul_base(&secret).compress();
        push_made(batch, bytes, a.as_bytes(), small.as_bytes(), |k| k * secret);
    }
}

/// Adds a signature with an encoding that is not canonical: S + ℓ, or a y from p to 2^255 − 1 in A or R.
pub fn push_non_canonical(batch: &mut OwnedBatch, bytes: &mut Bytes) {
    // ℓ, little endian.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let key = star(bytes);
    let mut public_key = key.verifying_key().to_bytes();
    let mut signature = key.sign(b"m").to_bytes();
    let mut large_y = [0xFF; 32];
    large_y[0] = 0xED + bytes.below(19) as u8;
    large_y[31] = if bytes.below(2) == 0 { 0x7F } else { 0xFF };
    match bytes.below(3) {
        0 => {
            let mut carry = 0;
            for (byte, addend) in signature[32..].iter_mut().zip(ORDER) {
                let sum = u16::from(*byte) + u16::from(addend) + carry;
                (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
            }
        }
        1 => public_key = large_y,
        _ => signature[..32].copy_from_slice(&large_y),
    }
    batch.push(&public_key, &signature, &[b"m"]).unwrap();
}

/// Adds a signature with the given points, and S as `response` makes it from k.
fn push_made(
    batch: &mut OwnedBatch,
    bytes: &mut Bytes,
    a: &[u8; 32],
    r: &[u8; 32],
    response: impl Fn(Scalar) -> Scalar,
) {
    let message = bytes.array::<40>();
    let hash = Sha512::new().chain_update(r).chain_update(a).chain_update(message);
    let s = response(Scalar::from_bytes_mod_order_wide(&hash.finalize().into()));
    let signature: [u8; 64] = std::array::from_fn(|at| if at < 32 { r[at] } else { s.as_bytes()[at - 32] });
    batch.push(a, &signature, &[&message]).unwrap();
}

/// The batch with its signatures in another order: signature `order[i]` comes at place i.
pub fn reordered(batch: &Batch<'_>, order: &[usize]) -> OwnedBatch {
    let mut other = OwnedBatch::new();
    for &index in order {
        let message = batch.messages().get(index).unwrap();
        other.push(&batch.public_keys()[index], &batch.signatures()[index], &[message]).unwrap();
    }
    other
}
