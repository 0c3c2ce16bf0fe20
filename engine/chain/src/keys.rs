//! Ed25519 keys and signatures, and the interface through which this crate asks for signatures to be checked.

use bytemuck::{Pod, Zeroable};
use ed25519_dalek::Signer;
use std::fmt;
use zeroize::Zeroizing;

/// An Ed25519 public key: the name of a star, and of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct PublicKey(pub [u8; 32]);

/// An Ed25519 signature, R ‖ S (RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(transparent)]
pub struct Signature(pub [u8; 64]);

/// An Ed25519 secret key. Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub struct SecretKey {
    signing: ed25519_dalek::SigningKey,
}

impl SecretKey {
    /// The key of a 32-byte seed (RFC 8032, section 5.1.5).
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        SecretKey { signing: ed25519_dalek::SigningKey::from_bytes(&seed) }
    }

    /// The seed this key was made from.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.signing.to_bytes())
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.signing.verifying_key().to_bytes())
    }

    /// Signs `message`. Every message signed in a constellation starts with an 8-byte domain.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.signing.sign(message).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public_key())
    }
}

/// One signature to be checked.
#[derive(Clone, Copy, Debug)]
pub struct SignedMessage<'a> {
    /// Who is said to have signed.
    pub public_key: PublicKey,
    /// The signature.
    pub signature: Signature,
    /// What is said to be signed.
    pub message: &'a [u8],
}

/// Checks signatures by the one rule of the verification engine, which stands behind this trait. A pure function: the
/// same items have the same verdicts on every machine.
pub trait CheckSignatures {
    /// One verdict per item.
    fn check(&self, items: &[SignedMessage<'_>]) -> Vec<bool>;
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", &hex::encode(&self.0[..6]))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", &hex::encode(&self.0[..6]))
    }
}

impl std::str::FromStr for PublicKey {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(PublicKey(bytes))
    }
}

impl serde::Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex_bytes(deserializer).map(PublicKey)
    }
}

/// Reads 32 bytes written as 64 hex digits.
pub(crate) fn hex_bytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.as_bytes(), &mut bytes).map_err(|error| {
        serde::de::Error::custom(format!("expected 32 bytes as 64 hex digits, got {:?}: {error}", &*text))
    })?;
    Ok(bytes)
}
