//! `constellation log print`: the black holes of a log, one a line.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use constellation_chain::{BlackHole, BlackHoleHeader, Certificate, Hash, NetworkId, Reason};
use constellation_node::{LOG_RECORD_KIND_BLACK_HOLE, read_black_hole};
use constellation_storage::Record;
use serde::Serialize;

use super::{Location, open, with_remedy};
use crate::exit::{Exit, Failure, help};
use crate::output::Output;

/// Print the black holes of a log, one a line
///
/// Each line has the height, the hash, how many LSH blocks and transactions it holds, how many transactions were censored
/// and why, how much evidence of forks it holds, and which validators signed it. Checks that each record is whole, not that
/// the chain holds: that is `constellation log verify`. With --json, each line is a JSON document of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation log print /var/lib/constellation",
        "constellation log print --from 1200 --count 10 /var/lib/constellation",
        "constellation log print --json /var/lib/constellation/log",
    ],
    &[Exit::CheckFailed, Exit::Machine],
))]
pub struct Args {
    #[command(flatten)]
    location: Location,
    /// The height to start from
    #[arg(long, value_name = "HEIGHT", default_value_t = 1)]
    from: u64,
    /// How many to print [default: all]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    #[command(flatten)]
    output: Output,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let log_dir = self.location.log_dir()?;
        let (reader, _) = open(&log_dir)?;
        let mut left = self.count.unwrap_or(usize::MAX);
        for record in reader.iter_from(0) {
            if left == 0 {
                break;
            }
            let record = record.map_err(|error| with_remedy(error, &log_dir))?;
            let header = header_of(&record);
            let is_wanted = header.is_none_or(|header| header.height() >= self.from);
            if record.kind != LOG_RECORD_KIND_BLACK_HOLE || !is_wanted {
                continue;
            }
            left -= 1;
            // A record of any network is printed; one too short for a header fails to decode whatever the network.
            let network = header.map_or_else(NetworkId::default, |header| header.network);
            let (black_hole, certificate) =
                read_black_hole(&record, network).map_err(|error| Failure::from_error(Exit::CheckFailed, &error))?;
            self.output.write(&Line::new(&black_hole, &certificate))?;
        }
        Ok(())
    }
}

/// The header at the front of a record, if the record is long enough.
fn header_of<'a>(record: &Record<'a>) -> Option<&'a BlackHoleHeader> {
    constellation_chain::Reader::new(record.payload).view().ok()
}

/// One black hole, in short.
#[derive(Debug, Serialize)]
struct Line {
    height: u64,
    hash: Hash,
    previous: Hash,
    state: Hash,
    lsh_blocks: usize,
    transactions: usize,
    applied: usize,
    censored: BTreeMap<Reason, usize>,
    evidence: usize,
    signers: Vec<usize>,
}

impl Line {
    fn new(black_hole: &BlackHole, certificate: &Certificate) -> Self {
        let mut censored = BTreeMap::new();
        for one in &black_hole.censored {
            *censored.entry(one.reason).or_insert(0) += 1;
        }
        let header = &black_hole.header;
        Self {
            height: header.height(),
            hash: header.hash(),
            previous: header.previous,
            state: header.state,
            lsh_blocks: black_hole.lsh_blocks.len(),
            transactions: header.transaction_count(),
            applied: header.transaction_count() - black_hole.censored.len(),
            censored,
            evidence: black_hole.evidence.len(),
            signers: certificate.signers().iter().collect(),
        }
    }
}

impl Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { height, hash, lsh_blocks, transactions, evidence, .. } = self;
        let censored = joined(self.censored.iter().map(|(reason, count)| format!("{reason}:{count}")));
        let signers = joined(self.signers.iter().map(usize::to_string));
        writeln!(
            formatter,
            "height={height} hash={hash} lsh_blocks={lsh_blocks} transactions={transactions} censored={censored} \
             evidence={evidence} signers={signers}"
        )
    }
}

/// The parts with commas between them, or a dash for none.
fn joined(parts: impl Iterator<Item = String>) -> String {
    let text = parts.collect::<Vec<_>>().join(",");
    if text.is_empty() { "-".to_owned() } else { text }
}
