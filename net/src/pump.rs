//! What flows through connections: bytes in to events and gossip, commands and gossip out to bytes.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use mio::Token;

use crate::close::CloseReason;
use crate::config::{Channel, PeerId};
use crate::conn::{Conn, Phase, Transfer};
use crate::event::{Event, Sink};
use crate::frame::{Kind, MAX_FRAME_LEN, Payload};
use crate::gossip::{ItemId, Output, wire};
use crate::handle::Command;
use crate::handshake::Progress;
use crate::reactor::Reactor;
use crate::session::Session;

/// Bytes read from, or written to, one connection in one turn of the loop, so that all get their turn.
const TURN_BYTES: usize = 1 << 20;
/// Frames are sealed ahead of the socket up to this many bytes: enough for one large write, little enough that a
/// consensus message never waits behind much that is already sealed.
const SEAL_AHEAD_BYTES: usize = 2 * MAX_FRAME_LEN;

impl<S: Sink> Reactor<S> {
    /// Whether a connection has input that can be worked on now.
    pub(crate) fn wants_input(&self, conn: &Conn) -> bool {
        (conn.readable || conn.has_input()) && !self.is_held(conn)
    }

    /// Whether nothing may be read from a connection now: the node takes no events, or the budget is used up.
    fn is_held(&self, conn: &Conn) -> bool {
        conn.paused_until.is_some_and(|until| until > self.now)
            || conn.peer.is_some_and(|peer| self.peers[peer.index()].is_stalled())
    }

    pub(crate) fn pump_inputs(&mut self) {
        let ready: Vec<Token> =
            self.conns.values().filter(|conn| self.wants_input(conn)).map(|conn| conn.token).collect();
        for token in ready {
            // Out of the table while it is at work, so that all of `self` can be used.
            let Some(mut conn) = self.conns.remove(&token) else { continue };
            match self.pump_input(&mut conn) {
                Ok(()) => {
                    self.conns.insert(token, conn);
                }
                Err(reason) => self.finish(*conn, reason),
            }
            self.route_gossip();
            if let Some(peer) = self.conns.get(&token).and_then(|conn| conn.peer) {
                self.flush_events(peer);
            }
        }
    }

    fn pump_input(&mut self, conn: &mut Conn) -> Result<(), CloseReason> {
        let mut budget = TURN_BYTES;
        loop {
            self.use_input(conn)?;
            if !conn.readable || budget == 0 || self.is_held(conn) {
                return Ok(());
            }
            match conn.read()? {
                Transfer::Moved(len) => {
                    budget = budget.saturating_sub(len);
                    conn.last_received = self.now;
                    self.shared.counters.wire_received_bytes.add(len as u64);
                }
                Transfer::Blocked => return Ok(()),
            }
        }
    }

    /// Works on the bytes that were read, as far as they go.
    fn use_input(&mut self, conn: &mut Conn) -> Result<(), CloseReason> {
        if let Phase::Handshake(_) = conn.phase {
            self.advance_handshake(conn)?;
        }
        while matches!(conn.phase, Phase::Open { .. }) && !self.is_held(conn) {
            let Some(frame) = conn.next_frame()? else { return Ok(()) };
            self.use_frame(conn, frame)?;
        }
        Ok(())
    }

    fn advance_handshake(&mut self, conn: &mut Conn) -> Result<(), CloseReason> {
        let Phase::Handshake(slot) = &mut conn.phase else { return Ok(()) };
        let handshake = slot.take().ok_or(CloseReason::HandshakeFailed)?;
        let mut answer = Vec::new();
        let (used, progress) = handshake.advance(&self.local, conn.unread(), &mut answer)?;
        conn.consume(used);
        conn.output.append(&mut answer);
        match progress {
            Progress::Waiting(handshake) => conn.phase = Phase::Handshake(Some(handshake)),
            Progress::Done(peer, noise) => {
                let mut session = Session::new(noise, &self.limits);
                if conn.dialled.is_some() {
                    conn.open(session, false);
                } else {
                    self.admit(peer)?;
                    // The listener's first frame tells the dialler that it was accepted.
                    session.queues.push(Kind::KeepAlive, vec![0].into()).map_err(|_| CloseReason::SendQueueFull)?;
                    conn.open(session, true);
                    self.establish(conn, peer);
                }
            }
        }
        Ok(())
    }

    fn use_frame(&mut self, conn: &mut Conn, frame: Range<usize>) -> Result<(), CloseReason> {
        let Some((ciphertext, session)) = conn.frame(frame) else { return Ok(()) };
        let plain_len = session.open(ciphertext, &mut self.scratch)?;
        self.shared.counters.frames_received.add(1);
        if let Phase::Open { confirmed: confirmed @ false, .. } = &mut conn.phase
            && let Some(peer) = conn.dialled
        {
            *confirmed = true;
            self.establish(conn, peer);
        }
        let Some(peer) = conn.peer else { return Err(CloseReason::FrameInvalid) };
        let (mut metered_bytes, mut metered_messages) = (0, 0);
        let Self { peers, gossip, shared, scratch, max, now, sink, .. } = self;
        let slot = &mut peers[peer.index()];
        let Some(session) = conn.session() else { return Ok(()) };
        session.assemble(plain_len, max, scratch, |kind, body: Cow<'_, [u8]>| {
            if kind.is_metered() {
                metered_bytes += body.len() as u64;
                metered_messages += 1;
            }
            let channel = match kind {
                Kind::KeepAlive => return Ok(()),
                Kind::Announce | Kind::Request => {
                    let ids = wire::decode_ids(&body).ok_or(CloseReason::MessageInvalid)?;
                    match kind {
                        Kind::Announce => gossip.on_announce(peer, ids, *now),
                        _ => gossip.on_request(peer, ids),
                    }
                    return Ok(());
                }
                Kind::Deliver => {
                    let items = wire::decode_items(&body).ok_or(CloseReason::MessageInvalid)?;
                    let items = gossip.on_deliver(peer, items, sink.has_room_for_items(), *now);
                    if !items.is_empty() {
                        slot.push_event(Event::Items { from: peer, items });
                    }
                    return Ok(());
                }
                Kind::Consensus => Channel::Consensus,
                Kind::Gossip => Channel::Gossip,
                Kind::Bulk => Channel::Bulk,
            };
            let counters = shared.counters.channel(channel);
            counters.received_messages.add(1);
            counters.received_bytes.add(body.len() as u64);
            slot.push_event(Event::Message { from: peer, channel, bytes: body.into_owned() });
            Ok(())
        })?;
        self.charge(conn, metered_bytes, metered_messages);
        self.flush_events(peer);
        Ok(())
    }

    /// Takes what was received off the peer's gossip budget; in debt, it is not read from until the debt is paid.
    fn charge(&mut self, conn: &mut Conn, bytes: u64, messages: u64) {
        if messages == 0 {
            return;
        }
        conn.gossip_bytes.spend(bytes);
        conn.gossip_messages.spend(messages);
        let debt = conn.gossip_bytes.debt(self.now).max(conn.gossip_messages.debt(self.now));
        if let Some(wait) = debt {
            conn.paused_until = Some(self.now + wait);
            self.shared.counters.throttled.add(1);
        }
    }

    /// Offers a peer's events to the node.
    pub(crate) fn flush_events(&mut self, peer: PeerId) {
        if !self.peers[peer.index()].flush_events(&mut self.sink) {
            self.shared.counters.sink_refusals.add(1);
        }
    }

    pub(crate) fn pump_outputs(&mut self) {
        let ready: Vec<Token> =
            self.conns.values().filter(|conn| conn.writable && conn.has_output()).map(|conn| conn.token).collect();
        for token in ready {
            if let Err(reason) = self.pump_output(token) {
                self.close(token, reason);
            }
        }
    }

    fn pump_output(&mut self, token: Token) -> Result<(), CloseReason> {
        let Self { conns, scratch, shared, now, .. } = self;
        let Some(conn) = conns.get_mut(&token) else { return Ok(()) };
        let mut budget = TURN_BYTES;
        while conn.writable && budget > 0 {
            if !conn.has_sealed_output()
                && let Phase::Open { session, .. } = &mut conn.phase
            {
                let frames = session.seal(SEAL_AHEAD_BYTES, scratch, &mut conn.output)?;
                shared.counters.frames_sent.add(frames);
            }
            if !conn.has_sealed_output() {
                return Ok(());
            }
            if let Transfer::Moved(len) = conn.write()? {
                budget = budget.saturating_sub(len);
                conn.last_sent = *now;
                shared.counters.wire_sent_bytes.add(len as u64);
            }
        }
        Ok(())
    }

    pub(crate) fn run_commands(&mut self) {
        while let Some(command) = self.shared.pop() {
            match command {
                Command::Send { to, channel, payload } => self.send(to, channel, payload),
                Command::Broadcast { channel, bytes } => {
                    for index in 0..self.peers.len() {
                        if self.peers[index].conn.is_some() {
                            self.send(PeerId(index as u16), channel, bytes.clone().into());
                        }
                    }
                }
                Command::Publish(items) => self.gossip.publish(items, self.now),
                Command::Forget(ids) => self.gossip.forget(&ids),
                Command::Reject(ids) => self.gossip.reject(&ids, self.now),
                Command::Penalise { peer, reason } => self.penalise(peer, reason),
            }
        }
        self.route_gossip();
    }

    fn send(&mut self, to: PeerId, channel: Channel, payload: Payload) {
        let len = payload.as_slice().len() as u64;
        let sent = self.peers[to.index()].conn.is_some_and(|token| self.enqueue(token, channel.into(), payload));
        let counters = self.shared.counters.channel(channel);
        if sent {
            counters.sent_messages.add(1);
            counters.sent_bytes.add(len);
        } else {
            counters.dropped_messages.add(1);
        }
    }

    /// Queues a message; whether there was room. A consensus message without room closes the connection: after the
    /// next one the peer is brought up to date, while a gap in the stream would never be noticed.
    pub(crate) fn enqueue(&mut self, token: Token, kind: Kind, payload: Payload) -> bool {
        let Some(session) = self.conns.get_mut(&token).and_then(|conn| conn.session()) else { return false };
        let queued = session.queues.push(kind, payload).is_ok();
        if !queued && kind == Kind::Consensus {
            self.close(token, CloseReason::SendQueueFull);
        }
        queued
    }

    /// Queues what gossip has to say.
    pub(crate) fn route_gossip(&mut self) {
        while let Some(output) = self.gossip.poll_output() {
            match output {
                Output::Push { items } => {
                    let body: Arc<[u8]> = wire::encode_items(&items).into();
                    for index in 0..self.peers.len() {
                        if self.peers[index].conn.is_some() {
                            self.queue_gossip(PeerId(index as u16), Kind::Deliver, body.len(), || body.clone().into());
                        }
                    }
                }
                Output::Deliver { to, items } => {
                    self.queue_gossip(to, Kind::Deliver, wire::items_len(&items), || wire::encode_items(&items).into());
                }
                Output::Announce { to, ids } => self.queue_ids(to, Kind::Announce, &ids),
                Output::Request { to, ids } => self.queue_ids(to, Kind::Request, &ids),
            }
        }
    }

    fn queue_ids(&mut self, to: PeerId, kind: Kind, ids: &[ItemId]) {
        self.queue_gossip(to, kind, ids.len() * wire::ID_LEN, || wire::encode_ids(ids).into());
    }

    /// Queues one message of gossip. Room is looked for before its bytes are put together: a peer that asks for more than it takes costs little.
    fn queue_gossip(&mut self, to: PeerId, kind: Kind, len: usize, body: impl FnOnce() -> Payload) {
        let session = self.peers[to.index()].conn.and_then(|token| self.conns.get_mut(&token)?.session());
        let sent = session
            .is_some_and(|session| session.queues.room_bytes(kind) > len && session.queues.push(kind, body()).is_ok());
        if !sent {
            self.shared.counters.gossip_dropped.add(1);
        }
    }
}
