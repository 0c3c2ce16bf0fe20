//! The bytes of a segment: encoding, decoding and checksums of headers, and nothing that does I/O.
//!
//! A segment is one preallocated file, named `<first sequence, 20 digits>.seg`. All integers are little endian; every
//! structure starts at a multiple of 8.
//!
//! ```text
//! segment   0 ┌───────────────┬────────┬────────┬─   ─┬──────┬───────────────────────┐ len_bytes
//!             │ header, 64 B  │ record │ record │ ... │ mark │ zeros: never written  │
//!             └───────────────┴────────┴────────┴─   ─┴──────┴───────────────────────┘
//!
//! header    0  8  magic "cstlnseg"
//!           8  4  format version, 1
//!          12  4  checksum: CRC-32C of bytes 0..12 and 16..64
//!          16  8  length of the segment in bytes, this header included
//!          24  8  index: how many segments the log had before this one, trimmed ones included
//!          32  8  sequence of the first record
//!          40  8  seed: random, drawn for this segment
//!          48  4  `crc` of the seal that ends the previous segment; 0 in the segment with index 0
//!          52 12  zeros
//!
//! record    0  4  length of the payload in bytes; 0xffff_ffff says that this is a mark, without payload
//!           4  4  kind: the caller's; of a mark: 1 synced, 2 sealed
//!           8  8  sequence: 1 for the first record of a log, then one more each; of a mark: that of the record to come
//!          16  8  durable: the last sequence that was known to be on disk when this was written; 0: none
//!          24  4  crc: CRC-32C of bytes 0..24 and the payload, continued from the `crc` of the record before it
//!                 (from the checksum of the segment header for the first one)
//!          28  4  check: CRC-32C of the segment's seed and bytes 0..28
//!          32  n  payload
//!        32+n     zeros up to a multiple of 8
//! ```
//!
//! Sequences start at 1, so a header of zeros is never a record: it is where writing stopped. Two checksums, because they
//! answer two questions. `crc` is chained: it holds only if everything before it in the segment is what was written.
//! `check` needs nothing but the seed: it recognises a header behind a damaged record, and a payload cannot forge one
//! because the seed never leaves the file.
//!
//! `durable` is what tells damage from a torn tail. Pages that were not synced reach a disk in any order, so a power cut may
//! leave a record missing and a later one in place. That is a torn tail, unless the later header says that the
//! missing record had been synced. A *synced* mark behind the last record says the same when no later record does: it is written
//! after each sync, reaches the disk whenever the system likes, and the next record overwrites it. A *sealed* mark
//! ends a full segment for good; room for it is always kept.

/// Length of the segment header, where the first record starts.
pub(crate) const SEGMENT_HEADER_LEN: usize = 64;
/// Length of a record's header, and of a whole mark.
pub(crate) const ENTRY_LEN: usize = 32;
/// Shortest segment that can be asked for: one page.
pub(crate) const SEGMENT_LEN_MIN: u64 = 4096;
/// Longest segment: 4-byte indexes count 8-byte words, and a payload length must stay clear of [`MARK`].
pub(crate) const SEGMENT_LEN_MAX: u64 = 1 << 31;

/// Highest sequence and index that a header may name: above what any log can reach, and far from where sums would overflow.
pub(crate) const NUMBER_MAX: u64 = u64::MAX / 2;

const MAGIC: [u8; 8] = *b"cstlnseg";
const VERSION: u32 = 1;
/// The value of `length` that announces a mark.
const MARK: u32 = u32::MAX;
const MARK_SYNCED: u32 = 1;
const MARK_SEALED: u32 = 2;

/// What a segment says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub len_bytes: u64,
    pub index: u64,
    pub first_sequence: u64,
    pub seed: u64,
    pub previous_crc: u32,
}

/// Why the first bytes of a file are not a segment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Damaged(&'static str),
    Version(u32),
}

/// The two starting values that the checksums of a segment's records need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    /// What the first record's `crc` continues from.
    pub start_crc: u32,
    /// The CRC of the seed, which every `check` continues from.
    pub check_seed: u32,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.len_bytes.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.index.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.seed.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.previous_crc.to_le_bytes());
        let checksum = header_checksum(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(file: &[u8]) -> Result<SegmentHeader, HeaderFault> {
        let Some(bytes) = file.first_chunk::<SEGMENT_HEADER_LEN>() else {
            return Err(HeaderFault::Damaged("the file is shorter than a segment header"));
        };
        if bytes[0..8] != MAGIC {
            return Err(HeaderFault::Damaged("the file does not start like a segment"));
        }
        if u32_at(bytes, 12) != header_checksum(bytes) {
            return Err(HeaderFault::Damaged("the segment header fails its checksum"));
        }
        if u32_at(bytes, 8) != VERSION {
            return Err(HeaderFault::Version(u32_at(bytes, 8)));
        }
        let header = SegmentHeader {
            len_bytes: u64_at(bytes, 16),
            index: u64_at(bytes, 24),
            first_sequence: u64_at(bytes, 32),
            seed: u64_at(bytes, 40),
            previous_crc: u32_at(bytes, 48),
        };
        let numbers_fit = (1..=NUMBER_MAX).contains(&header.first_sequence) && header.index <= NUMBER_MAX;
        if !(SEGMENT_LEN_MIN..=SEGMENT_LEN_MAX).contains(&header.len_bytes) || !numbers_fit {
            return Err(HeaderFault::Damaged("the segment header holds impossible values"));
        }
        if header.len_bytes < file.len() as u64 {
            return Err(HeaderFault::Damaged("the file is longer than its header says"));
        }
        Ok(header)
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys { start_crc: header_checksum(&self.encode()), check_seed: crc32c::crc32c(&self.seed.to_le_bytes()) }
    }
}

fn header_checksum(bytes: &[u8; SEGMENT_HEADER_LEN]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

/// What a record header stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Record { len_bytes: u32, kind: u32 },
    Synced,
    Sealed,
}

/// A decoded record header or mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub role: Role,
    pub sequence: u64,
    pub durable: u64,
    pub crc: u32,
}

impl Entry {
    /// Builds the entry that follows one with `previous_crc`; `parts` is the payload, empty for a mark.
    pub(crate) fn chained(role: Role, sequence: u64, durable: u64, previous_crc: u32, parts: &[&[u8]]) -> Entry {
        let mut entry = Entry { role, sequence, durable, crc: 0 };
        entry.crc = entry.expected_crc(previous_crc, parts);
        entry
    }

    /// The `crc` that this entry must carry behind one with `previous_crc`.
    pub(crate) fn expected_crc(&self, previous_crc: u32, parts: &[&[u8]]) -> u32 {
        let crc = crc32c::crc32c_append(previous_crc, &self.fields());
        parts.iter().fold(crc, |crc, part| crc32c::crc32c_append(crc, part))
    }

    pub(crate) fn encode(&self, keys: Keys) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        bytes[..24].copy_from_slice(&self.fields());
        bytes[24..28].copy_from_slice(&self.crc.to_le_bytes());
        let check = crc32c::crc32c_append(keys.check_seed, &bytes[..28]);
        bytes[28..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Reads a header if its `check` holds. Says nothing about the payload or the chain.
    pub(crate) fn decode(bytes: &[u8; ENTRY_LEN], keys: Keys) -> Option<Entry> {
        if crc32c::crc32c_append(keys.check_seed, &bytes[..28]) != u32_at(bytes, 28) {
            return None;
        }
        let role = match (u32_at(bytes, 0), u32_at(bytes, 4)) {
            (MARK, MARK_SYNCED) => Role::Synced,
            (MARK, MARK_SEALED) => Role::Sealed,
            (MARK, _) => return None,
            (len_bytes, kind) => Role::Record { len_bytes, kind },
        };
        Some(Entry { role, sequence: u64_at(bytes, 8), durable: u64_at(bytes, 16), crc: u32_at(bytes, 24) })
    }

    /// Bytes that this entry takes in the segment, padding included.
    pub(crate) fn footprint(&self) -> usize {
        match self.role {
            Role::Record { len_bytes, .. } => footprint(len_bytes as usize),
            Role::Synced | Role::Sealed => ENTRY_LEN,
        }
    }

    fn fields(&self) -> [u8; 24] {
        let (length, kind) = match self.role {
            Role::Record { len_bytes, kind } => (len_bytes, kind),
            Role::Synced => (MARK, MARK_SYNCED),
            Role::Sealed => (MARK, MARK_SEALED),
        };
        let mut bytes = [0; 24];
        bytes[0..4].copy_from_slice(&length.to_le_bytes());
        bytes[4..8].copy_from_slice(&kind.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.durable.to_le_bytes());
        bytes
    }
}

/// Bytes that a record with a payload of `len_bytes` takes: header, payload, padding.
pub(crate) fn footprint(len_bytes: usize) -> usize {
    ENTRY_LEN + len_bytes.next_multiple_of(8)
}

/// Longest payload that fits in a segment of `segment_len_bytes`.
pub(crate) fn payload_len_max(segment_len_bytes: u64) -> u64 {
    segment_len_bytes - (SEGMENT_HEADER_LEN + 2 * ENTRY_LEN) as u64
}

/// The sequence and the length word of a would-be header, read without checking anything: a cheap first sieve.
pub(crate) fn peek(bytes: &[u8; ENTRY_LEN]) -> (u64, Option<usize>) {
    let length = u32_at(bytes, 0);
    (u64_at(bytes, 8), (length != MARK).then_some(length as usize))
}

/// Whether every byte is zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| *chunk == ZEROS[..chunk.len()])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader { len_bytes: 4096, index: 7, first_sequence: 901, seed: 0x0123_4567_89ab_cdef, previous_crc: 5 }
    }

    #[test]
    fn segment_header_layout_is_fixed() {
        let bytes = header().encode();
        assert_eq!(&bytes[0..8], b"cstlnseg");
        assert_eq!(bytes[8..12], [1, 0, 0, 0]);
        assert_eq!(bytes[16..24], 4096u64.to_le_bytes());
        assert_eq!(bytes[24..32], 7u64.to_le_bytes());
        assert_eq!(bytes[32..40], 901u64.to_le_bytes());
        assert_eq!(bytes[40..48], 0x0123_4567_89ab_cdefu64.to_le_bytes());
        assert_eq!(bytes[48..52], 5u32.to_le_bytes());
        assert_eq!(bytes[52..], [0; 12]);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header()));
    }

    #[test]
    fn every_flipped_bit_of_a_segment_header_is_found() {
        for bit in 0..SEGMENT_HEADER_LEN * 8 {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(SegmentHeader::decode(&bytes), Err(HeaderFault::Damaged(_))), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_not_called_damage() {
        let mut bytes = header().encode();
        bytes[8] = 9;
        let checksum = header_checksum(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFault::Version(9)));
    }

    #[test]
    fn numbers_that_no_log_reaches_are_damage() {
        let good = header();
        let highest = SegmentHeader { index: NUMBER_MAX, first_sequence: NUMBER_MAX, ..good.clone() };
        assert_eq!(SegmentHeader::decode(&highest.encode()), Ok(highest.clone()));
        for header in [
            SegmentHeader { first_sequence: 0, ..good.clone() },
            SegmentHeader { first_sequence: NUMBER_MAX + 1, ..good.clone() },
            SegmentHeader { index: NUMBER_MAX + 1, ..good },
        ] {
            assert!(matches!(SegmentHeader::decode(&header.encode()), Err(HeaderFault::Damaged(_))), "{header:?}");
        }
    }

    #[test]
    fn entry_layout_is_fixed_and_checked() {
        let keys = header().keys();
        let entry = Entry::chained(Role::Record { len_bytes: 3, kind: 4 }, 901, 900, keys.start_crc, &[b"a", b"bc"]);
        let bytes = entry.encode(keys);
        assert_eq!(bytes[0..4], 3u32.to_le_bytes());
        assert_eq!(bytes[4..8], 4u32.to_le_bytes());
        assert_eq!(bytes[8..16], 901u64.to_le_bytes());
        assert_eq!(bytes[16..24], 900u64.to_le_bytes());
        let whole = crc32c::crc32c_append(keys.start_crc, &[&bytes[..24], b"abc"].concat());
        assert_eq!(bytes[24..28], whole.to_le_bytes());
        assert_eq!(Entry::decode(&bytes, keys), Some(entry));
        for bit in 0..ENTRY_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Entry::decode(&flipped, keys), None, "bit {bit}");
        }
        let other = Keys { check_seed: keys.check_seed ^ 1, ..keys };
        assert_eq!(Entry::decode(&bytes, other), None);
    }

    #[test]
    fn zeros_are_never_an_entry_of_sequence_one_or_later() {
        let (sequence, length) = peek(&[0; ENTRY_LEN]);
        assert_eq!((sequence, length), (0, Some(0)));
        assert!(is_zero(&[0; 5000]));
        assert!(!is_zero(&[&[0; 4999][..], &[1]].concat()));
    }
}
