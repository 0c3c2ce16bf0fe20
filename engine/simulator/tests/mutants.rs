//! That the simulator can fail: with each guard of the common subset taken out in turn, some run breaks a claim. Runs only in builds with the guards'
//! switch: `RUSTFLAGS='--cfg acs_mutants' cargo test -p constellation-simulator --test mutants --target-dir target/mutants`.
#![cfg(acs_mutants)]
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use constellation_acs::mutant::{Guard, take_out};
use constellation_simulator::acs::{Adversary, Scenario, Summary, faulty_max};

/// Runs against one mutant, at most: each adversary and size with so many seeds.
const SEEDS: u64 = 300;
const SIZES: [usize; 3] = [4, 7, 10];
/// Mean rounds of besieged agreements above which a coin is no coin; with all guards in place they are 5 to 5.5.
const ROUNDS_MEAN_MAX: f64 = 7.0;

/// The first scenario that breaks a claim, and which.
fn find_violation() -> Option<String> {
    for seed in 0..SEEDS {
        for adversary in Adversary::ALL {
            // Larger ones are slow, and seldom needed.
            for nodes in SIZES.into_iter().filter(|nodes| seed.is_multiple_of(*nodes as u64 / 3)) {
                let scenario = Scenario::new(nodes, faulty_max(nodes), adversary, seed).unwrap();
                let violation = catch_unwind(|| scenario.run().violation.map(|violation| violation.to_string()));
                if let Some(violation) = violation.unwrap_or_else(|_| Some("a machine panicked".to_owned())) {
                    return Some(format!("{scenario}: {violation}"));
                }
            }
        }
    }
    None
}

/// Whether a scheduler that knows the coin holds rounds longer than it should.
fn find_slowness() -> Option<String> {
    let mut sum = Summary::default();
    for seed in 0..SEEDS {
        sum.add(&Scenario::new(4, 1, Adversary::CoinAware, seed).unwrap().run().report);
    }
    let mean = sum.total.besieged.mean().unwrap();
    (mean > ROUNDS_MEAN_MAX).then(|| format!("coin-aware, 4 nodes: {mean:.1} rounds in the mean"))
}

#[test]
fn the_whole_protocol_is_neither_broken_nor_slow() {
    assert_eq!(find_slowness(), None);
}

#[test]
fn every_guard_is_missed_when_it_is_gone() {
    std::panic::set_hook(Box::new(|_| {}));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(guard) = Guard::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            take_out(Some(*guard));
            let violation = find_violation().or_else(find_slowness);
            println!("{guard:?}: {}", violation.as_deref().unwrap_or("NOT FOUND"));
            found.push((*guard, violation));
            take_out(None);
        }
        found
    };
    let (mut found, others) = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        (work(), other.join().unwrap())
    });
    found.extend(others);
    let missed: Vec<Guard> =
        found.iter().filter(|(_, violation)| violation.is_none()).map(|(guard, _)| *guard).collect();
    assert_eq!(found.len(), Guard::ALL.len());
    assert_eq!(missed, [], "guards that no run misses");
}
