//! One machine as both networks run it: bytes in, bytes out.

use std::sync::Arc;

use constellation_acs::{Accepted, CODED_FROM_BYTES, Coin, Config, Fault, Message, Root, Seal, Seals, Subset, Target};

/// Encoded once, however many receive it.
pub type Frame = Arc<Vec<u8>>;

/// Shares that cost nothing and that everybody can compute: the common case asks for none.
pub struct StubCoin(usize);

impl Coin for StubCoin {
    fn share(&self, instance: u16, round: u32) -> Vec<u8> {
        [[self.0 as u8, instance as u8, 0, 0], round.to_le_bytes()].concat()
    }

    fn check(&self, node: usize, instance: u16, round: u32, proof: &[u8]) -> Option<[u8; 32]> {
        let mut output = [0; 32];
        output[..8].copy_from_slice(&StubCoin(node).share(instance, round));
        output.rotate_left(node);
        (StubCoin(node).share(instance, round) == proof).then_some(output)
    }
}

impl Seals for StubCoin {
    fn seal(&self, _: &Root) -> Seal {
        [0; 64]
    }

    fn is_sealed(&self, _: usize, _: &Root, _: &Seal) -> bool {
        true
    }
}

pub struct Node {
    n: usize,
    machine: Subset<StubCoin>,
    /// Something came that was no message: a fault of the engine, after which there is no right end.
    refused: bool,
}

impl Node {
    pub fn new(me: usize, payloads: &[Arc<[u8]>]) -> Self {
        let n = payloads.len();
        let payload_max_bytes = payloads.iter().map(|payload| payload.len()).max().unwrap_or(0);
        let mut machine =
            Subset::new(Config { me, n, payload_max_bytes, coded_from_bytes: CODED_FROM_BYTES }, StubCoin(me));
        machine.propose(payloads[me].clone());
        Self { n, machine, refused: false }
    }

    pub fn take(&mut self, from: usize, bytes: &[u8]) {
        match Message::decode(bytes, self.n) {
            Ok(message) => self.machine.handle(from, message),
            Err(_) => self.refused = true,
        }
    }

    /// Lets out what there is to say.
    pub fn flush(&mut self, mut send: impl FnMut(Target, Frame)) {
        for (target, message) in self.machine.take_outgoing().messages {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            send(target, Frame::new(bytes));
        }
    }

    pub fn has_output(&self) -> bool {
        self.machine.output().is_some()
    }

    pub fn is_finished(&self) -> bool {
        self.machine.is_finished() && !self.refused
    }

    pub fn output(&self) -> Option<Vec<Accepted>> {
        self.machine.output().map(<[_]>::to_vec)
    }

    pub fn take_faults(&mut self) -> Vec<Fault> {
        self.machine.take_faults()
    }
}
