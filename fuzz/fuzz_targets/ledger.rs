//! The ledger takes any well-formed transactions in any order: no coin appears or is lost, every outcome is told, two ledgers agree,
//! and the black hole made of it reads back.
#![no_main]

use constellation_chain::{
    BlackHole, BlackHolePlace, Certificate, Hash, Ledger, LshBlock, LshPlace, Members, SealedLshBlock,
};
use constellation_fuzz::{genesis, network_id, transactions};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

fuzz_target!(|input: &[u8]| {
    let (transactions, network) = (transactions(input), network_id());
    let (mut ledger, mut twin) = (Ledger::new(genesis()), Ledger::new(genesis()));
    let supply = ledger.total_supply();
    let application = ledger.apply(transactions.iter().map(|one| &**one));
    assert_eq!(ledger.total_supply(), supply);
    assert_eq!(application.applied + application.censored.len(), transactions.len());
    twin.apply(transactions.iter().map(|one| &**one));
    assert_eq!(twin.state(), ledger.state());

    let (previous, black_hole) = (Hash::ZERO, Hash([2; 32]));
    let place = LshPlace { cluster: 0, network, round: 1, previous, black_hole_height: 0, black_hole };
    let block = LshBlock::fold(place, Members(1), transactions, Default::default(), [0; 128]);
    let certificate = Certificate::from_shares(&Default::default());
    let sealed = Arc::new(SealedLshBlock { block, certificate: certificate.clone() });
    let (state, beacon, facilitators) = (ledger.state(), Hash([3; 32]), Hash([4; 32]));
    let place = BlackHolePlace { network, height: 1, previous, state, beacon, facilitators, reelected: Vec::new() };
    let hole = BlackHole::fold(place, vec![sealed], application);
    assert_eq!(BlackHole::decode(&hole.to_bytes(&certificate), network), Ok((hole, certificate)));
});
