//! Frames and messages: what is inside the encrypted frames, how messages are cut into them and put together again.
//!
//! ```text
//! wire frame   len u16 LE | ciphertext (len bytes, 16 of them the tag)
//! plaintext    class u8 | a piece of that class's byte stream (1 to 65518 bytes)
//! stream       message, message, …          message = kind u8 | len u32 LE | body (len bytes, never 0)
//! ```
//!
//! Every class has its own stream, so a frame of consensus can be sent between two frames of one bulk message. A
//! frame carries many small messages, or a part of a large one.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::close::CloseReason;
use crate::config::{Channel, Limits};
use crate::gossip::wire;

/// Longest ciphertext of a frame.
pub(crate) const MAX_FRAME_LEN: usize = 65_535;
/// Bytes the cipher adds to a plaintext.
pub(crate) const TAG_LEN: usize = 16;
/// Longest plaintext of a frame, its class byte included.
pub(crate) const MAX_PLAIN_LEN: usize = MAX_FRAME_LEN - TAG_LEN;
/// Shortest ciphertext: class, one byte, tag.
pub(crate) const MIN_FRAME_LEN: usize = 2 + TAG_LEN;
/// Kind and length.
pub(crate) const MESSAGE_HEADER_LEN: usize = 5;

/// A priority class; each has its own queue and stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    Consensus = 0,
    Control = 1,
    Gossip = 2,
    Bulk = 3,
}

impl Class {
    pub(crate) const COUNT: usize = 4;

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Consensus, Self::Control, Self::Gossip, Self::Bulk].get(usize::from(byte)).copied()
    }
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Consensus = 0,
    Gossip = 1,
    Bulk = 2,
    KeepAlive = 16,
    Announce = 17,
    Request = 18,
    Deliver = 19,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Consensus, Self::Gossip, Self::Bulk, Self::KeepAlive, Self::Announce, Self::Request, Self::Deliver];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    pub(crate) fn class(self) -> Class {
        match self {
            Self::Consensus => Class::Consensus,
            Self::KeepAlive | Self::Announce | Self::Request => Class::Control,
            Self::Gossip | Self::Deliver => Class::Gossip,
            Self::Bulk => Class::Bulk,
        }
    }

    /// Whether the message counts against the gossip receive budget.
    pub(crate) fn is_metered(self) -> bool {
        matches!(self, Self::Gossip | Self::Announce | Self::Request | Self::Deliver)
    }
}

impl From<Channel> for Kind {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Consensus => Self::Consensus,
            Channel::Gossip => Self::Gossip,
            Channel::Bulk => Self::Bulk,
        }
    }
}

/// Longest body by kind, known before anything is allocated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxLens {
    consensus: usize,
    gossip: usize,
    bulk: usize,
}

impl MaxLens {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            consensus: limits.consensus_max_len_bytes as usize,
            gossip: limits.gossip_max_len_bytes as usize,
            bulk: limits.bulk_max_len_bytes as usize,
        }
    }

    pub(crate) fn of(&self, kind: Kind) -> usize {
        match kind {
            Kind::Consensus => self.consensus,
            Kind::Gossip | Kind::Deliver => self.gossip,
            Kind::Bulk => self.bulk,
            Kind::KeepAlive => 1,
            Kind::Announce | Kind::Request => wire::MAX_IDS * wire::ID_LEN,
        }
    }
}

/// The bytes of a message: owned, or shared between several peers' queues.
#[derive(Clone, Debug)]
pub enum Payload {
    /// For one peer.
    Owned(Vec<u8>),
    /// For several.
    Shared(Arc<[u8]>),
}

impl Payload {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl From<Arc<[u8]>> for Payload {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self::Shared(bytes)
    }
}

/// Puts one class's stream together again. Its buffer grows with the bytes that arrive, not with the announced length.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    header: [u8; MESSAGE_HEADER_LEN],
    header_len: usize,
    body: Vec<u8>,
}

impl Assembler {
    /// Takes the next piece of the stream; hands over each message that is complete, borrowed where it lies whole in
    /// the piece.
    pub(crate) fn push<'a>(
        &mut self,
        class: Class,
        max: &MaxLens,
        mut input: &'a [u8],
        mut deliver: impl FnMut(Kind, Cow<'a, [u8]>) -> Result<(), CloseReason>,
    ) -> Result<(), CloseReason> {
        while !input.is_empty() {
            if self.header_len < MESSAGE_HEADER_LEN {
                let take = input.len().min(MESSAGE_HEADER_LEN - self.header_len);
                let (head, rest) = input.split_at(take);
                self.header[self.header_len..self.header_len + take].copy_from_slice(head);
                self.header_len += take;
                input = rest;
                if self.header_len < MESSAGE_HEADER_LEN {
                    return Ok(());
                }
                self.parse_header(class, max)?;
                continue;
            }
            let (kind, len) = self.parse_header(class, max)?;
            let take = input.len().min(len - self.body.len());
            let (piece, rest) = input.split_at(take);
            input = rest;
            if take == len {
                self.header_len = 0;
                deliver(kind, Cow::Borrowed(piece))?;
                continue;
            }
            self.body.extend_from_slice(piece);
            if self.body.len() == len {
                self.header_len = 0;
                deliver(kind, Cow::Owned(std::mem::take(&mut self.body)))?;
            }
        }
        Ok(())
    }

    fn parse_header(&self, class: Class, max: &MaxLens) -> Result<(Kind, usize), CloseReason> {
        let [kind, len @ ..] = self.header;
        let kind = Kind::from_byte(kind).ok_or(CloseReason::MessageInvalid)?;
        let len = u32::from_le_bytes(len) as usize;
        if kind.class() != class || len == 0 {
            return Err(CloseReason::MessageInvalid);
        }
        if len > max.of(kind) {
            return Err(CloseReason::MessageTooLarge);
        }
        Ok((kind, len))
    }
}

#[derive(Debug)]
struct Outgoing {
    kind: Kind,
    payload: Payload,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Outgoing>,
    /// Bytes of the front message (header included) that are already in frames.
    front_sent: usize,
    len_bytes: usize,
    cap_bytes: usize,
}

impl Queue {
    /// Copies the next bytes of the stream into `out`; how many.
    fn fill(&mut self, out: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < out.len() {
            let Some(front) = self.messages.front() else { break };
            let body = front.payload.as_slice();
            let total = MESSAGE_HEADER_LEN + body.len();
            if self.front_sent < MESSAGE_HEADER_LEN {
                let mut header = [front.kind as u8; MESSAGE_HEADER_LEN];
                header[1..].copy_from_slice(&(body.len() as u32).to_le_bytes());
                let take = (out.len() - filled).min(MESSAGE_HEADER_LEN - self.front_sent);
                out[filled..filled + take].copy_from_slice(&header[self.front_sent..self.front_sent + take]);
                filled += take;
                self.front_sent += take;
                continue;
            }
            let take = (out.len() - filled).min(total - self.front_sent);
            let from = self.front_sent - MESSAGE_HEADER_LEN;
            out[filled..filled + take].copy_from_slice(&body[from..from + take]);
            filled += take;
            self.front_sent += take;
            if self.front_sent == total {
                self.messages.pop_front();
                self.front_sent = 0;
                self.len_bytes -= total;
            }
        }
        filled
    }
}

/// The queue of a class cannot take the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

/// One peer's outgoing messages by class, each class bounded in bytes.
#[derive(Debug)]
pub(crate) struct SendQueues {
    queues: [Queue; Class::COUNT],
    bulk_next: bool,
}

impl SendQueues {
    pub(crate) fn new(limits: &Limits) -> Self {
        let cap = |cap_bytes| Queue { cap_bytes, ..Queue::default() };
        let queues = [
            cap(limits.consensus_queue_bytes),
            cap(limits.control_queue_bytes),
            cap(limits.gossip_queue_bytes),
            cap(limits.bulk_queue_bytes),
        ];
        Self { queues, bulk_next: false }
    }

    /// Bytes the class of `kind` can still take, message headers included.
    pub(crate) fn room_bytes(&self, kind: Kind) -> usize {
        let queue = &self.queues[kind.class() as usize];
        queue.cap_bytes.saturating_sub(queue.len_bytes)
    }

    /// Appends a message. The caller has checked that it is neither empty nor longer than its kind allows.
    pub(crate) fn push(&mut self, kind: Kind, payload: Payload) -> Result<(), QueueFull> {
        let len = MESSAGE_HEADER_LEN + payload.as_slice().len();
        if len > self.room_bytes(kind) {
            return Err(QueueFull);
        }
        let queue = &mut self.queues[kind.class() as usize];
        queue.len_bytes += len;
        queue.messages.push_back(Outgoing { kind, payload });
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(|queue| queue.messages.is_empty())
    }

    /// Writes the next frame's plaintext into `plain`; its length, or 0 when nothing waits. The class is chosen anew
    /// for every frame: consensus, then control, then gossip and bulk in turns.
    pub(crate) fn fill_frame(&mut self, plain: &mut [u8]) -> usize {
        let waits = |class: Class| !self.queues[class as usize].messages.is_empty();
        let class = if waits(Class::Consensus) {
            Class::Consensus
        } else if waits(Class::Control) {
            Class::Control
        } else if waits(Class::Bulk) && (self.bulk_next || !waits(Class::Gossip)) {
            Class::Bulk
        } else if waits(Class::Gossip) {
            Class::Gossip
        } else {
            return 0;
        };
        self.bulk_next = class == Class::Gossip;
        plain[0] = class as u8;
        let max = plain.len().min(MAX_PLAIN_LEN);
        1 + self.queues[class as usize].fill(&mut plain[1..max])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits() -> Limits {
        Limits { consensus_max_len_bytes: 300_000, gossip_max_len_bytes: 70_000, ..Limits::default() }
    }

    fn drain(queues: &mut SendQueues, piece: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut plain = vec![0; piece];
        loop {
            match queues.fill_frame(&mut plain) {
                0 => return frames,
                len => frames.push(plain[..len].to_vec()),
            }
        }
    }

    fn assemble(frames: &[Vec<u8>]) -> Result<Vec<(Kind, Vec<u8>)>, CloseReason> {
        let mut assemblers: [Assembler; Class::COUNT] = Default::default();
        let (max, mut out) = (MaxLens::new(&limits()), Vec::new());
        for frame in frames {
            let Some(class) = frame.first().and_then(|b| Class::from_byte(*b)) else { continue };
            assemblers[class as usize].push(class, &max, &frame[1..], |kind, bytes| {
                out.push((kind, bytes.into_owned()));
                Ok(())
            })?;
        }
        Ok(out)
    }

    #[test]
    fn consensus_overtakes_a_bulk_message_between_two_frames() {
        let mut queues = SendQueues::new(&limits());
        queues.push(Kind::Bulk, vec![1; 200_000].into()).unwrap();
        let mut plain = vec![0; MAX_PLAIN_LEN];
        let mut frames = vec![];
        let len = queues.fill_frame(&mut plain);
        frames.push(plain[..len].to_vec());
        queues.push(Kind::Consensus, vec![2; 3].into()).unwrap();
        frames.extend(drain(&mut queues, MAX_PLAIN_LEN));
        let messages = assemble(&frames).unwrap();
        assert_eq!(messages, vec![(Kind::Consensus, vec![2; 3]), (Kind::Bulk, vec![1; 200_000])]);
    }

    #[test]
    fn gossip_and_bulk_take_turns() {
        let mut queues = SendQueues::new(&limits());
        queues.push(Kind::Bulk, vec![1; 200_000].into()).unwrap();
        for _ in 0..3 {
            queues.push(Kind::Deliver, vec![2; 60_000].into()).unwrap();
        }
        let classes: Vec<u8> = drain(&mut queues, MAX_PLAIN_LEN).iter().map(|f| f[0]).collect();
        assert_eq!(classes, [2, 3, 2, 3, 2, 3, 3]);
    }

    #[test]
    fn queues_are_bounded_by_bytes_and_freed_by_sending() {
        let mut queues = SendQueues::new(&Limits { consensus_queue_bytes: 100, ..limits() });
        queues.push(Kind::Consensus, vec![0; 95].into()).unwrap();
        assert_eq!(queues.push(Kind::Consensus, vec![0].into()), Err(QueueFull));
        assert!(queues.push(Kind::Bulk, vec![0].into()).is_ok());
        drain(&mut queues, 64);
        assert!(queues.is_empty());
        assert_eq!(queues.room_bytes(Kind::Consensus), 100);
        assert!(queues.push(Kind::Consensus, vec![0].into()).is_ok());
    }

    #[test]
    fn bad_headers_are_refused_before_any_body() {
        let stream = |class: u8, kind: u8, len: u32| {
            let mut frame = vec![class, kind];
            frame.extend(len.to_le_bytes());
            assemble(&[frame]).unwrap_err()
        };
        assert_eq!(stream(0, 0, 300_001), CloseReason::MessageTooLarge);
        assert_eq!(stream(0, 0, u32::MAX), CloseReason::MessageTooLarge);
        assert_eq!(stream(0, 0, 0), CloseReason::MessageInvalid);
        assert_eq!(stream(0, 2, 1), CloseReason::MessageInvalid);
        assert_eq!(stream(0, 99, 1), CloseReason::MessageInvalid);
        assert_eq!(stream(1, 17, 1 << 20), CloseReason::MessageTooLarge);
    }

    #[test]
    fn buffer_does_not_trust_the_announced_length() {
        let mut assembler = Assembler::default();
        let max = MaxLens::new(&limits());
        let mut input = vec![0];
        input.extend(300_000u32.to_le_bytes());
        input.extend([7; 10]);
        assembler.push(Class::Consensus, &max, &input, |_, _| panic!("not complete")).unwrap();
        assert!(assembler.body.capacity() < 1_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn any_messages_through_any_frame_size_arrive_whole_and_in_order_by_class(
            messages in prop::collection::vec((0usize..6, 1usize..5_000), 1..30),
            piece in 2usize..9_000,
        ) {
            let kinds = [Kind::Consensus, Kind::Gossip, Kind::Bulk, Kind::Announce, Kind::Request, Kind::Deliver];
            let mut queues = SendQueues::new(&limits());
            let sent: Vec<_> = messages.iter().enumerate()
                .map(|(i, (kind, len))| (kinds[*kind], vec![i as u8; *len])).collect();
            for (kind, body) in &sent {
                queues.push(*kind, body.clone().into()).unwrap();
            }
            let received = assemble(&drain(&mut queues, piece)).unwrap();
            for class in 0..Class::COUNT {
                let of = |list: &[(Kind, Vec<u8>)]| -> Vec<_> {
                    list.iter().filter(|(kind, _)| kind.class() as usize == class).cloned().collect()
                };
                prop_assert_eq!(of(&sent), of(&received));
            }
        }

        #[test]
        fn arbitrary_frames_never_panic(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
            if let Ok(messages) = assemble(&frames) {
                let max = MaxLens::new(&limits());
                prop_assert!(messages.iter().all(|(kind, body)| !body.is_empty() && body.len() <= max.of(*kind)));
            }
        }
    }
}
