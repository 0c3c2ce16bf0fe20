//! The journal on disk: what this node said in rounds that are not settled, so that after a restart it never says otherwise.

use crate::config::JournalSync;
use constellation_chain::COMMITTEE_MAX;
use constellation_chain::Tier;
use constellation_protocol::{JournalRecord, JournalRecordError};
use constellation_storage::{Log, LogError, LogOptions, Recovery};
use std::collections::BTreeMap;
use std::path::Path;

const RECORD_KIND: u32 = 2;
/// The first record of every journal: it was made with its node, not after the node had spoken.
const BORN_KIND: u32 = 3;
/// Holds a round's proposals of every member several times over.
const OPTIONS: LogOptions = LogOptions { segment_len_bytes: 8 << 20, reserve_len_bytes: 8 << 20 };

/// An open journal.
pub(crate) struct Journal {
    log: Log,
    sync: JournalSync,
    /// First record of each round that is not settled.
    first_of_round: BTreeMap<(Tier, u64), u64>,
    dirty: bool,
    buffer: Vec<u8>,
}

/// Makes the journal of a new node. A node that finds none has lost it, and sits out until the network has passed what it may have said.
pub fn create_journal(dir: &Path) -> Result<(), LogError> {
    let (mut log, _) = Log::open(dir, OPTIONS)?;
    if log.next_sequence() == log.first_sequence() {
        log.append(BORN_KIND, &[b"journal"])?;
        log.sync()?;
    }
    Ok(())
}

/// What a journal held when it was opened.
pub(crate) struct Opened {
    pub records: Vec<JournalRecord>,
    pub recovery: Recovery,
    /// Whether there was none.
    pub is_lost: bool,
}

/// Why a journal cannot be used. Always this machine's doing.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The log under it failed.
    #[error("journal: {0}")]
    Log(#[from] LogError),
    /// A record does not decode.
    #[error(
        "{error}; this node cannot know what it said: move its journal folder away, and it sits out until the network has passed what it may have said"
    )]
    Record {
        /// What is wrong with it.
        error: JournalRecordError,
    },
}

impl Journal {
    /// Opens the journal and reads what it holds.
    pub fn open(dir: &Path, sync: JournalSync) -> Result<(Self, Opened), JournalError> {
        let (log, recovery) = match sync {
            JournalSync::Power => Log::open(dir, OPTIONS)?,
            JournalSync::Process => Log::open_unsynced(dir, OPTIONS)?,
        };
        // A journal that was ever written to goes on from its last number, however much of it is forgotten.
        let is_lost = log.next_sequence() == 1;
        let mut records = Vec::new();
        let mut first_of_round = BTreeMap::new();
        for stored in log.iter_from(log.first_sequence()) {
            let stored = stored?;
            if stored.kind != RECORD_KIND {
                continue;
            }
            let record =
                JournalRecord::decode(stored.payload, COMMITTEE_MAX).map_err(|error| JournalError::Record { error })?;
            first_of_round.entry((record.tier, record.round)).or_insert(stored.sequence);
            records.push(record);
        }
        let journal = Journal { log, sync, first_of_round, dirty: false, buffer: Vec::new() };
        Ok((journal, Opened { records, recovery, is_lost }))
    }

    /// Writes a record; it survives a killed process from here on.
    pub fn append(&mut self, record: &JournalRecord) -> Result<(), JournalError> {
        self.buffer.clear();
        record.encode(&mut self.buffer);
        let sequence = self.log.append(RECORD_KIND, &[&self.buffer])?;
        self.first_of_round.entry((record.tier, record.round)).or_insert(sequence);
        self.dirty = true;
        Ok(())
    }

    /// Before anything leaves: makes what was written as durable as the operator chose.
    pub fn settle(&mut self) -> Result<(), JournalError> {
        if self.dirty && self.sync == JournalSync::Power {
            self.log.sync()?;
        }
        self.dirty = false;
        Ok(())
    }

    /// Forgets a settled round, and every earlier one of its tier.
    pub fn retire(&mut self, tier: Tier, round: u64) -> Result<(), JournalError> {
        self.first_of_round.retain(|&(other, number), _| other != tier || number > round);
        let keep_from = self.first_of_round.values().min().copied().unwrap_or(self.log.next_sequence());
        self.log.trim_before(keep_from)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use constellation_protocol::Message;

    fn record(round: u64, len: usize) -> JournalRecord {
        let payload = vec![7u8; len].into();
        let bytes = Message::Round {
            tier: Tier::Galaxy,
            round,
            message: constellation_acs::Message::Payload { proposer: 0, seal: [0; 64], payload },
        };
        let Message::Round { tier, round, message } = bytes else { unreachable!("made above") };
        JournalRecord { tier, round, entry: constellation_acs::JournalEntry::Sent(message) }
    }

    #[test]
    fn it_reads_back_and_forgets_settled_rounds() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Journal::open(dir.path(), JournalSync::Process).unwrap();
        let (journal, opened) = open();
        assert!(opened.records.is_empty() && opened.is_lost);
        drop(journal);
        create_journal(dir.path()).unwrap();
        let (mut journal, opened) = open();
        assert!(opened.records.is_empty() && !opened.is_lost);
        for round in 1..=100 {
            journal.append(&record(round, 1 << 20)).unwrap();
            journal.settle().unwrap();
            if round > 2 {
                journal.retire(Tier::Galaxy, round - 2).unwrap();
            }
        }
        drop(journal);
        let (_, opened) = open();
        assert_eq!(opened.records.last(), Some(&record(100, 1 << 20)));
        assert!(opened.records.len() < 70 && !opened.is_lost, "old segments are gone");
    }
}
