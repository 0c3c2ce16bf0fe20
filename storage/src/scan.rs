//! Finding out what a segment holds: walking its chain of records, and telling a torn tail from damage. Pure functions
//! over bytes, which may be any bytes at all.

use crate::format::{self, ENTRY_LEN, Entry, Keys, Role, SEGMENT_HEADER_LEN, SegmentHeader};

/// How a walk along the chain of records ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing was ever written behind the last record, but for a synced mark.
    Clean,
    /// A seal follows the last record.
    Sealed,
    /// What follows is neither: a torn tail, or damage.
    Broken(&'static str),
}

/// The records of a segment that are surely what was written.
#[derive(Debug)]
pub(crate) struct Walk {
    /// Where each record starts, in words of 8 bytes.
    pub offsets: Vec<u32>,
    /// Where the next record starts, or should.
    pub end: usize,
    /// The `crc` of the last entry: what the next one, or the next segment, continues from.
    pub crc: u32,
    pub next_sequence: u64,
    pub stop: Stop,
}

impl Walk {
    /// A segment without records.
    pub(crate) fn start(header: &SegmentHeader) -> Walk {
        Walk {
            offsets: Vec::new(),
            end: SEGMENT_HEADER_LEN,
            crc: header.keys().start_crc,
            next_sequence: header.first_sequence,
            stop: Stop::Clean,
        }
    }
}

/// Follows the chain of records of a segment. `bytes` may be shorter than the header says: a file that was cut.
pub(crate) fn walk(bytes: &[u8], header: &SegmentHeader) -> Walk {
    let keys = header.keys();
    let mut walk = Walk::start(header);
    loop {
        match entry_at(bytes, walk.end, keys, walk.next_sequence, walk.crc) {
            Ok(entry) => match entry.role {
                Role::Record { .. } if walk.end + entry.footprint() + ENTRY_LEN > header.len_bytes as usize => {
                    walk.stop = Stop::Broken("the record takes the room of the mark behind it");
                    return walk;
                }
                Role::Record { .. } => {
                    walk.offsets.push(word(walk.end));
                    walk.end += entry.footprint();
                    walk.crc = entry.crc;
                    walk.next_sequence += 1;
                }
                Role::Sealed => {
                    walk.crc = entry.crc;
                    walk.stop = Stop::Sealed;
                    return walk;
                }
                Role::Synced if format::is_zero(&bytes[walk.end + ENTRY_LEN..]) => return walk,
                Role::Synced => {
                    walk.stop = Stop::Broken("written bytes behind the last record");
                    return walk;
                }
            },
            Err(_) if format::is_zero(&bytes[walk.end.min(bytes.len())..]) => return walk,
            Err(reason) => {
                walk.stop = Stop::Broken(reason);
                return walk;
            }
        }
    }
}

/// Reads and checks the entry that must have `sequence` and continue from `previous_crc`.
pub(crate) fn entry_at(
    bytes: &[u8],
    offset: usize,
    keys: Keys,
    sequence: u64,
    previous_crc: u32,
) -> Result<Entry, &'static str> {
    let rest = bytes.get(offset..).unwrap_or_default();
    let Some((head, body)) = rest.split_first_chunk::<ENTRY_LEN>() else {
        return Err("the record is cut short");
    };
    let Some(entry) = Entry::decode(head, keys) else {
        return Err("the record header fails its checksum");
    };
    if entry.sequence != sequence || entry.durable >= sequence {
        return Err("the record is out of sequence");
    }
    let body_len = entry.footprint() - ENTRY_LEN;
    let payload_len = match entry.role {
        Role::Record { len_bytes, .. } => len_bytes as usize,
        Role::Synced | Role::Sealed => 0,
    };
    let Some(payload) = body.get(..payload_len) else {
        return Err("the record passes the end of the segment");
    };
    // A file may have been cut short within the padding: what is missing there reads as zeros once it is back.
    let padding = &body[payload_len..body_len.min(body.len())];
    if entry.crc != entry.expected_crc(previous_crc, &[payload]) {
        return Err("the record fails its checksum");
    }
    if !format::is_zero(padding) {
        return Err("the padding of the record is not zero");
    }
    Ok(entry)
}

/// What can be told of the headers behind a broken chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Beyond {
    /// Later records whose headers are intact.
    pub records: u64,
    /// The last sequence that any later header says was on disk; 0 where none says so.
    pub durable: u64,
}

/// Looks for headers of records later than `sequence`, anywhere behind `offset`. If one says that `sequence` was on disk
/// when it was written, the break is damage; if none does, a crash before the next sync explains it.
pub(crate) fn beyond(bytes: &[u8], header: &SegmentHeader, offset: usize, sequence: u64) -> Beyond {
    let keys = header.keys();
    let mut found = Beyond::default();
    let sequence_max = sequence + (bytes.len() / ENTRY_LEN) as u64;
    for at in (offset..bytes.len()).step_by(8) {
        let Some(head) = bytes[at..].first_chunk::<ENTRY_LEN>() else { break };
        let (later, len_bytes) = format::peek(head);
        let room = bytes.len() - at - ENTRY_LEN;
        if later <= sequence || later > sequence_max || len_bytes.is_some_and(|len_bytes| len_bytes > room) {
            continue;
        }
        if let Some(entry) = Entry::decode(head, keys) {
            found.durable = found.durable.max(entry.durable);
            found.records += u64::from(matches!(entry.role, Role::Record { .. }));
        }
    }
    found
}

/// An offset in a segment as a count of 8-byte words.
pub(crate) fn word(offset: usize) -> u32 {
    u32::try_from(offset / 8).expect("segments are at most 2 GiB long")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> SegmentHeader {
        SegmentHeader { len_bytes: 4096, index: 0, first_sequence: 5, seed: 77, previous_crc: 0 }
    }

    /// A segment with the given payloads; each record says that `durable` was on disk.
    fn segment(payloads: &[&[u8]], durable: u64) -> Vec<u8> {
        let header = header();
        let keys = header.keys();
        let mut bytes = header.encode().to_vec();
        let mut crc = keys.start_crc;
        for (sequence, payload) in (header.first_sequence..).zip(payloads) {
            let role = Role::Record { len_bytes: payload.len() as u32, kind: 1 };
            let entry = Entry::chained(role, sequence, durable, crc, &[payload]);
            bytes.extend_from_slice(&entry.encode(keys));
            bytes.extend_from_slice(payload);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            crc = entry.crc;
        }
        bytes.resize(header.len_bytes as usize, 0);
        bytes
    }

    #[test]
    fn walks_all_records_and_stops_at_zeros() {
        let walk = walk(&segment(&[b"", b"one", b"eight by"], 0), &header());
        assert_eq!(walk.offsets, [8, 12, 17]);
        assert_eq!((walk.end, walk.next_sequence, walk.stop), (176, 8, Stop::Clean));
    }

    #[test]
    fn a_record_that_leaves_no_room_for_a_mark_is_not_one() {
        let fitting = [7; 4096 - SEGMENT_HEADER_LEN - 2 * ENTRY_LEN];
        assert_eq!(walk(&segment(&[&fitting], 0), &header()).stop, Stop::Clean);
        let longer = [7; 4096 - SEGMENT_HEADER_LEN - ENTRY_LEN];
        let walk = walk(&segment(&[&longer], 0), &header());
        assert!(matches!(walk.stop, Stop::Broken(_)) && walk.offsets.is_empty());
    }

    #[test]
    fn a_record_that_calls_itself_durable_is_not_believed() {
        assert!(matches!(walk(&segment(&[b"first"], 5), &header()).stop, Stop::Broken(_)));
        assert_eq!(walk(&segment(&[b"first"], 4), &header()).stop, Stop::Clean);
    }

    #[test]
    fn later_headers_tell_whether_a_broken_record_was_synced() {
        for (durable, expected) in [(4, 4), (0, 0)] {
            let mut bytes = segment(&[b"first", b"second", b"third"], durable);
            bytes[70] ^= 1;
            let walk = walk(&bytes, &header());
            assert!(matches!(walk.stop, Stop::Broken(_)));
            assert_eq!((walk.end, walk.next_sequence), (64, 5));
            assert_eq!(beyond(&bytes, &header(), walk.end, 5), Beyond { records: 2, durable: expected });
        }
    }

    #[test]
    fn a_record_inside_a_payload_is_not_taken_for_a_later_one() {
        let other = SegmentHeader { seed: 78, ..header() };
        let inner = Entry::chained(Role::Record { len_bytes: 0, kind: 1 }, 6, 5, 0, &[]).encode(other.keys());
        let mut bytes = segment(&[&inner], 0);
        bytes[70] ^= 1;
        assert_eq!(beyond(&bytes, &header(), 64, 5), Beyond::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_walked_without_panic(
            cut in 0usize..4097,
            overwrite in prop::collection::vec((64usize..400, any::<u8>()), 0..6),
        ) {
            let mut bytes = segment(&[b"first", &[9; 100], b"third"], 4);
            for (at, byte) in overwrite {
                bytes[at] = byte;
            }
            bytes.truncate(cut);
            let walk = walk(&bytes, &header());
            prop_assert_eq!(walk.next_sequence, 5 + walk.offsets.len() as u64);
            beyond(&bytes, &header(), walk.end, walk.next_sequence);
        }
    }
}
