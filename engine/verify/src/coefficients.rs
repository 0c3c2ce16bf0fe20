//! The random coefficients of a batch equation: 128 bits for each signature, from fresh randomness of the operating system mixed with
//! the whole batch.
//!
//! A forger who could foresee the coefficients could choose two bad signatures whose errors cancel. He cannot: they are made after he has
//! sent the batch, from a seed that he never sees, and each depends on every hash SHA-512(R ‖ A ‖ M) and every S of the batch. So even where
//! the system's randomness is weak, or repeats after a machine was cloned, changing any part of any signature changes all
//! coefficients, and aiming at them means trying some 2^128 batches.

use crate::threads::Threads;

/// Domains of the hashes; they differ from all others of the project.
const CONTEXT: &str = "constellation verify 2026 batch coefficients";
const PIECE_CONTEXT: &str = "constellation verify 2026 piece of a batch";

/// Signatures whose bytes a thread hashes, or whose coefficients it makes, at a time: what is longer is hashed faster, up to here.
const PIECE_LEN: usize = 256;

/// One coefficient for each signature; `hashes` and `signatures` are those of the batch. `None` when the operating system gives no
/// randomness: then nothing may be verified by combination.
pub(crate) fn coefficients(threads: Threads, hashes: &[[u8; 64]], signatures: &[[u8; 64]]) -> Option<Vec<u128>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).ok()?;
    debug_assert_eq!(hashes.len(), signatures.len());
    let mut digests = vec![[0; 32]; hashes.len().div_ceil(PIECE_LEN)];
    let pieces = hashes.chunks(PIECE_LEN).zip(signatures.chunks(PIECE_LEN)).zip(&mut digests);
    threads.for_each(pieces, |((hashes, signatures), digest)| {
        let mut hasher = blake3::Hasher::new_derive_key(PIECE_CONTEXT);
        *digest = hasher.update(hashes.as_flattened()).update(signatures.as_flattened()).finalize().into();
    });
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    let stream = hasher.update(&seed).update(digests.as_flattened()).finalize_xof();
    let mut coefficients = vec![0_u128; hashes.len()];
    threads.for_each((0..).zip(coefficients.chunks_mut(PIECE_LEN)), |(number, coefficients)| {
        let mut stream = stream.clone();
        stream.set_position(number * (PIECE_LEN * size_of::<u128>()) as u64);
        stream.fill(bytemuck::must_cast_slice_mut(coefficients));
    });
    Some(coefficients)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn coefficients_are_fresh_each_time_and_differ() {
        for threads in [Threads::One, Threads::Pool] {
            let (hashes, signatures) = ([[1; 64]; 600], [[2; 64]; 600]);
            let first = coefficients(threads, &hashes, &signatures).unwrap();
            let second = coefficients(threads, &hashes, &signatures).unwrap();
            assert_eq!(first.len(), 600);
            let different: BTreeSet<u128> = first.into_iter().chain(second).collect();
            assert_eq!(different.len(), 1200);
        }
    }
}
