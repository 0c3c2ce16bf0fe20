//! `galaxy …`: what operators of validators run.

mod membership;
mod run;

pub use run::node_failure;

use crate::exit::{Exit, Failure, help};

/// Run a galaxy validator, have it join the galaxy or leave it
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation galaxy run --dir my-galaxy",
    "constellation galaxy leave --dir my-galaxy",
    "constellation help galaxy run",
], &[Exit::CheckFailed, Exit::Machine]))]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(run::Args),
    Join(membership::JoinArgs),
    Leave(membership::LeaveArgs),
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(args) => args.run(),
            Command::Join(args) => args.run(),
            Command::Leave(args) => args.run(),
        }
    }
}
