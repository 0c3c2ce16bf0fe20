//! A transaction reads back as it was, or not at all; with the payload's hash made right, most input gets through.
#![no_main]

use constellation_chain::{FIXED_LEN_BYTES, Transaction};
use constellation_fuzz::network_id;
use libfuzzer_sys::fuzz_target;

fn check(bytes: &[u8]) {
    let Ok(transaction) = Transaction::decode(bytes, network_id()) else { return };
    assert_eq!(transaction.to_bytes(), bytes);
    assert_eq!(transaction.len_bytes(), bytes.len());
    let messages = transaction.signed_messages(&[]);
    assert_eq!(transaction.signatures(&messages).count(), transaction.halves().count());
    assert!(transaction.halves().all(|(_, half)| half.sequence() > 0));
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let mut bytes = bytes.to_vec();
    if let Some(payload) = bytes.get(FIXED_LEN_BYTES..) {
        let hash = blake3::hash(payload);
        bytes[88..120].copy_from_slice(hash.as_bytes());
        check(&bytes);
    }
});
