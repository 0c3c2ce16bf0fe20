//! A sealed LSH block reads back as it was, or not at all; one that is folded from arbitrary transactions always does.
#![no_main]

use constellation_chain::{Certificate, Hash, LshBlock, LshPlace, Members, Reader, SealedLshBlock};
use constellation_fuzz::{network_id, transactions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    if let Ok(sealed) = SealedLshBlock::read(&mut reader, network_id()) {
        let mut again = Vec::new();
        sealed.write(&mut again);
        assert_eq!(again, bytes[..bytes.len() - reader.rest().len()]);
    }
    let (network, black_hole) = (network_id(), Hash([2; 32]));
    let place = LshPlace { cluster: 0, network, round: 1, previous: Hash::ZERO, black_hole_height: 0, black_hole };
    let block = LshBlock::fold(place, Members(1), transactions(bytes), Default::default(), [0; 128]);
    let sealed = SealedLshBlock { block, certificate: Certificate::from_shares(&Default::default()) };
    let mut written = Vec::new();
    sealed.write(&mut written);
    assert_eq!(SealedLshBlock::read(&mut Reader::new(&written), network), Ok(sealed));
});
