//! The light client: a star's own chain on disk, and the two sides of a trade with another star through any node's mailbox.
//!
//! The rule that everything here serves: a star never signs two halves with one number. So a half is on disk before it leaves, and as long
//! as its fate is not known the next thing to do is to find that out, by sending the same half again if need be.

mod chain_file;
mod door;
mod light;
mod receive;
mod send;
#[cfg(test)]
mod tests;

pub use chain_file::{Chain, ChainFile, ChainFileError, Entry, Outcome, Place, Signed};
pub use door::NodeDoor;
pub use light::{Light, StarError};
pub use receive::{Filter, Notice, Received};
pub use send::Sent;
