//! Files that were cut or changed: every byte and every bit of small logs. A cut must open with the valid prefix, a
//! changed bit must be an error that names its segment and offset.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use constellation_storage::{Bounds, Log, LogError, LogOptions, Reader, RepairReport, repair};

const PAYLOADS: [&[u8]; 8] = [b"", b"a", &[0xa5; 700], b"fourth!!", &[7; 3088], b"sixth", &[0; 33], b"the last record"];

fn options() -> LogOptions {
    LogOptions { segment_len_bytes: 4096, reserve_len_bytes: 0 }
}

/// A log of two segments; with `synced`, all of it was.
fn build(dir: &Path, synced: bool) -> Bounds {
    let (mut log, _) = Log::open(dir, options()).unwrap();
    for (kind, payload) in (0..).zip(PAYLOADS) {
        log.append(kind, &[payload]).unwrap();
    }
    if synced {
        log.sync().unwrap();
    }
    assert_eq!(log.bounds().segments.len(), 2);
    log.bounds()
}

/// First byte of each record and mark, and of what follows the last one, by segment.
fn entries(dir: &Path) -> Vec<(PathBuf, Vec<usize>)> {
    let reader = Reader::open(dir).unwrap();
    reader
        .bounds()
        .segments
        .iter()
        .map(|segment| {
            let first = segment.first_sequence;
            let mut starts: Vec<usize> = (first..first + segment.records)
                .map(|sequence| reader.read(sequence).unwrap().unwrap().offset as usize)
                .collect();
            starts.push(segment.used_len_bytes as usize);
            (segment.path.clone(), starts)
        })
        .collect()
}

fn assert_holds(dir: &Path, records: u64) {
    let (log, recovery) = Log::open(dir, options()).unwrap();
    assert_eq!(recovery.records, records);
    let payloads: Vec<_> = log.iter_from(0).map(|record| record.unwrap().payload.to_vec()).collect();
    assert_eq!(payloads, PAYLOADS[..records as usize]);
}

/// Where the log is damaged, says a reader.
fn damage(dir: &Path) -> (PathBuf, u64) {
    match Reader::open(dir) {
        Err(LogError::Damaged { segment, offset, .. }) => (segment, offset),
        other => panic!("{other:?}"),
    }
}

/// Where the log is damaged, say a reader and a writer.
fn damage_for_all(dir: &Path) -> (PathBuf, u64) {
    let seen = damage(dir);
    match Log::open(dir, options()) {
        Err(LogError::Damaged { segment, offset, .. }) => assert_eq!((&segment, offset), (&seen.0, seen.1)),
        other => panic!("{other:?}"),
    }
    seen
}

/// Overwrites one byte of a file in place.
fn poke(path: &Path, at: usize, byte: u8) {
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(&[byte], at as u64).unwrap();
}

/// Cuts the last record at every byte with `cut`, and checks what opens; then that the log goes on as if nothing had been there.
fn cut_everywhere(synced: bool, cut: impl Fn(&mut Vec<u8>, usize)) {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), synced);
    let (last, starts) = entries(dir.path()).pop().unwrap();
    let whole = fs::read(&last).unwrap();
    let (start, end) = (starts[starts.len() - 2], starts[starts.len() - 1]);
    let payload_end = start + 32 + PAYLOADS[7].len();
    for at in start..=end {
        let mut bytes = whole.clone();
        cut(&mut bytes, at);
        fs::write(&last, &bytes).unwrap();
        let expected = if at < payload_end { 7 } else { 8 };
        let torn = Reader::open(dir.path()).unwrap().torn_tail().cloned();
        let (mut log, recovery) = Log::open(dir.path(), options()).unwrap();
        assert_eq!(recovery.records, expected, "cut at {at}");
        assert_eq!(recovery.torn_tail, torn, "cut at {at}");
        if let Some(torn) = torn {
            assert_eq!((torn.segment.as_path(), torn.offset as usize), (last.as_path(), start));
            let written = whole[..at].iter().rposition(|byte| *byte != 0).unwrap() + 1;
            assert_eq!((start + torn.len_bytes as usize, torn.records), (written, 0), "cut at {at}");
        }
        assert_eq!(recovery.torn_tail.is_some(), expected == 7 && at > start, "cut at {at}");
        assert_eq!(fs::metadata(&last).unwrap().len(), 4096);
        log.append(7, &[b"another record"]).unwrap();
        drop(log);
        let (log, recovery) = Log::open(dir.path(), options()).unwrap();
        assert_eq!(recovery.torn_tail, None);
        assert_eq!(log.read(expected + 1).unwrap().unwrap().payload, b"another record");
        assert_eq!(log.next_sequence(), expected + 2);
    }
}

#[test]
fn a_log_whose_end_was_never_written_opens_at_every_byte() {
    cut_everywhere(false, |bytes, at| bytes[at..].fill(0));
    cut_everywhere(true, |bytes, at| bytes[at..].fill(0));
}

#[test]
fn a_log_whose_file_was_cut_short_opens_at_every_byte() {
    cut_everywhere(false, |bytes, at| bytes.truncate(at));
    cut_everywhere(true, |bytes, at| bytes.truncate(at));
}

#[test]
fn every_flipped_bit_of_a_synced_log_is_an_error_that_names_its_place() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), true);
    for (place, (path, starts)) in entries(dir.path()).into_iter().enumerate() {
        let whole = fs::read(&path).unwrap();
        // The first segment ends with its seal, whose bits count too. The last mark of the log is looked at below.
        let end = starts[starts.len() - 1] + if place == 0 { 32 } else { 0 };
        for (at, &byte) in whole.iter().enumerate().take(end) {
            let start = starts.iter().copied().rfind(|start| *start <= at).unwrap_or(0);
            for bit in 0..8 {
                poke(&path, at, byte ^ (1 << bit));
                let found = if bit == 0 && at % 8 == 0 { damage_for_all(dir.path()) } else { damage(dir.path()) };
                assert_eq!(found, (path.clone(), start as u64), "bit {bit} of byte {at}");
            }
            poke(&path, at, byte);
        }
    }
    assert_holds(dir.path(), 8);
}

#[test]
fn without_a_sync_a_flipped_bit_in_the_last_segment_ends_the_log_there() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), false);
    let (path, starts) = entries(dir.path()).pop().unwrap();
    let whole = fs::read(&path).unwrap();
    for (at, &byte) in whole.iter().enumerate().take(starts[starts.len() - 1]).skip(64) {
        poke(&path, at, byte ^ 0x10);
        let place = starts.iter().rposition(|start| *start <= at).unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let torn = reader.torn_tail().unwrap();
        assert_eq!(torn.offset as usize, starts[place]);
        assert_eq!(torn.records as usize, starts.len() - 2 - place, "byte {at}");
        assert_eq!(reader.iter_from(0).count(), 8 - (starts.len() - 1 - place));
        poke(&path, at, byte);
    }
}

#[test]
fn bits_behind_the_last_record_never_cost_a_record() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), true);
    let (path, starts) = entries(dir.path()).pop().unwrap();
    let end = starts[starts.len() - 1];
    let whole = fs::read(&path).unwrap();
    for at in (end..end + 32).chain([end + 32, end + 100, 4095]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        let torn = Reader::open(dir.path()).unwrap().torn_tail().cloned().unwrap();
        assert_eq!((torn.offset as usize, torn.records), (end, 0));
        assert_holds(dir.path(), 8);
        assert_eq!(Reader::open(dir.path()).unwrap().torn_tail(), None);
    }
}

#[test]
fn a_missing_or_foreign_segment_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(dir.path(), options()).unwrap();
    for _ in 0..12 {
        log.append(1, &[&[1; 1000]]).unwrap();
    }
    let paths: Vec<_> = log.bounds().segments.into_iter().map(|segment| segment.path).collect();
    drop(log);
    assert_eq!(paths.len(), 4);
    let other = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(other.path(), options()).unwrap();
    for _ in 0..12 {
        log.append(1, &[&[1; 1000]]).unwrap();
    }
    drop(log);

    let second = fs::read(&paths[1]).unwrap();
    fs::remove_file(&paths[1]).unwrap();
    assert_eq!(damage_for_all(dir.path()), (paths[2].clone(), 0));
    fs::copy(other.path().join(paths[1].file_name().unwrap()), &paths[1]).unwrap();
    assert_eq!(damage_for_all(dir.path()), (paths[1].clone(), 0));
    fs::copy(&paths[0], &paths[1]).unwrap();
    assert_eq!(damage_for_all(dir.path()), (paths[1].clone(), 0));
    fs::write(&paths[1], &second[..3000]).unwrap();
    assert_eq!(damage_for_all(dir.path()).0, paths[1]);
    fs::write(&paths[1], [&second[..], &[0]].concat()).unwrap();
    assert_eq!(damage_for_all(dir.path()), (paths[1].clone(), 0));
    fs::write(&paths[1], second).unwrap();
    assert_eq!(Log::open(dir.path(), options()).unwrap().1.records, 12);
}

#[test]
fn damage_after_opening_is_found_when_reading() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), true);
    let (log, _) = Log::open(dir.path(), options()).unwrap();
    let third = log.read(3).unwrap().unwrap();
    let (path, offset) = (third.segment.to_owned(), third.offset);
    poke(&path, offset as usize + 500, 0xa4);
    assert!(matches!(log.read(3), Err(LogError::Damaged { offset: at, .. }) if at == offset));
    assert_eq!(log.read(4).unwrap().unwrap().payload, b"fourth!!");
    let seen: Vec<_> = log.iter_from(1).map(|record| record.is_ok()).collect();
    assert_eq!(seen, [true, true, false]);
}

/// Damages one byte, then repairs: what a dry run announces is what is done, and nothing is lost.
fn repair_after(dir: &Path, path: &Path, at: usize) -> RepairReport {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, &bytes).unwrap();
    let names = |dir: &Path| {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names(dir);
    let announced = repair(dir, true).unwrap();
    assert_eq!(names(dir), before);
    let done = repair(dir, false).unwrap();
    assert_eq!(format!("{announced:?}").replace("dry_run: true", "dry_run: false"), format!("{done:?}"));
    let folder = done.moved_to.as_ref().unwrap();
    assert_eq!(names(folder), done.moved.iter().map(std::ffi::OsString::from).collect::<Vec<_>>());
    assert_eq!(fs::read(folder.join(path.file_name().unwrap())).unwrap(), bytes);
    assert!(repair(dir, true).unwrap().damage.is_none());
    done
}

#[test]
fn repair_keeps_the_records_before_the_damage_and_sets_the_rest_aside() {
    // (segment, byte, records kept, records recognised behind the damage)
    let seal = 64 + 32 + 40 + 736 + 40 + 3120;
    for (place, at, kept, lost) in [
        (0, 64, 0, 7),
        (0, 300, 2, 5),
        (0, seal, 5, 3),
        (1, 64 + 40, 6, 1),
        (1, 64, 5, 2),
        (1, 10, 5, 0),
        (0, 10, 0, 3),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let bounds = build(dir.path(), true);
        let report = repair_after(dir.path(), &bounds.segments[place].path, at);
        assert_eq!((report.kept_records, report.lost_records), (kept, lost), "segment {place}, byte {at}");
        assert_eq!((report.next_sequence, report.moved.len()), (kept + 1, 2 - place));
        assert_holds(dir.path(), kept);
        // A record too long for the segments there are: an empty one must give way.
        let longer = LogOptions { segment_len_bytes: 16384, ..options() };
        let (mut log, recovery) = Log::open(dir.path(), longer.clone()).unwrap();
        assert_eq!(recovery.torn_tail, None);
        assert_eq!(log.append(1, &[&[1; 9000]]).unwrap(), kept + 1);
        drop(log);
        let (log, recovery) = Log::open(dir.path(), longer).unwrap();
        assert_eq!((recovery.records, log.first_sequence()), (kept + 1, 1));
    }
}

#[test]
fn repair_takes_an_earlier_segment_that_was_cut_short_anywhere() {
    // From the end of the header to within the third record: also where only padding is missing.
    for cut in 64..160 {
        let dir = tempfile::tempdir().unwrap();
        let path = build(dir.path(), true).segments[0].path.clone();
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(cut).unwrap();
        damage_for_all(dir.path());
        let kept = repair(dir.path(), false).unwrap().kept_records;
        assert_eq!(kept, [96, 96 + 33].iter().filter(|end| cut >= **end).count() as u64, "cut at {cut}");
        assert_holds(dir.path(), kept);
    }
}

#[test]
fn a_sound_log_is_not_repaired_and_a_log_in_use_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), true);
    let report = repair(dir.path(), false).unwrap();
    assert!(report.damage.is_none() && report.moved.is_empty() && report.rewritten.is_none());
    let log = Log::open(dir.path(), options()).unwrap();
    assert!(matches!(repair(dir.path(), true), Err(LogError::Locked { .. })));
    drop(log);
    assert!(matches!(repair(&dir.path().join("none"), true), Err(LogError::Io { .. })));
}
