//! A machine survives any decodable messages from any peers, says only what decodes, and comes back from its own journal.
#![no_main]

use constellation_acs::{Coin, Config, MAX_NODES, Message, Root, Seal, Seals, Subset};
use libfuzzer_sys::fuzz_target;

struct OpenCoin;

impl Coin for OpenCoin {
    fn share(&self, instance: u16, round: u32) -> Vec<u8> {
        vec![instance as u8, round as u8]
    }

    fn check(&self, node: usize, _: u16, _: u32, proof: &[u8]) -> Option<[u8; 32]> {
        proof.first().map(|byte| [byte ^ node as u8; 32])
    }
}

impl Seals for OpenCoin {
    fn seal(&self, _: &Root) -> Seal {
        [0; 64]
    }

    /// Nobody else makes this node's.
    fn is_sealed(&self, proposer: usize, _: &Root, seal: &Seal) -> bool {
        proposer != 0 && seal[1] == 0
    }
}

fuzz_target!(|input: &[u8]| {
    let config = Config { me: 0, n: 4, payload_max_bytes: 64, coded_from_bytes: 32 };
    let mut subset = Subset::new(config, OpenCoin);
    let mut journal = Vec::new();
    // Each message behind its sender and its length; a sender that is not in the committee lets time pass.
    let mut rest = input;
    while let Some((&[from, len], behind)) = rest.split_first_chunk() {
        let (bytes, behind) = behind.split_at(usize::from(len).min(behind.len()));
        rest = behind;
        match (from % 8, Message::decode(bytes, MAX_NODES)) {
            (0, _) => subset.propose(bytes[..bytes.len().min(64)].into()),
            (from @ 1..=5, Ok(message)) => subset.handle(usize::from(from), message),
            _ => subset.tick(),
        }
        let outgoing = subset.take_outgoing();
        for (_, message) in outgoing.messages {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            assert_eq!(Message::decode(&bytes, 4), Ok(message));
        }
        journal.extend(outgoing.journal);
        assert!(subset.take_faults().iter().all(|fault| (1..4).contains(&fault.node)));
    }
    let proposed = subset.has_proposed();
    assert_eq!(Subset::restore(config, OpenCoin, journal).has_proposed(), proposed);
});
