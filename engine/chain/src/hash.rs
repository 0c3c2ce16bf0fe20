//! The 32-byte BLAKE3 hash that names everything, and the one way to compute it: with a domain in front, so that
//! bytes hashed for one purpose can never pass for bytes of another.

use bytemuck::{Pod, Zeroable};
use std::fmt;

/// A BLAKE3 hash: the id of a transaction, an LSH block or a black hole, or a root.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash before the first: previous transaction of a new star, previous block of a first block.
    pub const ZERO: Hash = Hash([0; 32]);

    /// BLAKE3 of `bytes` in the given domain.
    pub fn of(domain: &[u8; 8], bytes: &[u8]) -> Hash {
        // One slice is hashed several times faster than BLAKE3's incremental state of two kilobytes is set up.
        let mut short = [0; 8 + SHORT_LEN_BYTES];
        match short.get_mut(..8 + bytes.len()) {
            Some(joined) => {
                joined[..8].copy_from_slice(domain);
                joined[8..].copy_from_slice(bytes);
                Hash::bare(joined)
            }
            None => Hasher::new(domain).update(bytes).finish(),
        }
    }

    /// BLAKE3 of `bytes` alone, where their own first bytes tell what they are.
    pub(crate) fn bare(bytes: &[u8]) -> Hash {
        Hash(*blake3::hash(bytes).as_bytes())
    }
}

/// What [`Hash::of`] joins with its domain on the stack, at most.
const SHORT_LEN_BYTES: usize = 120;

/// Incremental form of [`Hash::of`].
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Starts a hash in `domain`.
    pub fn new(domain: &[u8; 8]) -> Self {
        let mut inner = blake3::Hasher::new();
        inner.update(domain);
        Hasher(inner)
    }

    /// Adds bytes; where lengths vary, the caller adds them too, so that no two inputs run together alike.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The hash of all that was added.
    pub fn finish(&self) -> Hash {
        Hash(*self.0.finalize().as_bytes())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", &hex::encode(&self.0[..6]))
    }
}

impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::keys::hex_bytes(deserializer).map(Hash)
    }
}

impl std::str::FromStr for Hash {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Hash(bytes))
    }
}
