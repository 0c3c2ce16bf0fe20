//! `constellation sim scale` as its users meet it.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use common::run;
use serde_json::Value;

fn number(value: &Value, field: &str) -> f64 {
    value[field].as_f64().unwrap_or_else(|| panic!("{field} is no number in {value}"))
}

/// The model alone.
fn model(flags: &[&str]) -> Value {
    let finished = run(&[&["sim", "scale", "--machines-s", "0", "--json"], flags].concat());
    assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{finished:?}");
    finished.json()
}

#[test]
fn the_model_agrees_with_the_real_state_machines() {
    let finished = run(&["sim", "scale", "--machines-s", "1", "--seed", "2", "--json"]);
    assert_eq!(finished.code, 0, "{finished:?}");
    let report = finished.json();
    let machines = report["machines"].as_array().unwrap();
    assert!(machines.len() >= 3 && report["agrees"] == true, "{report}");
    for quantity in machines.iter().flat_map(|one| one["quantities"].as_array().unwrap()) {
        assert!((number(quantity, "model") / number(quantity, "machines") - 1.0).abs() <= 0.2, "{quantity}");
    }
}

#[test]
fn growth_is_linear_to_a_thousand_clusters_and_its_end_has_a_name() {
    let report = model(&[]);
    for growth in report["growth"].as_array().unwrap() {
        assert!(number(growth, "r_squared") >= 0.99 && number(growth, "clusters_last") > 1000.0, "{growth}");
        assert_eq!(growth["limit"], "validator_core", "{growth}");
    }
    let million: Vec<&Value> =
        report["rows"].as_array().unwrap().iter().filter(|row| row["stars"] == 1_000_000).collect();
    assert_eq!(million.len(), 4);
    assert!(million.iter().all(|row| row["committed_per_s"] == row["offered_per_s"]), "{million:?}");
    assert!(million.iter().all(|row| row["beyond"].to_string().contains("clusters")), "{million:?}");
    // The published points, and ours beside them.
    let figure = &report["figure_5"][0];
    assert_eq!((&figure["facilitators"], &figure["paper_validated_per_s"][10]), (&Value::from(4), &Value::from(4850)));
    assert_eq!(figure["validated_per_s"][10], 4800.0);
    // Beyond one galaxy's end, several go on.
    let last = report["tiers"].as_array().unwrap().last().unwrap();
    assert!(number(last, "one_galaxy_committed_per_s") < number(last, "offered_per_s"), "{last}");
    assert!(number(last, "tiers_committed_per_s") > 0.999 * number(last, "offered_per_s"), "{last}");
}

#[test]
fn what_an_operator_knows_better_moves_the_end() {
    let last = |flags: &[&str]| number(&model(flags)["growth"][0], "clusters_last");
    let base = last(&[]);
    assert!(last(&["--rate-per-star", "0.2"]) < base / 5.0);
    assert!(last(&["--validators", "31"]) < base);
    assert_eq!(model(&["--uplink-mbit", "50"])["growth"][0]["limit"], "validator_link_in");
    run(&["sim", "scale", "--rate-per-star", "0"]).expect_error(2, &["--rate-per-star", "0.000001"]);
    run(&["sim", "scale", "--devnet", "Cargo.toml"]).expect_error(2, &["Cargo.toml", "devnet --json"]);
    run(&["sim", "scale", "--validators", "3"]).expect_error(2, &["--validators", "4..=128"]);
}

#[test]
fn the_page_has_the_plots_and_needs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scale.html");
    let text = run(&["sim", "scale", "--machines-s", "0", "--html", path.to_str().unwrap()]);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    for words in ["first limit: validator: core stage", "R2 = ", "galaxies under a parent (modelled, not built"] {
        assert!(text.stdout.contains(words), "\"{words}\" is not in {text:?}");
    }
    let page = std::fs::read_to_string(&path).unwrap();
    // Four of the paper's figure, four of one galaxy, two of tiers.
    assert_eq!(page.matches("<svg").count(), 10);
    for outside in ["http:", "https:", "<script", "<link", "@import", "url(", "src=", "NaN", "inf"] {
        assert!(!page.contains(outside), "{outside}");
    }
    run(&["sim", "scale", "--machines-s", "0", "--html", "no-such-folder/scale.html"])
        .expect_error(4, &["no-such-folder/scale.html"]);
}
