//! `constellation log` on a log that a real node has written: whole, damaged and forged.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;
mod data_directory;

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use constellation_chain::{Application, BlackHole, BlackHolePlace, Certificate, Hash};
use constellation_storage::Reader;
use serde_json::Value;

use common::run;
use data_directory::DataDirectory;

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_sound_log_is_shown_and_holds() {
    let directory = DataDirectory::with_black_holes(4);
    let log = directory.log_path();
    for dir in [directory.argument(), log.to_str().unwrap()] {
        let verified = run(&["log", "verify", "--json", dir]);
        assert_eq!((verified.code, verified.stderr.as_str()), (0, ""));
        let report = verified.json();
        assert_eq!(report["holds"], true);
        assert_eq!((&report["black_holes"], &report["applied"]), (&Value::from(4), &Value::from(4)));
        assert_eq!((&report["total_supply"], &report["torn_tail"]), (&Value::from(1_000), &Value::from(false)));

        let bounds = run(&["log", "bounds", "--json", dir]).json();
        assert_eq!((&bounds["records"], &bounds["next_sequence"]), (&Value::from(4), &Value::from(5)));
        assert_eq!(bounds["segments"].as_array().unwrap().len(), 1);

        let lines = json_lines(&run(&["log", "print", "--json", dir]).stdout);
        assert!(lines.iter().map(|line| line["height"].as_u64().unwrap()).eq(1..=4));
        assert_eq!(lines[3]["hash"], report["tip"]);
        assert_eq!(lines[1]["previous"], lines[0]["hash"]);
        assert_eq!((&lines[0]["transactions"], &lines[0]["signers"]), (&Value::from(1), &Value::from(vec![0])));
    }
    let part = run(&["log", "print", "--from", "2", "--count", "2", directory.argument()]).stdout;
    let starts: Vec<&str> = part.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(starts, ["height=2", "height=3"]);
    assert!(part.lines().all(|line| line.ends_with("transactions=1 censored=- evidence=0 signers=0")), "{part}");

    let text = run(&["log", "verify", directory.argument()]).stdout;
    assert!(text.starts_with("the log holds\n"), "{text}");
    assert!(run(&["log", "bounds", directory.argument()]).stdout.contains("records 4, 1 to 4"));
    let repair = run(&["log", "repair", directory.argument()]);
    assert_eq!((repair.code, repair.stdout.as_str()), (0, "no damage: 4 records, nothing to repair\n"));
}

#[test]
fn damage_is_named_and_cut_out_only_by_command() {
    let directory = DataDirectory::with_black_holes(4);
    let dir = directory.argument();
    let (segment, offset) = damage(&directory, 3);
    let places = [segment.to_str().unwrap(), &format!("byte {offset}"), "constellation log repair --dry-run"];
    for arguments in [&["log", "bounds", dir][..], &["log", "print", dir], &["log", "verify", dir]] {
        run(arguments).expect_error(1, &places);
    }
    let verdict = run(&["log", "verify", "--json", dir]);
    assert_eq!((verdict.code, &verdict.json()["holds"]), (1, &Value::from(false)));

    let dry_run = run(&["log", "repair", "--dry-run", "--json", dir]);
    assert_eq!(dry_run.code, 0, "{dry_run:?}");
    let report = dry_run.json();
    assert_eq!((&report["dry_run"], &report["kept_records"]), (&Value::from(true), &Value::from(2)));
    run(&["log", "verify", dir]).expect_error(1, &places);

    let repaired = run(&["log", "repair", dir]);
    assert_eq!(repaired.code, 0, "{repaired:?}");
    assert!(repaired.stdout.contains("kept 2 records") && repaired.stdout.contains("damaged-1"), "{repaired:?}");
    assert_eq!(run(&["log", "verify", "--json", dir]).json()["black_holes"], 2);
}

#[test]
fn a_journal_is_never_cut() {
    let directory = DataDirectory::with_black_holes(1);
    let journal = directory.path().join("journal");
    std::fs::rename(directory.log_path(), &journal).unwrap();
    for arguments in [&["--dry-run"][..], &[]] {
        let arguments = [&["log", "repair", journal.to_str().unwrap()], arguments].concat();
        run(&arguments).expect_error(2, &["journal", "move the folder away"]);
    }
}

/// Flips a bit in the payload of a record and says where that record is.
fn damage(directory: &DataDirectory, sequence: u64) -> (PathBuf, u64) {
    let (segment, offset) = {
        let reader = Reader::open(&directory.log_path()).unwrap();
        let record = reader.read(sequence).unwrap().unwrap();
        (record.segment.to_owned(), record.offset)
    };
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&segment).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset + 100).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset + 100).unwrap();
    (segment, offset)
}

#[test]
fn a_forged_black_hole_is_named_by_its_height() {
    let directory = DataDirectory::with_black_holes(2);
    let place = BlackHolePlace {
        network: directory.genesis().network_id(),
        height: 3,
        previous: Hash([9; 32]),
        state: Hash::ZERO,
        beacon: Hash::ZERO,
        facilitators: Hash::ZERO,
        reelected: Vec::new(),
    };
    let application = Application { censored: Vec::new(), evidence: Vec::new(), applied: 0 };
    let forged = BlackHole::fold(place, Vec::new(), application);
    directory.append(&[(Arc::new(forged), Certificate::from_shares(&BTreeMap::new()))]);

    run(&["log", "verify", directory.argument()]).expect_error(1, &["black hole 3"]);
    let verdict = run(&["log", "verify", "--json", directory.argument()]).json();
    assert!(verdict["error"].as_str().unwrap().contains("black hole 3"), "{verdict}");
    let lines = json_lines(&run(&["log", "print", "--json", directory.argument()]).stdout);
    assert_eq!((lines.len(), &lines[2]["signers"]), (3, &Value::from(Vec::<u64>::new())));
}

#[test]
fn the_genesis_decides_and_must_be_there() {
    let directory = DataDirectory::with_black_holes(1);
    let dir = directory.argument();
    let other = directory.path().join("other.toml");
    let text = directory.genesis().to_toml().replace("\"test\"", "\"another\"");
    std::fs::write(&other, text).unwrap();
    run(&["log", "verify", "--genesis", other.to_str().unwrap(), dir]).expect_error(1, &["record 1", "network"]);

    std::fs::write(&other, "network = 1").unwrap();
    run(&["log", "verify", "--genesis", other.to_str().unwrap(), dir]).expect_error(2, &["other.toml", "line 1"]);
    std::fs::remove_file(directory.path().join("genesis.toml")).unwrap();
    run(&["log", "verify", dir]).expect_error(2, &["genesis.toml", "--genesis"]);
}

#[test]
fn what_is_no_log_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    for what in ["bounds", "print", "repair"] {
        run(&["log", what, empty.path().to_str().unwrap()]).expect_error(2, &["holds no log segments"]);
        run(&["log", what, "no-such-folder"]).expect_error(2, &["no-such-folder"]);
        run(&["log", what]).expect_error(2, &["DIR"]);
    }
    run(&["log", "print", "--from", "-1", "."]).expect_error(2, &["-1"]);
}
