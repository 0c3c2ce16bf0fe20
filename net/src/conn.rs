//! One TCP connection: its socket, its buffers, and what is known about its readiness and its times.

use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::ops::Range;
use std::time::Instant;

use mio::Token;
use mio::net::TcpStream;

use crate::backoff::TokenBucket;
use crate::close::CloseReason;
use crate::config::{Limits, PeerId};
use crate::frame::{MAX_FRAME_LEN, MIN_FRAME_LEN};
use crate::handshake::{Handshake, MAX_STEP_LEN};
use crate::session::Session;

/// Reads are this large once the peer is authenticated: several frames by one system call.
const READ_LEN: usize = 4 * (MAX_FRAME_LEN + 2);

/// How far a connection has come.
pub(crate) enum Phase {
    /// Being authenticated; empty only while the handshake is at work on its input.
    Handshake(Option<Handshake>),
    /// Authenticated by this side. The dialler counts as connected only when the listener's first frame has shown that
    /// it was accepted.
    Open { session: Box<Session>, confirmed: bool },
}

/// Bytes read from the socket and not used yet.
struct ReadBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl ReadBuffer {
    fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Moves the unread bytes to the front if there is little room behind them.
    fn make_room(&mut self, wanted_len: usize) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.bytes.len() - self.end < wanted_len {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
    }
}

/// What a read or a write came to.
pub(crate) enum Transfer {
    /// So many bytes went through.
    Moved(usize),
    /// The socket has nothing, or takes nothing, now.
    Blocked,
}

pub(crate) struct Conn {
    pub(crate) token: Token,
    pub(crate) stream: TcpStream,
    pub(crate) phase: Phase,
    /// Who was dialled; `None` for an accepted connection.
    pub(crate) dialled: Option<PeerId>,
    /// Who it is, once authenticated.
    pub(crate) peer: Option<PeerId>,
    pub(crate) address: IpAddr,
    pub(crate) opened_at: Instant,
    pub(crate) last_received: Instant,
    pub(crate) last_sent: Instant,
    pub(crate) paused_until: Option<Instant>,
    pub(crate) gossip_bytes: TokenBucket,
    pub(crate) gossip_messages: TokenBucket,
    /// Whether TCP is connected; only a dialled connection has to wait for it.
    pub(crate) is_connected: bool,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    input: ReadBuffer,
    pub(crate) output: Vec<u8>,
    output_sent: usize,
}

impl Conn {
    pub(crate) fn new(
        token: Token,
        stream: TcpStream,
        dialled: Option<PeerId>,
        address: IpAddr,
        limits: &Limits,
        now: Instant,
    ) -> Self {
        Self {
            token,
            stream,
            phase: Phase::Handshake(None),
            dialled,
            peer: None,
            address,
            opened_at: now,
            last_received: now,
            last_sent: now,
            paused_until: None,
            gossip_bytes: TokenBucket::new(limits.gossip_receive_bytes_per_s, now),
            gossip_messages: TokenBucket::new(limits.gossip_receive_messages_per_s, now),
            is_connected: dialled.is_none(),
            readable: false,
            writable: false,
            input: ReadBuffer { bytes: vec![0; MAX_STEP_LEN], start: 0, end: 0 },
            output: Vec::new(),
            output_sent: 0,
        }
    }

    /// Whether both sides have authenticated each other.
    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(self.phase, Phase::Open { confirmed: true, .. })
    }

    pub(crate) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.phase {
            Phase::Open { session, .. } => Some(session),
            Phase::Handshake(_) => None,
        }
    }

    /// Goes over to frames; the read buffer gets its full size.
    pub(crate) fn open(&mut self, session: Session, confirmed: bool) {
        self.phase = Phase::Open { session: Box::new(session), confirmed };
        self.input.bytes.resize(READ_LEN, 0);
    }

    pub(crate) fn unread(&self) -> &[u8] {
        self.input.unread()
    }

    pub(crate) fn consume(&mut self, len: usize) {
        self.input.start += len;
    }

    /// The ciphertext of the next whole frame, as a range for [`frame`](Self::frame); it is consumed.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Range<usize>>, CloseReason> {
        let Some((len, rest)) = self.input.unread().split_first_chunk::<2>() else { return Ok(None) };
        let len = usize::from(u16::from_le_bytes(*len));
        if len < MIN_FRAME_LEN {
            return Err(CloseReason::FrameInvalid);
        }
        if rest.len() < len {
            return Ok(None);
        }
        let start = self.input.start + 2;
        self.input.start = start + len;
        Ok(Some(start..start + len))
    }

    /// A frame's ciphertext together with the session that opens it.
    pub(crate) fn frame(&mut self, range: Range<usize>) -> Option<(&[u8], &mut Session)> {
        match &mut self.phase {
            Phase::Open { session, .. } => Some((&self.input.bytes[range], session)),
            Phase::Handshake(_) => None,
        }
    }

    /// Reads once from the socket.
    pub(crate) fn read(&mut self) -> Result<Transfer, CloseReason> {
        self.input.make_room(MAX_FRAME_LEN + 2);
        if self.input.end == self.input.bytes.len() {
            // A handshake step is never longer than the buffer, so what is unread cannot be one.
            return Err(CloseReason::HandshakeFailed);
        }
        loop {
            match self.stream.read(&mut self.input.bytes[self.input.end..]) {
                Ok(0) => return Err(CloseReason::Eof),
                Ok(len) => {
                    self.input.end += len;
                    return Ok(Transfer::Moved(len));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(Transfer::Blocked);
                }
                Err(_) => return Err(CloseReason::Io),
            }
        }
    }

    /// Whether a whole frame can be used without reading.
    pub(crate) fn has_input(&self) -> bool {
        match (&self.phase, self.input.unread().split_first_chunk::<2>()) {
            (Phase::Open { .. }, Some((len, rest))) => rest.len() >= usize::from(u16::from_le_bytes(*len)),
            _ => false,
        }
    }

    /// Whether anything waits to be written.
    pub(crate) fn has_output(&self) -> bool {
        self.has_sealed_output() || matches!(&self.phase, Phase::Open { session, .. } if !session.queues.is_empty())
    }

    /// Whether sealed bytes wait for the socket.
    pub(crate) fn has_sealed_output(&self) -> bool {
        self.output_sent < self.output.len()
    }

    /// Writes once from the sealed bytes.
    pub(crate) fn write(&mut self) -> Result<Transfer, CloseReason> {
        loop {
            match self.stream.write(&self.output[self.output_sent..]) {
                Ok(0) => return Err(CloseReason::Io),
                Ok(len) => {
                    self.output_sent += len;
                    if self.output_sent == self.output.len() {
                        self.output.clear();
                        self.output_sent = 0;
                    }
                    return Ok(Transfer::Moved(len));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.writable = false;
                    return Ok(Transfer::Blocked);
                }
                Err(_) => return Err(CloseReason::Io),
            }
        }
    }
}
