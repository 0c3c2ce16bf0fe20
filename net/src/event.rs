//! What the network tells the embedding node.

use crate::close::CloseReason;
use crate::config::{Channel, PeerId};
use crate::gossip::Items;

/// Something that happened. Events of one peer are delivered in order; those of different peers are independent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Both sides have authenticated each other.
    Connected(PeerId),
    /// The connection is gone. Messages sent since the last answer may not have arrived.
    Disconnected(PeerId, CloseReason),
    /// A whole message.
    Message {
        /// Who sent it.
        from: PeerId,
        /// On which channel.
        channel: Channel,
        /// Its body, never empty.
        bytes: Vec<u8>,
    },
    /// Gossip items that are new here. The node checks that each id is its content's, verifies the content, and then
    /// publishes, forgets or rejects it.
    Items {
        /// Who delivered them.
        from: PeerId,
        /// Ids as claimed by the peer, with the content.
        items: Items,
    },
}

/// Takes events, on the I/O thread: it must return at once.
pub trait Sink: Send {
    /// Takes an event, or gives it back when there is no room for it now: then the peer is not read from until the
    /// event was taken. It is offered again within a millisecond, or at [`Handle::resume`](crate::Handle::resume).
    ///
    /// # Errors
    /// The event itself, unchanged.
    fn deliver(&mut self, event: Event) -> Result<(), Event>;

    /// Whether gossip items that nobody asked for are welcome now.
    fn has_room_for_items(&self) -> bool {
        true
    }
}
