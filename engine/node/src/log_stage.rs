//! The log: appends black holes, makes them durable in groups, and only then tells the clients; serves old ones to peers that are behind.

use crate::api::{FinalBlock, FinalFeed};
use crate::audit::LOG_RECORD_KIND_BLACK_HOLE;
use crate::bell::Bell;
use crate::meter::{Meter, Spent, Stretch};
use crate::ring::Ring;
use crate::runtime::{Ending, NodeError};
use constellation_chain::{BlackHole, Certificate};
use constellation_net::{Channel, Handle, ItemId, PeerId};
use constellation_protocol::{Message, NodeIndex};
use constellation_storage::{Log, LogError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Inputs taken together, at most: their black holes are made durable in one go, before anything is served.
const GROUP_MAX: usize = 16;

/// Work for the log.
pub(crate) enum LogInput {
    Append { black_hole: Arc<BlackHole>, certificate: Certificate },
    Serve { to: NodeIndex, height: u64 },
}

pub(crate) struct LogStage {
    pub log: Log,
    pub bell: Arc<Bell>,
    pub inputs: Arc<Ring<LogInput>>,
    pub feed: Arc<FinalFeed>,
    pub net: Handle,
    pub meter: Arc<Meter>,
    /// Height of the last durable black hole: what the core waits for before it forgets how it came about.
    pub durable_height: Arc<AtomicU64>,
    /// Set when the core has ended: nothing more can come.
    pub stop: Arc<AtomicBool>,
    pub ending: Arc<Ending>,
    /// Where records are put together; its memory is used again and again.
    pub buffer: Vec<u8>,
}

impl LogStage {
    /// Runs until told to stop, and then until its ring is empty: what was certified is written.
    pub fn run(mut self) {
        let mut since = Stretch::new();
        loop {
            match self.take_group() {
                Err(error) => {
                    self.ending.fail(NodeError::Log(error));
                    return;
                }
                Ok(0) if self.stop.load(Ordering::Relaxed) && self.inputs.is_empty() => return,
                Ok(0) => {
                    self.bell.sleep(Duration::from_millis(100), || !self.inputs.is_empty());
                    self.meter.book(&mut since, Spent::Waiting);
                }
                Ok(count) => {
                    self.meter.count(count);
                    self.meter.book(&mut since, Spent::Busy);
                }
            }
        }
    }

    fn take_group(&mut self) -> Result<usize, LogError> {
        let mut appended = Vec::new();
        let mut asked = Vec::new();
        while appended.len() + asked.len() < GROUP_MAX
            && let Some(input) = self.inputs.pop()
        {
            match input {
                LogInput::Serve { to, height } => asked.push((to, height)),
                LogInput::Append { black_hole, certificate } => {
                    self.buffer.clear();
                    black_hole.write(&certificate, &mut self.buffer);
                    self.log.append(LOG_RECORD_KIND_BLACK_HOLE, &[&self.buffer])?;
                    appended.push(black_hole);
                }
            }
        }
        if let Some(last) = appended.last() {
            self.log.sync()?;
            self.durable_height.store(last.header.height(), Ordering::Release);
        }
        let count = appended.len() + asked.len();
        for black_hole in appended {
            self.feed.publish(final_block(&black_hole));
            self.forget(&black_hole);
        }
        for (to, height) in asked {
            self.serve(to, height)?;
        }
        Ok(count)
    }

    /// What is final need not be told to anybody any more.
    fn forget(&self, black_hole: &BlackHole) {
        let ids: Vec<ItemId> = black_hole.transactions().map(|transaction| transaction.record_hash().0).collect();
        if let Err(error) = self.net.forget(ids) {
            tracing::debug!(%error, "final transactions stay in the gossip's store until others take their places");
        }
    }

    /// Black holes are the log's only records, so the record of height h is the h-th.
    fn serve(&self, to: NodeIndex, height: u64) -> Result<(), LogError> {
        let sequence = self.log.first_sequence() + height - 1;
        let Some(record) = self.log.read(sequence)? else { return Ok(()) };
        let message = Message::BlackHole(record.payload.to_vec()).to_bytes();
        if let Err(error) = self.net.send(PeerId(to), Channel::Bulk, message) {
            tracing::debug!(to, height, %error, "a black hole could not be served; the peer will ask again");
        }
        Ok(())
    }
}

/// What clients are told of a black hole.
pub(crate) fn final_block(black_hole: &BlackHole) -> FinalBlock {
    FinalBlock {
        height: black_hole.header.height(),
        black_hole: black_hole.header.hash(),
        outcomes: black_hole.outcomes().map(|(transaction, reason)| (transaction.id(), reason)).collect(),
    }
}
