//! The network's door into the node: peers' messages go to the core, gossiped items to the verifier.

use crate::core_stage::CoreInput;
use crate::ring::Ring;
use crate::verify_stage::VerifyInput;
use constellation_net::{Event, Sink};
use std::sync::Arc;

/// Sorts what peers send into the rings. A full ring stops the reading from that peer: nothing is lost.
pub(crate) struct NetSink {
    pub core: Arc<Ring<CoreInput>>,
    pub verify: Arc<Ring<VerifyInput>>,
}

impl Sink for NetSink {
    fn deliver(&mut self, event: Event) -> Result<(), Event> {
        match event {
            Event::Items { from, items } => {
                self.verify.push(VerifyInput::Gossip { from, items }).map_err(|back| match back {
                    VerifyInput::Gossip { from, items } => Event::Items { from, items },
                    _ => unreachable!("a full ring gives back what was pushed"),
                })
            }
            event => self.core.push(CoreInput::Net(event)).map_err(|back| match back {
                CoreInput::Net(event) => event,
                _ => unreachable!("a full ring gives back what was pushed"),
            }),
        }
    }
}
