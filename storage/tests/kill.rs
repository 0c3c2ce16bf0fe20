//! A writer that is killed in the middle of its work, as a process of its own.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use constellation_storage::{Log, LogError, LogOptions, Recovery};

const CHILD_DIR: &str = "CONSTELLATION_STORAGE_KILL_TEST_DIR";

type Open = fn(&Path, LogOptions) -> Result<(Log, Recovery), LogError>;

fn options() -> LogOptions {
    LogOptions { segment_len_bytes: 8192, reserve_len_bytes: 8192 }
}

fn payload(sequence: u64) -> Vec<u8> {
    vec![sequence as u8; sequence as usize * 37 % 2000]
}

/// Appends for ever, and says each sequence only after it was appended.
fn write_until_killed(dir: &Path, open: Open) {
    let (mut log, _) = open(dir, options()).unwrap();
    let mut out = std::io::stdout();
    loop {
        let sequence = log.append(1, &[&payload(log.next_sequence())]).unwrap();
        writeln!(out, "appended {sequence}").unwrap();
    }
}

#[test]
fn a_killed_writer_loses_nothing_it_had_appended_and_gives_its_lock_back() {
    kill_a_writer("a_killed_writer_loses_nothing_it_had_appended_and_gives_its_lock_back", Log::open);
}

#[test]
fn nor_does_one_that_never_waits_for_the_disk() {
    kill_a_writer("nor_does_one_that_never_waits_for_the_disk", Log::open_unsynced);
}

/// The writer is this very test, run again as a process of its own.
fn kill_a_writer(test: &str, open: Open) {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        write_until_killed(Path::new(&dir), open);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = 0;
    while said < 300 {
        let line = lines.next().unwrap().unwrap();
        if let Some(sequence) = line.strip_prefix("appended ") {
            said = sequence.parse().unwrap();
        }
    }
    let refused = open(dir.path(), options()).map(|_| ());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(refused, Err(LogError::Locked { pid: Some(pid), .. }) if pid == child.id()));

    let (log, _) = open(dir.path(), options()).unwrap();
    assert!(log.next_sequence() > said);
    for record in log.iter_from(1) {
        let record = record.unwrap();
        assert_eq!(record.payload, payload(record.sequence));
    }
}
