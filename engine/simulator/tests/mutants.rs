//! That the simulator can fail: with each guard of the common subset taken out in turn, some run breaks a claim. Runs only in builds with the guards'
//! switch: `RUSTFLAGS='--cfg acs_mutants' cargo test -p constellation-simulator --test mutants --target-dir target/mutants`.
#![cfg(acs_mutants)]
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use constellation_acs::mutant::{Guard, take_out};
use constellation_simulator::acs::{Adversary, Scenario};
use constellation_simulator::scenario::faulty_max;

/// Runs against one mutant with each adversary and size, at most.
const SEEDS: u64 = 400;
const SIZES: [usize; 3] = [4, 7, 10];
/// Runs with all guards in place, with each adversary and size.
const SEEDS_WHOLE: u64 = 5;

/// Who finds out that the guard is gone.
fn attackers(guard: Guard) -> &'static [Adversary] {
    match guard {
        Guard::ProposerAlone | Guard::EchoOnce => &[Adversary::Lies, Adversary::RandomOrder],
        Guard::EchoHeld | Guard::EchoQuorum => &[Adversary::Equivocation, Adversary::Twins],
        Guard::ReadyHonest | Guard::ReadyQuorum => &[Adversary::Lies, Adversary::Equivocation],
        Guard::Branch | Guard::Reencoded => &[Adversary::WrongShards],
        Guard::EchoHonest | Guard::Approval => &[Adversary::Lies, Adversary::Partition],
        Guard::BothApprovedForEcho3 => &[Adversary::InStep],
        Guard::BothApprovedForBottom | Guard::OneVote => &[Adversary::RandomOrder, Adversary::Lies],
        // A round's bit that is not bound before its coin.
        Guard::Echo2Quorum | Guard::Echo3Quorum | Guard::BottomQuorum | Guard::FirstVoteCounts => {
            &[Adversary::Unbinding]
        }
        Guard::ShareAfterBinding => &[Adversary::CoinAware],
        Guard::ShareVerified => &[Adversary::ForgedShares],
        Guard::ShareQuorum | Guard::CoinQuorum => &[Adversary::ScatteredShares],
        // Some decide what the others need not, or cannot.
        Guard::Echo4Quorum | Guard::Echo5Quorum | Guard::GradeOne | Guard::HelpAfterDeciding => {
            &[Adversary::SplitDecision]
        }
        Guard::DecideCoin => &[Adversary::CoinAware],
        Guard::RoundOrder => &[Adversary::Outrunning],
        Guard::DecidedHonest => &[Adversary::Lies],
        Guard::RoundsAhead => &[Adversary::Flood],
        Guard::InputAfterDelivery => &[Adversary::Hiding, Adversary::Equivocation],
        Guard::InputZeroLate => &[Adversary::LastFirst],
        Guard::VotesRestored | Guard::PayloadsRestored => &[Adversary::Restart],
    }
}

fn violation(scenario: &Scenario) -> Option<String> {
    let violation = catch_unwind(|| scenario.run().violation.map(|violation| violation.to_string()));
    violation.unwrap_or_else(|_| Some("a machine panicked".to_owned()))
}

/// The first scenario that breaks a claim, and which.
fn find_violation(attackers: &[Adversary], seeds: u64) -> Option<String> {
    for seed in 0..seeds {
        for &adversary in attackers {
            for nodes in SIZES {
                let scenario = Scenario::new(nodes, faulty_max(nodes), adversary, seed).unwrap();
                if let Some(violation) = violation(&scenario) {
                    return Some(format!("{scenario}: {violation}"));
                }
            }
        }
    }
    None
}

#[test]
fn every_guard_is_missed_when_it_is_gone_and_none_while_all_are_there() {
    std::panic::set_hook(Box::new(|_| {}));
    assert_eq!(find_violation(&Adversary::ALL, SEEDS_WHOLE), None);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut missed = Vec::new();
        while let Some(guard) = Guard::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            take_out(Some(*guard));
            let violation = find_violation(attackers(*guard), SEEDS);
            take_out(None);
            println!("{guard:?}: {}", violation.as_deref().unwrap_or("NOT FOUND"));
            if violation.is_none() {
                missed.push(*guard);
            }
        }
        missed
    };
    let missed = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        [work(), other.join().unwrap()].concat()
    });
    assert_eq!(missed, [], "guards that no run misses");
}
