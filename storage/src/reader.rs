//! Reading a log without its lock, for tools: it may be written at the same time. Never changes a file.

use std::io;
use std::path::Path;

use crate::chain::{self, Bounds, Chain, Finding, Loaded, TornTail};
use crate::directory::Directory;
use crate::disk::Access;
use crate::error::LogError;
use crate::map::Mapped;
use crate::segment::Record;

/// How often a log that is being written is looked at anew before the last look counts.
const LOOKS_MAX: usize = 8;

/// The records that a log held when it was opened for reading.
#[derive(Debug)]
pub struct Reader {
    chain: Chain<Mapped>,
    torn_tail: Option<TornTail>,
}

impl Reader {
    /// Opens the log in `dir` and checks all of it. A directory without segments reads as an empty log.
    ///
    /// # Errors
    /// [`LogError::Damaged`] as [`Log::open`](crate::Log::open) would report it; [`LogError::Io`] if a file cannot be read.
    pub fn open(dir: &Path) -> Result<Reader, LogError> {
        let Loaded { chain, finding, .. } = load_settled(&mut Directory::shared(dir))?;
        match finding {
            Finding::Intact => Ok(Reader { chain, torn_tail: None }),
            Finding::Torn(tail) => Ok(Reader { chain, torn_tail: Some(tail) }),
            Finding::Damaged { error, .. } => Err(error),
        }
    }

    /// The unfinished end behind the last record, if there is one: a crash left it, or a writer is at work.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn_tail.as_ref()
    }

    /// What the log held when it was opened.
    pub fn bounds(&self) -> Bounds {
        self.chain.bounds()
    }

    /// The record with this sequence, in place; none if it is not there.
    ///
    /// # Errors
    /// [`LogError::Damaged`] if its bytes have changed since the log was opened.
    pub fn read(&self, sequence: u64) -> Result<Option<Record<'_>>, LogError> {
        self.chain.read(sequence)
    }

    /// All records from this sequence, or from the oldest kept if that is later. An error is the last item.
    pub fn iter_from(&self, sequence: u64) -> impl Iterator<Item = Result<Record<'_>, LogError>> {
        self.chain.iter_from(sequence)
    }
}

/// A look at a log while it is written may miss a record and see the next one, or find a trimmed segment gone. What is
/// found twice in the same place is really there.
fn load_settled(disk: &mut Directory) -> Result<Loaded<Mapped>, LogError> {
    let mut before = None;
    for _ in 1..LOOKS_MAX {
        match chain::load(disk, Access::Read) {
            Ok(loaded) => {
                let broken_at = loaded.finding.broken_at();
                if broken_at.is_none() || broken_at == before {
                    return Ok(loaded);
                }
                before = broken_at;
            }
            Err(error) if !is_missing_file(&error) => return Err(error),
            Err(_) => {}
        }
    }
    chain::load(disk, Access::Read)
}

fn is_missing_file(error: &LogError) -> bool {
    matches!(error, LogError::Io { operation: "open", source, .. } if source.kind() == io::ErrorKind::NotFound)
}
