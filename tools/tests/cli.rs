//! The binary as its users meet it: reports, errors, exit codes and help.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use constellation_verify::Backend;
use serde_json::{Value, json};

use common::{Finished, command, run};

fn vector_files() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../engine/verify/tests/vectors");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

/// A valid entry of the vectors, as JSON.
fn valid_entry() -> Value {
    let file = vector_files().into_iter().find(|path| path.ends_with("wycheproof.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    entries.into_iter().find(|entry| entry["valid"] == true).unwrap()
}

/// Starts the binary with all of its streams piped.
fn spawn(arguments: &[&str]) -> Child {
    let mut command = command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn finish(mut child: Child, input: &str) -> Finished {
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Finished::of(child.wait_with_output().unwrap())
}

/// Runs the binary with `input` on its standard input.
fn run_with_input(arguments: &[&str], input: &str) -> Finished {
    finish(spawn(arguments), input)
}

#[test]
fn every_backend_agrees_with_the_published_vectors() {
    let files = vector_files();
    assert!(files.len() >= 3, "{files:?}");
    for file in &files {
        let file = file.to_str().unwrap();
        let entries: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        for backend in Backend::available() {
            let finished = run(&["verify", "--backend", backend.name(), "--json", file]);
            assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{file} on {backend}");
            let rows = finished.json();
            let rows = rows.as_array().unwrap();
            assert_eq!(rows.len(), entries.len());
            for (row, entry) in rows.iter().zip(&entries) {
                assert_eq!((&row["name"], &row["valid"]), (&entry["name"], &entry["valid"]), "{backend}");
                assert_eq!(row["expected"], entry["valid"]);
            }
        }
        let text = run(&["verify", file]).stdout;
        let line = |entry: &Value| match entry["valid"] == true {
            true => format!("{} valid", entry["name"].as_str().unwrap()),
            false => format!("{} invalid", entry["name"].as_str().unwrap()),
        };
        assert!(text.lines().eq(entries.iter().map(line)), "{file}");
    }
}

#[test]
fn every_backend_that_can_be_asked_for_gives_the_files_verdicts_or_says_what_is_missing() {
    let file = vector_files().remove(0);
    for backend in ["auto", "portable", "avx2", "avx512", "gpu", "gpu+cpu"] {
        let finished = run(&["verify", "--backend", backend, "--software-gpu", file.to_str().unwrap()]);
        let is_missing = finished.code == 2 && ["lacks", "no GPU"].iter().any(|why| finished.stderr.contains(why));
        let is_required = backend.starts_with("gpu") && std::env::var("CONSTELLATION_REQUIRE_GPU").is_ok();
        if is_missing && !is_required {
            eprintln!("SKIPPED: {}: NOT TESTED by this run", finished.stderr.trim());
            continue;
        }
        assert_eq!(finished.code, 0, "{backend}: {finished:?}");
        assert!(!finished.stderr.contains("not the GPU"), "{backend}: {finished:?}");
    }
}

#[test]
fn a_verdict_that_differs_from_the_file_ends_with_1() {
    let mut entry = valid_entry();
    entry["name"] = json!("the-wrong-one");
    entry["valid"] = json!(false);
    let finished = run_with_input(&["verify", "-"], &json!([entry]).to_string());
    assert_eq!((finished.code, finished.stdout.as_str()), (1, "the-wrong-one valid\n"));
    assert!(finished.stderr.contains("1 of 1") && finished.stderr.contains("the-wrong-one"), "{finished:?}");
}

#[test]
fn wrong_lengths_are_invalid_and_say_so() {
    let (mut short_key, mut long_signature) = (valid_entry(), valid_entry());
    short_key["public_key"] = json!("00");
    long_signature["signature"] = json!("00".repeat(65));
    long_signature["valid"] = json!(false);
    short_key.as_object_mut().unwrap().remove("valid");
    let finished = run_with_input(&["verify", "--json", "-"], &json!([short_key, long_signature]).to_string());
    assert_eq!(finished.code, 0, "{finished:?}");
    let rows = finished.json();
    assert_eq!((&rows[0]["valid"], &rows[1]["valid"]), (&json!(false), &json!(false)));
    assert_eq!(rows[0]["note"], "public_key has 1 bytes, not 32");
    assert_eq!(rows[1]["note"], "signature has 65 bytes, not 64");
    assert!(rows[0].get("expected").is_none());
}

#[test]
fn what_cannot_be_judged_is_an_error_that_names_it() {
    let mut bad_hex = valid_entry();
    bad_hex["name"] = json!("bad-one");
    bad_hex["message"] = json!("0g");
    let mut no_key = valid_entry();
    no_key["name"] = json!("keyless");
    no_key.as_object_mut().unwrap().remove("public_key");
    let verify = |input: &str| run_with_input(&["verify", "-"], input);
    verify(&json!([valid_entry(), bad_hex]).to_string())
        .expect_error(2, &["standard input", "entry 1", "bad-one", "message is not hex", "position 1"]);
    verify(&json!([no_key]).to_string()).expect_error(2, &["entry 0", "keyless", "public_key is missing"]);
    verify("{\n").expect_error(2, &["standard input", "line"]);
    verify("").expect_error(2, &["standard input"]);
    run(&["verify", "no-such-file.json"]).expect_error(2, &["no-such-file.json"]);
    run(&["verify", "--backend", "abacus", "-"]).expect_error(2, &["abacus", "auto, portable, avx2, avx512"]);
    run(&["verify"]).expect_error(2, &["FILE"]);
    run(&["--log-level", "a=b=c", "verify", "-"]).expect_error(2, &["log filter", "a=b=c"]);
}

/// Runs `verify -` on one entry with standard output closed before there is anything to read.
fn verify_without_reader(entry: &Value) -> Finished {
    let mut child = spawn(&["verify", "-"]);
    drop(child.stdout.take());
    finish(child, &json!([entry]).to_string())
}

#[test]
fn a_reader_that_has_gone_ends_the_program_quietly_but_hides_no_mismatch() {
    let mut entry = valid_entry();
    let finished = verify_without_reader(&entry);
    assert_eq!((finished.code, finished.stderr.as_str()), (0, ""));
    entry["valid"] = json!(false);
    assert_eq!(verify_without_reader(&entry).code, 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_under_standard_output_is_the_machines_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let file = vector_files().remove(0);
    let output = command(&["verify", file.to_str().unwrap()]).stdout(full).output().unwrap();
    Finished::of(output).expect_error(4, &["standard output"]);
}

/// A measurement of next to nothing.
const BENCH: [&str; 18] = [
    "bench",
    "verify",
    "--batch",
    "4,6",
    "--message-bytes",
    "175,20",
    "--threads",
    "1,2",
    "--signatures",
    "12",
    "--rounds",
    "1",
    "--pass-ms",
    "1",
    "--case",
    "new_keys,one_bad",
    "--backend",
    "portable",
];

#[test]
fn bench_reports_what_it_was_asked_to_measure_as_text_json_and_page() {
    let table = run(&BENCH);
    assert_eq!(table.code, 0, "{table:?}");
    assert!(table.stdout.contains("portable") && table.stdout.contains("new_keys"), "{table:?}");
    assert!(table.stdout.contains("NOISY: 1 rounds are too few"), "{table:?}");

    let folder = tempfile::tempdir().unwrap();
    let html = folder.path().join("page.html");
    let finished = run(&[&BENCH[..], &["--json", "--html", html.to_str().unwrap()]].concat());
    let report = finished.json();
    assert!(report["cpu"].as_str().is_some_and(|cpu| !cpu.is_empty()));
    let rows = report["rows"].as_array().unwrap();
    let number = |row: &Value, field: &str| row[field].as_u64().unwrap();
    let ours: Vec<(&str, u64, u64, u64)> = rows
        .iter()
        .filter(|row| row["backend"] == "portable")
        .map(|row| {
            let case = row["case"].as_str().unwrap();
            (case, number(row, "batch"), number(row, "message_bytes"), number(row, "threads"))
        })
        .collect();
    let settings = [("new_keys", 4), ("new_keys", 6), ("one_bad", 6)];
    let settings = settings.map(|(case, batch)| [(case, batch, 175, 1), (case, batch, 175, 2)]);
    assert_eq!(ours, [settings.as_flattened(), &[("new_keys", 6, 20, 1)]].concat());
    assert!(rows.iter().all(|row| row["per_s_core"].as_f64().unwrap() > 0.0 && row["backend"] != "avx512"));

    let is_complete = rows.iter().any(|row| row["backend"] == "ed25519_simd");
    assert_eq!(is_complete, report["notes"].as_array().unwrap().is_empty());
    assert!(rows.iter().all(|row| row["ratio_to_ed25519_simd"].is_number() == is_complete));
    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("<svg") && page.contains("portable") && page.contains("NOISY"));
}

#[test]
fn bench_refuses_what_it_cannot_measure_and_strictly_what_is_noise() {
    run(&["bench", "verify", "--batch", "0"]).expect_error(2, &["--batch", "0"]);
    run(&["bench", "verify", "--rounds", "many"]).expect_error(2, &["--rounds", "many"]);
    run(&["bench", "verify", "--case", "some_bad"]).expect_error(2, &["some_bad", "known_keys"]);
    run(&["bench", "verify", "--backend", "abacus"]).expect_error(2, &["abacus", "portable"]);
    run(&["bench", "verify", "--batch", "1048576", "--threads", "1024"]).expect_error(2, &["fewer threads"]);
    let noisy = run(&[&BENCH[..], &["--strict"]].concat());
    assert_eq!(noisy.code, 1);
    assert!(noisy.stdout.contains("new_keys") && noisy.stderr.contains("1 rounds are too few"), "{noisy:?}");
    let unwritable = run(&[&BENCH[..], &["--html", "/nowhere/page.html"]].concat());
    assert_eq!(unwritable.code, 4, "{unwritable:?}");
}

#[test]
fn bench_acs_reports_each_committee_with_each_payload_over_both_networks() {
    let small = ["bench", "acs", "--nodes", "1,4", "--payload-bytes", "0,100", "--epochs", "1"];
    for (flags, network) in [(&[][..], "turns"), (&["--delivery", "single"], "single"), (&["--tcp"], "tcp")] {
        let table = run(&[&small[..], flags].concat());
        assert_eq!(table.code, 0, "{table:?}");
        assert!(table.stdout.contains(network) && table.stdout.contains("NOISY: 1 epochs are too few"), "{table:?}");
        let report = run(&[&small[..], flags, &["--json"]].concat()).json();
        assert_eq!(report["network"], network);
        let rows = report["rows"].as_array().unwrap();
        let settings: Vec<_> = rows.iter().map(|row| (row["nodes"].as_u64(), row["payload_bytes"].as_u64())).collect();
        assert_eq!(settings, [(1, 0), (1, 100), (4, 0), (4, 100)].map(|(nodes, bytes)| (Some(nodes), Some(bytes))));
        for field in ["cpu_ms_per_epoch", "messages_per_epoch", "bytes_per_epoch"] {
            assert!(rows[3][field].as_f64().unwrap() > 0.0, "{field} of {rows:?}");
        }
    }
}

#[test]
fn bench_acs_refuses_what_it_cannot_measure_and_strictly_what_is_noise() {
    run(&["bench", "acs", "--nodes", "4,129"]).expect_error(2, &["--nodes", "129", "128"]);
    run(&["bench", "acs", "--payload-bytes", "1000000000"]).expect_error(2, &["--payload-bytes", "16777216"]);
    run(&["bench", "acs", "--delivery", "post"]).expect_error(2, &["post", "turns"]);
    run(&["bench", "acs", "--delivery", "steps", "--tcp"]).expect_error(2, &["--delivery", "--tcp"]);
    let noisy = run(&["bench", "acs", "--nodes", "4", "--epochs", "2", "--strict"]);
    assert_eq!(noisy.code, 1);
    assert!(noisy.stdout.contains("250000") && noisy.stderr.contains("2 epochs are too few"), "{noisy:?}");
}

#[test]
fn bench_sketch_reports_every_use_and_refuses_what_it_cannot_measure() {
    let line = ["bench", "sketch", "--blocks", "16", "--transactions", "32", "--trials", "2", "--stars", "500"];
    let report = run(&[&line[..], &["--json"]].concat());
    assert_eq!((report.code, report.stderr.as_str()), (0, ""), "{report:?}");
    let report = report.json();
    let first = |rows: &str| report[rows][0].as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        first("overlaps"),
        "blocks conflict_recall copy_recall method overlap_recall overlapping_share pairs_compared search_cpu_us sketches_cpu_us \
         traffic transactions"
    );
    assert_eq!(
        first("copies"),
        "copied_percent exact_cpu_us exact_false_alarms exact_found jaccard round_cpu_us sketch_cpu_us sketch_false_alarms \
         sketch_found"
    );
    assert_eq!(first("cold_stars"), "cpu_us_per_star cross_share first_transfers method");
    let text = run(&line).stdout;
    assert!(text.contains("Overlaps:") && text.contains("Copied proposals:") && text.contains("New stars:"), "{text}");
    let refused = run(&["bench", "sketch", "--blocks", "4"]);
    assert!(refused.code == 2 && refused.stderr.contains("8 to 1024 blocks"), "{refused:?}");
}

#[test]
fn help_of_the_program_documents_the_exit_codes() {
    let help = run(&["--help"]);
    assert_eq!(help.code, 0);
    for line in
        ["0  done", "1  a check failed", "2  the command line", "3  a node cannot be reached", "4  this machine"]
    {
        assert!(help.stdout.contains(line), "{line} is not in {}", help.stdout);
    }
    assert_eq!(run(&[]).code, 2);
}

#[test]
fn help_of_every_command_shows_examples() {
    // What a command lists as its subcommands is found by asking it, so that no new command is forgotten.
    fn check(path: &[String], seen: &mut Vec<String>) {
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run(&arguments);
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{path:?}");
        let examples = help.stdout.lines().filter(|line| line.starts_with("  ") && line.contains("constellation "));
        assert!(examples.count() >= 2, "{path:?}: {}", help.stdout);
        assert!(help.stdout.contains("Examples:") && help.stdout.contains("Exit codes:"), "{path:?}");
        for subcommand in subcommands(&help.stdout) {
            check(&[path, &[subcommand]].concat(), seen);
        }
        seen.push(path.join(" "));
    }
    let mut seen = Vec::new();
    check(&[], &mut seen);
    for command in [
        "verify",
        "bench acs",
        "bench placement",
        "bench sketch",
        "bench verify",
        "log bounds",
        "log print",
        "log verify",
        "log repair",
    ] {
        assert!(seen.iter().any(|path| path == command), "{command} is not in {seen:?}");
    }
}

fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that wraps goes on further to the right.
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}
