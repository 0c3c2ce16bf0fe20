//! An authenticated connection without its socket: opens frames into messages, seals messages into frames.

use std::borrow::Cow;

use snow::TransportState;

use crate::close::CloseReason;
use crate::config::Limits;
use crate::frame::{Assembler, Class, Kind, MAX_FRAME_LEN, MAX_PLAIN_LEN, MaxLens, SendQueues, TAG_LEN};

/// Buffers for one frame's plaintext, shared by all sessions of a thread.
pub(crate) struct Scratch {
    /// The cipher wants room for the tag too.
    opened: Box<[u8]>,
    to_seal: Box<[u8]>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { opened: vec![0; MAX_FRAME_LEN].into(), to_seal: vec![0; MAX_PLAIN_LEN].into() }
    }
}

pub(crate) struct Session {
    noise: Box<TransportState>,
    assemblers: [Assembler; Class::COUNT],
    pub(crate) queues: SendQueues,
}

impl Session {
    pub(crate) fn new(noise: Box<TransportState>, limits: &Limits) -> Self {
        Self { noise, assemblers: Default::default(), queues: SendQueues::new(limits) }
    }

    /// Decrypts a frame into `scratch`; the length of its plaintext.
    pub(crate) fn open(&mut self, ciphertext: &[u8], scratch: &mut Scratch) -> Result<usize, CloseReason> {
        self.noise.read_message(ciphertext, &mut scratch.opened).map_err(|_| CloseReason::DecryptFailed)
    }

    /// Takes the plaintext that [`open`](Self::open) left in `scratch` and hands over the messages that it completes.
    pub(crate) fn assemble<'s>(
        &mut self,
        plain_len: usize,
        max: &MaxLens,
        scratch: &'s Scratch,
        deliver: impl FnMut(Kind, Cow<'s, [u8]>) -> Result<(), CloseReason>,
    ) -> Result<(), CloseReason> {
        let (class, stream) = scratch.opened[..plain_len].split_first().ok_or(CloseReason::FrameInvalid)?;
        let class = Class::from_byte(*class).ok_or(CloseReason::FrameInvalid)?;
        self.assemblers[class as usize].push(class, max, stream, deliver)
    }

    /// Seals waiting messages into frames appended to `out`, until it holds `enough` bytes or nothing waits; how many.
    pub(crate) fn seal(&mut self, enough: usize, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<u64, CloseReason> {
        let mut frames = 0;
        while out.len() < enough {
            let len = self.queues.fill_frame(&mut scratch.to_seal);
            if len == 0 {
                break;
            }
            let start = out.len();
            let sealed_len = len + TAG_LEN;
            out.extend_from_slice(&(sealed_len as u16).to_le_bytes());
            out.resize(start + 2 + sealed_len, 0);
            // Fails only when the session's 2^64 nonces are used up.
            self.noise
                .write_message(&scratch.to_seal[..len], &mut out[start + 2..])
                .map_err(|_| CloseReason::DecryptFailed)?;
            frames += 1;
        }
        Ok(frames)
    }
}
