//! The memory maps: the only `unsafe` code of this crate, and nothing else.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use memmap2::{Mmap, MmapMut, MmapOptions};

use crate::disk::Region;

/// From this length on a write goes through the file, into the same page cache, instead of the map. Page faults in new
/// pages then cost more than system calls: a log of 1 MiB records is written 1.5 times as fast, one of 64 KiB records is not.
const FILE_WRITE_LEN_MIN: usize = 256 << 10;

/// A file, mapped whole and shared.
#[derive(Debug)]
pub struct Mapped(Map);

#[derive(Debug)]
enum Map {
    Read(Mmap),
    Write { map: MmapMut, file: File, syncs: bool },
}

impl Mapped {
    pub(crate) fn read(file: &File) -> io::Result<Mapped> {
        // SAFETY: the map is sound while nobody changes bytes that are lent out, or truncates the file. The log lends out whole, checked
        // records only; a writer in another process never touches those again (it appends behind them), and no code of
        // this crate truncates a segment. Files changed by other programs are outside what a map can promise.
        let map = unsafe { MmapOptions::new().map(file)? };
        Ok(Mapped(Map::Read(map)))
    }

    /// For writing; without `syncs`, what is synced outlives this process and no more.
    pub(crate) fn write(file: File, syncs: bool) -> io::Result<Mapped> {
        // SAFETY: as for `read`; besides, the directory lock makes this the only writable map of the file, and
        // `write` takes `&mut self`, so that nothing is lent out while bytes change, through the map or the file.
        let map = unsafe { MmapOptions::new().map_mut(&file)? };
        Ok(Mapped(Map::Write { map, file, syncs }))
    }
}

impl Region for Mapped {
    fn bytes(&self) -> &[u8] {
        match &self.0 {
            Map::Read(map) => map,
            Map::Write { map, .. } => map,
        }
    }

    fn write(&mut self, offset: usize, head: &[u8], parts: &[&[u8]]) -> io::Result<()> {
        let Map::Write { map, file, .. } = &mut self.0 else {
            return Err(io::ErrorKind::PermissionDenied.into());
        };
        let len_bytes = head.len() + parts.iter().map(|part| part.len()).sum::<usize>();
        let mut rest = &mut map[offset..offset + len_bytes];
        let through_file = len_bytes >= FILE_WRITE_LEN_MIN;
        let mut at = offset as u64;
        for part in [head].iter().chain(parts) {
            let (target, behind) = rest.split_at_mut(part.len());
            if through_file {
                file.write_all_at(part, at)?;
            } else {
                target.copy_from_slice(part);
            }
            at += part.len() as u64;
            rest = behind;
        }
        Ok(())
    }

    fn sync(&mut self, range: Range<usize>) -> io::Result<()> {
        match &self.0 {
            Map::Read(_) | Map::Write { syncs: false, .. } => Ok(()),
            // A synchronous msync of a shared map: on Linux this is fdatasync limited to a range.
            Map::Write { map, .. } => map.flush_range(range.start, range.len()),
        }
    }
}
