//! `constellation log repair`: damage cut out of a log, by explicit command.

use std::fmt::{self, Display};
use std::path::Path;

use constellation_node::DataDir;
use constellation_storage::{RepairReport, repair};
use serde::Serialize;

use super::Location;
use crate::exit::{Exit, Failure, help};
use crate::output::Output;

/// Cut damage out of a log; the node must be stopped
///
/// Keeps the records before the first damage. The damaged segment and all later ones are moved to a folder damaged-N in
/// the log folder; nothing is deleted. The node then fetches the black holes it lost from its peers. A log without damage
/// is left alone. Run it with --dry-run first: that shows what would be done, changes nothing and succeeds also when
/// there is damage. A node's journal is refused: see the error for what to do with it.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation log repair --dry-run /var/lib/constellation",
        "constellation log repair /var/lib/constellation",
    ],
    &[Exit::Machine],
))]
pub struct Args {
    #[command(flatten)]
    location: Location,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let log_dir = self.location.log_dir()?;
        refuse_journal(&log_dir)?;
        let report = repair(&log_dir, self.dry_run)?;
        self.output.write(&Report::from(report))
    }
}

/// A black hole that is cut off can be had again from peers. What a node said in rounds that are not settled cannot, and
/// a node that starts with a part of it could contradict the rest.
fn refuse_journal(log_dir: &Path) -> Result<(), Failure> {
    let own = |path: &Path| std::fs::canonicalize(path).ok();
    let journal = own(&DataDir::new(log_dir.join("..")).journal_path());
    if journal.is_none() || journal != own(log_dir) {
        return Ok(());
    }
    let message = format!(
        "{} is a node's journal, and a part of it is worse than none; move the folder away: the node will sit out until \
         the network has passed what it may have said",
        log_dir.display()
    );
    Err(Failure::new(Exit::BadInput, message))
}

#[derive(Debug, Serialize)]
struct Report {
    dry_run: bool,
    damage: Option<String>,
    kept_records: u64,
    next_sequence: u64,
    lost_records: u64,
    moved: Vec<String>,
    moved_to: Option<String>,
    rewritten: Option<String>,
}

impl From<RepairReport> for Report {
    fn from(report: RepairReport) -> Self {
        Self {
            dry_run: report.dry_run,
            damage: report.damage.map(|damage| damage.to_string()),
            kept_records: report.kept_records,
            next_sequence: report.next_sequence,
            lost_records: report.lost_records,
            moved: report.moved,
            moved_to: report.moved_to.map(|path| path.display().to_string()),
            rewritten: report.rewritten.map(|path| path.display().to_string()),
        }
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(damage) = &self.damage else {
            return writeln!(formatter, "no damage: {} records, nothing to repair", self.kept_records);
        };
        writeln!(formatter, "damage: {damage}")?;
        let (kept, lost) = (self.kept_records, self.lost_records);
        match self.dry_run {
            true => writeln!(formatter, "a repair would keep {kept} records and lose {lost} or more")?,
            false => writeln!(formatter, "repaired: kept {kept} records, lost {lost} or more")?,
        }
        let moved = if self.dry_run { "would be moved" } else { "moved" };
        if let Some(folder) = &self.moved_to {
            writeln!(formatter, "{moved} to {folder}: {}", self.moved.join(", "))?;
        }
        if let Some(path) = &self.rewritten {
            let rewritten = if self.dry_run { "would be written anew" } else { "written anew" };
            writeln!(formatter, "{rewritten} with the records that are whole: {path}")?;
        }
        writeln!(formatter, "next record: {}", self.next_sequence)
    }
}
