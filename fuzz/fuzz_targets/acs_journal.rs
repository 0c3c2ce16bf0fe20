//! A journal entry has one form, and a machine takes up whatever a damaged journal holds.
#![no_main]

use constellation_acs::{Coin, Config, JournalEntry, MAX_NODES, Root, Seal, Seals, Subset};
use libfuzzer_sys::fuzz_target;

struct OpenCoin;

impl Coin for OpenCoin {
    fn share(&self, _: u16, _: u32) -> Vec<u8> {
        vec![1]
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
    let mut entries = Vec::new();
    // Entries of up to 255 bytes, each behind its length.
    let mut rest = input;
    while let Some((len, behind)) = rest.split_first() {
        let (bytes, behind) = behind.split_at(usize::from(*len).min(behind.len()));
        rest = behind;
        if let Ok(entry) = JournalEntry::decode(bytes, MAX_NODES) {
            let mut again = Vec::new();
            entry.encode(&mut again);
            assert_eq!(again, bytes);
            entries.push(entry);
        }
    }
    let mut subset =
        Subset::restore(Config { me: 0, n: 4, payload_max_bytes: 64, coded_from_bytes: 32 }, OpenCoin, entries);
    subset.tick();
    subset.take_outgoing();
});
