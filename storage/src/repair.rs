//! Cutting damage out of a log, by explicit command only. Deletes nothing: damaged segments go to a folder beside the others.

use std::path::{Path, PathBuf};

use crate::chain::{self, Finding, Loaded};
use crate::directory::Directory;
use crate::disk::{Access, Disk, Region};
use crate::error::LogError;
use crate::format::{SEGMENT_HEADER_LEN, SEGMENT_LEN_MIN, SegmentHeader};
use crate::map::Mapped;
use crate::scan::{self, Walk};
use crate::segment::{self, Segment};

const TEMPORARY: &str = "repair.tmp";

/// What a repair did, or would do.
#[derive(Debug, Clone)]
pub struct RepairReport {
    /// True if nothing was changed.
    pub dry_run: bool,
    /// The damage, a [`LogError::Damaged`]; none if the log needs no repair, and then nothing below was done.
    pub damage: Option<LogError>,
    /// Records that stay.
    pub kept_records: u64,
    /// The sequence that the next record will get. Records from here on are lost to the log.
    pub next_sequence: u64,
    /// Records still recognised in what is set aside, behind the damage: at least so many are lost.
    pub lost_records: u64,
    /// The segments set aside, oldest first.
    pub moved: Vec<String>,
    /// The folder they go to.
    pub moved_to: Option<PathBuf>,
    /// The segment written anew with the valid records of the damaged one.
    pub rewritten: Option<PathBuf>,
}

/// Keeps the records before the first damage of the log in `dir`, and sets the damaged segment and all later ones aside in a folder
/// `damaged-<n>` there. With `dry_run` it only says what it would do. A torn tail is not damage: opening the log clears it.
///
/// A repair that is interrupted at any point leaves a log that is still damaged, or repaired; it can be run again.
///
/// # Errors
/// [`LogError::Locked`] while the log has a writer, or what the disk refused.
pub fn repair(dir: &Path, dry_run: bool) -> Result<RepairReport, LogError> {
    let mut disk = Directory::existing(dir)?;
    let loaded = chain::load(&mut disk, Access::Read)?;
    let mut report = RepairReport {
        dry_run,
        damage: None,
        kept_records: loaded.chain.next_sequence() - loaded.chain.first_sequence(),
        next_sequence: loaded.chain.next_sequence(),
        lost_records: 0,
        moved: Vec::new(),
        moved_to: None,
        rewritten: None,
    };
    let Finding::Damaged { error, place } = &loaded.finding else { return Ok(report) };
    let folder = unused_folder(&disk)?;
    let replacement = Replacement::choose(&loaded, *place, dir)?;
    report.damage = Some(error.clone());
    report.moved = loaded.names[*place..].to_vec();
    report.moved_to = Some(dir.join(&folder));
    report.lost_records = lost_records(&disk, &loaded, *place)?;
    if let Some(replacement) = &replacement {
        report.rewritten = Some(dir.join(&report.moved[0]));
        report.next_sequence = replacement.next_sequence;
    }
    if !dry_run {
        set_aside(&mut disk, &report.moved, &folder)?;
        if let Some(replacement) = replacement {
            replacement.install(&mut disk, &report.moved[0])?;
        }
        remove_moved(&mut disk, &report)?;
    }
    Ok(report)
}

/// A sound segment to stand where the damaged one was.
struct Replacement<'a> {
    header: SegmentHeader,
    /// The valid records, as they were.
    records: &'a [u8],
    next_sequence: u64,
}

impl<'a> Replacement<'a> {
    /// None where the log can simply end with the sealed segment before the damage.
    fn choose(loaded: &'a Loaded<Mapped>, place: usize, dir: &Path) -> Result<Option<Replacement<'a>>, LogError> {
        if let Some(damaged) = loaded.chain.segments.get(place) {
            // A file that was cut short within the padding of its last record ends before that record does.
            let bytes = damaged.region.bytes();
            return Ok(Some(Replacement {
                header: damaged.header.clone(),
                records: &bytes[SEGMENT_HEADER_LEN..damaged.walk.end.min(bytes.len())],
                next_sequence: damaged.walk.next_sequence,
            }));
        }
        let (0, Some(first_sequence)) = (place, segment::parse_file_name(&loaded.names[place])) else {
            return Ok(None);
        };
        // The oldest segment has no readable header, but its name still says where the sequences go on.
        let header = SegmentHeader {
            len_bytes: SEGMENT_LEN_MIN,
            index: 0,
            first_sequence,
            seed: segment::draw_seed(dir)?,
            previous_crc: 0,
        };
        Ok(Some(Replacement { next_sequence: header.first_sequence, header, records: &[] }))
    }

    /// Takes the place of the segment `name` in one step.
    fn install(self, disk: &mut Directory, name: &str) -> Result<(), LogError> {
        let len_bytes = self.header.len_bytes;
        let mut region =
            disk.create(TEMPORARY, len_bytes).map_err(|error| LogError::allocation(disk.path(), len_bytes, error))?;
        region
            .write(0, &self.header.encode(), &[self.records])
            .map_err(LogError::io("write", disk.path().join(TEMPORARY)))?;
        let mut segment = Segment::walked(TEMPORARY.to_owned(), disk.path(), self.header, region);
        segment.mark_synced()?;
        segment.region.sync(0..segment.region.bytes().len()).map_err(LogError::io("sync", &segment.path))?;
        disk.rename(TEMPORARY, name).map_err(LogError::io("replace", disk.path().join(name)))?;
        disk.sync_dir().map_err(LogError::io("sync", disk.path()))
    }
}

/// Gives all segments that leave the log a second name in the folder, so that no later step can lose them.
fn set_aside(disk: &mut Directory, moved: &[String], folder: &str) -> Result<(), LogError> {
    for name in moved {
        disk.link_into(name, folder).map_err(LogError::io("set aside", disk.path().join(name)))?;
    }
    disk.sync_dir().map_err(LogError::io("sync", disk.path()))
}

/// Removes the old names, oldest first: what is left in between misses a segment, and so can never pass for a sound log.
fn remove_moved(disk: &mut Directory, report: &RepairReport) -> Result<(), LogError> {
    let replaced = usize::from(report.rewritten.is_some());
    for name in &report.moved[replaced..] {
        disk.remove(name).map_err(LogError::io("remove", disk.path().join(name)))?;
        disk.sync_dir().map_err(LogError::io("sync", disk.path()))?;
    }
    Ok(())
}

/// Counts what is recognisable in the damaged segment behind the damage, and in all later segments.
fn lost_records(disk: &Directory, loaded: &Loaded<Mapped>, place: usize) -> Result<u64, LogError> {
    let mut lost = 0;
    let later = match loaded.chain.segments.get(place) {
        Some(damaged) => {
            lost += beyond(damaged.region.bytes(), &damaged.header, &damaged.walk);
            place + 1
        }
        None => place,
    };
    for name in &loaded.names[later..] {
        let region = disk.open(name, Access::Read).map_err(LogError::io("open", disk.path().join(name)))?;
        if let Ok(header) = SegmentHeader::decode(region.bytes()) {
            let walk = scan::walk(region.bytes(), &header);
            lost += walk.offsets.len() as u64 + beyond(region.bytes(), &header, &walk);
        }
    }
    Ok(lost)
}

fn beyond(bytes: &[u8], header: &SegmentHeader, walk: &Walk) -> u64 {
    scan::beyond(bytes, header, walk.end, walk.next_sequence).records
}

fn unused_folder(disk: &Directory) -> Result<String, LogError> {
    let names = disk.list().map_err(LogError::io("list", disk.path()))?;
    let numbers = names.iter().filter_map(|name| name.strip_prefix("damaged-")?.parse::<u64>().ok());
    Ok(format!("damaged-{}", numbers.max().unwrap_or(0).saturating_add(1)))
}
