#![cfg(acs_mutants)]
use constellation_acs::mutant::{Guard, take_out};
use constellation_simulator::acs::{Adversary, Scenario, faulty_max};
use std::panic::catch_unwind;
use std::time::Instant;
#[test]
fn dev() {
    std::panic::set_hook(Box::new(|_| {}));
    let only = std::env::var("GUARDS").unwrap();
    let adv = std::env::var("ADV").unwrap_or_default();
    let seeds: u64 = std::env::var("SEEDS").unwrap().parse().unwrap();
    for guard in Guard::ALL {
        if !only.split(',').any(|g| g == format!("{guard:?}")) {
            continue;
        }
        take_out(Some(*guard));
        for adversary in Adversary::ALL {
            if !adv.is_empty() && !adv.split(',').any(|a| a == adversary.name()) {
                continue;
            }
            for nodes in [4, 7, 10] {
                let start = Instant::now();
                let mut found = 0;
                let mut first = None;
                let mut what = String::new();
                for seed in 0..seeds {
                    let s = Scenario::new(nodes, faulty_max(nodes), adversary, seed).unwrap();
                    let v = catch_unwind(|| s.run().violation.map(|v| v.to_string()))
                        .unwrap_or_else(|_| Some("panic".into()));
                    if let Some(v) = v {
                        found += 1;
                        if first.is_none() {
                            first = Some(seed);
                            what = v;
                        }
                        if found >= 3 {
                            break;
                        }
                    }
                }
                if found > 0 || !adv.is_empty() {
                    println!(
                        "{guard:?} {adversary} n={nodes}: {found} first {first:?} {:.2}s {what}",
                        start.elapsed().as_secs_f64()
                    );
                }
            }
        }
        take_out(None);
    }
}
