//! The report of a devnet: the load's, the logs', and where the time went.

use crate::devnet::check::LogCheck;
use crate::devnet::work::{CpuCost, NodeTimes, Work};
use crate::load::LoadReport;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A devnet's report. Field names are stable.
#[derive(Debug, Serialize)]
pub struct DevnetReport {
    /// What the load measured.
    #[serde(flatten)]
    pub load: LoadReport,
    /// Nodes.
    pub nodes: usize,
    /// Star clusters at the start.
    pub clusters: u32,
    /// Star clusters at the end.
    pub clusters_at_end: u64,
    /// The galaxy's validators at the end.
    pub validators_at_end: u64,
    /// LSH blocks in the longest log.
    pub lsh_blocks: u64,
    /// Transactions in it whose two stars belong to different clusters.
    pub cross_cluster: u64,
    /// Stars.
    pub stars: usize,
    /// Whether each node had a process of its own.
    pub processes: bool,
    /// Nodes killed, by plan or by chance.
    pub kills: u64,
    /// Nodes that did not run at the end. Their logs may end before the others'.
    pub down: Vec<usize>,
    /// What the nodes' journals survive.
    pub journal_sync: String,
    /// The verification backend.
    pub backend: String,
    /// Heights of the nodes' logs: black holes in the longest.
    pub height: u64,
    /// Forks proven.
    pub evidence: u64,
    /// Bytes of all nodes' log files.
    pub bytes_on_disk: u64,
    /// Logs that do not hold or differ.
    pub mismatches: u64,
    /// What each of them is about.
    pub mismatch_details: Vec<String>,
    /// How long verifying and comparing all logs took.
    pub check_s: f64,
    /// Share of a core that each kind of stage was busy, summed over the nodes of this process.
    pub stage_cores: StageCores,
    /// Where the time of each node's stages went.
    pub stage_times: Vec<NodeTimes>,
    /// What a committed transaction cost in all; of a node that was killed only what it did since is in it.
    pub cpu_us_per_committed: CpuCost,
    /// The verifying stages' part of all stages' busy time, from 0 to 1.
    pub verify_share: f64,
    /// The GPU's part of all signatures, from 0 to 1; none without a GPU.
    pub gpu_share: Option<f64>,
    /// Where the nodes' directories are, if they were kept.
    pub dir: Option<PathBuf>,
}

/// Busy time of the stages ÷ time of the run, summed over the nodes: 1.0 is a whole core.
#[derive(Debug, Default, Serialize)]
pub struct StageCores {
    /// Verifying signatures.
    pub verify: f64,
    /// The state machine: consensus, pool, ledger, journal.
    pub core: f64,
    /// Writing and syncing the log.
    pub log: f64,
    /// Sockets between nodes, encryption, gossip.
    pub net: f64,
}

impl StageCores {
    /// The stages of all nodes, over a run.
    pub fn of(work: &Work, run: Duration) -> Self {
        let busy_s = |stage: fn(&NodeTimes) -> f64| work.nodes.iter().map(stage).sum::<f64>() / run.as_secs_f64();
        StageCores {
            verify: busy_s(|node| node.verify.busy_s),
            core: busy_s(|node| node.core.busy_s),
            log: busy_s(|node| node.log.busy_s),
            net: busy_s(|node| node.net.busy_s),
        }
    }

    /// The verifying stages' part of the whole, from 0 to 1.
    pub fn verify_share(&self) -> f64 {
        let whole = self.verify + self.core + self.log + self.net;
        if whole > 0.0 { self.verify / whole } else { 0.0 }
    }
}

impl DevnetReport {
    /// Takes over what the logs' check found.
    pub fn take_check(&mut self, check: &LogCheck, check_s: f64) {
        let audits = || check.nodes.iter().filter_map(|node| node.audit.as_ref());
        self.height = audits().map(|audit| audit.black_holes).max().unwrap_or(0);
        self.evidence = audits().map(|audit| audit.evidence).max().unwrap_or(0);
        self.lsh_blocks = audits().map(|audit| audit.lsh_blocks).max().unwrap_or(0);
        self.cross_cluster = audits().map(|audit| audit.cross_cluster).max().unwrap_or(0);
        let longest = audits().max_by_key(|audit| audit.black_holes);
        self.clusters_at_end = longest.map_or(0, |audit| audit.clusters);
        self.validators_at_end = longest.map_or(0, |audit| audit.validators);
        self.bytes_on_disk = audits().map(|audit| audit.bytes_on_disk).sum();
        self.mismatches = check.mismatches;
        self.mismatch_details = check
            .nodes
            .iter()
            .filter_map(|node| node.mismatch.as_ref().map(|what| format!("node {}: {what}", node.node)))
            .collect();
        self.check_s = check_s;
    }
}

impl fmt::Display for DevnetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let where_they_run = if self.processes { "one process each" } else { "one process" };
        writeln!(
            f,
            "{} nodes ({where_they_run}, journal_sync = {}), {} stars in {}",
            self.nodes,
            self.journal_sync,
            self.stars,
            if self.clusters == 1 { "one cluster".into() } else { format!("{} clusters", self.clusters) }
        )?;
        if self.kills > 0 {
            let down = match self.down.len() {
                0 => String::new(),
                down => format!(", {down} of them down to the end"),
            };
            writeln!(f, "killed       {} times a node{down}", self.kills)?;
        }
        write!(f, "{}", self.load)?;
        let (height, blocks, evidence) = (self.height, self.lsh_blocks, self.evidence);
        writeln!(f, "chain        {height} black holes of {blocks} LSH blocks, {evidence} forks in evidence")?;
        if self.clusters > 1 || self.clusters_at_end > 1 {
            let (clusters, cross) = (self.clusters_at_end, self.cross_cluster);
            writeln!(
                f,
                "clusters     {clusters} at the end, {cross} transactions between stars of different clusters"
            )?;
        }
        if self.validators_at_end != self.nodes as u64 {
            writeln!(f, "validators   {} at the end", self.validators_at_end)?;
        }
        writeln!(f, "disk         {:.1} MiB of log files, all nodes", self.bytes_on_disk as f64 / f64::from(1 << 20))?;
        let StageCores { verify, core, log, net } = self.stage_cores;
        writeln!(f, "cores used   verify {verify:.2}, core {core:.2}, log {log:.2}, net {net:.2} (all nodes)")?;
        let CpuCost { verify, core, log, net, api, load, total } = self.cpu_us_per_committed;
        writeln!(
            f,
            "cost         {total:.1} us of processor time a committed transfer, all nodes together: verify {verify:.1}, core {core:.1}, log {log:.1}, net {net:.1}, api {api:.1}, load {load:.1}"
        )?;
        if self.kills > 0 {
            writeln!(f, "             without what nodes did before they were killed")?;
        }
        for (node, times) in self.stage_times.iter().enumerate() {
            let node = format!("node {node}");
            writeln!(f, "{node:<13}{times}")?;
        }
        writeln!(f, "             in seconds: busy + waiting + held up (processor)")?;
        let percent = 100.0 * self.verify_share;
        let gpu = self.gpu_share.map(|share| format!(", {:.0} % of the signatures on the GPU", 100.0 * share));
        let gpu = gpu.unwrap_or_default();
        writeln!(f, "verified by  {}, in {percent:.0} % of the stages' busy time{gpu}", self.backend)?;
        writeln!(
            f,
            "logs         verified from the first byte and compared in {:.1} s: {} mismatches",
            self.check_s, self.mismatches
        )?;
        for detail in &self.mismatch_details {
            writeln!(f, "             {detail}")?;
        }
        match &self.dir {
            Some(dir) => writeln!(f, "kept in      {}", dir.display()),
            None => Ok(()),
        }
    }
}
