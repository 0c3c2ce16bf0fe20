//! The check at a devnet's end: every log verified from its first byte, and all of them compared.

use constellation_chain::Genesis;
use constellation_node::{AuditReport, LOG_RECORD_KIND_BLACK_HOLE, VerifyEngine, audit_log, read_black_hole};
use constellation_storage::Reader;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the check of all logs found.
#[derive(Clone, Debug, Serialize)]
pub struct LogCheck {
    /// One for each node.
    pub nodes: Vec<NodeCheck>,
    /// Logs that do not hold, or differ from the longest that does.
    pub mismatches: u64,
}

/// What the check of one node's log found.
#[derive(Clone, Debug, Serialize)]
pub struct NodeCheck {
    /// The node's number.
    pub node: usize,
    /// The audit, where the log holds.
    pub audit: Option<AuditReport>,
    /// What does not hold, or differs.
    pub mismatch: Option<String>,
}

/// Verifies and compares the logs of all nodes. Those of `down`, which did not run at the end, may end before the others.
pub fn check_logs(log_dirs: &[PathBuf], down: &[usize], genesis: &Genesis) -> LogCheck {
    let engine = Arc::new(VerifyEngine::detect());
    let audit = |node: usize, dir: &PathBuf| match audit_log(dir, genesis, engine.clone()) {
        Ok(audit) => NodeCheck { node, audit: Some(audit), mismatch: None },
        Err(error) => NodeCheck { node, audit: None, mismatch: Some(error.to_string()) },
    };
    let mut nodes: Vec<NodeCheck> = std::thread::scope(|scope| {
        let audit = &audit;
        let audits: Vec<_> =
            log_dirs.iter().enumerate().map(|(node, dir)| scope.spawn(move || audit(node, dir))).collect();
        let panicked = |node| NodeCheck { node, audit: None, mismatch: Some("its audit panicked: a defect".into()) };
        audits.into_iter().enumerate().map(|(node, audit)| audit.join().unwrap_or_else(|_| panicked(node))).collect()
    });
    let held = nodes.iter().filter_map(|check| Some((check.node, check.audit.clone()?)));
    if let Some((longest_node, longest)) = held.max_by_key(|(_, audit)| audit.black_holes) {
        for check in &mut nodes {
            let Some(audit) = &check.audit else { continue };
            let is_short = audit.black_holes < longest.black_holes;
            let is_same = match is_short {
                true => is_start_of(audit, &log_dirs[longest_node], genesis),
                false => audit.contents_digest == longest.contents_digest,
            };
            check.mismatch = match (is_same, is_short && !down.contains(&check.node)) {
                (false, _) => Some(format!("its log holds, but is another chain than node {longest_node}'s")),
                (true, true) => Some(format!(
                    "its log ends at black hole {}, the longest at {}",
                    audit.black_holes, longest.black_holes
                )),
                (true, false) => None,
            };
        }
    }
    let mismatches = nodes.iter().filter(|check| check.mismatch.is_some()).count() as u64;
    LogCheck { nodes, mismatches }
}

/// Whether the longer log in `dir`, which holds, starts with the chain that `audit` is of.
fn is_start_of(audit: &AuditReport, dir: &Path, genesis: &Genesis) -> bool {
    let Ok(reader) = Reader::open(dir) else { return false };
    let black_holes = reader.iter_from(0).filter_map(|record| {
        let record = record.ok().filter(|record| record.kind == LOG_RECORD_KIND_BLACK_HOLE)?;
        read_black_hole(&record, genesis.network_id()).ok()
    });
    let hashes = std::iter::once(genesis.hash()).chain(black_holes.map(|(black_hole, _)| black_hole.header.hash()));
    usize::try_from(audit.black_holes).ok().and_then(|height| hashes.into_iter().nth(height)) == Some(audit.tip)
}
