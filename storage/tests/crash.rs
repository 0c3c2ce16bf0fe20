//! Power cuts, failing syncs and full disks, on a disk in memory that does its worst. After any of it, every record that a
//! sync acknowledged is there, and what opens is a prefix of what was appended.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod faulty;

use std::collections::VecDeque;

use constellation_storage::{Log, LogError, LogOptions};
use faulty::{Choices, FaultyDisk, PAGE_LEN};
use proptest::prelude::*;

const SEGMENT_LEN: u64 = 4 * PAGE_LEN as u64;

fn options() -> LogOptions {
    LogOptions { segment_len_bytes: SEGMENT_LEN, reserve_len_bytes: SEGMENT_LEN }
}

#[derive(Debug, Clone)]
enum Step {
    Append {
        kind: u32,
        len_bytes: usize,
    },
    Sync,
    WriteBack {
        seed: u64,
    },
    Trim {
        back: u64,
    },
    /// The process is killed: the system keeps what it wrote.
    Kill,
    PowerCut {
        seed: u64,
    },
    /// A power cut right after opening, when recovery has written and perhaps not finished.
    PowerCutTwice {
        seed: u64,
    },
    FailingSync {
        seed: u64,
    },
    DiskFull {
        segments: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (any::<u32>(), prop_oneof![0usize..64, 0usize..6000]).prop_map(|(kind, len_bytes)| Step::Append { kind, len_bytes }),
        4 => Just(Step::Sync),
        2 => any::<u64>().prop_map(|seed| Step::WriteBack { seed }),
        1 => (0u64..20).prop_map(|back| Step::Trim { back }),
        1 => Just(Step::Kill),
        2 => any::<u64>().prop_map(|seed| Step::PowerCut { seed }),
        1 => any::<u64>().prop_map(|seed| Step::PowerCutTwice { seed }),
        1 => any::<u64>().prop_map(|seed| Step::FailingSync { seed }),
        1 => (0u64..2).prop_map(|segments| Step::DiskFull { segments }),
    ]
}

/// The log under test and what it must hold.
struct Model {
    disk: FaultyDisk,
    log: Option<Log<FaultyDisk>>,
    /// (kind, payload) of the records from `first` on.
    records: VecDeque<(u32, Vec<u8>)>,
    first: u64,
    acknowledged: u64,
    /// Payload bytes differ from record to record and from one writing of a sequence to the next.
    written: u32,
}

impl Model {
    fn new() -> Model {
        let disk = FaultyDisk::new();
        let (log, _) = Log::open_on(disk.clone(), options()).unwrap();
        Model { disk, log: Some(log), records: VecDeque::new(), first: 1, acknowledged: 0, written: 0 }
    }

    fn log(&mut self) -> &mut Log<FaultyDisk> {
        self.log.as_mut().unwrap()
    }

    fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    fn append(&mut self, kind: u32, len_bytes: usize) {
        self.written += 1;
        let payload: Vec<u8> = self.written.to_le_bytes().into_iter().cycle().take(len_bytes).collect();
        let (left, right) = payload.split_at(len_bytes / 3);
        match self.log().append(kind, &[left, right]) {
            Ok(sequence) => {
                assert_eq!(sequence, self.next());
                self.records.push_back((kind, payload));
            }
            Err(LogError::DiskFull { needed_bytes, .. }) => assert!(needed_bytes >= SEGMENT_LEN),
            Err(error) => panic!("{error}"),
        }
    }

    fn sync(&mut self) {
        self.acknowledged = self.log().sync().unwrap();
        assert_eq!(self.acknowledged, self.next() - 1);
    }

    fn trim(&mut self, back: u64) {
        let before = self.next().saturating_sub(back);
        self.log().trim_before(before).unwrap();
        let first = self.log().first_sequence();
        assert!(first == self.first || first <= before);
        self.records.drain(..(first - self.first) as usize);
        self.first = first;
    }

    fn cut_power(&mut self, seed: u64) {
        self.log = None;
        self.disk.crash(&mut Choices::new(seed));
        // A log that was being created when the power went had nothing to keep.
        self.reopen();
    }

    fn failing_sync(&mut self, seed: u64) {
        self.disk.fail_syncs(true);
        if self.next() - 1 > self.log().durable_through() {
            // A full disk would be told first.
            self.disk.set_room(u64::MAX);
            let first =
                if seed.is_multiple_of(2) { self.log().sync().unwrap_err() } else { self.append_until_failure() }
                    .to_string();
            self.disk.fail_syncs(false);
            let syncs = self.disk.syncs();
            assert_eq!(self.log().sync().unwrap_err().to_string(), first);
            assert_eq!(self.log().append(1, &[]).unwrap_err().to_string(), first);
            assert_eq!(self.log().read(1).unwrap_err().to_string(), first);
            assert_eq!(self.log().trim_before(9).unwrap_err().to_string(), first);
            assert_eq!(self.log().iter_from(1).map(Result::unwrap_err).count(), 1);
            assert_eq!(self.disk.syncs(), syncs, "a failed sync was tried again");
        }
        self.cut_power(seed);
    }

    /// Appends until the next segment is due, which takes a sync. The records count as appended: they may survive.
    fn append_until_failure(&mut self) -> LogError {
        let payload = vec![0xfa; 5000];
        loop {
            match self.log().append(9, &[&payload]) {
                Ok(_) => self.records.push_back((9, payload.clone())),
                Err(error) => return error,
            }
        }
    }

    /// Opens the log and compares; what was not acknowledged may be gone, from some record on.
    fn reopen(&mut self) {
        self.log = None;
        let (log, _) = Log::open_on(self.disk.clone(), options()).unwrap();
        assert!(log.next_sequence() > self.acknowledged, "acknowledged records are lost");
        assert!(log.next_sequence() <= self.next());
        assert_eq!(log.first_sequence(), self.first);
        self.records.truncate((log.next_sequence() - self.first) as usize);
        self.acknowledged = log.next_sequence() - 1;
        self.log = Some(log);
    }

    fn compare(&mut self) {
        let first = self.first;
        let log = self.log.as_ref().unwrap();
        let mut seen = log.iter_from(0).map(Result::unwrap);
        for (sequence, (kind, payload)) in (first..).zip(&self.records) {
            let record = seen.next().unwrap();
            assert_eq!((record.sequence, record.kind), (sequence, *kind));
            assert_eq!(record.payload, payload);
        }
        assert!(seen.next().is_none());
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Append { kind, len_bytes } => self.append(kind, len_bytes),
            Step::Sync => self.sync(),
            Step::WriteBack { seed } => self.disk.write_back(&mut Choices::new(seed)),
            Step::Trim { back } => self.trim(back),
            Step::Kill => self.reopen(),
            Step::PowerCut { seed } => self.cut_power(seed),
            Step::PowerCutTwice { seed } => {
                self.cut_power(seed);
                self.cut_power(seed.rotate_left(32));
            }
            Step::FailingSync { seed } => self.failing_sync(seed),
            Step::DiskFull { segments } => self.disk.set_room(segments * SEGMENT_LEN),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_acknowledged_records_stay_and_the_log_is_a_prefix(steps in prop::collection::vec(step(), 1..60)) {
        let mut model = Model::new();
        for step in steps {
            model.take(step);
            model.compare();
        }
        model.cut_power(7);
        model.compare();
    }
}

#[test]
fn recovery_that_is_cut_off_is_made_up_for_by_the_next() {
    // The first open tears a tail; the second one fails in its own sync; the third must see no difference.
    for seed in 0..400 {
        let mut model = Model::new();
        for len_bytes in [100, 3000, 50] {
            model.append(1, len_bytes);
        }
        model.sync();
        for len_bytes in [2000, 4000, 10, 3000] {
            model.append(2, len_bytes);
        }
        model.log = None;
        model.disk.crash(&mut Choices::new(seed * 7919 + 1));
        model.disk.fail_syncs(true);
        assert!(matches!(Log::open_on(model.disk.clone(), options()), Err(LogError::Io { .. })));
        model.disk.crash(&mut Choices::new(seed * 104_729 + 3));
        model.reopen();
        model.compare();
        model.append(3, 5000);
        model.sync();
        model.cut_power(seed);
        model.compare();
    }
}

#[test]
fn a_seal_on_a_page_of_its_own_is_on_disk_before_the_next_segment() {
    for seed in 0..20 {
        let mut model = Model::new();
        model.append(1, 2 * PAGE_LEN - 64 - 32);
        assert_eq!(model.log().bounds().used_len_bytes as usize, 2 * PAGE_LEN);
        model.append(1, 9000);
        assert_eq!(model.log().bounds().segments.len(), 2);
        model.sync();
        model.cut_power(seed);
        model.compare();
    }
}

#[test]
fn a_full_disk_is_refused_before_its_room_is_needed_and_the_log_goes_on_when_there_is_some() {
    let disk = FaultyDisk::new();
    let (mut log, _) = Log::open_on(disk.clone(), options()).unwrap();
    disk.set_room(SEGMENT_LEN);
    let mut appended = 0;
    let error = loop {
        match log.append(1, &[&[1; 5000]]) {
            Ok(sequence) => appended = sequence,
            Err(error) => break error,
        }
    };
    // Three records a segment; the fourth took the reserve, so that the fifth is refused with most of a segment left.
    assert_eq!(appended, 4);
    let LogError::DiskFull { needed_bytes, .. } = error else { panic!("{error}") };
    assert_eq!(needed_bytes, SEGMENT_LEN);
    assert_eq!(log.sync().unwrap(), 4);
    assert_eq!(log.iter_from(1).filter(|record| record.is_ok()).count(), 4);
    assert!(matches!(log.append(1, &[]), Err(LogError::DiskFull { .. })));
    drop(log);

    let (mut log, recovery) = Log::open_on(disk.clone(), options()).unwrap();
    assert_eq!(recovery.records, 4);
    assert!(matches!(log.append(1, &[]), Err(LogError::DiskFull { .. })));
    disk.set_room(u64::MAX);
    assert_eq!(log.append(1, &[]).unwrap(), 5);
}

#[test]
fn a_new_log_on_a_full_disk_is_refused() {
    let disk = FaultyDisk::new();
    disk.set_room(SEGMENT_LEN - 1);
    assert!(matches!(Log::open_on(disk, options()), Err(LogError::DiskFull { .. })));
}

#[test]
fn a_sync_costs_one_write_and_nothing_when_nothing_was_appended() {
    let disk = FaultyDisk::new();
    let (mut log, _) = Log::open_on(disk.clone(), options()).unwrap();
    let before = disk.syncs();
    for _ in 0..10 {
        log.append(1, &[&[1; 100]]).unwrap();
    }
    assert_eq!(disk.syncs(), before);
    log.sync().unwrap();
    log.sync().unwrap();
    assert_eq!(disk.syncs(), before + 1);
}
