//! What a node must remember of what it said: one record for each vote bundle, proposal and vouched-for payload.
//!
//! ```text
//! offset len
//!      0   1  tier: 0 cluster, 1 galaxy
//!      1   4  cluster (zero for the galaxy)
//!      5   8  round
//!     13   …  the entry, as the common subset encodes it
//! ```

use constellation_acs::JournalEntry;
use constellation_chain::{Reader, Tier, WireError};

/// One journal record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRecord {
    /// The round's tier.
    pub tier: Tier,
    /// The round.
    pub round: u64,
    /// What was said.
    pub entry: JournalEntry,
}

/// Why bytes are not a journal record: the journal is this node's own, so this is damage or a file of another version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalRecordError {
    /// Not the right bytes.
    #[error("journal record: {0}")]
    Wire(#[from] WireError),
    /// The entry does not decode.
    #[error("journal record: {0}")]
    Entry(String),
}

impl JournalRecord {
    /// Appends the record's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tier.to_bytes());
        out.extend_from_slice(&self.round.to_le_bytes());
        self.entry.encode(out);
    }

    /// Reads a record; `committee` is the largest committee size an entry can speak of.
    pub fn decode(bytes: &[u8], committee: usize) -> Result<Self, JournalRecordError> {
        let mut reader = Reader::new(bytes);
        let tier = Tier::read(&mut reader)?;
        let round = reader.u64()?;
        let entry = JournalEntry::decode(reader.rest(), committee)
            .map_err(|error| JournalRecordError::Entry(error.to_string()))?;
        Ok(JournalRecord { tier, round, entry })
    }
}
