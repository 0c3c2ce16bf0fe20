//! The memory maps: the only `unsafe` code of this crate, and nothing else.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use memmap2::{Advice, Mmap, MmapMut, MmapOptions};

use crate::disk::Region;

/// From this length on a write goes through the file instead of the map, into the same page cache: one system call costs less
/// than a page fault for each new page.
const FILE_WRITE_LEN_MIN: usize = 4096;

/// A file, mapped whole and shared.
#[derive(Debug)]
pub struct Mapped(Map);

#[derive(Debug)]
enum Map {
    Read(Mmap),
    Write { map: MmapMut, file: File },
}

impl Mapped {
    pub(crate) fn read(file: &File) -> io::Result<Mapped> {
        // SAFETY: the map is sound while nobody changes bytes that are lent out, or truncates the file. The log lends out whole, checked
        // records only; a writer in another process never touches those again (it appends behind them), and no code of
        // this crate truncates a segment. Files changed by other programs are outside what a map can promise.
        let map = unsafe { MmapOptions::new().map(file)? };
        Ok(Mapped(Map::Read(map)))
    }

    pub(crate) fn write(file: File) -> io::Result<Mapped> {
        // SAFETY: as for `read`; besides, the directory lock makes this the only writable map of the file, and
        // `write` takes `&mut self`, so that nothing is lent out while bytes change, through the map or the file.
        let map = unsafe { MmapOptions::new().map_mut(&file)? };
        Ok(Mapped(Map::Write { map, file }))
    }

    /// For a file that has just been created: reading ahead would only fill pages with zeros that are about to be written.
    pub(crate) fn without_read_ahead(self) -> io::Result<Mapped> {
        if let Map::Write { map, .. } = &self.0 {
            map.advise(Advice::Random)?;
        }
        Ok(self)
    }
}

impl Region for Mapped {
    fn bytes(&self) -> &[u8] {
        match &self.0 {
            Map::Read(map) => map,
            Map::Write { map, .. } => map,
        }
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Map::Read(_) => Err(io::ErrorKind::PermissionDenied.into()),
            Map::Write { map, file } => {
                let target = &mut map[offset..offset + bytes.len()];
                if bytes.len() >= FILE_WRITE_LEN_MIN {
                    return file.write_all_at(bytes, offset as u64);
                }
                target.copy_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn sync(&mut self, range: Range<usize>) -> io::Result<()> {
        match &self.0 {
            Map::Read(_) => Ok(()),
            // A synchronous msync of a shared map: on Linux this is fdatasync limited to a range.
            Map::Write { map, .. } => map.flush_range(range.start, range.len()),
        }
    }
}
