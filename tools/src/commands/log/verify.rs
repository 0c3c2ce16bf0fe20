//! `constellation log verify`: the whole chain checked again from the genesis, with nothing else trusted.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use constellation_chain::Genesis;
use constellation_node::{AuditLogError, AuditReport, VerifyEngine, audit_log};
use serde::Serialize;

use super::{Location, with_remedy};
use crate::exit::{Exit, Failure, help};
use crate::output::Output;

/// Check a log from the genesis on: every signature, root, certificate, link and ledger verdict
///
/// Trusts nothing but the genesis file. Names the height and what does not hold there, or the segment and the byte where
/// the file is damaged. Two logs with the same contents digest hold the same black holes. Can run beside a running node;
/// changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation log verify /var/lib/constellation",
        "constellation log verify --genesis genesis.toml copied-log",
        "constellation log verify --json /var/lib/constellation/log",
    ],
    &[Exit::CheckFailed, Exit::Machine],
))]
pub struct Args {
    #[command(flatten)]
    location: Location,
    /// The genesis file of the network [default: genesis.toml in DIR, or beside it]
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let log_dir = self.location.log_dir()?;
        let genesis = read_genesis(&self.genesis.unwrap_or_else(|| self.location.genesis_path()))?;
        let checked = audit_log(&log_dir, &genesis, Arc::new(VerifyEngine::detect()));
        let (report, verdict) = match checked.map_err(|error| failure_of(error, &log_dir)) {
            Ok(audit) => (Report { holds: true, audit: Some(audit), error: None }, Ok(())),
            // Only a program that reads JSON is owed a report of what does not hold: a person has the error.
            Err(failure) if failure.exit() == Exit::CheckFailed && self.output.json => {
                (Report { holds: false, audit: None, error: Some(failure.to_string()) }, Err(failure))
            }
            Err(failure) => return Err(failure),
        };
        let written = self.output.write(&report);
        // A reader that has gone must not turn the verdict into a success.
        verdict.and(written)
    }
}

fn read_genesis(path: &Path) -> Result<Genesis, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let failure = Failure::reading(path.display(), &error);
        Failure::new(failure.exit(), format_args!("{failure}; name the network's genesis file with --genesis"))
    })?;
    Genesis::from_toml(&text).map_err(|error| Failure::new(Exit::BadInput, format_args!("{}: {error}", path.display())))
}

fn failure_of(error: AuditLogError, log_dir: &Path) -> Failure {
    match error {
        AuditLogError::Log(error) => with_remedy(error, log_dir),
        AuditLogError::Record { .. } | AuditLogError::Chain(_) => Failure::from_error(Exit::CheckFailed, &error),
    }
}

#[derive(Debug, Serialize)]
struct Report {
    holds: bool,
    #[serde(flatten)]
    audit: Option<AuditReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(audit) = &self.audit else { return Ok(()) };
        writeln!(formatter, "the log holds")?;
        writeln!(formatter, "black holes      {}", audit.black_holes)?;
        writeln!(formatter, "LSH blocks       {}", audit.lsh_blocks)?;
        writeln!(formatter, "transactions     {}", audit.transactions)?;
        if audit.cross_cluster > 0 {
            writeln!(formatter, "between clusters {}", audit.cross_cluster)?;
        }
        writeln!(formatter, "applied          {}", audit.applied)?;
        for (reason, count) in &audit.censored {
            writeln!(formatter, "censored         {count} ({reason})")?;
        }
        writeln!(formatter, "evidence         {}", audit.evidence)?;
        writeln!(formatter, "clusters         {}", audit.clusters)?;
        writeln!(formatter, "validators       {}", audit.validators)?;
        writeln!(formatter, "tip              {}", audit.tip)?;
        writeln!(formatter, "state            {}", audit.state)?;
        writeln!(formatter, "contents digest  {}", audit.contents_digest)?;
        writeln!(formatter, "total supply     {}", audit.total_supply)?;
        writeln!(formatter, "bytes on disk    {}", audit.bytes_on_disk)?;
        if audit.torn_tail {
            writeln!(formatter, "unfinished end   yes; the node clears it as it starts")?;
        }
        Ok(())
    }
}
