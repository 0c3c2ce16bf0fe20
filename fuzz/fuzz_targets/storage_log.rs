//! A log of arbitrary bytes opens or says what is wrong; when it opens, it reads whole, takes records, and opens again with them.
#![no_main]

use constellation_fuzz::{MemoryDisk, reseal_segment};
use constellation_storage::{Log, LogOptions};
use libfuzzer_sys::fuzz_target;

const OPTIONS: LogOptions = LogOptions { segment_len_bytes: 4096, reserve_len_bytes: 0 };

fuzz_target!(|input: &[u8]| {
    // How many entries' checksums are made right, and where the first segment ends.
    let Some((&[entries, first_len, second_len], bytes)) = input.split_first_chunk() else { return };
    let (first, second) = bytes.split_at((64 * usize::from(first_len)).min(bytes.len()));
    let mut disk = MemoryDisk::default();
    for (segment, len) in [(first, 64 * usize::from(first_len)), (second, 64 * usize::from(second_len))] {
        let mut segment = segment.to_vec();
        segment.resize(len.max(segment.len()), 0);
        reseal_segment(&mut segment, entries);
        if let Some(sequence) = segment.get(32..40).and_then(|bytes| bytes.try_into().ok()) {
            disk.0.insert(format!("{:020}.seg", u64::from_le_bytes(sequence)), segment);
        }
    }
    let Ok((mut log, recovery)) = Log::open_on(disk, OPTIONS) else { return };
    let read = log.iter_from(0).filter(Result::is_ok).count() as u64;
    assert_eq!((read, log.iter_from(0).count() as u64), (recovery.records, recovery.records));
    if let Ok(sequence) = log.append(7, &[b"one more"]) {
        assert_eq!(log.sync().ok(), Some(sequence));
        assert_eq!(log.read(sequence).ok().flatten().map(|record| record.payload), Some(&b"one more"[..]));
    }
});
