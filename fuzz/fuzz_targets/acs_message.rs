//! A message of the common subset has one form: what decodes encodes to the same bytes.
#![no_main]

use constellation_acs::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for n in [1, 4, 128] {
        if let Ok(message) = Message::decode(bytes, n) {
            let mut again = Vec::new();
            message.encode(&mut again);
            assert_eq!(again, bytes);
        }
    }
});
