//! The segments of a log in order: loading them with every check, and reading across them. Writes nothing but the
//! missing end of a last segment that was cut short.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::disk::{Access, Disk, Region};
use crate::error::LogError;
use crate::format::{HeaderFault, SegmentHeader};
use crate::scan::{self, Stop};
use crate::segment::{self, Record, Segment, SegmentBounds};

/// Consecutive segments; all but the last are sealed.
#[derive(Debug)]
pub(crate) struct Chain<R> {
    pub segments: VecDeque<Segment<R>>,
}

/// What a crash left unfinished behind the last whole record. Nothing in it had been acknowledged by a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment file.
    pub segment: PathBuf,
    /// Where the valid records end.
    pub offset: u64,
    /// From there to the last byte that was written.
    pub len_bytes: u64,
    /// Whole records seen in the tail, cut off from the log by what is missing before them.
    pub records: u64,
}

/// What a log holds, and the room it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest sequence that is kept; equal to `next_sequence` if there is no record.
    pub first_sequence: u64,
    /// The sequence after the last.
    pub next_sequence: u64,
    /// Bytes of headers, records and padding in all segments.
    pub used_len_bytes: u64,
    /// Length of all segment files. The reserve comes on top.
    pub disk_len_bytes: u64,
    /// The segments, oldest first.
    pub segments: Vec<SegmentBounds>,
}

/// How loading ended.
#[derive(Debug)]
pub(crate) enum Finding {
    Intact,
    Torn(TornTail),
    /// The error, and the place of the damaged segment in the list of names.
    Damaged {
        error: LogError,
        place: usize,
    },
}

impl Finding {
    /// The segment and the offset where the valid part ends, unless all is valid.
    pub(crate) fn broken_at(&self) -> Option<(PathBuf, u64)> {
        match self {
            Finding::Torn(tail) => Some((tail.segment.clone(), tail.offset)),
            Finding::Damaged { error: LogError::Damaged { segment, offset, .. }, .. } => {
                Some((segment.clone(), *offset))
            }
            Finding::Intact | Finding::Damaged { .. } => None,
        }
    }
}

/// All that could be loaded.
#[derive(Debug)]
pub(crate) struct Loaded<R> {
    /// File names of all segments, in order, those behind a damage included.
    pub names: Vec<String>,
    /// The valid part. A damaged segment comes last, with its valid prefix, if its header could be read and belongs there.
    pub chain: Chain<R>,
    pub finding: Finding,
}

/// Opens every segment of a log. An `Err` is a disk that fails; damage is a finding.
pub(crate) fn load<D: Disk>(disk: &mut D, access: Access) -> Result<Loaded<D::Region>, LogError> {
    let listed = disk.list().map_err(LogError::io("list", disk.path()))?;
    let mut names: Vec<String> = listed.into_iter().filter(|name| segment::parse_file_name(name).is_some()).collect();
    names.sort_unstable();
    let mut chain = Chain { segments: VecDeque::new() };
    let mut finding = Finding::Intact;
    for (place, name) in names.iter().enumerate() {
        let last = place + 1 == names.len();
        match open_segment(disk, name, last, access).and_then(|segment| match chain.check_link(&segment) {
            None => Ok(segment),
            Some(reason) => Err(segment.damage(0, reason)),
        }) {
            Ok(segment) => {
                finding = examine(&segment, last, place);
                chain.segments.push_back(segment);
            }
            Err(error @ LogError::Damaged { .. }) => finding = Finding::Damaged { error, place },
            Err(error) => return Err(error),
        }
        if matches!(finding, Finding::Damaged { .. }) {
            break;
        }
    }
    Ok(Loaded { names, chain, finding })
}

fn open_segment<D: Disk>(disk: &mut D, name: &str, last: bool, access: Access) -> Result<Segment<D::Region>, LogError> {
    let path = disk.path().join(name);
    let access = if last { access } else { Access::Read };
    let mut region = disk.open(name, access).map_err(LogError::io("open", &path))?;
    let header = match SegmentHeader::decode(region.bytes()) {
        Ok(header) => header,
        Err(HeaderFault::Damaged(reason)) => return Err(LogError::Damaged { segment: path, offset: 0, reason }),
        Err(HeaderFault::Version(found)) => return Err(LogError::UnsupportedVersion { segment: path, found }),
    };
    if access == Access::Write && (region.bytes().len() as u64) < header.len_bytes {
        drop(region);
        disk.extend(name, header.len_bytes)
            .map_err(|error| LogError::allocation(disk.path(), header.len_bytes, error))?;
        region = disk.open(name, access).map_err(LogError::io("open", &path))?;
    }
    Ok(Segment::walked(name.to_owned(), disk.path(), header, region))
}

/// Judges how the walk along one segment ended.
fn examine<R: Region>(segment: &Segment<R>, last: bool, place: usize) -> Finding {
    let walk = &segment.walk;
    let damaged = |reason| Finding::Damaged { error: segment.damage(walk.end, reason), place };
    match walk.stop {
        Stop::Sealed => Finding::Intact,
        Stop::Clean if last => Finding::Intact,
        Stop::Clean => damaged("the end of the segment is missing"),
        Stop::Broken(reason) if last => {
            let bytes = segment.region.bytes();
            let beyond = scan::beyond(bytes, &segment.header, walk.end, walk.next_sequence);
            if beyond.durable >= walk.next_sequence {
                return damaged(reason);
            }
            let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
            Finding::Torn(TornTail {
                segment: segment.path.clone(),
                offset: walk.end as u64,
                len_bytes: written.saturating_sub(walk.end) as u64,
                records: beyond.records,
            })
        }
        Stop::Broken(reason) => damaged(reason),
    }
}

impl<R: Region> Chain<R> {
    /// Why `next` cannot follow the last segment, if so. A log may start anywhere: its oldest segments may have been trimmed.
    fn check_link(&self, next: &Segment<R>) -> Option<&'static str> {
        let header = &next.header;
        if segment::parse_file_name(&next.name) != Some(header.first_sequence) {
            return Some("the file name is not that of the segment in it");
        }
        let last = self.segments.back()?;
        if header.index != last.header.index + 1 || header.first_sequence != last.walk.next_sequence {
            return Some("a segment before this one is missing");
        }
        (header.previous_crc != last.walk.crc).then_some("the segment does not continue the one before it")
    }

    pub(crate) fn first_sequence(&self) -> u64 {
        self.segments.front().map_or(1, |segment| segment.header.first_sequence)
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.segments.back().map_or(1, |segment| segment.walk.next_sequence)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        let segments: Vec<SegmentBounds> = self.segments.iter().map(Segment::bounds).collect();
        Bounds {
            first_sequence: self.first_sequence(),
            next_sequence: self.next_sequence(),
            used_len_bytes: segments.iter().map(|segment| segment.used_len_bytes).sum(),
            disk_len_bytes: segments.iter().map(|segment| segment.len_bytes).sum(),
            segments,
        }
    }

    pub(crate) fn read(&self, sequence: u64) -> Result<Option<Record<'_>>, LogError> {
        let after = self.segments.partition_point(|segment| segment.header.first_sequence <= sequence);
        let Some(segment) = after.checked_sub(1).and_then(|place| self.segments.get(place)) else {
            return Ok(None);
        };
        match usize::try_from(sequence - segment.header.first_sequence) {
            Ok(place) => segment.record(place),
            Err(_) => Ok(None),
        }
    }

    /// Records from `sequence`, or from the first that is there. Ends behind the first error.
    pub(crate) fn iter_from(&self, sequence: u64) -> impl Iterator<Item = Result<Record<'_>, LogError>> {
        let mut next = Some(sequence.max(self.first_sequence()));
        std::iter::from_fn(move || {
            let record = self.read(next?).transpose();
            next = match &record {
                Some(Ok(record)) => Some(record.sequence + 1),
                Some(Err(_)) | None => None,
            };
            record
        })
    }
}
