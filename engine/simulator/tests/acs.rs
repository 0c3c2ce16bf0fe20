//! Common subsets against every adversary. A failing run names the scenario that replays it: `constellation sim acs` takes its words.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

use std::sync::atomic::{AtomicUsize, Ordering};

use constellation_simulator::acs::{Adversary, Report, Scenario, Summary};
use constellation_simulator::scenario::faulty_max;

/// Runs them all, on two threads, and sums up by adversary.
fn run_all(scenarios: &[Scenario]) -> Vec<(Adversary, Summary)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut sums = vec![Summary::default(); Adversary::ALL.len()];
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            sums[place(scenario.adversary())].add(&run(scenario));
        }
        sums
    };
    let (mut sums, others) = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        (work(), other.join().unwrap())
    });
    sums.iter_mut().zip(&others).for_each(|(sum, other)| sum.merge(other));
    Adversary::ALL.into_iter().zip(sums).collect()
}

fn place(adversary: Adversary) -> usize {
    Adversary::ALL.iter().position(|other| *other == adversary).unwrap()
}

fn run(scenario: &Scenario) -> Report {
    let outcome = scenario.run();
    if let Some(violation) = outcome.violation {
        panic!("{violation}\nreplay it: constellation sim acs {scenario}");
    }
    outcome.report
}

fn scenario(nodes: usize, adversary: Adversary, seed: u64) -> Scenario {
    Scenario::new(nodes, faulty_max(nodes), adversary, seed).unwrap()
}

#[test]
fn honest_nodes_agree_and_finish_whatever_the_adversary_does() {
    let runs = |adversary, nodes, seeds| (0..seeds).map(move |seed| scenario(nodes, adversary, seed));
    let small = Adversary::ALL.into_iter().flat_map(|one| [4, 7, 10].into_iter().flat_map(move |n| runs(one, n, 29)));
    let large = Adversary::ALL.into_iter().flat_map(|one| runs(one, 31, 1));
    let scenarios: Vec<Scenario> = small.chain(large).collect();
    assert!(scenarios.len() >= 2000);
    let sums = run_all(&scenarios);
    let sum = |adversary| &sums[place(adversary)].1;
    // That each adversary did what its name says.
    for (adversary, sum) in &sums {
        println!("{adversary:15} {sum:?}");
    }
    assert!(sum(Adversary::Lies).total.faults > 0 && sum(Adversary::Flood).total.faults > 0);
    assert!(sum(Adversary::Equivocation).total.pulls > 0 && sum(Adversary::Twins).total.pulls > 0);
    assert!(sum(Adversary::Restart).total.restarts > 1000 && sum(Adversary::Mixed).total.coins > 0);
    assert!(sum(Adversary::Partition).delays_sum > sum(Adversary::InStep).delays_sum);
    // The first two coins are fixed, so that far it always comes; a coin that it does not know is wrong for it half of the time.
    let besieged = |adversary| sum(adversary).total.besieged;
    let aware = besieged(Adversary::CoinAware);
    assert!((4.0..7.0).contains(&aware.mean().unwrap()), "{aware:?}");
    let splitting = besieged(Adversary::CoinSplitting);
    assert!(splitting.mean() > aware.mean(), "{splitting:?}");
    // Coins that are not aimed at are common: one more round, and the end.
    assert_eq!(besieged(Adversary::ScatteredShares).max, 4);
    assert!(sum(Adversary::ForgedShares).total.faults > 0 && sum(Adversary::Outrunning).held > 0);
}

/// Payload, ECHO, READY; echo, echo2, echo3. In step and with nobody faulty no second round begins and no coin is flipped.
#[test]
fn in_the_common_case_the_output_is_there_three_delays_after_the_broadcast() {
    const BROADCAST_DELAYS: u32 = 3;
    for nodes in [2, 4, 7, 10, 31] {
        let report = run(&Scenario::new(nodes, 0, Adversary::InStep, 1).unwrap());
        assert_eq!(report.delays, BROADCAST_DELAYS + 3, "{nodes} nodes");
        assert_eq!((report.rounds.max, report.coins, report.faults, report.pulls), (1, 0, 0, 0), "{nodes} nodes");
        // Own payload; ECHO of it, ECHO of the rest, READY, echo, echo2, echo3, DECIDED.
        assert!(report.messages <= (8 * nodes * (nodes - 1)) as u64, "{report:?}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for adversary in Adversary::ALL {
        let scenario = scenario(7, adversary, 99);
        assert_eq!(scenario.run().report, scenario.run().report, "{scenario}");
        assert_ne!(scenario.run().report.deliveries, 0);
    }
}

#[test]
fn adversaries_have_names_of_their_own() {
    for adversary in Adversary::ALL {
        assert_eq!(adversary.name().parse(), Ok(adversary));
        assert!(!adversary.description().is_empty());
    }
    assert!("no such".parse::<Adversary>().unwrap_err().to_string().contains("no such"));
    assert!(Scenario::new(7, 3, Adversary::Lies, 0).unwrap_err().to_string().contains("at most 2"));
    assert!(Scenario::new(0, 0, Adversary::Lies, 0).is_err() && Scenario::new(129, 0, Adversary::Lies, 0).is_err());
}
