//! What another galaxy's validators carry up reads back as it was, or not at all.
#![no_main]

use constellation_chain::CertifiedHeader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(carried) = CertifiedHeader::decode(bytes) else { return };
    assert_eq!(carried.to_bytes(), bytes);
    assert_eq!(CertifiedHeader::new(carried.header, &carried.certificate, usize::MAX), carried);
});
