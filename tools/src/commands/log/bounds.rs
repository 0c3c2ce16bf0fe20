//! `constellation log bounds`: what a log holds and the room it takes.

use std::fmt::{self, Display};

use serde::Serialize;

use super::{Location, TornTail, open};
use crate::exit::{Exit, Failure, help};
use crate::output::Output;

/// Show what a log holds and the room it takes, segment by segment
///
/// Reads and checks every record, also while the node is running. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &["constellation log bounds /var/lib/constellation", "constellation log bounds --json /var/lib/constellation/log"],
    &[Exit::CheckFailed, Exit::Machine],
))]
pub struct Args {
    #[command(flatten)]
    location: Location,
    #[command(flatten)]
    output: Output,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let log_dir = self.location.log_dir()?;
        let (reader, torn_tail) = open(&log_dir)?;
        let bounds = reader.bounds();
        let segments = bounds.segments.iter().map(|segment| Segment {
            path: segment.path.display().to_string(),
            first_sequence: segment.first_sequence,
            records: segment.records,
            used_len_bytes: segment.used_len_bytes,
            len_bytes: segment.len_bytes,
            sealed: segment.sealed,
        });
        self.output.write(&Report {
            dir: log_dir.display().to_string(),
            first_sequence: bounds.first_sequence,
            next_sequence: bounds.next_sequence,
            records: bounds.next_sequence - bounds.first_sequence,
            used_len_bytes: bounds.used_len_bytes,
            disk_len_bytes: bounds.disk_len_bytes,
            segments: segments.collect(),
            torn_tail,
        })
    }
}

#[derive(Debug, Serialize)]
struct Report {
    dir: String,
    first_sequence: u64,
    next_sequence: u64,
    records: u64,
    used_len_bytes: u64,
    disk_len_bytes: u64,
    segments: Vec<Segment>,
    torn_tail: Option<TornTail>,
}

#[derive(Debug, Serialize)]
struct Segment {
    path: String,
    first_sequence: u64,
    records: u64,
    used_len_bytes: u64,
    len_bytes: u64,
    sealed: bool,
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "log {}", self.dir)?;
        match self.records {
            0 => writeln!(formatter, "records 0")?,
            records => {
                writeln!(formatter, "records {records}, {} to {}", self.first_sequence, self.next_sequence - 1)?;
            }
        }
        writeln!(formatter, "bytes {} used, {} on disk", self.used_len_bytes, self.disk_len_bytes)?;
        for segment in &self.segments {
            let Segment { path, first_sequence, records, used_len_bytes, len_bytes, sealed } = segment;
            let state = if *sealed { "sealed" } else { "open" };
            writeln!(
                formatter,
                "segment {path}: {records} records from {first_sequence}, {used_len_bytes} of {len_bytes} bytes, {state}"
            )?;
        }
        if let Some(tail) = &self.torn_tail {
            writeln!(
                formatter,
                "unfinished end: {} bytes from byte {} of {}",
                tail.len_bytes, tail.offset, tail.segment
            )?;
        }
        Ok(())
    }
}
