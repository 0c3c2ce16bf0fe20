//! A journal record has one form, and a node takes up whatever a damaged journal holds and goes on.
#![no_main]

use constellation_chain::COMMITTEE_MAX;
use constellation_fuzz::{Trusting, peer_config};
use constellation_protocol::{JournalRecord, Node};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

fuzz_target!(|input: &[u8]| {
    let mut records = Vec::new();
    // Records behind their lengths of two bytes.
    let mut rest = input;
    while let Some((len, behind)) = rest.split_first_chunk() {
        let (bytes, behind) = behind.split_at(usize::from(u16::from_le_bytes(*len)).min(behind.len()));
        rest = behind;
        if let Ok(record) = JournalRecord::decode(bytes, COMMITTEE_MAX) {
            let mut again = Vec::new();
            record.encode(&mut again);
            assert_eq!(again, bytes);
            records.push(record);
        }
    }
    let mut node = Node::new(peer_config(0), Arc::new(Trusting)).expect("node 0 is in the genesis");
    node.restore(records);
    node.poll(1);
    node.poll(1_000_000);
});
