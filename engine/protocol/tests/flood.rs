//! What a flood leaves in memory: a process of its own, so that no other test is counted.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use common::{assert_sound, network};
use constellation_acs::FaultKind as SubsetFault;
use constellation_protocol::FaultKind;
use constellation_simulator::node::{Deceit, Network, Stars};

const SECOND_US: u64 = 1_000_000;

#[test]
fn a_flood_of_future_rounds_is_blamed_and_not_kept() {
    let mut grown = Vec::new();
    for is_flooded in [false, true] {
        let mut network = network(5, 4, 4, 40);
        let mut stars = Stars::new(40);
        load(&mut network, &mut stars, 20);
        let before = resident_bytes();
        if is_flooded {
            network.deceive(3, Deceit::Flood);
        }
        load(&mut network, &mut stars, 400);
        grown.push((resident_bytes().saturating_sub(before), network.deceit_bytes));
        network.run(SECOND_US);
        stars.resend(&mut network);
        network.run(2 * SECOND_US);
        assert!((0..3).all(|index| stars.all_applied(&network, index)));
        assert_sound(&network);
        let in_a_round = |kind: &FaultKind| matches!(kind, FaultKind::Consensus(SubsetFault::TooFarAhead { .. }));
        let of_rounds = |kind: &FaultKind| matches!(kind, FaultKind::FarAhead { .. });
        for is_ahead in [&in_a_round as &dyn Fn(&FaultKind) -> bool, &of_rounds] {
            let blamed = network.faults.iter().filter(|(_, fault)| fault.node == 3 && is_ahead(&fault.kind)).count();
            assert_eq!(blamed > 0, is_flooded, "{blamed}");
        }
    }
    let ((calm, _), (flooded, sent)) = (grown[0], grown[1]);
    assert!(sent > 10 << 20, "{sent} bytes are no flood");
    assert!(flooded < calm + sent / 4, "{flooded} bytes more after {sent} of flood, {calm} without");
}

/// What the process holds in memory.
fn resident_bytes() -> u64 {
    const PAGE_BYTES: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    if pages.is_none() {
        println!("SKIPPED: this system does not tell how much memory a process holds: NOT TESTED by this run");
    }
    pages.unwrap_or_default() * PAGE_BYTES
}

fn load(network: &mut Network, stars: &mut Stars, transfers: usize) {
    for _ in 0..transfers {
        stars.send_one(network);
        network.run(20_000);
    }
}
