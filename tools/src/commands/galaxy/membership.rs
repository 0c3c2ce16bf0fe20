//! `galaxy join` and `galaxy leave`: a node that runs becomes a validator, or is one no more.

use std::fmt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use constellation_chain::{Genesis, Kind, PublicKey, Transaction};
use constellation_node::api::Client;
use constellation_node::{DataDir, NodeError};
use serde::Serialize;

use super::node_failure;
use crate::devnet::chaos::parse_duration;
use crate::exit::{Exit, Failure, help};
use crate::output::Output;
use crate::requests::{settle, sign};

/// Between two looks at whether it is in force.
const POLL: Duration = Duration::from_millis(200);

/// Become a validator of the galaxy, from the next epoch on
///
/// Asks through the node itself, which must run and be listed in the genesis, and waits until it is a validator. Asking again
/// changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation galaxy join --dir my-galaxy",
    "constellation galaxy join --dir my-galaxy --timeout 5m --json",
], &[Exit::CheckFailed, Exit::Unreachable, Exit::Machine]))]
pub struct JoinArgs {
    #[command(flatten)]
    common: Common,
}

/// Stop being a validator, from the next epoch on
///
/// Asks through the node itself, which must run, and waits until it has no seat any more: from then on it can be switched off without harm to
/// anybody. A galaxy that has as few validators as its genesis allows keeps the node until another joins.
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation galaxy leave --dir my-galaxy",
    "constellation galaxy leave --dir my-galaxy --timeout 5m --json",
], &[Exit::CheckFailed, Exit::Unreachable, Exit::Machine]))]
pub struct LeaveArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// The node's data directory
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    output: Output,
}

impl JoinArgs {
    pub fn run(self) -> Result<(), Failure> {
        self.common.ask(Kind::Join)
    }
}

impl LeaveArgs {
    pub fn run(self) -> Result<(), Failure> {
        self.common.ask(Kind::Leave)
    }
}

/// What came of it. Field names are stable.
#[derive(Serialize)]
struct Report {
    node: PublicKey,
    request: &'static str,
    /// Height of the black hole that holds the request.
    final_in: u64,
    /// Height at which it was seen to be in force.
    in_force_at: u64,
    /// The galaxy's validators then.
    validators: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { node, final_in, in_force_at, validators, .. } = self;
        writeln!(f, "request final in black hole {final_in}, in force at {in_force_at}; {validators} validators")?;
        match self.request {
            "join" => writeln!(f, "node {node} is a validator"),
            _ => writeln!(f, "node {node} has no seat any more: it can be switched off"),
        }
    }
}

impl Common {
    fn ask(self, kind: Kind) -> Result<(), Failure> {
        let data_dir = DataDir::new(&self.dir);
        let broken = |error| node_failure(NodeError::DataDir(error));
        let (config, genesis) = (data_dir.config().map_err(broken)?, data_dir.genesis().map_err(broken)?);
        let key = data_dir.key().map_err(broken)?;
        let mut client = Client::connect(&config.api.to_string())?;
        let deadline = Instant::now() + self.timeout;
        // Kept from before it is sent until it is final: another one with the same number would be a fork.
        let open = data_dir.path().join("request.open");
        if let Some(earlier) = read_open(&open, &genesis)? {
            self.finish(&mut client, &open, &earlier, deadline)?;
        }
        let request = sign(&mut client, &key, genesis.network_id(), kind)?;
        write_open(&open, &request)?;
        let final_in = self.finish(&mut client, &open, &request, deadline)?;
        loop {
            let status = client.status()?;
            let is_done = match kind {
                Kind::Join => status.is_validator,
                _ => !status.is_validator && status.seats_open == 0,
            };
            if is_done {
                let request = if kind == Kind::Join { "join" } else { "leave" };
                let (in_force_at, validators) = (status.height, status.validators);
                return self.output.write(&Report {
                    node: key.public_key(),
                    request,
                    final_in,
                    in_force_at,
                    validators,
                });
            }
            if Instant::now() >= deadline {
                let why = match kind {
                    Kind::Join => "the epoch has not ended yet".to_owned(),
                    _ if status.is_validator => format!(
                        "the epoch has not ended yet, or the galaxy keeps its last {} validators until another joins",
                        genesis.growth().validators_min
                    ),
                    _ => format!("it has {} seats left: keep it running until they are over", status.seats_open),
                };
                return Err(Failure::new(
                    Exit::CheckFailed,
                    format_args!("the request stands, but is not in force after {:?}: {why}", self.timeout),
                ));
            }
            thread::sleep(POLL);
        }
    }

    fn finish(
        &self,
        client: &mut Client,
        open: &Path,
        request: &Transaction,
        deadline: Instant,
    ) -> Result<u64, Failure> {
        let Some(height) = settle(client, request, deadline)? else {
            return Err(Failure::new(
                Exit::CheckFailed,
                format_args!("the request is not final after {:?}: run the same command again to go on", self.timeout),
            ));
        };
        std::fs::remove_file(open).map_err(|error| Failure::reading(open.display(), &error))?;
        Ok(height)
    }
}

fn read_open(path: &Path, genesis: &Genesis) -> Result<Option<Transaction>, Failure> {
    match std::fs::read(path) {
        Ok(bytes) => Transaction::decode(&bytes, genesis.network_id()).map(Some).map_err(|error| {
            let what = "it is to hold a request that may not be final yet; without it a second one could be a fork";
            Failure::new(Exit::BadInput, format_args!("{}: {error}: {what}. Put back what was there", path.display()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::reading(path.display(), &error)),
    }
}

/// Durable before anything is sent, and there whole or not at all.
fn write_open(path: &Path, request: &Transaction) -> Result<(), Failure> {
    use std::io::Write;
    let new = path.with_extension("new");
    std::fs::File::create(&new)
        .and_then(|mut file| file.write_all(request.record()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&new, path))
        .map_err(|error| Failure::new(Exit::Machine, format_args!("cannot write {}: {error}", path.display())))
}
