//! The `constellation` binary: every operator, load-test and benchmark command. Here is the command line as a whole and
//! what all commands share before they run; each command has its own file under `commands`.

mod amount;
mod backend;
mod commands;
mod devnet;
mod exit;
mod load;
mod network;
mod output;
mod plan;
mod requests;
mod scale;
mod signals;
mod star;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::exit::{Exit, Failure};

/// A validator engine for the Constellation network: run nodes, load-test them, measure verification.
#[derive(Debug, Parser)]
#[command(name = "constellation", version, after_help = exit::help_of_program())]
struct Cli {
    /// What to log to standard error: off, error, warn, info, debug, trace, or a filter such as
    /// `warn,constellation_net=debug` [default: $RUST_LOG, or else warn]
    #[arg(long, global = true, value_name = "FILTER")]
    log_level: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Devnet(commands::devnet::Args),
    Init(commands::init::Args),
    Galaxy(commands::galaxy::Args),
    Load(commands::load::Args),
    Star(commands::star::Args),
    Log(commands::log::Args),
    Verify(commands::verify::Args),
    Bench(commands::bench::Args),
    Sim(commands::sim::Args),
    Plan(commands::plan::Args),
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Devnet(args) => args.run(),
            Self::Init(args) => args.run(),
            Self::Galaxy(args) => args.run(),
            Self::Load(args) => args.run(),
            Self::Star(args) => args.run(),
            Self::Verify(args) => args.run(),
            Self::Bench(args) => args.run(),
            Self::Log(args) => args.run(),
            Self::Sim(args) => args.run(),
            Self::Plan(args) => args.run(),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start_logging(cli.log_level).and_then(|()| cli.command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Sends what the libraries log to standard error; standard output is for reports alone.
fn start_logging(filter: Option<String>) -> Result<(), Failure> {
    let filter = filter.or_else(|| std::env::var("RUST_LOG").ok()).unwrap_or_else(|| "warn".to_owned());
    let filter = EnvFilter::try_new(&filter)
        .map_err(|error| Failure::new(Exit::BadInput, format_args!("log filter \"{filter}\": {error}")))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_hangs_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_documents_itself() {
        fn check(command: &clap::Command) {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} has no description");
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples =
                after.lines().filter(|line| line.starts_with("  ") && line.contains("constellation ")).count();
            assert!(examples >= 2, "{name} has {examples} examples");
            assert!(after.contains("Exit codes:"), "{name} does not list its exit codes");
            command.get_subcommands().filter(|command| command.get_name() != "help").for_each(check);
        }
        check(&Cli::command());
    }
}
