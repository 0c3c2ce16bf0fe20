//! What the I/O thread keeps for one configured peer, connected or not.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::Token;

use crate::backoff::{Backoff, Jitter};
use crate::close::CloseReason;
use crate::config::{Limits, Peer, PeerId};
use crate::event::{Event, Sink};

/// Who of the two opens the connection: the one with the smaller public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// It is this node itself.
    Own,
    /// This node dials.
    Dial,
    /// The peer dials.
    Accept,
}

pub(crate) struct PeerSlot {
    id: PeerId,
    pub(crate) address: SocketAddr,
    pub(crate) relation: Relation,
    /// The connection on which both sides are authenticated.
    pub(crate) conn: Option<Token>,
    /// The connection that is being opened.
    pub(crate) dialling: Option<Token>,
    /// When to open one.
    pub(crate) dial_at: Option<Instant>,
    backoff: Backoff,
    penalised_until: Option<Instant>,
    events: VecDeque<Event>,
}

impl PeerSlot {
    pub(crate) fn new(id: PeerId, peer: &Peer, own_key: &[u8; 32], limits: &Limits, now: Instant) -> Self {
        let relation = match own_key.cmp(&peer.public_key) {
            std::cmp::Ordering::Equal => Relation::Own,
            std::cmp::Ordering::Less => Relation::Dial,
            std::cmp::Ordering::Greater => Relation::Accept,
        };
        Self {
            id,
            address: peer.address,
            relation,
            conn: None,
            dialling: None,
            dial_at: (relation == Relation::Dial).then_some(now),
            backoff: Backoff::new(limits.redial_min_ms, limits.redial_max_ms),
            penalised_until: None,
            events: VecDeque::new(),
        }
    }

    pub(crate) fn connected(&mut self, token: Token) {
        self.conn = Some(token);
        self.dialling = None;
        self.dial_at = None;
        self.events.push_back(Event::Connected(self.id));
    }

    pub(crate) fn disconnected(&mut self, reason: CloseReason, was_healthy: bool) {
        self.conn = None;
        if was_healthy {
            self.backoff.reset();
        }
        // A connection that the node has not heard of yet came and went: it need not know. This also bounds the queue
        // of a node that takes no events while connections change.
        if self.events.back() == Some(&Event::Connected(self.id)) {
            self.events.pop_back();
        } else {
            self.events.push_back(Event::Disconnected(self.id, reason));
        }
    }

    /// Plans the next dial, if this node is to dial and is not at it.
    pub(crate) fn plan_dial(&mut self, jitter: &mut Jitter, now: Instant) {
        if self.relation != Relation::Dial || self.conn.is_some() || self.dialling.is_some() {
            return;
        }
        let at = now + self.backoff.pause(jitter);
        self.dial_at = Some(self.penalised_until.map_or(at, |until| at.max(until)));
    }

    pub(crate) fn penalise(&mut self, until: Instant) {
        self.penalised_until = Some(until);
        self.dial_at = self.dial_at.map(|at| at.max(until));
    }

    pub(crate) fn is_penalised(&self, now: Instant) -> bool {
        self.penalised_until.is_some_and(|until| until > now)
    }

    pub(crate) fn push_event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Whether the node has not taken all events yet: then nothing more is read from the peer.
    pub(crate) fn is_stalled(&self) -> bool {
        !self.events.is_empty()
    }

    /// Offers the events to the node; whether it took all.
    pub(crate) fn flush_events(&mut self, sink: &mut impl Sink) -> bool {
        while let Some(event) = self.events.pop_front() {
            if let Err(event) = sink.deliver(event) {
                self.events.push_front(event);
                return false;
            }
        }
        true
    }
}

/// A limit in milliseconds as a duration.
pub(crate) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Open(Vec<Event>, bool);

    impl Sink for Open {
        fn deliver(&mut self, event: Event) -> Result<(), Event> {
            if !self.1 {
                return Err(event);
            }
            self.0.push(event);
            Ok(())
        }
    }

    #[test]
    fn events_are_kept_in_order_and_bounded_while_the_sink_is_full() {
        let peer = Peer { public_key: [2; 32], address: "127.0.0.1:1".parse().unwrap() };
        let mut slot = PeerSlot::new(PeerId(3), &peer, &[1; 32], &Limits::default(), Instant::now());
        let mut sink = Open(Vec::new(), false);
        for n in 0..100 {
            slot.connected(Token(n));
            assert!(!slot.flush_events(&mut sink));
            slot.disconnected(CloseReason::Io, false);
        }
        assert!(slot.events.is_empty());
        slot.connected(Token(1));
        sink.1 = true;
        assert!(slot.flush_events(&mut sink) && !slot.is_stalled());
        slot.disconnected(CloseReason::Eof, false);
        assert!(slot.flush_events(&mut sink));
        assert_eq!(sink.0, [Event::Connected(PeerId(3)), Event::Disconnected(PeerId(3), CloseReason::Eof)]);
    }

    #[test]
    fn penalty_delays_the_next_dial() {
        let now = Instant::now();
        let peer = Peer { public_key: [2; 32], address: "127.0.0.1:1".parse().unwrap() };
        let mut slot = PeerSlot::new(PeerId(0), &peer, &[1; 32], &Limits::default(), now);
        let until = now + Duration::from_secs(60);
        slot.penalise(until);
        slot.plan_dial(&mut Jitter::new(1), now);
        assert_eq!(slot.dial_at, Some(until));
        assert!(slot.is_penalised(now) && !slot.is_penalised(until));
    }
}
