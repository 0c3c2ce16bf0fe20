//! `load`: open-loop load on nodes that run already.

use crate::devnet::chaos::parse_duration;
use crate::exit::{Exit, Failure, help};
use crate::load::{Load, LoadError, LoadOptions, LoadProgress, star_keys};
use crate::output::Output;
use crate::signals::StopSignal;
use constellation_chain::{Genesis, NetworkId, PublicKey, SecretKey};
use constellation_node::api::Client;
use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of a file of star keys, at most.
const FILE_LEN_BYTES_MAX: u64 = 64 << 20;

/// Put running nodes under load, and measure how long transactions take to be final
///
/// Transactions leave on a schedule that no answer slows down, each to one node; latency counts from the moment a transaction was due until
/// its black hole is seen at that node. Both halves are signed here, so the stars' keys are needed.
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation load --nodes 127.0.0.1:8800 --stars stars.txt --rate 1000 --duration 20s",
    "constellation load --nodes 127.0.0.1:8800,127.0.0.1:8801 --stars 4096@5e…7a --rate 5000 --duration 1m --json",
], &[Exit::CheckFailed, Exit::Unreachable, Exit::Machine]))]
pub struct Args {
    /// Client addresses of the nodes, separated by commas
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', required = true)]
    nodes: Vec<String>,
    /// The stars: a file with one key (64 hex digits) a line, or COUNT@SEED with a seed of 64 hex digits
    #[arg(long, value_name = "FILE_OR_SEED")]
    stars: String,
    /// Transactions due each second
    #[arg(long, value_name = "TX_PER_S", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: u64,
    /// How long transactions fall due
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = parse_duration)]
    duration: Duration,
    /// How long to wait after that for what is still on its way
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    drain: Duration,
    /// Threads that sign
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Sign all transactions before the first is due (up to 2 million, some 900 MB)
    #[arg(long)]
    prepared: bool,
    /// The network's genesis: its nodes are checked to be of this network, and the stars to be in it
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let stars = read_stars(&self.stars)?;
        let network = match &self.genesis {
            Some(path) => network_of(path, &stars)?,
            None => self.network_of_nodes()?,
        };
        let options = LoadOptions {
            nodes: self.nodes,
            network,
            stars,
            rate_per_s: self.rate,
            duration: self.duration,
            drain_max: self.drain,
            threads: self.threads,
            prepared: self.prepared,
        };
        let signal = StopSignal::install()?;
        let mut shown: Option<Instant> = None;
        let is_terminal = std::io::stderr().is_terminal();
        let load = Load::prepare(&options)?;
        let report = load.run(&mut |progress| show(progress, is_terminal, &mut shown), signal.flag())?;
        if is_terminal {
            write!(std::io::stderr(), "\x1b[K").ok();
        }
        self.output.write(&report)?;
        match report.lost {
            0 => Ok(()),
            lost => Err(Failure::new(
                Exit::CheckFailed,
                format_args!(
                    "{lost} transactions were admitted but neither final nor censored within {:?}",
                    self.drain
                ),
            )),
        }
    }

    /// The network of the first node that answers; that the others agree is checked when the load starts.
    fn network_of_nodes(&self) -> Result<NetworkId, Failure> {
        let mut failure = None;
        for address in &self.nodes {
            match Client::connect(address).and_then(|mut client| client.status()) {
                Ok(status) => return Ok(status.network_id),
                Err(error) => failure = Some(Failure::from_client(&error)),
            }
        }
        Err(failure.unwrap_or_else(|| Failure::new(Exit::BadInput, "no node was named")))
    }
}

/// On a terminal one line that is written over, elsewhere a line every ten seconds.
fn show(progress: &LoadProgress, is_terminal: bool, shown: &mut Option<Instant>) {
    let (gap, end) = if is_terminal { (Duration::ZERO, "\x1b[K\r") } else { (Duration::from_secs(10), "\n") };
    if shown.is_none_or(|shown| shown.elapsed() >= gap) {
        *shown = Some(Instant::now());
        // Nobody may be reading the status, and that is no failure.
        write!(std::io::stderr(), "{progress}{end}").ok();
    }
}

fn read_stars(text: &str) -> Result<Vec<SecretKey>, Failure> {
    let bad = |what: String| Failure::new(Exit::BadInput, format_args!("--stars {text}: {what}"));
    let seed_of = |text: &str| {
        let mut seed = [0; 32];
        hex::decode_to_slice(text, &mut seed).map(|()| seed)
    };
    if let Some((count, seed)) = text.split_once('@')
        && let Ok(count) = count.parse::<u32>()
    {
        let seed = seed_of(seed).map_err(|error| bad(format!("the seed must be 64 hex digits: {error}")))?;
        return Ok(star_keys(seed, count as usize));
    }
    let path = Path::new(text);
    let failed = |error: std::io::Error| Failure::reading(path.display(), &error);
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_LEN_BYTES_MAX {
        return Err(bad(format!("longer than {FILE_LEN_BYTES_MAX} bytes")));
    }
    let lines = std::fs::read_to_string(path).map_err(failed)?;
    let lines = lines.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let key = |(index, line): (usize, &str)| {
        let seed = seed_of(line).map_err(|error| bad(format!("line {}: not 64 hex digits: {error}", index + 1)));
        seed.map(SecretKey::from_seed)
    };
    lines.map(key).collect()
}

fn network_of(path: &Path, stars: &[SecretKey]) -> Result<NetworkId, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::reading(path.display(), &error))?;
    let genesis = Genesis::from_toml(&text)
        .map_err(|error| Failure::new(Exit::BadInput, format_args!("{}: {error}", path.display())))?;
    let known: HashSet<PublicKey> = genesis.stars().iter().map(|star| star.public_key).collect();
    let strangers = stars.iter().filter(|star| !known.contains(&star.public_key())).count();
    if strangers > 0 {
        let message = format!(
            "{strangers} of the {} stars are not in {}: were they made from another seed?",
            stars.len(),
            path.display()
        );
        return Err(Failure::new(Exit::BadInput, message));
    }
    Ok(genesis.network_id())
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let exit = match &error {
            LoadError::Options { .. } | LoadError::OtherNetwork { .. } | LoadError::NoBalance { .. } => Exit::BadInput,
            LoadError::Unreachable { .. } | LoadError::Accounts { .. } => Exit::Unreachable,
            LoadError::Thread(_) => Exit::Machine,
        };
        Failure::new(exit, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_come_from_a_seed_or_a_file() {
        let seed = "05".repeat(32);
        let from_seed = read_stars(&format!("3@{seed}")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stars.txt");
        let lines: Vec<String> = from_seed.iter().map(|key| hex::encode(*key.seed())).collect();
        std::fs::write(&path, format!("# three stars\n{}\n\n", lines.join("\n"))).unwrap();
        let from_file = read_stars(path.to_str().unwrap()).unwrap();
        let public = |keys: &[SecretKey]| keys.iter().map(SecretKey::public_key).collect::<Vec<_>>();
        assert_eq!(public(&from_seed), public(&from_file));

        std::fs::write(&path, format!("{seed}\nnot a key\n")).unwrap();
        assert!(read_stars(path.to_str().unwrap()).unwrap_err().to_string().contains("line 2"));
        assert!(read_stars("3@05").unwrap_err().to_string().contains("64 hex digits"));
        assert!(read_stars("no such file").unwrap_err().to_string().contains("no such file"));
    }
}
