//! A memory-mapped, append-only log of records in preallocated segment files: the journal and the archive of a node.
//!
//! It knows records (a kind, a payload, a sequence), not the ledger: it must never interpret a payload, never repair damage
//! unasked, never retry a failed sync, never overwrite or truncate a record, and never call a record durable that is not on disk.
//!
//! - One writer ([`Log`]), which holds a lock on the directory; any number of [`Reader`]s beside it.
//! - [`Log::append`] writes into the page cache: readable at once, there after a killed process. [`Log::sync`] makes all that was
//!   appended survive a power cut, in one go.
//! - A crash leaves a torn tail: opening keeps the valid records, clears the rest and says so ([`Recovery`]). Anything else that is not as
//!   written is [`LogError::Damaged`], with the segment and the offset; [`repair`] is the explicit way on.
//! - What a crash cannot reveal: if the newest segments, or the oldest, vanish as whole files, what is left is a sound shorter log.
//! - Opening reads and checks the whole log, and the index takes 4 bytes of memory a record: trim or archive what need not be at hand.
//! - A disk whose medium fails under a map ends the process with `SIGBUS`; the log is then found as after any crash.
//!
//! The format is drawn byte by byte in `format.rs`.
//!
//! ```
//! use constellation_storage::{Log, LogOptions, Reader};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let options = LogOptions { segment_len_bytes: 1 << 20, reserve_len_bytes: 1 << 20 };
//! let (mut log, recovery) = Log::open(dir.path(), options)?;
//! assert_eq!(recovery.records, 0);
//!
//! let sequence = log.append(7, &[b"payload in ", b"two parts"])?;
//! assert_eq!(log.sync()?, sequence);
//!
//! let reader = Reader::open(dir.path())?;
//! for record in reader.iter_from(sequence) {
//!     let record = record?;
//!     assert_eq!((record.kind, record.payload), (7, &b"payload in two parts"[..]));
//! }
//! # Ok(())
//! # }
//! ```

mod chain;
mod directory;
mod disk;
mod error;
mod format;
mod log;
mod map;
mod reader;
mod repair;
mod scan;
mod segment;

pub use chain::{Bounds, TornTail};
pub use directory::Directory;
pub use disk::{Access, Disk, Region};
pub use error::LogError;
pub use log::{Log, LogOptions, Recovery};
pub use map::Mapped;
pub use reader::Reader;
pub use repair::{RepairReport, repair};
pub use segment::{Record, SegmentBounds};
