//! `constellation devnet`: whole networks under load, in one process and in several, with nodes killed and a user who interrupts.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::process::{Process, Signal, wait_until};
use common::{Finished, command, run};
use serde_json::Value;
use tempfile::TempDir;

/// A devnet whose temporary files are the test's.
fn devnet(temporary: &TempDir, arguments: &[&str]) -> Command {
    let mut command = command(&[&["devnet", "--json"][..], arguments].concat());
    command.env("TMPDIR", temporary.path());
    command
}

/// Runs a devnet, its nodes below `dir`, and gives its report and what it said meanwhile.
fn run_in(dir: &TempDir, arguments: &[&str]) -> (Value, Finished) {
    let arguments = [&["--dir", dir.path().to_str().unwrap()], arguments].concat();
    let finished = Process::start(devnet(dir, &arguments)).finish();
    assert_eq!(finished.code, 0, "{finished:?}");
    (finished.json(), finished)
}

/// Fails unless all that was sent is in black holes, and all logs are the same and hold.
fn expect_sound(report: &Value) {
    assert_eq!((&report["mismatches"], &report["lost"]), (&Value::from(0), &Value::from(0)), "{report}");
    assert_eq!((&report["not_admitted"], &report["censored"]), (&Value::from(0), &serde_json::json!({})), "{report}");
    assert_eq!((&report["committed"], &report["admitted"]), (&report["sent"], &report["sent"]), "{report}");
    assert!(report["committed"].as_u64().unwrap() > 0 && report["height"].as_u64().unwrap() > 0, "{report}");
}

/// Fails unless the logs of four nodes below `dir` hold, and are the same; gives their height.
fn expect_identical_logs(dir: &Path, committed: &Value) -> u64 {
    let logs: Vec<Value> = (0..4)
        .map(|index| {
            let verified = run(&["log", "verify", "--json", dir.join(format!("node-{index}")).to_str().unwrap()]);
            assert_eq!(verified.code, 0, "{verified:?}");
            verified.json()
        })
        .collect();
    for log in &logs {
        assert_eq!((&log["contents_digest"], &log["tip"]), (&logs[0]["contents_digest"], &logs[0]["tip"]));
        assert_eq!(&log["applied"], committed);
    }
    logs[0]["black_holes"].as_u64().unwrap()
}

/// The heights at which a node's processes started, one after the other.
fn heights_at_start(dir: &Path, node: usize) -> Vec<u64> {
    let stderr = std::fs::read_to_string(dir.join(format!("node-{node}/stderr.log"))).unwrap();
    let lines = stderr.lines().filter(|line| line.contains(" runs: "));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_network_in_one_process_commits_all_and_reports() {
    let temporary = tempfile::tempdir().unwrap();
    let finished =
        Process::start(devnet(&temporary, &["--duration", "4s", "--rate", "1000", "--stars", "4000"])).finish();
    assert_eq!(finished.code, 0, "{finished:?}");
    let report = finished.json();
    expect_sound(&report);
    assert_eq!((&report["asked"], &report["committed"]), (&Value::from(4000), &Value::from(4000)), "{report}");
    let fixed = [
        ("nodes", Value::from(4)),
        ("stars", Value::from(4000)),
        ("processes", Value::from(false)),
        ("journal_sync", Value::from("process")),
        ("evidence", Value::from(0)),
        ("mismatch_details", serde_json::json!([])),
        ("dir", Value::Null),
    ];
    for (name, value) in fixed {
        assert_eq!(report[name], value, "{name}: {report}");
    }
    let positive = [
        "committed_per_s",
        "duration_s",
        "latency_p50_ms",
        "latency_p90_ms",
        "latency_p99_ms",
        "latency_p999_ms",
        "latency_max_ms",
        "black_holes",
        "bytes_on_disk",
        "check_s",
    ];
    for name in positive {
        assert!(report[name].as_f64().is_some_and(|value| value > 0.0), "{name}: {report}");
    }
    for stage in ["verify", "core", "log"] {
        assert!(report["stage_cores"][stage].as_f64().is_some_and(|cores| cores > 0.0), "{stage}: {report}");
    }
    assert!(!report["backend"].as_str().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the nodes' directories are left");
}

#[test]
fn clusters_under_one_galaxy_outlive_a_kill_and_all_logs_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = [
        "--processes",
        "--clusters",
        "3",
        "--duration",
        "6s",
        "--rate",
        "400",
        "--stars",
        "4000",
        "--kill",
        "1@2s",
        "--restart",
        "1@4s",
    ];
    let (report, _) = run_in(&dir, &arguments);
    expect_sound(&report);
    expect_identical_logs(dir.path(), &report["committed"]);
    assert_eq!(report["clusters"], Value::from(3), "{report}");
    // Two of three partners of a star live elsewhere.
    let (between, committed) = (report["cross_cluster"].as_f64().unwrap(), report["committed"].as_f64().unwrap());
    assert!((0.6..0.75).contains(&(between / committed)), "{report}");
}

#[test]
fn a_killed_node_catches_up_and_nothing_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let arguments =
        ["--processes", "--duration", "8s", "--rate", "500", "--stars", "4000", "--kill", "2@2s", "--restart", "2@5s"];
    let (report, finished) = run_in(&dir, &arguments);
    assert!(
        finished.stderr.contains("node 2 killed") && finished.stderr.contains("node 2 started again"),
        "{finished:?}"
    );
    expect_sound(&report);
    assert_eq!(
        report["committed"], report["asked"],
        "commits went on, or the schedule could not have been kept: {report}"
    );
    let height = expect_identical_logs(dir.path(), &report["committed"]);
    let starts = heights_at_start(dir.path(), 2);
    assert!(starts.len() == 2 && starts[0] == 0 && starts[1] > 0 && starts[1] < height, "{starts:?} {height}");
}

#[test]
fn two_killed_of_four_stall_the_network_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let accidents = ["--kill", "1@2s", "--kill", "2@2s", "--restart", "1@5s", "--restart", "2@6s"];
    let arguments = [&["--processes", "--duration", "8s", "--rate", "200", "--stars", "2000"], &accidents[..]].concat();
    let (report, _) = run_in(&dir, &arguments);
    expect_sound(&report);
    expect_identical_logs(dir.path(), &report["committed"]);
    for node in [1, 2] {
        assert_eq!(heights_at_start(dir.path(), node).len(), 2);
    }
}

#[test]
fn who_stays_down_may_be_behind() {
    let dir = tempfile::tempdir().unwrap();
    let load = ["--processes", "--duration", "5s", "--rate", "200", "--stars", "2000", "--kill", "1@2s"];
    let (report, _) = run_in(&dir, &load);
    expect_sound(&report);
    assert_eq!((&report["kills"], &report["down"]), (&Value::from(1), &serde_json::json!([1])), "{report}");
}

#[test]
fn three_killed_of_four_at_once_come_back_and_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let kills = ["--kill", "0@2s", "--kill", "1@2s", "--kill", "3@2s"];
    let restarts = ["--restart", "0@3s", "--restart", "1@3500ms", "--restart", "3@4s"];
    let load = ["--processes", "--duration", "7s", "--rate", "200", "--stars", "2000"];
    let (report, _) = run_in(&dir, &[&load[..], &kills, &restarts].concat());
    expect_sound(&report);
    expect_identical_logs(dir.path(), &report["committed"]);
    assert_eq!(report["kills"], 3);
}

#[test]
fn whoever_is_killed_and_whenever_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let load = ["--processes", "--duration", "16s", "--rate", "300", "--stars", "4000"];
    let (report, _) = run_in(&dir, &[&load[..], &["--chaos", "8", "--seed", "5"]].concat());
    expect_sound(&report);
    expect_identical_logs(dir.path(), &report["committed"]);
    assert_eq!(report["kills"], 8);
    let starts: usize = (0..4).map(|node| heights_at_start(dir.path(), node).len()).sum();
    assert!(starts > 4, "some node was killed after it had started: {starts}");
}

#[test]
fn clusters_split_and_members_come_and_go_under_load_and_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let load = ["--processes", "--duration", "9s", "--rate", "200", "--stars", "400"];
    let network =
        ["--nodes", "5", "--standby", "1", "--epoch", "8", "--clusters-max", "4", "--cluster-stars-max", "60"];
    let changes = ["--join", "4@1s", "--leave", "0@4s", "--kill", "2@2s", "--restart", "2@5s"];
    let (report, finished) = run_in(&dir, &[&load[..], &network, &changes].concat());
    assert!(finished.stderr.contains("node 4 asks to join"), "{finished:?}");
    expect_sound(&report);
    expect_identical_logs(dir.path(), &(report["committed"].as_u64().unwrap() + 2).into());
    assert_eq!((&report["clusters"], &report["validators_at_end"]), (&Value::from(1), &Value::from(4)), "{report}");
    assert!(report["cross_cluster"].as_u64().unwrap() > 0, "no cluster split: {report}");
}

/// A devnet that would run for minutes, once its load has started. Like a program in a terminal it leads a process group.
fn long_devnet(temporary: &TempDir, arguments: &[&str]) -> Process {
    let long = ["--duration", "10m", "--rate", "200", "--stars", "1000"];
    let mut command = devnet(temporary, &[&long, arguments].concat());
    command.process_group(0);
    let mut process = Process::start(command);
    // The first line of the status.
    process.wait_for("in flight");
    process
}

fn interrupt(arguments: &[&str]) {
    let temporary = tempfile::tempdir().unwrap();
    let process = long_devnet(&temporary, arguments);
    std::thread::sleep(Duration::from_secs(2));
    process.signal_group(Signal::INT);
    let finished = process.finish();
    assert_eq!(finished.code, 0, "{finished:?}");
    let report = finished.json();
    expect_sound(&report);
    assert!(report["asked"].as_u64().unwrap() < 200 * 600, "{report}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the nodes' directories are left");
}

#[test]
fn an_interrupted_devnet_still_reports() {
    interrupt(&[]);
}

#[test]
fn an_interrupted_devnet_of_processes_still_reports() {
    interrupt(&["--processes"]);
}

#[test]
fn nodes_do_not_outlive_their_devnet() {
    let dir = tempfile::tempdir().unwrap();
    long_devnet(&dir, &["--processes", "--dir", dir.path().to_str().unwrap()]).kill();
    for index in 0..4 {
        let stderr = dir.path().join(format!("node-{index}/stderr.log"));
        wait_until("a node stops in order", || std::fs::read_to_string(&stderr).unwrap().contains(" stopped at "));
    }
}

#[test]
fn options_that_cannot_be_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], words: &[&str]| {
        let finished = Process::start(devnet(&dir, arguments)).finish();
        finished.expect_error(2, words);
    };
    refused(&["--kill", "9@1s", "--processes"], &["node 9", "0 to 3"]);
    refused(&["--restart", "4@1s", "--processes"], &["node 4", "0 to 3"]);
    refused(&["--leave", "4@1s"], &["node 4", "0 to 3"]);
    refused(&["--join", "4", "--nodes", "5"], &["--join", "NODE@TIME"]);
    refused(&["--standby", "4"], &["standby"]);
    refused(&["--clusters", "4", "--clusters-max", "2"], &["clusters_max = 2", "4 to"]);
    refused(&["--kill", "2@1s"], &["--processes"]);
    refused(&["--kill", "2", "--processes"], &["--kill", "NODE@TIME"]);
    refused(&["--kill", "2@30s", "--processes"], &["2@30s", "--duration"]);
    refused(&["--restart", "2@3s", "--kill", "2@4s", "--processes"], &["--restart 2@3s", "--kill"]);
    refused(&["--chaos", "3"], &["--processes"]);
    refused(&["--seed", "3"], &["--chaos"]);
    refused(&["--chaos", "41", "--duration", "20s", "--processes"], &["--chaos 41", "20.5 s", "--duration"]);
    refused(&["--duration", "banana"], &["--duration", "banana", "20s"]);
    refused(&["--nodes", "0"], &["--nodes", "1..=32"]);
    refused(&["--rate", "0"], &["--rate"]);
    refused(&["--stars", "1"], &["--stars"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "a refusal left something");

    let taken = dir.path().join("taken");
    let path = taken.to_str().unwrap();
    assert_eq!(run(&["init", "--dir", path, "--nodes", "4"]).code, 0);
    let genesis = std::fs::read(taken.join("node-0/genesis.toml")).unwrap();
    refused(&["--dir", path], &[path, "exists already"]);
    assert_eq!(std::fs::read(taken.join("node-0/genesis.toml")).unwrap(), genesis);
    // Only the second of the nodes is in the way: nothing is made beside it.
    std::fs::remove_dir_all(taken.join("node-0")).unwrap();
    refused(&["--dir", path], &["node-1", "exists already"]);
    assert!(!taken.join("node-0").exists());
}
