//! `galaxy run`: a validator, from its data directory, until it is told to stop.

use crate::exit::{Exit, Failure, help, note};
use crate::signals::StopSignal;
use constellation_node::{DataDir, NodeError, RunningNode};
use std::path::PathBuf;
use std::time::Duration;

/// Run the validator of a data directory until SIGINT or SIGTERM
///
/// The node stops in order: no new requests, then what was certified goes to disk. After a kill or a power cut it takes up
/// where it left off, and never contradicts what it had sent. Diagnostics go to standard error (see --log-level).
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation galaxy run --dir my-galaxy",
    "constellation galaxy run --dir my-galaxy --log-level info",
], &[Exit::CheckFailed, Exit::Machine]))]
pub struct Args {
    /// The data directory, as `constellation init` makes it
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let signal = StopSignal::install()?;
        let data_dir = DataDir::new(&self.dir);
        let config = data_dir.config().map_err(NodeError::from).map_err(node_failure)?;
        let node = RunningNode::start(&data_dir, config).map_err(node_failure)?;
        note(format_args!(
            "node of {} runs: nodes {}, clients {}, black hole {}",
            self.dir.display(),
            node.node_addr(),
            node.api_addr(),
            node.height()
        ));
        while !signal.is_set() && !node.has_ended(Duration::from_millis(100)) {}
        let height = node.height();
        node.stop().map_err(node_failure)?;
        note(format_args!("node of {} stopped at black hole {height}", self.dir.display()));
        Ok(())
    }
}

/// Whose fault it is that a node does not run.
pub fn node_failure(error: NodeError) -> Failure {
    let exit = match &error {
        NodeError::DataDir(_) | NodeError::Config(_) | NodeError::Engine(_) | NodeError::Replay(_) => Exit::BadInput,
        NodeError::ReadLog(_) | NodeError::Diverged(_) => Exit::CheckFailed,
        NodeError::Log(constellation_storage::LogError::Locked { .. }) => Exit::BadInput,
        NodeError::Log(constellation_storage::LogError::Damaged { .. }) => Exit::CheckFailed,
        _ => Exit::Machine,
    };
    Failure::from_error(exit, &error)
}
