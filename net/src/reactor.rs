//! The I/O thread: its loop, its timers, and the life of connections from dial or accept to close. What flows through
//! open connections is in `pump`.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event as Readiness;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::backoff::Jitter;
use crate::close::CloseReason;
use crate::config::{Limits, NetError, Peer, PeerId};
use crate::conn::{Conn, Phase};
use crate::event::Sink;
use crate::frame::{Kind, MaxLens};
use crate::gossip::Gossip;
use crate::handle::Shared;
use crate::handshake::{Handshake, Local};
use crate::peer::{PeerSlot, Relation, millis};
use crate::session::Scratch;

pub(crate) const WAKE_TOKEN: Token = Token(0);
const LISTEN_TOKEN: Token = Token(1);
const FIRST_CONN_TOKEN: usize = 2;
/// How soon an event that the sink gave back is offered again.
const STALL_POLL: Duration = Duration::from_millis(1);
/// Connections accepted in one turn of the loop, so that a flood of them does not hold up the others.
const ACCEPTS_PER_TURN: usize = 32;
/// Between two looks at this thread's processor time.
const CPU_LOOK: Duration = Duration::from_millis(10);
/// Pause after the system refused to accept (out of file descriptors).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

pub(crate) struct Reactor<S> {
    poll: Poll,
    listener: TcpListener,
    /// From when on there may be connections to accept.
    accept_at: Option<Instant>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) local: Local,
    pub(crate) limits: Limits,
    pub(crate) max: MaxLens,
    pub(crate) peers: Vec<PeerSlot>,
    pub(crate) conns: HashMap<Token, Box<Conn>>,
    next_token: usize,
    pub(crate) gossip: Gossip,
    pub(crate) sink: S,
    pub(crate) scratch: Scratch,
    jitter: Jitter,
    pub(crate) now: Instant,
    connected_count: u64,
}

impl<S: Sink> Reactor<S> {
    pub(crate) fn new(
        poll: Poll,
        listener: std::net::TcpListener,
        shared: Arc<Shared>,
        local: Local,
        peers: &[Peer],
        limits: Limits,
        sink: S,
    ) -> Result<Self, NetError> {
        let (now, own_key) = (Instant::now(), local.public_key());
        let mut listener = TcpListener::from_std(listener);
        poll.registry()
            .register(&mut listener, LISTEN_TOKEN, Interest::READABLE)
            .map_err(|source| NetError::Io { action: "watch the listener", source })?;
        let slot = |(index, peer)| PeerSlot::new(PeerId(index as u16), peer, &own_key, &limits, now);
        Ok(Self {
            poll,
            listener,
            accept_at: Some(now),
            shared,
            local,
            max: MaxLens::new(&limits),
            peers: peers.iter().enumerate().map(slot).collect(),
            conns: HashMap::new(),
            next_token: FIRST_CONN_TOKEN,
            gossip: Gossip::new(peers.len(), limits.gossip.clone()),
            sink,
            scratch: Scratch::new(),
            jitter: Jitter::new(getrandom::u64()?),
            now,
            connected_count: 0,
            limits,
        })
    }

    /// The loop. It ends when the handle says so, or when the system's poll fails.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        let (mut woke_at, mut looked_at) = (Instant::now(), Instant::now());
        while !self.shared.is_stopped() {
            let waiting_since = Instant::now();
            let waited = self.wait(&mut events);
            self.now = Instant::now();
            self.shared.counters.count_turn(waiting_since - woke_at, self.now - waiting_since);
            woke_at = self.now;
            if woke_at >= looked_at + CPU_LOOK {
                looked_at = woke_at;
                self.shared.counters.look_at_cpu();
            }
            if let Err(error) = waited
                && error.kind() != ErrorKind::Interrupted
            {
                tracing::error!(%error, "polling sockets failed; the network stops");
                break;
            }
            for event in &events {
                self.note_readiness(event);
            }
            self.turn();
        }
        self.shared.stop();
        self.close_all();
    }

    fn wait(&mut self, events: &mut Events) -> std::io::Result<()> {
        let mut timeout = self.sleep_time();
        if timeout != Some(Duration::ZERO) && !self.shared.prepare_sleep() {
            timeout = Some(Duration::ZERO);
        }
        let result = self.poll.poll(events, timeout);
        self.shared.end_sleep();
        result
    }

    /// One turn of the loop: everything that can be done now, inputs before outputs so that answers leave at once.
    fn turn(&mut self) {
        self.accept();
        self.run_commands();
        self.run_timers();
        self.flush_stalled_events();
        self.pump_inputs();
        self.pump_outputs();
        self.shared.counters.gossip.set(&self.gossip.stats());
    }

    fn note_readiness(&mut self, event: &Readiness) {
        match event.token() {
            WAKE_TOKEN => {}
            LISTEN_TOKEN => self.accept_at = Some(self.now),
            token => {
                let Some(conn) = self.conns.get_mut(&token) else { return };
                if !conn.is_connected {
                    if !matches!(conn.stream.take_error(), Ok(None)) {
                        return self.close(token, CloseReason::ConnectFailed);
                    }
                    conn.is_connected = conn.stream.peer_addr().is_ok();
                    if !conn.is_connected {
                        return;
                    }
                }
                conn.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                conn.writable |= event.is_writable();
            }
        }
    }

    /// How long the thread may sleep: not at all while there is work, else until the next deadline.
    fn sleep_time(&self) -> Option<Duration> {
        if self.conns.values().any(|conn| self.wants_input(conn) || (conn.writable && conn.has_output())) {
            return Some(Duration::ZERO);
        }
        let of_conns = self.conns.values().map(|conn| self.conn_deadline(conn));
        let of_peers = self.peers.iter().filter_map(|slot| slot.dial_at);
        let stalled = self.peers.iter().any(PeerSlot::is_stalled).then(|| self.now + STALL_POLL);
        let others = [self.accept_at, self.gossip.next_deadline(), stalled];
        let first = of_conns.chain(of_peers).chain(others.into_iter().flatten()).min()?;
        let time = first.saturating_duration_since(Instant::now());
        // The system's timer counts in milliseconds; rounding up avoids turns that come too early to do anything.
        Some(if time.is_zero() { time } else { time.max(STALL_POLL) })
    }

    fn conn_deadline(&self, conn: &Conn) -> Instant {
        if !conn.is_confirmed() {
            return conn.opened_at + millis(self.limits.handshake_timeout_ms);
        }
        let idle = conn.last_received + millis(self.limits.idle_timeout_ms);
        let ping = conn.last_sent + millis(self.limits.ping_interval_ms);
        conn.paused_until.map_or(idle.min(ping), |paused| paused.min(idle).min(ping))
    }

    fn run_timers(&mut self) {
        if self.gossip.next_deadline().is_some_and(|at| at <= self.now) {
            self.gossip.tick(self.now);
            self.route_gossip();
        }
        let due: Vec<_> =
            self.conns.values().filter(|conn| self.conn_deadline(conn) <= self.now).map(|conn| conn.token).collect();
        for token in due {
            self.run_conn_timers(token);
        }
        for index in 0..self.peers.len() {
            if self.peers[index].dial_at.is_some_and(|at| at <= self.now) {
                self.dial(PeerId(index as u16));
            }
        }
    }

    fn run_conn_timers(&mut self, token: Token) {
        let Some(conn) = self.conns.get_mut(&token) else { return };
        if !conn.is_confirmed() {
            let reason = if conn.is_connected { CloseReason::HandshakeTimeout } else { CloseReason::ConnectFailed };
            return self.close(token, reason);
        }
        if conn.paused_until.take_if(|until| *until <= self.now).is_some()
            || conn.paused_until.is_some()
            || conn.peer.is_some_and(|peer| self.peers[peer.index()].is_stalled())
        {
            // The silence is ours: the peer may well have sent something that was not read.
            conn.last_received = self.now;
        }
        if conn.last_received + millis(self.limits.idle_timeout_ms) <= self.now {
            return self.close(token, CloseReason::Idle);
        }
        if conn.last_sent + millis(self.limits.ping_interval_ms) <= self.now {
            conn.last_sent = self.now;
            if !conn.has_output() {
                self.enqueue(token, Kind::KeepAlive, vec![0].into());
            }
        }
    }

    fn accept(&mut self) {
        if self.accept_at.is_none_or(|at| at > self.now) {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            match self.listener.accept() {
                Ok((stream, address)) => self.add_accepted(stream, address),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.accept_at = None;
                    return;
                }
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections now; check the limit of open files");
                    self.accept_at = Some(self.now + ACCEPT_RETRY);
                    return;
                }
            }
        }
    }

    fn add_accepted(&mut self, stream: TcpStream, address: SocketAddr) {
        self.shared.counters.accepted.add(1);
        let (mut in_all, mut from_address) = (0, 0);
        for conn in self.conns.values().filter(|conn| conn.dialled.is_none() && !conn.is_confirmed()) {
            in_all += 1;
            from_address += usize::from(conn.address == address.ip());
        }
        if in_all >= self.limits.pending_max || from_address >= self.limits.pending_per_address_max {
            return self.shared.counters.count_closed(CloseReason::TooManyConnections);
        }
        self.add_conn(stream, None, address);
    }

    fn dial(&mut self, peer: PeerId) {
        let slot = &mut self.peers[peer.index()];
        slot.dial_at = None;
        let address = slot.address;
        self.shared.counters.dialled.add(1);
        match TcpStream::connect(address) {
            Ok(stream) => self.add_conn(stream, Some(peer), address),
            Err(error) => {
                tracing::debug!(%error, %address, "cannot dial");
                self.shared.counters.count_closed(CloseReason::ConnectFailed);
                self.peers[peer.index()].plan_dial(&mut self.jitter, self.now);
            }
        }
    }

    fn add_conn(&mut self, mut stream: TcpStream, dialled: Option<PeerId>, address: SocketAddr) {
        let token = Token(self.next_token);
        self.next_token += 1;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot turn off Nagle's algorithm");
        }
        let registered = self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE);
        let mut conn = Box::new(Conn::new(token, stream, dialled, address.ip(), &self.limits, self.now));
        if let Some(peer) = dialled {
            self.peers[peer.index()].dialling = Some(token);
        }
        let started = Handshake::start(&self.local, dialled, &mut conn.output);
        match (started, registered) {
            (Ok(handshake), Ok(())) => {
                conn.phase = Phase::Handshake(Some(handshake));
                self.conns.insert(token, conn);
            }
            (Err(reason), _) => self.finish(*conn, reason),
            (_, Err(_)) => self.finish(*conn, CloseReason::Io),
        }
    }

    /// Makes a connection the one of its peer: both sides have authenticated each other.
    pub(crate) fn establish(&mut self, conn: &mut Conn, peer: PeerId) {
        if let Some(old) = self.peers[peer.index()].conn {
            self.close(old, CloseReason::Replaced);
        }
        conn.peer = Some(peer);
        conn.last_received = self.now;
        self.peers[peer.index()].connected(conn.token);
        self.gossip.connected(peer, self.now);
        self.connected_count += 1;
        self.shared.counters.established.add(1);
        self.shared.counters.connected_peers.set(self.connected_count);
        tracing::debug!(peer = peer.0, address = %conn.address, "connected");
    }

    /// Whether an accepted connection may become that of `peer`.
    pub(crate) fn admit(&self, peer: PeerId) -> Result<(), CloseReason> {
        let slot = &self.peers[peer.index()];
        match slot.relation {
            Relation::Own => Err(CloseReason::UnknownPeer),
            Relation::Dial => Err(CloseReason::WrongDirection),
            Relation::Accept if slot.is_penalised(self.now) => Err(CloseReason::Penalised),
            Relation::Accept => Ok(()),
        }
    }

    pub(crate) fn penalise(&mut self, peer: PeerId, reason: &'static str) {
        tracing::info!(peer = peer.0, reason, "peer penalised");
        let slot = &mut self.peers[peer.index()];
        slot.penalise(self.now + millis(self.limits.penalty_ms));
        if let Some(token) = slot.conn.or(slot.dialling) {
            self.close(token, CloseReason::Penalised);
        }
    }

    pub(crate) fn close(&mut self, token: Token, reason: CloseReason) {
        if let Some(conn) = self.conns.remove(&token) {
            self.finish(*conn, reason);
        }
    }

    /// The end of a connection that is not in the table any more.
    pub(crate) fn finish(&mut self, conn: Conn, reason: CloseReason) {
        self.shared.counters.count_closed(reason);
        tracing::debug!(address = %conn.address, peer = conn.peer.map(|p| p.0), %reason, "connection closed");
        let Some(peer) = conn.peer.or(conn.dialled) else { return };
        let slot = &mut self.peers[peer.index()];
        if slot.conn == Some(conn.token) {
            let was_healthy =
                self.now.saturating_duration_since(conn.opened_at) >= millis(self.limits.healthy_session_ms);
            slot.disconnected(reason, was_healthy);
            self.connected_count -= 1;
            self.shared.counters.connected_peers.set(self.connected_count);
            self.gossip.disconnected(peer, self.now);
        } else if slot.dialling == Some(conn.token) {
            slot.dialling = None;
        } else {
            return;
        }
        self.peers[peer.index()].plan_dial(&mut self.jitter, self.now);
    }

    fn flush_stalled_events(&mut self) {
        for index in 0..self.peers.len() {
            if self.peers[index].is_stalled() {
                self.flush_events(PeerId(index as u16));
            }
        }
    }

    fn close_all(&mut self) {
        self.run_commands();
        self.pump_outputs();
        let tokens: Vec<_> = self.conns.keys().copied().collect();
        for token in tokens {
            self.close(token, CloseReason::Shutdown);
        }
        self.flush_stalled_events();
    }
}
