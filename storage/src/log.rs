//! The writer: appending, group commit, rolling to the next segment, trimming. One per directory.

use std::ops::Range;
use std::path::Path;

use crate::chain::{self, Bounds, Chain, Finding, TornTail};
use crate::directory::Directory;
use crate::disk::{Access, Disk, Region};
use crate::error::LogError;
use crate::format::{self, ENTRY_LEN, SEGMENT_HEADER_LEN, SEGMENT_LEN_MAX, SEGMENT_LEN_MIN, SegmentHeader};
use crate::segment::{self, Record, Segment};

/// How a log lays out its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// Length of each new segment: a multiple of 4096 up to 2 GiB. Segments that exist keep theirs.
    pub segment_len_bytes: u64,
    /// Bytes kept allocated ahead of the segment that is being written, rounded up to whole segments. While they cannot
    /// be had, [`Log::append`] refuses with [`LogError::DiskFull`], so that a full disk stops the log early and cleanly.
    pub reserve_len_bytes: u64,
}

impl Default for LogOptions {
    /// Segments of 64 MiB, one of them in reserve.
    fn default() -> LogOptions {
        LogOptions { segment_len_bytes: 64 << 20, reserve_len_bytes: 64 << 20 }
    }
}

impl LogOptions {
    fn check(&self) -> Result<(), LogError> {
        let reason = if !(SEGMENT_LEN_MIN..=SEGMENT_LEN_MAX).contains(&self.segment_len_bytes) {
            "segment_len_bytes must be from 4096 to 2147483648"
        } else if !self.segment_len_bytes.is_multiple_of(SEGMENT_LEN_MIN) {
            "segment_len_bytes must be a multiple of 4096"
        } else if self.reserve_segments() > 1024 {
            "reserve_len_bytes must be at most 1024 segments"
        } else {
            return Ok(());
        };
        Err(LogError::InvalidOptions { reason })
    }

    fn reserve_segments(&self) -> u64 {
        self.reserve_len_bytes.div_ceil(self.segment_len_bytes)
    }
}

/// What opening a log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Records that the log holds.
    pub records: u64,
    /// The unfinished end that a crash left, now cleared; the operator should be told.
    pub torn_tail: Option<TornTail>,
}

/// An append-only log of records, open for writing.
#[derive(Debug)]
pub struct Log<D: Disk = Directory> {
    disk: D,
    options: LogOptions,
    /// Never empty. The last segment is the one written to.
    chain: Chain<D::Region>,
    /// Allocated files that wait to become segments; the last one is named after its place.
    reserve: Vec<D::Region>,
    /// The last sequence that is on disk.
    durable: u64,
    /// Where the bytes of the last segment start that may not be on disk.
    dirty_from: usize,
    /// The first failure of a write or sync: what the disk holds is unknown since.
    failed: Option<LogError>,
}

impl Log<Directory> {
    /// Opens the log in `dir`, or starts one there, and recovers what a crash may have left. All records that it then
    /// holds are on disk.
    ///
    /// # Errors
    /// [`LogError::Locked`] if it has a writer already, [`LogError::Damaged`] if bytes before its end are not what was
    /// written ([`repair`](crate::repair) is then the way on), [`LogError::DiskFull`] if a first segment cannot be allocated.
    pub fn open(dir: &Path, options: LogOptions) -> Result<(Log, Recovery), LogError> {
        options.check()?;
        Log::open_on(Directory::exclusive(dir)?, options)
    }

    /// [`Log::open`] for a log that has to survive a killed process, but not a power cut: nothing waits for the disk, not even a new
    /// segment. [`Log::sync`] then promises no more than [`Log::append`] does, and what a power cut leaves may open as damaged.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_unsynced(dir: &Path, options: LogOptions) -> Result<(Log, Recovery), LogError> {
        options.check()?;
        Log::open_on(Directory::exclusive(dir)?.unsynced(), options)
    }
}

impl<D: Disk> Log<D> {
    /// [`Log::open`] on any disk, which must have no other writer.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_on(mut disk: D, options: LogOptions) -> Result<(Log<D>, Recovery), LogError> {
        options.check()?;
        remove_leftovers(&mut disk)?;
        let loaded = chain::load(&mut disk, Access::Write)?;
        let torn_tail = match loaded.finding {
            Finding::Intact => None,
            Finding::Torn(tail) => Some(tail),
            Finding::Damaged { error, .. } => return Err(error),
        };
        let mut log = Log {
            durable: loaded.chain.next_sequence() - 1,
            chain: loaded.chain,
            disk,
            options,
            reserve: Vec::new(),
            dirty_from: SEGMENT_HEADER_LEN,
            failed: None,
        };
        log.settle_last_segment()?;
        if log.chain.segments.is_empty() {
            log.add_segment()?;
        }
        let records = log.next_sequence() - log.first_sequence();
        Ok((log, Recovery { records, torn_tail }))
    }

    /// Clears a torn tail, and makes durable what was only in memory when the last writer was killed.
    fn settle_last_segment(&mut self) -> Result<(), LogError> {
        let Some(last) = self.chain.segments.back_mut() else { return Ok(()) };
        if !last.is_sealed() {
            last.clear_tail()?;
        }
        sync_region(last, 0..last.region.bytes().len())?;
        self.dirty_from = last.walk.end;
        if !last.is_sealed() {
            last.mark_synced()?;
        }
        Ok(())
    }

    /// Appends a record whose payload is `parts` joined, and returns its sequence. It can be read at once and survives
    /// this process being killed; only [`Log::sync`] makes it survive a power cut.
    ///
    /// # Errors
    /// [`LogError::RecordTooLarge`] and [`LogError::DiskFull`] write nothing, and the log goes on; any other error stays:
    /// all later calls return it.
    pub fn append(&mut self, kind: u32, parts: &[&[u8]]) -> Result<u64, LogError> {
        self.check()?;
        let len_bytes = self.payload_len(parts)?;
        self.fill_reserve(self.options.reserve_segments())?;
        if !self.active().has_room(format::footprint(len_bytes as usize)) {
            self.fill_reserve(1)?;
            let rolled = self.roll();
            self.latch(rolled)?;
        }
        let durable = self.durable;
        let active = self.active();
        let sequence = active.walk.next_sequence;
        let pushed = active.push(kind, durable, parts, len_bytes);
        self.latch(pushed)?;
        Ok(sequence)
    }

    /// Puts all that was appended on disk, in one go, and returns the last sequence that is there (0 for none). Without
    /// anything to do it costs nothing.
    ///
    /// # Errors
    /// A failed sync is never retried: all later calls return the same error. What the disk holds is found by opening the log again.
    pub fn sync(&mut self) -> Result<u64, LogError> {
        self.check()?;
        if self.durable + 1 < self.next_sequence() {
            let synced = self.sync_active();
            self.latch(synced)?;
            let marked = self.active().mark_synced();
            self.latch(marked)?;
        }
        Ok(self.durable)
    }

    /// The last sequence that is known to be on disk; 0 for none.
    pub fn durable_through(&self) -> u64 {
        self.durable
    }

    /// The oldest sequence that is kept; equal to [`Log::next_sequence`] if there is no record.
    pub fn first_sequence(&self) -> u64 {
        self.chain.first_sequence()
    }

    /// The sequence that the next record will get.
    pub fn next_sequence(&self) -> u64 {
        self.chain.next_sequence()
    }

    /// What the log holds, and the room it takes.
    pub fn bounds(&self) -> Bounds {
        self.chain.bounds()
    }

    /// The record with this sequence, in place; none if it was trimmed or is still to come. Its checksum is checked again.
    ///
    /// # Errors
    /// [`LogError::Damaged`] if its bytes have changed since the log was opened, or the latched failure.
    pub fn read(&self, sequence: u64) -> Result<Option<Record<'_>>, LogError> {
        self.check()?;
        self.chain.read(sequence)
    }

    /// All records from this sequence, or from the oldest kept if that is later. An error is the last item.
    pub fn iter_from(&self, sequence: u64) -> impl Iterator<Item = Result<Record<'_>, LogError>> {
        let failed = self.failed.clone().map(Err);
        let records = if failed.is_none() { Some(self.chain.iter_from(sequence)) } else { None };
        failed.into_iter().chain(records.into_iter().flatten())
    }

    /// Deletes the segments whose records all come before `sequence`, and returns how many. The last segment always stays.
    ///
    /// # Errors
    /// What the disk refused; it stays, as for [`Log::sync`].
    pub fn trim_before(&mut self, sequence: u64) -> Result<usize, LogError> {
        self.check()?;
        let mut removed = 0;
        while self.chain.segments.get(1).is_some_and(|second| second.header.first_sequence <= sequence) {
            let trimmed = self.remove_first();
            self.latch(trimmed)?;
            removed += 1;
        }
        Ok(removed)
    }

    /// One name at a time, each made durable: a crash must not leave a hole between older and newer segments.
    fn remove_first(&mut self) -> Result<(), LogError> {
        if let Some(first) = self.chain.segments.pop_front() {
            self.disk.remove(&first.name).map_err(LogError::io("remove", &first.path))?;
            self.disk.sync_dir().map_err(LogError::io("sync", self.disk.path()))?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), LogError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn latch<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    fn payload_len(&self, parts: &[&[u8]]) -> Result<u32, LogError> {
        let len_bytes = parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.len() as u64));
        let max_len_bytes = format::payload_len_max(self.options.segment_len_bytes);
        match u32::try_from(len_bytes) {
            Ok(short) if len_bytes <= max_len_bytes => Ok(short),
            _ => Err(LogError::RecordTooLarge { len_bytes, max_len_bytes }),
        }
    }

    fn active(&mut self) -> &mut Segment<D::Region> {
        self.chain.segments.back_mut().expect("an open log has a segment: opening adds one, trimming keeps one")
    }

    /// Allocates until `wanted` files wait to become segments.
    fn fill_reserve(&mut self, wanted: u64) -> Result<(), LogError> {
        while (self.reserve.len() as u64) < wanted {
            let missing = (wanted - self.reserve.len() as u64) * self.options.segment_len_bytes;
            let region = self
                .disk
                .create(&reserve_name(self.reserve.len()), self.options.segment_len_bytes)
                .map_err(|error| LogError::allocation(self.disk.path(), missing, error))?;
            self.reserve.push(region);
        }
        Ok(())
    }

    /// Seals the last segment, puts it on disk, and goes on in a new one from the reserve. An empty one is too short, made
    /// with other options: the new segment replaces it.
    fn roll(&mut self) -> Result<(), LogError> {
        let durable = self.durable;
        if !self.active().is_empty() {
            if !self.active().is_sealed() {
                self.active().seal(durable)?;
            }
            self.sync_active()?;
        }
        self.add_segment()
    }

    fn sync_active(&mut self) -> Result<(), LogError> {
        let start = self.dirty_from;
        let active = self.active();
        let written = active.walk.end;
        let end = if active.is_sealed() { written + ENTRY_LEN } else { written };
        sync_region(active, start..end)?;
        self.dirty_from = written;
        self.durable = self.next_sequence() - 1;
        Ok(())
    }

    /// Turns a reserved file into the next segment: header first, then the name, each on disk before the next step.
    fn add_segment(&mut self) -> Result<(), LogError> {
        self.fill_reserve(1)?;
        let header = self.next_header()?;
        let Some(mut region) = self.reserve.pop() else { return Ok(()) };
        let temporary = reserve_name(self.reserve.len());
        let name = segment::file_name(header.first_sequence);
        let path = self.disk.path().join(&name);
        region.write(0, &header.encode(), &[]).map_err(LogError::io("write", self.disk.path().join(&temporary)))?;
        region.sync(0..SEGMENT_HEADER_LEN).map_err(LogError::io("sync", self.disk.path().join(&temporary)))?;
        self.disk.rename(&temporary, &name).map_err(LogError::io("give its name to", &path))?;
        self.disk.sync_dir().map_err(LogError::io("sync", self.disk.path()))?;
        self.chain.segments.retain(|segment| segment.name != name);
        self.chain.segments.push_back(Segment::empty(name, self.disk.path(), header, region));
        self.dirty_from = SEGMENT_HEADER_LEN;
        Ok(())
    }

    fn next_header(&self) -> Result<SegmentHeader, LogError> {
        let (index, previous_crc) = match self.chain.segments.back() {
            None => (0, 0),
            Some(last) if last.is_empty() => (last.header.index, last.header.previous_crc),
            Some(last) => (last.header.index + 1, last.walk.crc),
        };
        Ok(SegmentHeader {
            len_bytes: self.options.segment_len_bytes,
            index,
            first_sequence: self.next_sequence(),
            seed: segment::draw_seed(self.disk.path())?,
            previous_crc,
        })
    }
}

fn sync_region<R: Region>(segment: &mut Segment<R>, range: Range<usize>) -> Result<(), LogError> {
    segment.region.sync(range).map_err(LogError::io("sync", &segment.path))
}

fn reserve_name(place: usize) -> String {
    format!("reserve-{place}.tmp")
}

/// Files that a stopped writer had not turned into segments.
fn remove_leftovers<D: Disk>(disk: &mut D) -> Result<(), LogError> {
    for name in disk.list().map_err(LogError::io("list", disk.path()))? {
        if name.ends_with(".tmp") {
            disk.remove(&name).map_err(LogError::io("remove", disk.path().join(&name)))?;
        }
    }
    Ok(())
}
