//! Asynchronous common subset: n nodes propose one payload each and agree on a set of at least n−f of them, with up to
//! f = ⌊(n−1)/3⌋ nodes faulty in any way and messages delayed for as long as the network likes.
//!
//! A [`Subset`] is a pure state machine over opaque payloads: messages and ticks go in, messages and journal entries
//! come out. It must never do I/O, read a clock, start a thread or draw a random number, and it knows neither keys nor
//! the ledger; its only chance comes from the caller's [`Coin`]. Everything it stores is bounded, and nothing that a
//! peer sends makes it panic.
//!
//! What the caller owes it: links that authenticate the sender; `Outgoing::journal` on disk before `Outgoing::messages`
//! leave; every message of the common subset sent again to a peer that reconnects, including those to that peer alone.
//!
//! The parts, each with its argument: `broadcast` (reliable broadcast; its digest form's root in `digest`, its coded form in
//! `fragment`, `gathered` and `erasure`), `agreement` and `round` (binary agreement),
//! `coin` (its weak coin), `seal` (proof against a proposer of two), `subset` (the frame), `codec` (the bytes).
//!
//! ```
//! use constellation_acs::{CODED_FROM_BYTES, Coin, Config, Root, Seal, Seals, Subset, Target};
//!
//! /// Good for an example only: everybody can compute everybody's share, and everybody's seal.
//! struct OpenCoin(usize);
//! impl Coin for OpenCoin {
//!     fn share(&self, instance: u16, round: u32) -> Vec<u8> {
//!         blake3::hash(format!("{} {instance} {round}", self.0).as_bytes()).as_bytes().to_vec()
//!     }
//!     fn check(&self, node: usize, instance: u16, round: u32, proof: &[u8]) -> Option<[u8; 32]> {
//!         let share = OpenCoin(node).share(instance, round);
//!         (share == proof).then(|| *blake3::hash(proof).as_bytes())
//!     }
//! }
//! impl Seals for OpenCoin {
//!     fn seal(&self, root: &Root) -> Seal {
//!         let mut seal = [self.0 as u8; 64];
//!         seal[..32].copy_from_slice(root);
//!         seal
//!     }
//!     fn is_sealed(&self, proposer: usize, root: &Root, seal: &Seal) -> bool {
//!         *seal == OpenCoin(proposer).seal(root)
//!     }
//! }
//!
//! let n = 4;
//! let config = |me| Config { me, n, payload_max_bytes: 1024, coded_from_bytes: CODED_FROM_BYTES };
//! let mut nodes: Vec<_> = (0..n).map(|me| Subset::new(config(me), OpenCoin(me))).collect();
//! for (me, node) in nodes.iter_mut().enumerate() {
//!     node.propose(format!("from {me}").into_bytes().into());
//! }
//! while nodes.iter().any(|node| !node.is_finished()) {
//!     for from in 0..n {
//!         let outgoing = nodes[from].take_outgoing(); // journal first, then send
//!         for (target, message) in outgoing.messages {
//!             for to in (0..n).filter(|to| *to != from && [Target::All, Target::One(*to)].contains(&target)) {
//!                 nodes[to].handle(from, message.clone());
//!             }
//!         }
//!     }
//! }
//! let output = nodes[0].output().expect("a finished node has an output");
//! assert!(output.len() >= 3 && nodes.iter().all(|node| node.output() == Some(output)));
//! ```

/// What a rule demands; in a mutant that lacks the guard, what is left of it.
#[cfg(not(acs_mutants))]
macro_rules! guard {
    ($name:ident, $holds:expr, $without:expr) => {
        $holds
    };
}
#[cfg(acs_mutants)]
macro_rules! guard {
    ($name:ident, $holds:expr, $without:expr) => {
        if crate::mutant::is_out(crate::mutant::Guard::$name) { $without } else { $holds }
    };
}

mod agreement;
mod broadcast;
mod codec;
mod coin;
mod committee;
mod digest;
mod erasure;
mod fault;
mod fragment;
mod gathered;
mod message;
#[cfg(acs_mutants)]
pub mod mutant;
mod outbox;
mod round;
mod seal;
mod subset;
mod tally;

pub use agreement::ROUNDS_AHEAD_MAX;
pub use broadcast::CODED_FROM_BYTES;
pub use codec::DecodeError;
pub use coin::Coin;
pub use committee::{InstanceSet, MAX_NODES};
pub use digest::digest_root;
pub use fault::{Fault, FaultKind, MAX_PENDING_FAULTS};
pub use fragment::Fragment;
pub use message::{COIN_PROOF_MAX_BYTES, JournalEntry, Message, Outgoing, Root, Step, Target, Value, Vote};
pub use seal::{Seal, SealedRoot, Seals};
pub use subset::{Accepted, Config, Subset};
