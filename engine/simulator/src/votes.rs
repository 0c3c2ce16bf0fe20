//! Messages as lists of votes and back: the one place that knows how votes are bundled.

use std::rc::Rc;

use constellation_acs::{Message, Vote};

/// Encoded messages are shared between their receivers.
pub(crate) type Bytes = Rc<[u8]>;

/// The votes in a message.
pub(crate) fn votes_of(message: &Message) -> &[Vote] {
    match message {
        Message::Votes(votes) => votes,
        Message::Payload { .. } | Message::Pull { .. } => &[],
    }
}

/// A message that carries these votes.
pub(crate) fn message_of(votes: Vec<Vote>) -> Message {
    Message::Votes(votes)
}

pub(crate) fn encode(message: &Message) -> Bytes {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes.into()
}
