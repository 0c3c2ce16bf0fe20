//! `constellation sim` as its users meet it.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use common::run;

#[test]
fn a_run_of_common_subsets_is_reported_and_replays() {
    let command = ["sim", "acs", "--nodes", "31", "--faulty", "10", "--adversary", "coin-aware", "--seed", "7"];
    let text = run(&command);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    assert!(text.stdout.contains("0 violations") && text.stdout.contains("coin-aware"), "{text:?}");
    let json = || run(&[&command[..], &["--json"]].concat()).json();
    let report = json();
    assert_eq!(report["violations"], 0);
    let row = &report["rows"][0];
    assert!(row["rounds_max"].as_u64().unwrap() > 2 && row["besieged_rounds_mean"].as_f64().unwrap() > 2.0, "{row}");
    assert_eq!(report, json(), "the same seed, another run");
}

#[test]
fn all_adversaries_and_sizes_take_their_turns_and_threads_do_not_matter() {
    let with_threads = |threads| {
        let finished = run(&["sim", "acs", "--nodes", "4,7", "--runs", "4", "--threads", threads, "--json"]);
        assert_eq!(finished.code, 0, "{finished:?}");
        finished.json()
    };
    let report = with_threads("1");
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.len() > 20 && rows.iter().all(|row| row["runs"] == 4), "{report}");
    assert!(rows.iter().all(|row| row["unsafe_runs"] == 0 && row["stuck_runs"] == 0), "{report}");
    assert_eq!(rows.iter().filter(|row| row["nodes"] == 7 && row["faulty"] == 2).count(), rows.len() / 2);
    assert_eq!(report["runs"], 4 * rows.len());
    assert_eq!(report, with_threads("3"));
}

#[test]
fn whole_nodes_are_simulated_too() {
    let finished = run(&["sim", "node", "--adversary", "kills", "--seed", "3", "--json"]);
    assert_eq!(finished.code, 0, "{finished:?}");
    let report = finished.json();
    let row = &report["rows"][0];
    assert_eq!(row["committed"], row["submitted"]);
    assert!(row["committed"].as_u64().unwrap() > 50 && row["kills_mean"].as_f64().unwrap() > 0.0, "{row}");
    assert!(run(&["sim", "node", "--adversary", "calm"]).stdout.contains("latency ms"));
}

#[test]
fn what_the_protocol_does_not_claim_is_not_simulated() {
    run(&["sim", "acs", "--nodes", "7", "--faulty", "3"]).expect_error(2, &["at most 2", "--faulty 0 to 2"]);
    run(&["sim", "acs", "--nodes", "129"]).expect_error(2, &["1 to 128 nodes", "--nodes"]);
    run(&["sim", "node", "--nodes", "65"]).expect_error(2, &["1 to 64 nodes", "--nodes"]);
    run(&["sim", "acs", "--adversary", "gravity"]).expect_error(2, &["gravity", "coin-aware"]);
}
