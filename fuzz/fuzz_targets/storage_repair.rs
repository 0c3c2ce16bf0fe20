//! A repair makes any damaged log a sound one: after it the log opens, with the records that the dry run had promised.
#![no_main]

use constellation_fuzz::reseal_segment;
use constellation_storage::{Log, LogError, LogOptions, Reader, repair};
use libfuzzer_sys::fuzz_target;

const OPTIONS: LogOptions = LogOptions { segment_len_bytes: 4096, reserve_len_bytes: 0 };

fuzz_target!(|input: &[u8]| {
    let Some((&[entries, first_len], bytes)) = input.split_first_chunk() else { return };
    let Ok(dir) = tempfile::tempdir() else { return };
    let (first, second) = bytes.split_at((8 * usize::from(first_len)).min(bytes.len()));
    for segment in [first, second] {
        let mut segment = segment.to_vec();
        // A length that no file here should have would allocate it.
        if segment.get(16..24).is_some_and(|len| len[2..] != [0; 6]) {
            return;
        }
        reseal_segment(&mut segment, entries);
        if let Some(sequence) = segment.get(32..40).and_then(|bytes| bytes.try_into().ok()) {
            let name = format!("{:020}.seg", u64::from_le_bytes(sequence));
            std::fs::write(dir.path().join(name), segment).expect("a temporary directory can be written");
        }
    }
    let Err(LogError::Damaged { .. }) = Reader::open(dir.path()) else { return };
    let promised = repair(dir.path(), true).expect("a dry run");
    let done = repair(dir.path(), false).expect("a repair");
    assert_eq!((promised.kept_records, promised.next_sequence), (done.kept_records, done.next_sequence));
    let (log, recovery) = Log::open(dir.path(), OPTIONS).expect("a repaired log opens");
    assert_eq!((recovery.records, log.next_sequence()), (done.kept_records, done.next_sequence));
});
