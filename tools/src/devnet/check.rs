//! The check at a devnet's end: every log verified from its first byte, and all of them compared.

use constellation_chain::{Genesis, Hash};
use constellation_node::{AuditReport, VerifyEngine, audit_log};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// What the check of all logs found.
#[derive(Clone, Debug, Serialize)]
pub struct LogCheck {
    /// One for each node.
    pub nodes: Vec<NodeCheck>,
    /// Logs that do not hold, or differ from the first that does.
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

/// Verifies and compares the logs.
pub fn check_logs(log_dirs: &[PathBuf], genesis: &Genesis) -> LogCheck {
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
    let longest = nodes.iter().filter_map(|check| check.audit.as_ref()).max_by_key(|audit| audit.black_holes);
    let reference: Option<(u64, Hash)> = longest.map(|audit| (audit.black_holes, audit.contents_digest));
    for check in &mut nodes {
        if let (Some(audit), Some((black_holes, digest))) = (&check.audit, reference)
            && audit.contents_digest != digest
        {
            let (mine, theirs) = (audit.black_holes, black_holes);
            check.mismatch = Some(if mine == theirs {
                "its log holds, but is another chain".into()
            } else {
                format!("its log ends at black hole {mine}, the longest at {theirs}")
            });
        }
    }
    let mismatches = nodes.iter().filter(|check| check.mismatch.is_some()).count() as u64;
    LogCheck { nodes, mismatches }
}
