//! A disk in memory that holds whatever files it is given.

use constellation_storage::{Access, Disk, Region};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::Path;

/// Bytes that one file may have: a segment that claims more meets a full disk.
const ROOM_BYTES: u64 = 64 << 10;

/// The files, by name.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(pub BTreeMap<String, Vec<u8>>);

/// A copy of one file, which is enough for a log that is opened once.
#[derive(Debug)]
pub struct MemoryRegion(Vec<u8>);

impl MemoryDisk {
    fn file(&self, name: &str) -> io::Result<&Vec<u8>> {
        self.0.get(name).ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Disk for MemoryDisk {
    type Region = MemoryRegion;

    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn create(&mut self, name: &str, len_bytes: u64) -> io::Result<MemoryRegion> {
        self.0.insert(name.to_owned(), Vec::new());
        self.extend(name, len_bytes)?;
        self.open(name, Access::Write)
    }

    fn extend(&mut self, name: &str, len_bytes: u64) -> io::Result<()> {
        if len_bytes > ROOM_BYTES {
            return Err(ErrorKind::StorageFull.into());
        }
        let file = self.0.get_mut(name).ok_or(ErrorKind::NotFound)?;
        file.resize(len_bytes as usize, 0);
        Ok(())
    }

    fn open(&self, name: &str, _: Access) -> io::Result<MemoryRegion> {
        self.file(name).cloned().map(MemoryRegion)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.0.remove(from).ok_or(ErrorKind::NotFound)?;
        self.0.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.0.remove(name).map(drop).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Region for MemoryRegion {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn write(&mut self, offset: usize, head: &[u8], parts: &[&[u8]]) -> io::Result<()> {
        let bytes = [head, &parts.concat()].concat();
        self.0[offset..offset + bytes.len()].copy_from_slice(&bytes);
        Ok(())
    }

    fn sync(&mut self, _: Range<usize>) -> io::Result<()> {
        Ok(())
    }
}
