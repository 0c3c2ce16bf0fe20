//! A black hole reads back as it was, or not at all; what it says of its outcomes has one entry for each transaction.
#![no_main]

use constellation_chain::BlackHole;
use constellation_fuzz::network_id;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok((hole, certificate)) = BlackHole::decode(bytes, network_id()) else { return };
    assert_eq!(hole.to_bytes(&certificate), bytes);
    assert_eq!(hole.outcomes().count(), hole.header.transaction_count());
    assert_eq!(hole.outcomes().filter(|(_, reason)| reason.is_some()).count(), hole.censored.len());
});
