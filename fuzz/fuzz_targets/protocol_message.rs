//! A message between nodes has one form: what decodes encodes to the same bytes.
#![no_main]

use constellation_chain::COMMITTEE_MAX;
use constellation_protocol::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::decode(bytes, COMMITTEE_MAX) {
        assert_eq!(message.to_bytes(), bytes);
    }
});
