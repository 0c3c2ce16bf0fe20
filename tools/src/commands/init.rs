//! `init`: makes a node's data directory, and where there is none yet, the network.

use crate::exit::{Exit, Failure, help};
use crate::network::{NewNode, Shape, check_is_new, key_failure, new_genesis};
use crate::output::Output;
use constellation_chain::{Genesis, GenesisStar, PublicKey, UNITS_PER_NOOS};
use constellation_node::{new_key, read_key, write_new_key};
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Coins of a new network, all in its treasury: a billion noos.
const TREASURY_BALANCE: u64 = 1_000_000_000 * UNITS_PER_NOOS;

/// Make a data directory: settings, key and genesis
///
/// Without --genesis a new network is made: --nodes data directories (DIR itself for one, DIR/node-0 … for more), and a
/// star that holds all coins, in DIR/treasury.key. With --genesis the node joins the network of that file.
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation init --dir my-galaxy",
    "constellation init --dir my-galaxy --nodes 4 --port 7000 --api-port 8800",
    "constellation init --dir node --genesis genesis.toml --key node.key --listen 10.0.0.5:7000",
], &[Exit::Machine]))]
pub struct Args {
    /// The directory to make
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Nodes of the new network, 1 to 128
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=128), conflicts_with = "genesis")]
    nodes: u16,
    #[command(flatten)]
    shape: Shape,
    /// The new network's name
    #[arg(long, default_value = "constellation", conflicts_with = "genesis")]
    network: String,
    /// The star that holds all coins of the new network, instead of a new treasury key
    #[arg(long, value_name = "PUBLIC_KEY", conflicts_with = "genesis")]
    treasury: Option<PublicKey>,
    /// Join the network of this genesis file
    #[arg(long, value_name = "FILE", conflicts_with = "Shape")]
    genesis: Option<PathBuf>,
    /// Use this key file instead of a new key
    #[arg(long, value_name = "FILE", requires = "genesis")]
    key: Option<PathBuf>,
    /// Address for other nodes [default: as the genesis says, or the next free place from --port]
    #[arg(long, value_name = "ADDRESS", requires = "genesis")]
    listen: Option<SocketAddr>,
    /// Host address of a new network's nodes
    #[arg(long, default_value = "127.0.0.1", conflicts_with = "genesis")]
    host: IpAddr,
    /// Port of the first node, for other nodes
    #[arg(long, default_value_t = 7000)]
    port: u16,
    /// Port of the first node, for clients (always on loopback; see config.toml)
    #[arg(long, default_value_t = 8800)]
    api_port: u16,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Made {
    network_id: String,
    nodes: Vec<MadeNode>,
    treasury: Option<PublicKey>,
    treasury_key: Option<PathBuf>,
    note: Option<String>,
}

#[derive(Serialize)]
struct MadeNode {
    dir: PathBuf,
    public_key: PublicKey,
    listen: SocketAddr,
    api: SocketAddr,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let output = self.output;
        let made = match self.genesis.clone() {
            Some(genesis) => self.join(&genesis)?,
            None => self.found()?,
        };
        output.write(&made)
    }

    fn api(&self, index: u16) -> Result<SocketAddr, Failure> {
        Ok(SocketAddr::from(([127, 0, 0, 1], port(self.api_port, index)?)))
    }

    fn found(self) -> Result<Made, Failure> {
        let mut nodes = Vec::new();
        for index in 0..self.nodes {
            let path = if self.nodes == 1 { self.dir.clone() } else { self.dir.join(format!("node-{index}")) };
            let listen = SocketAddr::new(self.host, port(self.port, index)?);
            nodes.push(NewNode::new(&path, listen, self.api(index)?)?);
        }
        let key = new_key().map_err(key_failure)?;
        let treasury = self.treasury.unwrap_or(key.public_key());
        let stars = vec![GenesisStar { public_key: treasury, balance: TREASURY_BALANCE }];
        let genesis = new_genesis(&self.network, &nodes, &self.shape, stars)?;
        let treasury_key = self.dir.join("treasury.key");
        // A network half made would have to be cleared away by hand, or have coins that nobody can spend.
        nodes.iter().try_for_each(NewNode::check_is_new)?;
        if self.treasury.is_none() {
            check_is_new(&treasury_key)?;
        }
        nodes.iter().try_for_each(|node| node.write(&genesis))?;
        if self.treasury.is_none() {
            write_new_key(&treasury_key, &key).map_err(key_failure)?;
        }
        Ok(Made {
            network_id: genesis.network_id().to_string(),
            nodes: nodes.iter().map(MadeNode::of).collect(),
            treasury: Some(treasury),
            treasury_key: self.treasury.is_none().then_some(treasury_key),
            note: None,
        })
    }

    fn join(self, genesis_path: &std::path::Path) -> Result<Made, Failure> {
        let text =
            std::fs::read_to_string(genesis_path).map_err(|error| Failure::reading(genesis_path.display(), &error))?;
        let genesis = Genesis::from_toml(&text)
            .map_err(|error| Failure::new(Exit::BadInput, format_args!("{}: {error}", genesis_path.display())))?;
        let fallback = SocketAddr::new(self.host, self.port);
        let mut node = NewNode::new(&self.dir, fallback, self.api(0)?)?;
        if let Some(path) = &self.key {
            node.key = read_key(path).map_err(key_failure)?;
        }
        let public_key = node.key.public_key();
        let known = genesis.nodes().iter().find(|known| known.public_key == public_key);
        node.config.listen = self.listen.or(known.map(|known| known.address)).unwrap_or(fallback);
        node.write(&genesis)?;
        let note = known.is_none().then(|| {
            format!(
                "{public_key} is not among the nodes of this genesis: the node cannot run until all nodes use a genesis \
                 that names it"
            )
        });
        Ok(Made {
            network_id: genesis.network_id().to_string(),
            nodes: vec![MadeNode::of(&node)],
            treasury: None,
            treasury_key: None,
            note,
        })
    }
}

impl MadeNode {
    fn of(node: &NewNode) -> Self {
        MadeNode {
            dir: node.data_dir.path().to_owned(),
            public_key: node.key.public_key(),
            listen: node.config.listen,
            api: node.config.api,
        }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "network {}", self.network_id)?;
        for node in &self.nodes {
            writeln!(
                f,
                "node {}  nodes {}  clients {}  {}",
                node.public_key,
                node.listen,
                node.api,
                node.dir.display()
            )?;
        }
        if let Some(treasury) = self.treasury {
            write!(f, "all coins: star {treasury}")?;
            match &self.treasury_key {
                Some(path) => writeln!(f, ", key in {}", path.display())?,
                None => writeln!(f)?,
            }
        }
        for node in &self.nodes {
            writeln!(f, "run it:  constellation galaxy run --dir {}", node.dir.display())?;
        }
        match &self.note {
            Some(note) => writeln!(f, "note: {note}"),
            None => Ok(()),
        }
    }
}

fn port(first: u16, index: u16) -> Result<u16, Failure> {
    first.checked_add(index).ok_or_else(|| {
        Failure::new(Exit::BadInput, format_args!("ports from {first} run past 65535: choose a lower first port"))
    })
}
