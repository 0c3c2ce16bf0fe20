//! What a constellation agrees on: keys, double-signed transactions, LSH blocks, black holes, the bytes of each,
//! and the rules by which a ledger applies them.
//!
//! Everything here is a pure function of its arguments: this crate must never do I/O, read a clock, or draw
//! randomness. Signatures are *made* here; *checking* them in bulk is the verification engine's work, which callers
//! pass in as a [`CheckSignatures`].
//!
//! All integers are little endian and sit at fixed offsets, so every format is read in place; each type's
//! documentation draws its bytes.
//!
//! ```
//! use constellation_chain::{NetworkId, Offer, SecretKey, StarHead, Transaction};
//!
//! let (alice, bob) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
//! let network = NetworkId([7; 8]);
//! let offer = Offer::transfer(network, &alice, StarHead::default(), bob.public_key(), 250);
//! let transaction = offer.countersign(&bob, StarHead::default()).unwrap();
//!
//! let bytes = transaction.to_bytes();
//! assert_eq!(Transaction::decode(&bytes, network).unwrap().id(), transaction.id());
//! ```

mod account;
mod black_hole;
mod certificate;
mod certified_header;
mod commitment;
mod committee;
mod evidence;
mod galaxies;
mod genesis;
mod growth;
mod hash;
mod homes;
mod keys;
mod ledger;
mod lsh_block;
mod map;
mod merkle;
mod misconduct;
mod offer;
mod placement;
mod roster;
mod round_id;
mod transaction;
pub mod vrf;
mod wire;

pub use account::{Account, StarHead};
pub use black_hole::{BlackHole, BlackHoleError, BlackHoleHeader, BlackHolePlace, Outcome};
pub use certificate::{Certificate, CertificateError, Share};
pub use certified_header::{CertifiedHeader, GALAXY_VALIDATORS_MAX};
pub use commitment::StateCommitment;
pub use committee::{COMMITTEE_MAX, Committee, Members, elect_facilitators};
pub use evidence::{Evidence, find_forks};
pub use galaxies::{GALAXIES_MAX, GalaxyHead, GenesisGalaxy};
pub use genesis::{Genesis, GenesisError, GenesisNode, GenesisStar, Growth, clusters_max};
pub use growth::{Change, next_placement};
pub use hash::{Hash, Hasher};
pub use homes::Homes;
pub use keys::{CheckSignatures, PublicKey, SecretKey, Signature, SignedMessage};
pub use ledger::{Application, Censored, Ledger, Reason};
pub use lsh_block::{LshBlock, LshBlockError, LshHeader, LshPlace, MISCONDUCT_MAX, SKETCH_LEN_BYTES, SealedLshBlock};
pub use map::{KeyMap, KeySet, KeyState};
pub use merkle::merkle_root;
pub use misconduct::{Misconduct, MisconductError, MisconductKind, Statement, is_sealed_by, seal_proposal};
pub use offer::{Offer, OfferError};
pub use placement::{CLUSTERS_MAX, Move, MoveLimits, Placement, TRANSFER_WEIGHT, Traffic, TrafficLimits, home_cluster};
pub use roster::Roster;
pub use round_id::{RoundId, Tier};
pub use transaction::{
    COUNTERPARTY_MESSAGE_LEN_BYTES, FIXED_LEN_BYTES, Half, INITIATOR_MESSAGE_LEN_BYTES, Kind, NetworkId,
    PAYLOAD_MAX_BYTES, Transaction, TransactionError, is_offer, record_at, record_claim, record_hash,
};
pub use wire::{Reader, WireError};

/// The smallest unit of account: one noos is 10^8 of these.
pub const UNITS_PER_NOOS: u64 = 100_000_000;
