//! Common subsets against every adversary. A failing run names the scenario that replays it.

use constellation_simulator::acs::{Adversary, Scenario, faulty_max};

#[test]
fn survey() {
    for adversary in Adversary::ALL {
        for n in [4, 7, 10, 31] {
            let start = std::time::Instant::now();
            let runs = if n == 31 { 3 } else { 200 };
            let (mut sum, mut max, mut bmean, mut held, mut dl, mut faults, mut pulls, mut restarts, mut coins) = (0.0, 0, 0.0, 0, 0, 0, 0, 0, 0);
            for seed in 0..runs {
                let scenario = Scenario::new(n, faulty_max(n), adversary, seed).unwrap();
                let outcome = scenario.run();
                if let Some(violation) = outcome.violation { println!("{adversary} {n} seed {seed}: {violation}"); }
                let r = outcome.report;
                sum += r.rounds_mean; max = max.max(r.rounds_max); bmean += r.besieged_rounds_mean.unwrap_or(0.0); held += r.is_held as u32; dl += r.delays; faults += r.faults; pulls += r.pulls; restarts += r.restarts; coins += r.coins;
            }
            let d = runs as f64;
            println!("{adversary:15} n={n:2} rounds mean {:.2} max {max} besieged {:.2} held {held} delays {:.1} faults {faults} pulls {pulls} restarts {restarts} coins {coins} {:.2} ms/run", sum / d, bmean / d, dl as f64 / d, start.elapsed().as_secs_f64() * 1e3 / d);
        }
    }
}
