//! `constellation log`: a node's log of black holes, read, checked and repaired without the node. Here is what the
//! subcommands share: finding the log, and opening it.

mod bounds;
mod print;
mod repair;
mod verify;

use std::path::{Path, PathBuf};

use constellation_node::DataDir;
use constellation_storage::{LogError, Reader};
use serde::Serialize;

use crate::exit::{Exit, Failure, help};

/// Read, check or repair a node's log of black holes
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation log verify /var/lib/constellation",
        "constellation log print --from 1200 --count 10 /var/lib/constellation",
        "constellation log repair --dry-run /var/lib/constellation",
    ],
    &[Exit::CheckFailed, Exit::Machine],
))]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Bounds(bounds::Args),
    Print(print::Args),
    Verify(verify::Args),
    Repair(repair::Args),
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Bounds(args) => args.run(),
            What::Print(args) => args.run(),
            What::Verify(args) => args.run(),
            What::Repair(args) => args.run(),
        }
    }
}

/// Where a log is.
#[derive(Clone, Debug, clap::Args)]
struct Location {
    /// The node's data directory, or the log folder in it
    dir: PathBuf,
}

impl Location {
    /// The folder with the segments: the log of a data directory, or `dir` itself.
    fn log_dir(&self) -> Result<PathBuf, Failure> {
        let inner = DataDir::new(&self.dir).log_path();
        let log_dir = if inner.is_dir() { inner } else { self.dir.clone() };
        match has_segments(&log_dir) {
            Ok(true) => Ok(log_dir),
            Ok(false) => Err(Failure::new(
                Exit::BadInput,
                format_args!(
                    "{} holds no log segments; give a node's data directory or its log folder",
                    log_dir.display()
                ),
            )),
            Err(error) => Err(Failure::reading(log_dir.display(), &error)),
        }
    }

    /// The genesis file beside the log.
    fn genesis_path(&self) -> PathBuf {
        let in_data_dir = DataDir::new(&self.dir).genesis_path();
        if in_data_dir.is_file() { in_data_dir } else { DataDir::new(self.dir.join("..")).genesis_path() }
    }
}

fn has_segments(dir: &Path) -> std::io::Result<bool> {
    for entry in std::fs::read_dir(dir)? {
        if entry?.path().extension().is_some_and(|extension| extension == "seg") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens a log and says what a crash, or a node at work, has left behind its last record.
fn open(log_dir: &Path) -> Result<(Reader, Option<TornTail>), Failure> {
    let reader = Reader::open(log_dir).map_err(|error| with_remedy(error, log_dir))?;
    let torn_tail = reader.torn_tail().map(TornTail::from);
    if let Some(tail) = &torn_tail {
        tracing::warn!(
            segment = tail.segment,
            offset = tail.offset,
            len_bytes = tail.len_bytes,
            "unfinished end behind the last record: a crash left it, or the node is at work; the node clears it as it starts"
        );
    }
    Ok((reader, torn_tail))
}

/// A log error, with the command that goes on from damage.
fn with_remedy(error: LogError, log_dir: &Path) -> Failure {
    let damaged = matches!(error, LogError::Damaged { .. });
    let failure = Failure::from(error);
    if !damaged {
        return failure;
    }
    let remedy = format!("{failure}: constellation log repair --dry-run {}", log_dir.display());
    Failure::new(Exit::CheckFailed, remedy)
}

/// The unfinished end of a log, in reports.
#[derive(Debug, Serialize)]
struct TornTail {
    segment: String,
    offset: u64,
    len_bytes: u64,
    records: u64,
}

impl From<&constellation_storage::TornTail> for TornTail {
    fn from(tail: &constellation_storage::TornTail) -> Self {
        Self {
            segment: tail.segment.display().to_string(),
            offset: tail.offset,
            len_bytes: tail.len_bytes,
            records: tail.records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_found_from_its_data_directory_and_from_itself() {
        let data = tempfile::tempdir().unwrap();
        let location = |dir: PathBuf| Location { dir };
        let log_dir = data.path().join("log");
        std::fs::create_dir(&log_dir).unwrap();
        let empty = location(data.path().to_owned()).log_dir().unwrap_err().to_string();
        assert!(empty.contains("holds no log segments"), "{empty}");

        std::fs::write(log_dir.join("00000000000000000001.seg"), b"").unwrap();
        std::fs::write(data.path().join("genesis.toml"), b"").unwrap();
        for dir in [data.path().to_owned(), log_dir.clone()] {
            assert_eq!(location(dir.clone()).log_dir(), Ok(log_dir.clone()));
            assert!(location(dir).genesis_path().is_file());
        }
        let missing = location(data.path().join("missing")).log_dir().unwrap_err().to_string();
        assert!(missing.contains("missing"), "{missing}");
    }
}
