//! An offer reads back as it was, is no transaction, and becomes one when its counterparty signs.
#![no_main]

use constellation_chain::{FIXED_LEN_BYTES, Offer, StarHead, Transaction};
use constellation_fuzz::{network_id, star_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    if let Some(payload) = bytes.get(FIXED_LEN_BYTES..) {
        let hash = blake3::hash(payload);
        bytes[88..120].copy_from_slice(hash.as_bytes());
    }
    let Ok(offer) = Offer::decode(&bytes, network_id()) else { return };
    assert_eq!(offer.to_bytes(), bytes);
    assert!(Transaction::decode(&bytes, network_id()).is_err());
    if let Ok(transaction) = offer.countersign(&star_key(1), StarHead::default()) {
        assert_eq!(Transaction::decode(&transaction.to_bytes(), network_id()), Ok(transaction));
    }
});
