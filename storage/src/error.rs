//! The errors of a log. All of them are this machine's or the caller's: nothing here comes from a peer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

/// Why a log could not do what it was asked.
///
/// Clone, because a failed write or sync is latched: every later call returns the same error.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum LogError {
    /// The options contradict what a segment can be. The caller's fault.
    #[error("log options: {reason}")]
    InvalidOptions {
        /// What is wrong, and what is allowed.
        reason: &'static str,
    },
    /// Another process, or another `Log` in this one, writes this log.
    #[error("log directory {} is in use by {}; stop that first", dir.display(), holder(*pid))]
    Locked {
        /// The log's directory.
        dir: PathBuf,
        /// The process that holds the lock, when its lock file says so.
        pid: Option<u32>,
    },
    /// There is no room to allocate the next segment. Nothing was written and nothing is lost: the log can be read, and appending goes
    /// on once there is room.
    #[error("no room for a log segment of {needed_bytes} bytes in {}; free some space", dir.display())]
    DiskFull {
        /// The log's directory.
        dir: PathBuf,
        /// Bytes that must be free for the log to go on.
        needed_bytes: u64,
    },
    /// The record does not fit in a segment. The caller's fault.
    #[error("a record of {len_bytes} bytes does not fit in a segment, which holds at most {max_len_bytes}")]
    RecordTooLarge {
        /// Length of the payload that was refused.
        len_bytes: u64,
        /// The longest payload that is accepted with these options.
        max_len_bytes: u64,
    },
    /// Bytes that had been written are not what was written.
    #[error("log segment {} is damaged at byte {offset}: {reason}; see what a repair would keep, with a dry run", segment.display())]
    Damaged {
        /// The segment file.
        segment: PathBuf,
        /// Where in the file the bad record or header starts.
        offset: u64,
        /// What was found there.
        reason: &'static str,
    },
    /// The segment was written by a newer version of this crate.
    #[error("log segment {} has format version {found}, which this build cannot read; use a newer one", segment.display())]
    UnsupportedVersion {
        /// The segment file.
        segment: PathBuf,
        /// The version it carries.
        found: u32,
    },
    /// The operating system refused an operation.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was being done, as a verb.
        operation: &'static str,
        /// The file or directory it was done to.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
}

impl LogError {
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> LogError {
        let path = path.into();
        move |source| LogError::Io { operation, path, source: Arc::new(source) }
    }

    /// The error of a failed allocation of `needed_bytes`, with a full disk told apart.
    pub(crate) fn allocation(dir: &Path, needed_bytes: u64, error: io::Error) -> LogError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                LogError::DiskFull { dir: dir.to_owned(), needed_bytes }
            }
            _ => LogError::io("allocate a segment in", dir)(error),
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}
