//! The network's door into the node: peers' messages go to the core, gossiped items to the verifier.

use crate::core_stage::CoreInput;
use crate::ring::Ring;
use crate::verify_stage::VerifyInput;
use constellation_net::{Event, Sink};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sorts what peers send into the rings. A full ring stops the reading from that peer: nothing is lost.
pub(crate) struct NetSink {
    pub core: Arc<Ring<CoreInput>>,
    pub core_bytes: Arc<AtomicUsize>,
    pub verify: Arc<Ring<VerifyInput>>,
}

/// Bytes of messages that wait for the core, at most (one message may go over it).
const MESSAGES_MAX_BYTES: usize = 128 << 20;

impl Sink for NetSink {
    fn deliver(&mut self, event: Event) -> Result<(), Event> {
        match event {
            Event::Items { from, items } => {
                self.verify.push(VerifyInput::Gossip { from, items }).map_err(|back| match back {
                    VerifyInput::Gossip { from, items } => Event::Items { from, items },
                    _ => unreachable!("a full ring gives back what was pushed"),
                })
            }
            event => {
                let len_bytes = if let Event::Message { bytes, .. } = &event { bytes.len() } else { 0 };
                if len_bytes > 0 && self.core_bytes.load(Ordering::Relaxed) >= MESSAGES_MAX_BYTES {
                    return Err(event);
                }
                // Counted before it can be taken out, so that the count never falls below what waits.
                self.core_bytes.fetch_add(len_bytes, Ordering::Relaxed);
                self.core.push(CoreInput::Net(event)).map_err(|back| {
                    self.core_bytes.fetch_sub(len_bytes, Ordering::Relaxed);
                    match back {
                        CoreInput::Net(event) => event,
                        _ => unreachable!("a full ring gives back what was pushed"),
                    }
                })
            }
        }
    }

    /// Items that were asked for keep half of the ring: what is pushed must never stop the reading of votes.
    fn has_room_for_items(&self) -> bool {
        self.verify.len() < self.verify.capacity() / 2
    }
}
