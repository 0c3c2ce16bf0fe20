//! What honest nodes send, counted: by tier, and what they have to ask for.

use constellation_chain::Tier;
use constellation_protocol::Message;

/// Messages and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// All messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those about the galaxy's rounds.
    pub galaxy_messages: u64,
    /// Their bytes.
    pub galaxy_bytes: u64,
    /// Requests for LSH blocks.
    pub lsh_blocks_asked: u64,
}

impl Sent {
    pub(super) fn count(&mut self, bytes: &[u8]) {
        self.messages += 1;
        self.bytes += bytes.len() as u64;
        if Message::tier_at(bytes) == Some(Tier::Galaxy) {
            self.galaxy_messages += 1;
            self.galaxy_bytes += bytes.len() as u64;
        }
        self.lsh_blocks_asked += u64::from(Message::asks_for_lsh_block(bytes));
    }
}
