//! `constellation plan` as its users meet it.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use common::{Finished, run};
use serde_json::Value;

/// Runs `plan` with a line of flags, and then `more`.
fn plan(line: &str, more: &[&str]) -> Finished {
    let arguments: Vec<&str> =
        std::iter::once("plan").chain(line.split_whitespace()).chain(more.iter().copied()).collect();
    run(&arguments)
}

/// The report of a plan that can be had.
fn report(line: &str) -> Value {
    let finished = plan(line, &["--json"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{finished:?}");
    finished.json()
}

fn number(report: &Value, field: &str) -> f64 {
    report[field].as_f64().unwrap_or_else(|| panic!("{field} is no number in {report}"))
}

const POSSIBLE: &str = "--population 2000 --faulty 10% --max-failure 1e-6 --rate 200000";

#[test]
fn a_plan_names_its_committee_its_loads_and_its_risk() {
    let text = plan(POSSIBLE, &[]);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    for line in [
        "committee    52 members, 17 of which may be faulty",
        "facilitator  sends",
        "validator    sends",
        " a year of ",
    ] {
        assert!(text.stdout.contains(line), "\"{line}\" is not in {text:?}");
    }
    let report = report(POSSIBLE);
    for (field, value) in
        [("population", 2000), ("faulty", 200), ("rate_per_s", 200_000), ("committee", 52), ("fault_bound", 17)]
    {
        assert_eq!(report[field], value, "{field}");
    }
    let (election, clusters) = (number(&report, "failure_per_election"), number(&report, "clusters"));
    assert!(election > 9e-7 && election <= 1e-6 && number(&report, "max_failure") == 1e-6, "{report}");
    assert!((number(&report, "failure_per_round") / (clusters * election) - 1.0).abs() < 1e-9, "{report}");
    assert_eq!(number(&report, "failure_per_year"), 1.0, "an upper bound above one is one: {report}");
    // Seven delays of 50 ms are the least that a round takes.
    assert!(number(&report, "round_time_ms") > 350.0 && number(&report, "finality_ms") > 700.0, "{report}");
    // 200,000 transactions of 328 bytes are 524.8 Mbit.
    assert!(number(&report, "validator_down_mbit_per_s") > 524.8, "{report}");
    assert!(number(&report, "validator_cores") > 200_000.0 * 2.0 / number(&report["site"], "verify_per_s"), "{report}");
    // It says what it takes for granted and no node does yet, and what the bound means over a year.
    let notes = report["notes"].to_string();
    assert!(notes.contains("applying") && notes.contains("one election"), "{report}");
}

#[test]
fn what_an_operator_knows_better_moves_the_plan() {
    let base = report(POSSIBLE);
    let with = |flags: &str| report(&format!("{POSSIBLE} {flags}"));
    let near = with("--round-trip-ms 10");
    assert!(number(&near, "round_time_ms") < number(&base, "round_time_ms") - 300.0, "{near}");
    assert!(number(&with("--verify-per-s 50000"), "validator_cores") > number(&base, "validator_cores") + 7.0);
    let large = with("--transaction-bytes 600 --uplink-mbit 10000");
    assert!(number(&large, "clusters") > number(&base, "clusters"), "{large}");
    assert_eq!(base["committee"], large["committee"]);
    let safe = report("--population 2000 --faulty 10% --max-failure 1e-9 --rate 200000");
    assert!(number(&safe, "committee") > 52.0 && number(&safe, "failure_per_year") < 1.0, "{safe}");
    let small = report("--population 4 --faulty 1/4 --max-failure 0 --rate 1000");
    assert_eq!((&small["committee"], number(&small, "failure_per_year")), (&Value::from(4), 0.0));
}

#[test]
fn impossible_demands_are_refused_with_the_reason_and_the_remedy() {
    let refused = |line: &str, words: &[&str]| plan(line, &[]).expect_error(2, words);
    // The reference sizes above the protocol's largest committee.
    for (faulty, needed) in [("20%", "202 members"), ("25%", "481 members")] {
        refused(
            &format!("--population 2000 --faulty {faulty} --max-failure 1e-6 --rate 9"),
            &["at most 128 members", "the best, of 127", needed, "--max-failure above", "--faulty at most 16.8"],
        );
    }
    // 124 of 2000 is the largest reference size that the protocol has.
    assert_eq!(report("--population 2000 --faulty 16.65% --max-failure 1e-6 --rate 9")["committee"], 124);
    refused("--population 1000000 --faulty 33% --max-failure 1e-9 --rate 9", &["none of up to 10000"]);
    refused(
        "--population 2000 --faulty 33.4% --max-failure 1e-6 --rate 9",
        &["668 faulty", "a third", "at most 33.30%"],
    );
    refused("--population 3 --faulty 0% --max-failure 1e-6 --rate 9", &["population of 3", "--population 4"]);
    refused("--population 0 --faulty 0% --max-failure 1e-6 --rate 9", &["population of 0", "--population 4"]);
    refused("--population 2000 --faulty 1O% --max-failure 1e-6 --rate 9", &["1O%", "20%", "--faulty"]);
    refused("--population 2000 --faulty 10% --max-failure 1 --rate 9", &["--max-failure", "no bound"]);
    refused("--population 2000 --faulty 10% --max-failure 1e-6 --rate 0", &["--rate 0"]);
    refused(&format!("{POSSIBLE} --cores 1"), &["4.0 cores", "at most 35", "a second", "--cores"]);
    refused(&format!("{POSSIBLE} --uplink-mbit 100"), &["525 Mbit/s", "--uplink-mbit"]);
    refused("--population 100 --faulty 10% --max-failure 1e-6 --rate 200000", &["3 clusters of 28", "--population"]);
    refused(&format!("{POSSIBLE} --transaction-bytes 100"), &["--transaction-bytes", "328"]);
    refused(&format!("{POSSIBLE} --round-trip-ms NaN"), &["--round-trip-ms", "0 to 60000"]);
}

/// What a refusal says can be carried, can be; and not one transaction more.
#[test]
fn the_rate_that_a_refusal_names_is_the_most() {
    for flags in ["--cores 2", "--uplink-mbit 300", "--uplink-mbit 100 --round-trip-ms 1000"] {
        let at =
            |rate: &str| plan(&format!("--population 2000 --faulty 10% --max-failure 1e-6 --rate {rate} {flags}"), &[]);
        let refused = at("3000000");
        let most = refused.stderr.split("carry at most ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        assert_eq!(at(&most).code, 0, "{flags}: {most}");
        assert_eq!(at(&(most.parse::<u64>().unwrap() + 1).to_string()).code, 2, "{flags}: {most}");
    }
}

#[test]
fn the_page_has_the_plots_of_a_plan_and_of_a_refusal_and_needs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plan.html");
    for (faulty, code, words) in [("10%", 0, "<dt>committee</dt>"), ("20%", 2, "Refused: drawn from 2000 stars")] {
        let line = format!("--population 2000 --faulty {faulty} --max-failure 1e-9 --rate 200000");
        assert_eq!(plan(&line, &["--html", path.to_str().unwrap()]).code, code);
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(page.contains(words), "{page}");
        assert_eq!(page.matches("<svg").count(), 2);
        // The reference table: 100 members, and 200, 333 and 500 faulty stars.
        for figure in ["<td>1.28e-11</td>", "<td>1.06e-5</td>", "<td>2.45e-2</td>"] {
            assert!(page.contains(figure), "{figure} is not in {page}");
        }
        for outside in ["http:", "https:", "<script", "<link", "@import", "url(", "src=", "NaN", "inf"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
    plan(POSSIBLE, &["--html", "no-such-folder/plan.html"]).expect_error(4, &["no-such-folder/plan.html"]);
}
