//! What a log needs from a disk, as traits, so that disks that tear, reorder, fill up and fail can be a test subject. No
//! implementation lives here: the real one is `directory.rs`, faulty ones are in the tests.

use std::io;
use std::ops::Range;
use std::path::Path;

/// Whether a file is opened to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The region is only read.
    Read,
    /// The region is written. What it shows must be what the disk holds, not a copy whose write has failed.
    Write,
}

/// A directory of preallocated files.
pub trait Disk {
    /// The contents of one file.
    type Region: Region;

    /// The directory, for messages.
    fn path(&self) -> &Path;
    /// Names of the files in the directory, in any order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Creates a file of zeros, or replaces an unused one, with all its bytes allocated. A full disk is
    /// [`io::ErrorKind::StorageFull`].
    fn create(&mut self, name: &str, len_bytes: u64) -> io::Result<Self::Region>;
    /// Allocates the missing end of a file that was cut short, as zeros. The file must not be open.
    fn extend(&mut self, name: &str, len_bytes: u64) -> io::Result<()>;
    /// Opens the whole of a file.
    fn open(&self, name: &str, access: Access) -> io::Result<Self::Region>;
    /// Renames a file; durable after [`Disk::sync_dir`].
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name; durable after [`Disk::sync_dir`]. Open regions of the file stay readable.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    fn sync_dir(&mut self) -> io::Result<()>;
}

/// The contents of one file, readable and writable in place.
pub trait Region {
    /// All bytes of the file.
    fn bytes(&self) -> &[u8];
    /// Overwrites bytes with `head` and then `parts`; seen by [`Region::bytes`] at once, durable after [`Region::sync`].
    ///
    /// # Panics
    /// If the range passes the end.
    fn write(&mut self, offset: usize, head: &[u8], parts: &[&[u8]]) -> io::Result<()>;
    /// Makes a range of bytes durable. After an error nothing is known about them, and trying again proves nothing.
    fn sync(&mut self, range: Range<usize>) -> io::Result<()>;
}
