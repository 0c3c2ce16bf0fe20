//! The root that names a payload in the digest form, and hashes of pieces of payloads, which are made alike.
//!
//! A root is the BLAKE3 hash of the payload, zeros, and the payload's length, padded so far that the hash is fast. BLAKE3 cuts its
//! input into chunks of 1 KiB and hashes up to sixteen of them side by side in vector lanes, but a last chunk that is not whole
//! by itself, and seven chunks as four, two and one. So an input of more than a chunk gets as many chunks as the next power of two,
//! up to sixteen, and above that as many as it takes: a payload of 8,064 bytes is hashed in less than half the time. Two payloads
//! have no input in common, as its end tells where the payload ends: so collisions are BLAKE3's.
//!
//! ```text
//! root = BLAKE3(payload ‖ zeros ‖ len:8)
//! ```

use crate::message::Root;

const LEN_BYTES: usize = size_of::<u64>();

/// What BLAKE3 hashes in one lane.
const CHUNK_BYTES: usize = 1024;

/// What it hashes at once, where the machine has lanes enough.
const LANES_BYTES: usize = 16 * CHUNK_BYTES;

/// The root that names a payload in the digest form.
pub fn digest_root(payload: &[u8]) -> Root {
    let (head, end) = padded(payload);
    if head.is_empty() {
        blake3::hash(&end).into()
    } else {
        blake3::Hasher::new().update(head).update(&end).finalize().into()
    }
}

/// The same of a piece, under a key.
pub(crate) fn keyed_digest(key: &[u8; 32], piece: &[u8]) -> [u8; 32] {
    let (head, end) = padded(piece);
    blake3::Hasher::new_keyed(key).update(head).update(&end).finalize().into()
}

/// The padded input in two parts, as only the end of what is longer than all lanes together has to be copied.
fn padded(payload: &[u8]) -> (&[u8], Vec<u8>) {
    let whole = if payload.len() + LEN_BYTES > LANES_BYTES { payload.len() / CHUNK_BYTES * CHUNK_BYTES } else { 0 };
    let (head, tail) = payload.split_at(whole);
    let end_len = padded_len(payload.len()) - head.len();
    let mut end = Vec::with_capacity(end_len);
    end.extend_from_slice(tail);
    end.resize(end_len - LEN_BYTES, 0);
    end.extend((payload.len() as u64).to_le_bytes());
    (head, end)
}

/// How long the input is.
fn padded_len(payload_len: usize) -> usize {
    match payload_len + LEN_BYTES {
        len @ ..=CHUNK_BYTES => len,
        len @ ..=LANES_BYTES => len.next_power_of_two(),
        len => len.next_multiple_of(CHUNK_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first paragraph says it, in one piece.
    fn plain_root_of(payload: &[u8], padded_len: usize) -> Root {
        let mut input = payload.to_vec();
        input.resize(padded_len - 8, 0);
        input.extend((payload.len() as u64).to_le_bytes());
        blake3::hash(&input).into()
    }

    #[test]
    fn the_root_is_the_hash_of_the_padded_payload() {
        let payload: Vec<u8> = (0..40_000u32).map(|i| ((i * i) >> 7) as u8).collect();
        let lens = [
            (0, 8),
            (1, 9),
            (1016, 1024),
            (1017, 2048),
            (2040, 2048),
            (2041, 4096),
            (8064, 8192),
            (8185, 16_384),
            (16_376, 16_384),
            (16_377, 17_408),
            (17_400, 17_408),
            (17_401, 18_432),
            (40_000, 40_960),
        ];
        for (len, padded_len) in lens {
            assert_eq!(digest_root(&payload[..len]), plain_root_of(&payload[..len], padded_len), "{len}");
        }
    }

    #[test]
    fn zeros_at_the_end_make_another_root() {
        let zeros = [0; 5000];
        let roots: std::collections::BTreeSet<_> = (0..zeros.len()).map(|len| digest_root(&zeros[..len])).collect();
        assert_eq!(roots.len(), zeros.len());
    }
}
