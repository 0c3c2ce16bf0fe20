//! Reading and auditing a node's log of black holes, without the node.

use constellation_chain::{
    BlackHole, BlackHoleError, Certificate, Genesis, Hash, Hasher, NetworkId, Reason, Transaction,
};
use constellation_protocol::{AuditError, Auditor, Compute};
use constellation_storage::{LogError, Reader};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The kind of a log record that holds a black hole with its certificate, as [`BlackHole::to_bytes`] writes it.
pub const LOG_RECORD_KIND_BLACK_HOLE: u32 = 1;

/// What an audit found in a log that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Black holes; the height of the last.
    pub black_holes: u64,
    /// LSH blocks in them.
    pub lsh_blocks: u64,
    /// Transactions in those.
    pub transactions: u64,
    /// Those whose two stars belong to different clusters.
    pub cross_cluster: u64,
    /// Those that applied.
    pub applied: u64,
    /// Those that did not, by reason.
    pub censored: BTreeMap<Reason, u64>,
    /// Forks proven.
    pub evidence: u64,
    /// Clusters that stars belong to at the end.
    pub clusters: u64,
    /// The galaxy's validators at the end.
    pub validators: u64,
    /// Hash of the last black hole.
    pub tip: Hash,
    /// State commitment after it.
    pub state: Hash,
    /// Over every black hole's contents, certificates left out: equal if and only if two logs hold the same chain.
    pub contents_digest: Hash,
    /// Bytes of the log's files.
    pub bytes_on_disk: u64,
    /// Whether a crash left an unfinished record at the end.
    pub torn_tail: bool,
    /// The sum of all balances, in 10^-8 noos.
    pub total_supply: u128,
}

/// Why a log does not hold.
#[derive(Debug, thiserror::Error)]
pub enum AuditLogError {
    /// The log's bytes are damaged, or cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record is not a black hole of this network.
    #[error("log record {sequence} (segment {segment}, offset {offset}): {error}")]
    Record {
        /// The record.
        sequence: u64,
        /// The segment file it is in.
        segment: String,
        /// Where it starts there.
        offset: u64,
        /// What is wrong.
        error: BlackHoleError,
    },
    /// A black hole does not hold.
    #[error(transparent)]
    Chain(#[from] AuditError),
}

/// Reads the black hole of a log record.
pub fn read_black_hole(
    record: &constellation_storage::Record<'_>,
    network: NetworkId,
) -> Result<(BlackHole, Certificate), AuditLogError> {
    BlackHole::decode(record.payload, network).map_err(|error| AuditLogError::Record {
        sequence: record.sequence,
        segment: record.segment.display().to_string(),
        offset: record.offset,
        error,
    })
}

/// Verifies a log from its first byte: every signature, root, certificate, link and verdict. Trusts the genesis alone.
pub fn audit_log(log_dir: &Path, genesis: &Genesis, compute: Arc<dyn Compute>) -> Result<AuditReport, AuditLogError> {
    let reader = Reader::open(log_dir)?;
    let network = genesis.network_id();
    let mut auditor = Auditor::new(genesis.clone(), compute);
    let mut digest = Hasher::new(b"cst.adit");
    let mut report = AuditReport {
        black_holes: 0,
        lsh_blocks: 0,
        transactions: 0,
        cross_cluster: 0,
        applied: 0,
        censored: BTreeMap::new(),
        evidence: 0,
        clusters: 0,
        validators: 0,
        tip: genesis.hash(),
        state: auditor.ledger().state(),
        contents_digest: Hash::ZERO,
        bytes_on_disk: reader.bounds().disk_len_bytes,
        torn_tail: reader.torn_tail().is_some(),
        total_supply: 0,
    };
    for record in reader.iter_from(0) {
        let record = record?;
        if record.kind != LOG_RECORD_KIND_BLACK_HOLE {
            continue;
        }
        let (black_hole, certificate) = read_black_hole(&record, network)?;
        let crosses = |transaction: &Transaction| {
            let mut homes = transaction.halves().map(|(star, _)| auditor.home(star));
            let first = homes.next();
            homes.any(|home| Some(home) != first)
        };
        let cross_cluster = black_hole.transactions().filter(|transaction| crosses(transaction)).count() as u64;
        auditor.next(&black_hole, &certificate)?;
        digest.update(&black_hole.contents_digest().0);
        report.black_holes += 1;
        report.lsh_blocks += black_hole.lsh_blocks.len() as u64;
        report.evidence += black_hole.evidence.len() as u64;
        report.cross_cluster += cross_cluster;
        for (_, reason) in black_hole.outcomes() {
            report.transactions += 1;
            match reason {
                Some(reason) => *report.censored.entry(reason).or_default() += 1,
                None => report.applied += 1,
            }
        }
    }
    report.clusters = auditor.clusters().len() as u64;
    report.validators = auditor.validators().len() as u64;
    report.tip = auditor.tip().1;
    report.state = auditor.ledger().state();
    report.contents_digest = digest.finish();
    report.total_supply = auditor.ledger().total_supply();
    Ok(report)
}
