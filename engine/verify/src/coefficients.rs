//! The random coefficients of a batch equation: 128 bits for each signature, from fresh randomness of the operating system mixed with
//! the whole batch.
//!
//! A forger who could foresee the coefficients could choose two bad signatures whose errors cancel. He cannot: they are made after he has
//! sent the batch, from a seed that he never sees, and each depends on every hash SHA-512(R ‖ A ‖ M) and every S of the batch. So even where
//! the system's randomness is weak, or repeats after a machine was cloned, changing any part of any signature changes all
//! coefficients, and aiming at them means trying some 2^128 batches.

/// Domain of the hash; it differs from all others of the project.
const CONTEXT: &str = "constellation verify 2026 batch coefficients";

/// One coefficient for each signature; `hashes` and `signatures` are those of the batch. `None` when the operating system gives no
/// randomness: then nothing may be verified by combination.
pub(crate) fn coefficients(hashes: &[[u8; 64]], signatures: &[[u8; 64]]) -> Option<Vec<u128>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).ok()?;
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&seed).update(hashes.as_flattened()).update(signatures.as_flattened());
    let mut bytes = vec![0; size_of::<u128>() * hashes.len()];
    hasher.finalize_xof().fill(&mut bytes);
    Some(bytes.as_chunks().0.iter().map(|chunk| u128::from_le_bytes(*chunk)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_fresh_each_time_and_differ() {
        let (hashes, signatures) = ([[1; 64], [1; 64]], [[2; 64], [2; 64]]);
        let first = coefficients(&hashes, &signatures).unwrap();
        let second = coefficients(&hashes, &signatures).unwrap();
        assert_eq!(first.len(), 2);
        assert_ne!(first[0], first[1]);
        assert_ne!(first, second);
    }
}
