//! `star …`: the light client. A star's key, its payments, and its own chain.

mod report;

use crate::amount::Amount;
use crate::devnet::chaos::parse_duration;
use crate::exit::{Exit, Failure, help, note};
use crate::network::key_failure;
use crate::output::Output;
use crate::star::{Chain, ChainFile, ChainFileError, Filter, Light, NodeDoor, Notice, Outcome, StarError};
use constellation_chain::{PublicKey, SecretKey};
use constellation_node::api::Client;
use constellation_node::{new_key, read_key, write_new_key};
use report::{ChainReport, HistoryReport, NewReport, ReceiveReport, SendReport, ShowReport, payload_text};
use std::path::{Path, PathBuf};
use std::time::Duration;

const DEFAULT_NODE: &str = "127.0.0.1:8800";

/// Use a star: make a key, pay, be paid, look at its chain
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation star new --out alice.key",
    "constellation star send alice.key --to 8a88…5c0e --amount 2.5",
    "constellation star receive bob.key",
], &[Exit::CheckFailed, Exit::Unreachable, Exit::Machine]))]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    New(NewArgs),
    Show(ShowArgs),
    Send(SendArgs),
    Receive(ReceiveArgs),
    History(HistoryArgs),
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::New(args) => args.run(),
            Command::Show(args) => args.run(),
            Command::Send(args) => args.run(),
            Command::Receive(args) => args.run(),
            Command::History(args) => args.run(),
        }
    }
}

/// The node a star talks through.
#[derive(Debug, clap::Args)]
struct NodeArgs {
    /// Client address of a node [default: $CONSTELLATION_NODE, or else 127.0.0.1:8800]
    #[arg(long, value_name = "ADDRESS")]
    node: Option<String>,
}

impl NodeArgs {
    fn address(&self) -> String {
        let from_environment = || std::env::var("CONSTELLATION_NODE").ok().filter(|address| !address.is_empty());
        self.node.clone().or_else(from_environment).unwrap_or_else(|| DEFAULT_NODE.to_owned())
    }

    fn open(&self, key_file: &Path) -> Result<Light<NodeDoor>, Failure> {
        let key = read_key(key_file).map_err(key_failure)?;
        let door = NodeDoor::connect(&self.address())?;
        Ok(Light::open(key_file, key, door)?)
    }
}

/// Make a new key
///
/// The key file is readable by its owner alone; the public key, printed, is the star's name. Whoever has the file has the
/// star's coins, and two copies in use at once make forks.
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation star new",
    "constellation star new --out alice.key",
], &[Exit::Machine]))]
struct NewArgs {
    /// The key file to make
    #[arg(long, value_name = "FILE", default_value = "star.key")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl NewArgs {
    fn run(self) -> Result<(), Failure> {
        let key = new_key().map_err(key_failure)?;
        write_new_key(&self.out, &key).map_err(key_failure)?;
        self.output.write(&NewReport { public_key: key.public_key(), key_file: self.out })
    }
}

/// Show a star's account, and where its own chain stands
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation star show alice.key",
    "constellation star show alice.key --node 10.0.0.5:8800 --json",
], &[Exit::CheckFailed, Exit::Unreachable, Exit::Machine]))]
struct ShowArgs {
    /// The star's key file
    #[arg(value_name = "KEYFILE")]
    key_file: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    output: Output,
}

impl ShowArgs {
    fn run(self) -> Result<(), Failure> {
        let star = read_key(&self.key_file).map_err(key_failure)?.public_key();
        let chain = match Chain::read(&ChainFile::path_beside(&self.key_file)) {
            Err(ChainFileError::Missing { .. }) => None,
            chain => Some(ChainReport::of(&chain.map_err(StarError::from)?)),
        };
        let account = Client::connect(&self.node.address())?.star(&star)?;
        self.output.write(&ShowReport { star, account, chain })
    }
}

/// Pay another star
///
/// The payment is an offer in the mailbox of the nodes until the other star countersigns it (`star receive`); then it goes
/// into a black hole and is final. The offer is written to KEYFILE.chain before it is sent. While it is open nothing else can be
/// signed; the same command again does not pay twice, but finishes the open payment.
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation star send alice.key --to 8a88…5c0e --amount 2.5",
    "constellation star send alice.key --to 8a88…5c0e --amount 0.00000001 --payload 'for tea' --no-wait",
], &[Exit::CheckFailed, Exit::Unreachable, Exit::Machine]))]
struct SendArgs {
    /// The star's key file
    #[arg(value_name = "KEYFILE")]
    key_file: PathBuf,
    /// Who is paid
    #[arg(long, value_name = "PUBLIC_KEY")]
    to: PublicKey,
    /// How much, in noos, with up to 8 places
    #[arg(long, value_name = "NOOS")]
    amount: Amount,
    /// A text that goes along, up to 1024 bytes
    #[arg(long, value_name = "TEXT", conflicts_with = "payload_hex")]
    payload: Option<String>,
    /// The same as bytes in hex
    #[arg(long, value_name = "HEX")]
    payload_hex: Option<String>,
    /// Leave the offer in the mailbox and return
    #[arg(long)]
    no_wait: bool,
    /// How long to wait until the payment is final
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    output: Output,
}

impl SendArgs {
    fn run(self) -> Result<(), Failure> {
        let payload = self.payload_bytes()?;
        let mut light = self.node.open(&self.key_file)?;
        let wait = if self.no_wait { Duration::ZERO } else { self.timeout };
        let sent = light.send(self.to, self.amount.0, &payload, wait)?;
        let report = SendReport::new(light.star(), self.to, self.amount.0, &sent);
        self.output.write(&report)?;
        if sent.place.is_some() || self.no_wait {
            return Ok(());
        }
        Err(Failure::new(
            Exit::CheckFailed,
            format_args!(
                "offer {} was not answered and final within {:?}; it stands: run the same command again to go on waiting, \
                 and have {} run `star receive`",
                sent.sequence, self.timeout, self.to
            ),
        ))
    }

    fn payload_bytes(&self) -> Result<Vec<u8>, Failure> {
        match (&self.payload, &self.payload_hex) {
            (Some(text), _) => Ok(text.clone().into_bytes()),
            (None, Some(text)) => hex::decode(text)
                .map_err(|error| Failure::new(Exit::BadInput, format_args!("--payload-hex {text:?}: {error}"))),
            (None, None) => Ok(Vec::new()),
        }
    }
}

/// Countersign payments to this star
///
/// Takes offers from the mailbox, countersigns those that fit and can still apply, and waits until they are final. What is countersigned is
/// written to KEYFILE.chain before it is sent.
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation star receive bob.key",
    "constellation star receive bob.key --from 3b6a…0a29 --count 10 --timeout 5m",
], &[Exit::CheckFailed, Exit::Unreachable, Exit::Machine]))]
struct ReceiveArgs {
    /// The star's key file
    #[arg(value_name = "KEYFILE")]
    key_file: PathBuf,
    /// Only offers of this star
    #[arg(long, value_name = "PUBLIC_KEY")]
    from: Option<PublicKey>,
    /// Only offers up to this amount
    #[arg(long, value_name = "NOOS")]
    max_amount: Option<Amount>,
    /// How many payments to wait for
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// How long to wait for them
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    output: Output,
}

impl ReceiveArgs {
    fn run(self) -> Result<(), Failure> {
        let mut light = self.node.open(&self.key_file)?;
        let filter = Filter { from: self.from, max_amount: self.max_amount.map(|amount| amount.0) };
        let received = light.receive(&filter, self.count, self.timeout, &mut tell)?;
        let report = ReceiveReport::new(light.star(), received);
        self.output.write(&report)?;
        let count = report.received.len();
        if count >= self.count {
            return Ok(());
        }
        let message = format!(
            "received {count} of {} payments within {:?}; run it again to go on waiting",
            self.count, self.timeout
        );
        Err(Failure::new(Exit::CheckFailed, message))
    }
}

/// Tells what happens meanwhile, beside the report.
fn tell(notice: Notice) {
    let show = |offer: &constellation_chain::Offer| {
        format!("{} noos from {}{}", Amount(offer.amount()), offer.initiator(), payload_text(offer.payload()))
    };
    match notice {
        Notice::Skipped(offer, why) => note(format_args!("left alone: {}: {why}", show(&offer))),
        Notice::Countersigning(offer) => note(format_args!("countersigning: {}", show(&offer))),
        Notice::Resending(sequence) => {
            note(format_args!("number {sequence} of this star is still open: sending it again first"));
        }
        Notice::Censored(sequence, reason) => {
            note(format_args!("number {sequence} of this star was censored ({reason}); its number is free again"));
        }
    }
}

/// List every transaction of a star's own chain, and the black hole that holds it
///
/// Reads KEYFILE.chain, and asks a node only for what is not known to be final yet.
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation star history alice.key",
    "constellation star history alice.key --json",
], &[Exit::CheckFailed, Exit::Machine]))]
struct HistoryArgs {
    /// The star's key file
    #[arg(value_name = "KEYFILE")]
    key_file: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    output: Output,
}

impl HistoryArgs {
    fn run(self) -> Result<(), Failure> {
        let key = read_key(&self.key_file).map_err(key_failure)?;
        let path = ChainFile::path_beside(&self.key_file);
        let mut chain = Chain::read(&path).map_err(StarError::from)?;
        if chain.star != key.public_key() {
            let message = format!("{} is the chain of star {}, not of this key", path.display(), chain.star);
            return Err(Failure::new(Exit::BadInput, message));
        }
        if !is_complete(&chain) {
            match self.completed(key) {
                Ok(completed) => chain = completed,
                Err(error) => note(format_args!("showing what the chain file alone knows: {error}")),
            }
        }
        self.output.write(&HistoryReport::of(&chain))
    }

    fn completed(&self, key: SecretKey) -> Result<Chain, StarError> {
        let door = NodeDoor::connect(&self.node.address())?;
        let mut light = Light::open(&self.key_file, key, door)?;
        light.settle()?;
        light.find_places()?;
        Ok(light.chain().clone())
    }
}

/// Whether a chain file knows the fate and the place of all it tells of.
fn is_complete(chain: &Chain) -> bool {
    chain.entries.iter().all(|entry| match &entry.outcome {
        Outcome::Open => false,
        Outcome::Final(place) => place.height.is_some(),
        Outcome::Void(_) => true,
    })
}

impl From<StarError> for Failure {
    fn from(error: StarError) -> Self {
        let exit = match &error {
            StarError::Client(error) => return Failure::from_client(error),
            StarError::ChainFile(ChainFileError::Io { .. }) => Exit::Machine,
            StarError::ChainFile(ChainFileError::Damaged { .. } | ChainFileError::Contradiction { .. }) => {
                Exit::CheckFailed
            }
            StarError::ChainFile(_) | StarError::Offer(_) | StarError::Balance { .. } => Exit::BadInput,
            StarError::Ahead { .. }
            | StarError::Diverged { .. }
            | StarError::Behind { .. }
            | StarError::OpenOffer { .. }
            | StarError::OpenTransaction { .. }
            | StarError::Refused { .. } => Exit::CheckFailed,
        };
        Failure::new(exit, error)
    }
}
