//! The real disk: a directory of the file system, its lock, its preallocated files. Holds no rule of the log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::Errno;

use crate::disk::{Access, Disk};
use crate::error::LogError;
use crate::map::Mapped;

const LOCK_FILE: &str = "lock";

/// A directory that holds one log.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Held open for as long as the directory may be written: closing it releases the lock.
    _lock: Option<File>,
    /// Whether what is synced shall reach the disk, or only outlive this process.
    syncs: bool,
}

impl Directory {
    /// For reading only, without the lock.
    pub(crate) fn shared(path: &Path) -> Directory {
        Directory { path: path.to_owned(), _lock: None, syncs: true }
    }

    /// Creates the directory where it is missing, and takes its lock.
    pub(crate) fn exclusive(path: &Path) -> Result<Directory, LogError> {
        if !path.is_dir() {
            fs::create_dir_all(path).map_err(LogError::io("create the log directory", path))?;
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                sync_directory(parent).map_err(LogError::io("sync", parent))?;
            }
        }
        Directory::existing(path)
    }

    /// Takes the lock of a directory that is there.
    pub(crate) fn existing(path: &Path) -> Result<Directory, LogError> {
        let lock = take_lock(path)?;
        Ok(Directory { path: path.to_owned(), _lock: Some(lock), syncs: true })
    }

    /// The same directory, with every sync left out.
    pub(crate) fn unsynced(self) -> Directory {
        Directory { syncs: false, ..self }
    }

    /// Gives `name` a second name in the folder `folder`, which is created where it is missing.
    pub(crate) fn link_into(&self, name: &str, folder: &str) -> io::Result<()> {
        let folder = self.path.join(folder);
        if !folder.is_dir() {
            fs::create_dir(&folder)?;
        }
        fs::hard_link(self.path.join(name), folder.join(name))?;
        sync_directory(&folder)
    }
}

impl Disk for Directory {
    type Region = Mapped;

    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not Unicode is none of the log's.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&mut self, name: &str, len_bytes: u64) -> io::Result<Mapped> {
        let path = self.path.join(name);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len_bytes) {
            Ok(()) => Mapped::write(file, self.syncs),
            // What was allocated before the disk was full goes back.
            Err(error) => fs::remove_file(&path).and(Err(error.into())),
        }
    }

    fn extend(&mut self, name: &str, len_bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path.join(name))?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len_bytes)?;
        if self.syncs { file.sync_all() } else { Ok(()) }
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Mapped> {
        let path = self.path.join(name);
        match access {
            Access::Read => Mapped::read(&File::open(path)?),
            Access::Write => {
                let file = OpenOptions::new().read(true).write(true).open(path)?;
                if self.syncs {
                    drop_cache(&file)?;
                }
                Mapped::write(file, self.syncs)
            }
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        if self.syncs { sync_directory(&self.path) } else { Ok(()) }
    }
}

/// After a failed sync the system may keep pages as clean that never reached the disk. Recovery must not build on
/// them: write what can be written, forget the rest, read the disk.
fn drop_cache(file: &File) -> io::Result<()> {
    file.sync_data()?;
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn take_lock(dir: &Path) -> Result<File, LogError> {
    let path = dir.join(LOCK_FILE);
    let fail = |operation| LogError::io(operation, &path);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(fail("open the lock file"))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(LogError::Locked { dir: dir.to_owned(), pid: read_pid(&mut file) }),
        Err(error) => return Err(fail("lock")(error.into())),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(fail("write the lock file"))?;
    Ok(file)
}

/// The process that wrote the lock file; none when it is being written just now.
fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
