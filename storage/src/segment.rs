//! One open segment: its header, its bytes, where its records are. Knows nothing of other segments.

use std::path::{Path, PathBuf};

use crate::disk::Region;
use crate::error::LogError;
use crate::format::{self, ENTRY_LEN, Entry, Keys, NUMBER_MAX, Role, SegmentHeader};
use crate::scan::{self, Stop, Walk};

/// A record, in place in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number in the log; the first record ever appended has 1.
    pub sequence: u64,
    /// What the caller called it.
    pub kind: u32,
    /// What the caller stored.
    pub payload: &'a [u8],
    /// The file that holds it.
    pub segment: &'a Path,
    /// Where its header starts in that file.
    pub offset: u64,
}

/// What one segment holds, and the room it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentBounds {
    /// The file.
    pub path: PathBuf,
    /// The sequence of its first record, or of the one to come.
    pub first_sequence: u64,
    /// How many records it holds.
    pub records: u64,
    /// Bytes up to the end of its last record.
    pub used_len_bytes: u64,
    /// Length of the file.
    pub len_bytes: u64,
    /// Whether it was ended: only the last segment may not be.
    pub sealed: bool,
}

#[derive(Debug)]
pub(crate) struct Segment<R> {
    pub name: String,
    pub path: PathBuf,
    pub header: SegmentHeader,
    pub region: R,
    pub walk: Walk,
    keys: Keys,
}

/// File name of the segment that starts with `first_sequence`.
pub(crate) fn file_name(first_sequence: u64) -> String {
    format!("{first_sequence:020}.seg")
}

/// The first sequence that a segment's file name gives; none for other files.
pub(crate) fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let sequence = plain.then(|| digits.parse().ok()).flatten();
    sequence.filter(|sequence| (1..=NUMBER_MAX).contains(sequence))
}

/// A seed that nobody outside can know, for a segment in `dir`.
pub(crate) fn draw_seed(dir: &Path) -> Result<u64, LogError> {
    getrandom::u64().map_err(|error| LogError::io("draw a random seed for a segment in", dir)(error.into()))
}

impl<R: Region> Segment<R> {
    /// Walks the records of a region whose header has been read.
    pub(crate) fn walked(name: String, dir: &Path, header: SegmentHeader, region: R) -> Segment<R> {
        let walk = scan::walk(region.bytes(), &header);
        Segment::assemble(name, dir, header, region, walk)
    }

    /// A segment that has just been created: known to be empty, so that its untouched pages need not be read.
    pub(crate) fn empty(name: String, dir: &Path, header: SegmentHeader, region: R) -> Segment<R> {
        let walk = Walk::start(&header);
        Segment::assemble(name, dir, header, region, walk)
    }

    fn assemble(name: String, dir: &Path, header: SegmentHeader, region: R, walk: Walk) -> Segment<R> {
        let path = dir.join(&name);
        let keys = header.keys();
        Segment { name, path, header, region, walk, keys }
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.walk.stop == Stop::Sealed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.walk.offsets.is_empty()
    }

    pub(crate) fn bounds(&self) -> SegmentBounds {
        SegmentBounds {
            path: self.path.clone(),
            first_sequence: self.header.first_sequence,
            records: self.walk.offsets.len() as u64,
            used_len_bytes: self.walk.end as u64,
            len_bytes: self.region.bytes().len() as u64,
            sealed: self.is_sealed(),
        }
    }

    pub(crate) fn damage(&self, offset: usize, reason: &'static str) -> LogError {
        LogError::Damaged { segment: self.path.clone(), offset: offset as u64, reason }
    }

    /// The record with this place in the segment, checked again; none where there is none.
    pub(crate) fn record(&self, place: usize) -> Result<Option<Record<'_>>, LogError> {
        let Some(offset) = self.offset(place) else { return Ok(None) };
        let previous_crc = match place.checked_sub(1).and_then(|before| self.offset(before)) {
            Some(before) => self.crc_at(before),
            None => self.keys.start_crc,
        };
        let sequence = self.header.first_sequence + place as u64;
        let bytes = self.region.bytes();
        let entry = scan::entry_at(bytes, offset, self.keys, sequence, previous_crc)
            .map_err(|reason| self.damage(offset, reason))?;
        let Role::Record { len_bytes, kind } = entry.role else {
            return Err(self.damage(offset, "a mark where a record was"));
        };
        let start = offset + ENTRY_LEN;
        let payload = &bytes[start..start + len_bytes as usize];
        Ok(Some(Record { sequence, kind, payload, segment: &self.path, offset: offset as u64 }))
    }

    fn offset(&self, place: usize) -> Option<usize> {
        self.walk.offsets.get(place).map(|word| *word as usize * 8)
    }

    fn crc_at(&self, offset: usize) -> u32 {
        let mut crc = [0; 4];
        crc.copy_from_slice(&self.region.bytes()[offset + 24..offset + 28]);
        u32::from_le_bytes(crc)
    }

    /// Whether a record that takes `footprint` bytes fits, with the seal behind it.
    pub(crate) fn has_room(&self, footprint: usize) -> bool {
        !self.is_sealed() && self.walk.end + footprint + ENTRY_LEN <= self.region.bytes().len()
    }

    /// Writes a record behind the last one. There must be room.
    pub(crate) fn push(&mut self, kind: u32, durable: u64, parts: &[&[u8]], len_bytes: u32) -> Result<(), LogError> {
        let role = Role::Record { len_bytes, kind };
        let entry = Entry::chained(role, self.walk.next_sequence, durable, self.walk.crc, parts);
        self.write(self.walk.end, &entry.encode(self.keys), parts)?;
        self.walk.offsets.push(scan::word(self.walk.end));
        self.walk.end += entry.footprint();
        self.walk.crc = entry.crc;
        self.walk.next_sequence += 1;
        Ok(())
    }

    /// Notes behind the last record that all of them are on disk. The next record overwrites the note.
    pub(crate) fn mark_synced(&mut self) -> Result<(), LogError> {
        let durable = self.walk.next_sequence - 1;
        let mark = Entry::chained(Role::Synced, self.walk.next_sequence, durable, self.walk.crc, &[]);
        self.write(self.walk.end, &mark.encode(self.keys), &[])
    }

    /// Ends the segment: no record will follow.
    pub(crate) fn seal(&mut self, durable: u64) -> Result<(), LogError> {
        let seal = Entry::chained(Role::Sealed, self.walk.next_sequence, durable, self.walk.crc, &[]);
        self.write(self.walk.end, &seal.encode(self.keys), &[])?;
        self.walk.crc = seal.crc;
        self.walk.stop = Stop::Sealed;
        Ok(())
    }

    /// Zeroes everything behind the last record, so that nothing there is ever taken for a later record.
    pub(crate) fn clear_tail(&mut self) -> Result<(), LogError> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let len_bytes = self.region.bytes().len();
        for start in (self.walk.end..len_bytes).step_by(ZEROS.len()) {
            let end = len_bytes.min(start + ZEROS.len());
            // Untouched pages are left alone: a write would only make them dirty.
            if !format::is_zero(&self.region.bytes()[start..end]) {
                self.write(start, &ZEROS[..end - start], &[])?;
            }
        }
        self.walk.stop = Stop::Clean;
        Ok(())
    }

    fn write(&mut self, offset: usize, head: &[u8], parts: &[&[u8]]) -> Result<(), LogError> {
        self.region.write(offset, head, parts).map_err(LogError::io("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_read_strictly() {
        assert_eq!(file_name(42), "00000000000000000042.seg");
        assert_eq!(parse_file_name(&file_name(NUMBER_MAX)), Some(NUMBER_MAX));
        for name in [
            "42.seg",
            "00000000000000000000.seg",
            "18446744073709551615.seg",
            "0000000000000000004x.seg",
            "+0000000000000000042.seg",
            "reserve-0.tmp",
            "99999999999999999999.seg",
        ] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }
}
