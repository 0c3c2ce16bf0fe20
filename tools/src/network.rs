//! Making networks: a genesis, and the data directories of its nodes.

use crate::exit::{Exit, Failure};
use constellation_chain::{Genesis, GenesisNode, GenesisStar, Growth, SecretKey, UNITS_PER_NOOS};
use constellation_node::{DataDir, NodeConfig, create_journal, new_key, write_new_key};
use std::net::SocketAddr;
use std::path::Path;

/// One node of a network to be made.
pub struct NewNode {
    /// Its data directory.
    pub data_dir: DataDir,
    /// Its settings.
    pub config: NodeConfig,
    /// Its identity.
    pub key: SecretKey,
}

/// Coins of a star that a test network starts with, in 10^-8 noos.
pub const STAR_BALANCE: u64 = 1000 * UNITS_PER_NOOS;

impl NewNode {
    /// A node with a new key.
    pub fn new(path: &Path, listen: SocketAddr, api: SocketAddr) -> Result<Self, Failure> {
        let key = new_key().map_err(|error| Failure::from_error(Exit::Machine, &error))?;
        Ok(NewNode { data_dir: DataDir::new(path), config: NodeConfig::new(listen, api), key })
    }

    /// How the genesis names it.
    pub fn in_genesis(&self) -> GenesisNode {
        GenesisNode::new(self.key.public_key(), self.config.listen)
    }

    /// Refuses a directory that holds a node already, before anything of a new network is written.
    pub fn check_is_new(&self) -> Result<(), Failure> {
        let data_dir = &self.data_dir;
        [data_dir.key_path(), data_dir.config_path(), data_dir.genesis_path()]
            .iter()
            .try_for_each(|path| check_is_new(path))
    }

    /// Writes the data directory: settings, key and genesis. Nothing that is there is overwritten.
    pub fn write(&self, genesis: &Genesis) -> Result<(), Failure> {
        let path = self.data_dir.path();
        std::fs::create_dir_all(path)
            .map_err(|error| Failure::new(Exit::Machine, format_args!("cannot make {}: {error}", path.display())))?;
        write_new_key(&self.data_dir.key_path(), &self.key).map_err(key_failure)?;
        write_new(&self.data_dir.config_path(), &self.config.to_commented_toml())?;
        write_new(&self.data_dir.genesis_path(), &genesis.to_toml())?;
        let journal = self.data_dir.journal_path();
        std::fs::create_dir_all(&journal)
            .map_err(|error| Failure::new(Exit::Machine, format_args!("cannot make {}: {error}", journal.display())))?;
        Ok(create_journal(&journal)?)
    }
}

/// What a new network is like.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Shape {
    /// Star clusters, 1 to 256: each orders what its own stars initiate, and the galaxy orders the clusters
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256), value_name = "N")]
    pub clusters: u32,
    /// Star clusters at most, where those with too many stars split [default: as many as --clusters]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256), value_name = "N")]
    pub clusters_max: Option<u32>,
    /// Stars of a cluster that initiate something in an epoch: with more it splits, and two with half as many together merge
    #[arg(long, default_value_t = Growth::default().cluster_stars_max, value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    pub cluster_stars_max: u64,
    /// Black holes of an epoch: at its end validators come and go, clusters split and merge
    #[arg(long, default_value_t = Growth::default().epoch_black_holes, value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    pub epoch: u64,
    /// Validators at least: who leaves then stays until another joins
    #[arg(long, default_value_t = Growth::default().validators_min as u16, value_parser = clap::value_parser!(u16).range(1..), value_name = "N")]
    pub validators_min: u16,
    /// Nodes that are no validators until they join, the last ones
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub standby: u16,
    /// Move stars that trade together to one cluster
    #[arg(long)]
    pub place_stars: bool,
}

impl Shape {
    fn growth(&self) -> Growth {
        Growth {
            epoch_black_holes: self.epoch,
            validators_min: self.validators_min.into(),
            clusters_max: self.clusters_max,
            cluster_stars_max: self.cluster_stars_max,
            place_stars: self.place_stars,
        }
    }
}

/// The genesis of a new network over `nodes`. All validators are facilitators of every cluster: a smaller committee would bear fewer faults than the galaxy, and until
/// the safety gate of the election computes by how much, no tool makes one.
pub fn new_genesis(name: &str, nodes: &[NewNode], shape: &Shape, stars: Vec<GenesisStar>) -> Result<Genesis, Failure> {
    let validators = nodes.len().saturating_sub(shape.standby.into());
    let in_genesis =
        |(index, node): (usize, &NewNode)| GenesisNode { standby: index >= validators, ..node.in_genesis() };
    // A committee as large as there are validators, also when those that stand by have joined.
    Genesis::new(name, validators.max(1), nodes.iter().enumerate().map(in_genesis).collect(), stars)
        .and_then(|genesis| genesis.with_clusters(shape.clusters)?.with_growth(shape.growth()))
        .map_err(|error| Failure::new(Exit::BadInput, error))
}

/// Refuses a path where something is already.
pub fn check_is_new(path: &Path) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Ok(_) => Err(exists_already(path)),
        Err(_) => Ok(()),
    }
}

fn exists_already(path: &Path) -> Failure {
    let path = path.display();
    Failure::new(Exit::BadInput, format_args!("{path} exists already and is not overwritten: choose another directory"))
}

/// Writes a file that must not be there yet.
pub fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write};
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists_already(path),
        _ => Failure::new(Exit::Machine, format_args!("cannot write {}: {error}", path.display())),
    })
}

/// A key file that cannot be used: the user's to mend, unless the machine failed.
pub fn key_failure(error: constellation_node::KeyFileError) -> Failure {
    use constellation_node::KeyFileError;
    let exit = match &error {
        KeyFileError::Exists { .. } | KeyFileError::Exposed { .. } | KeyFileError::Malformed { .. } => Exit::BadInput,
        KeyFileError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Exit::BadInput,
        KeyFileError::Io { .. } | KeyFileError::Randomness(_) => Exit::Machine,
    };
    Failure::new(exit, error)
}
