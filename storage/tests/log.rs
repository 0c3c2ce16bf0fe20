//! The log on a real directory: what a caller sees when nothing goes wrong, and clear refusals.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::Path;

use constellation_storage::{Log, LogError, LogOptions, Reader};
use proptest::prelude::*;

fn options() -> LogOptions {
    LogOptions { segment_len_bytes: 4096, reserve_len_bytes: 4096 }
}

fn open(dir: &Path) -> Log {
    Log::open(dir, options()).unwrap().0
}

/// (sequence, kind, payload) of all records from `first`.
fn contents(log: &Log, first: u64) -> Vec<(u64, u32, Vec<u8>)> {
    log.iter_from(first).map(|record| record.unwrap()).map(|r| (r.sequence, r.kind, r.payload.to_vec())).collect()
}

#[test]
fn appended_records_are_read_back_at_once_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    assert_eq!((log.first_sequence(), log.next_sequence(), log.sync().unwrap()), (1, 1, 0));
    assert_eq!(log.append(0, &[]).unwrap(), 1);
    assert_eq!(log.append(u32::MAX, &[b"two", b" ", b"parts"]).unwrap(), 2);
    let expected = vec![(1, 0, vec![]), (2, u32::MAX, b"two parts".to_vec())];
    assert_eq!(contents(&log, 0), expected);
    assert_eq!(log.durable_through(), 0);
    assert_eq!(log.sync().unwrap(), 2);
    assert_eq!(log.read(2).unwrap().unwrap().payload, b"two parts");
    assert!(log.read(0).unwrap().is_none() && log.read(3).unwrap().is_none() && log.read(u64::MAX).unwrap().is_none());
    drop(log);

    let (log, recovery) = Log::open(dir.path(), options()).unwrap();
    assert_eq!((recovery.records, recovery.torn_tail), (2, None));
    assert_eq!(log.durable_through(), 2);
    assert_eq!(contents(&log, 0), expected);
}

#[test]
fn a_writer_that_never_synced_loses_nothing_when_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    for round in 0..50u32 {
        log.append(round, &[&[3; 200]]).unwrap();
    }
    drop(log);
    let log = open(dir.path());
    assert_eq!((log.next_sequence(), log.durable_through()), (51, 50));
}

#[test]
fn records_roll_over_segments_and_tell_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    for round in 0..20u32 {
        log.append(round, &[&[round as u8; 1000]]).unwrap();
    }
    let bounds = log.bounds();
    assert_eq!(bounds.segments.iter().map(|segment| segment.records).collect::<Vec<_>>(), [3, 3, 3, 3, 3, 3, 2]);
    assert_eq!((bounds.first_sequence, bounds.next_sequence), (1, 21));
    assert_eq!((bounds.used_len_bytes, bounds.disk_len_bytes), (7 * 64 + 20 * 1032, 7 * 4096));
    assert!(bounds.segments[..6].iter().all(|segment| segment.sealed) && !bounds.segments[6].sealed);
    let record = log.read(5).unwrap().unwrap();
    assert_eq!((record.offset, record.segment), (64 + 1032, bounds.segments[1].path.as_path()));
    assert!(fs::read(record.segment).unwrap()[record.offset as usize + 32..].starts_with(record.payload));
    assert_eq!(contents(&log, 18).iter().map(|record| record.0).collect::<Vec<_>>(), [18, 19, 20]);
    for segment in &bounds.segments {
        assert_eq!(fs::metadata(&segment.path).unwrap().len(), 4096);
    }
    assert_eq!(Reader::open(dir.path()).unwrap().bounds(), bounds);
}

#[test]
fn the_longest_record_fits_and_a_longer_one_is_refused_without_harm() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    log.append(1, &[b"first"]).unwrap();
    assert_eq!(log.append(1, &[&[7; 4096 - 64 - 64]]).unwrap(), 2);
    match log.append(1, &[&[7; 4096 - 64 - 64], b"1"]) {
        Err(LogError::RecordTooLarge { len_bytes: 3969, max_len_bytes: 3968 }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(log.append(1, &[b"third"]).unwrap(), 3);
    log.sync().unwrap();
    drop(log);
    assert_eq!(open(dir.path()).next_sequence(), 4);
}

#[test]
fn long_and_short_records_stand_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_len_bytes: 2 << 20, reserve_len_bytes: 0 };
    let (mut log, _) = Log::open(dir.path(), options).unwrap();
    let long: Vec<u8> = (0..700_001u32).map(|at| (at % 251) as u8).collect();
    for round in 0..6u32 {
        log.append(round, &[&long[..round as usize], b"short"]).unwrap();
        log.append(round, &[&long[..5], &long]).unwrap();
        if round % 2 == 0 {
            log.sync().unwrap();
        }
    }
    let written = contents(&log, 1);
    for (place, (_, kind, payload)) in written.iter().enumerate() {
        let head = if place % 2 == 0 { *kind as usize } else { 5 };
        let tail = if place % 2 == 0 { &b"short"[..] } else { &long };
        assert!(payload[..head] == long[..head] && payload[head..] == *tail, "record {place}");
    }
    drop(log);
    assert_eq!(contents(&open(dir.path()), 1), written);
}

#[test]
fn a_second_writer_is_refused_and_told_who_holds_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let error = Log::open(dir.path(), options()).unwrap_err();
    let LogError::Locked { dir: locked, pid } = &error else { panic!("{error:?}") };
    assert_eq!((locked.as_path(), *pid), (dir.path(), Some(std::process::id())));
    assert!(error.to_string().contains(&dir.path().display().to_string()));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())));
    drop(log);
    open(dir.path());
}

#[test]
fn trimming_deletes_whole_sealed_segments_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    for _ in 0..10 {
        log.append(1, &[&[1; 1000]]).unwrap();
    }
    assert_eq!(log.trim_before(3).unwrap(), 0);
    assert_eq!(log.trim_before(4).unwrap(), 1);
    assert_eq!(log.first_sequence(), 4);
    assert!(log.read(3).unwrap().is_none());
    assert_eq!(log.trim_before(u64::MAX).unwrap(), 2);
    assert_eq!((log.first_sequence(), log.next_sequence()), (10, 11));
    log.append(1, &[b"on"]).unwrap();
    drop(log);
    let log = open(dir.path());
    assert_eq!((log.first_sequence(), log.next_sequence()), (10, 12));
    assert_eq!(log.bounds().segments.len(), 1);
}

#[test]
fn a_reader_sees_what_a_living_writer_has_appended_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    for _ in 0..7 {
        log.append(4, &[&[9; 1000]]).unwrap();
    }
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!((reader.bounds().next_sequence, reader.torn_tail()), (8, None));
    log.append(4, &[b"later"]).unwrap();
    log.trim_before(8).unwrap();
    assert!(reader.iter_from(0).all(|record| record.unwrap().payload == [9; 1000]));
    assert_eq!(reader.iter_from(0).count(), 7);
    assert!(reader.read(8).unwrap().is_none());
}

#[test]
fn an_empty_directory_reads_as_an_empty_log_and_a_missing_one_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!((reader.bounds().first_sequence, reader.bounds().next_sequence), (1, 1));
    assert!(matches!(Reader::open(&dir.path().join("none")), Err(LogError::Io { .. })));
    open(&dir.path().join("made/on/the/way"));
}

#[test]
fn impossible_options_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (segment_len_bytes, reserve_len_bytes) in [(0, 0), (4095, 0), (5000, 0), (1 << 32, 0), (4096, u64::MAX)] {
        let refused = Log::open(dir.path(), LogOptions { segment_len_bytes, reserve_len_bytes });
        assert!(matches!(refused, Err(LogError::InvalidOptions { .. })), "{segment_len_bytes} {reserve_len_bytes}");
    }
}

#[test]
fn an_empty_segment_that_is_too_short_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let (mut log, _) = Log::open(dir.path(), LogOptions { segment_len_bytes: 16384, reserve_len_bytes: 0 }).unwrap();
    assert_eq!(log.append(1, &[&[1; 9000]]).unwrap(), 1);
    assert_eq!(log.bounds().segments.len(), 1);
    let bounds = log.bounds();
    drop(log);
    assert_eq!(open(dir.path()).bounds(), bounds);
}

#[test]
fn a_log_goes_on_with_other_options_and_foreign_files_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let mut log = open(dir.path());
    log.append(1, &[&[1; 3000]]).unwrap();
    drop(log);
    fs::write(dir.path().join("reserve-0.tmp"), "left over").unwrap();
    let (mut log, _) = Log::open(dir.path(), LogOptions { segment_len_bytes: 16384, reserve_len_bytes: 0 }).unwrap();
    log.append(2, &[&[2; 9000]]).unwrap();
    assert_eq!(log.bounds().segments.iter().map(|segment| segment.len_bytes).collect::<Vec<_>>(), [4096, 16384]);
    drop(log);
    let log = open(dir.path());
    assert_eq!(contents(&log, 2), [(2, 2, vec![2; 9000])]);
    assert_eq!(fs::read_to_string(dir.path().join("notes.txt")).unwrap(), "mine");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_records_come_back_as_they_went_in(
        records in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..1500), any::<prop::sample::Index>()), 0..40),
        reopen_every in 1usize..20,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path());
        for (place, (kind, payload, split)) in records.iter().enumerate() {
            let (left, right) = payload.split_at(split.index(payload.len() + 1));
            prop_assert_eq!(log.append(*kind, &[left, right]).unwrap(), place as u64 + 1);
            if place % reopen_every == 0 {
                drop(log);
                log = open(dir.path());
            }
        }
        let expected: Vec<_> = (1..).zip(&records).map(|(sequence, (kind, payload, _))| (sequence, *kind, payload.clone())).collect();
        prop_assert_eq!(contents(&log, 0), expected);
    }
}
