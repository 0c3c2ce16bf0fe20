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
    /// Stop at the end of standard input too, so that a node does not outlive the program that started it
    #[arg(long, hide = true)]
    until_eof: bool,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let signal = StopSignal::install()?;
        if self.until_eof {
            stop_at_eof(signal.clone())?;
        }
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

/// Has a thread of its own read standard input to its end.
fn stop_at_eof(signal: StopSignal) -> Result<(), Failure> {
    let read = move || {
        // Standard input that fails is at its end as well.
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        signal.set();
    };
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(read)
        .map(drop)
        .map_err(|error| Failure::new(Exit::Machine, format_args!("cannot start a thread: {error}")))
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
