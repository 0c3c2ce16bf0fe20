//! Making networks: a genesis, and the data directories of its nodes.

use crate::exit::{Exit, Failure};
use constellation_chain::{Genesis, GenesisNode, GenesisStar, SecretKey, UNITS_PER_NOOS};
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

/// The genesis of a new network over `nodes`. All of them are facilitators of every cluster: a smaller committee would bear fewer faults than the galaxy, and until
/// the safety gate of the election computes by how much, no tool makes one.
pub fn new_genesis(name: &str, nodes: &[NewNode], clusters: u32, stars: Vec<GenesisStar>) -> Result<Genesis, Failure> {
    let in_genesis = nodes.iter().map(NewNode::in_genesis).collect();
    Genesis::new(name, nodes.len(), in_genesis, stars)
        .and_then(|genesis| genesis.with_clusters(clusters))
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
