//! A node's data directory: which file is where.

use crate::config::{ConfigFileError, NodeConfig};
use crate::key_file::{KeyFileError, read_key};
use constellation_chain::{Genesis, GenesisError, SecretKey};
use std::path::{Path, PathBuf};

/// A node's data directory.
///
/// ```text
/// config.toml   settings
/// node.key      the node's identity, mode 0600
/// genesis.toml  the network
/// log/          black holes
/// journal/      what this node said in rounds that are not settled yet
/// gpu-cache/    compiled GPU programs, where there is a GPU; may be deleted
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir {
    path: PathBuf,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// A file cannot be read.
    #[error("no usable data directory (`constellation init` makes one): {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The settings are wrong.
    #[error("{}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ConfigFileError,
    },
    /// The genesis is wrong.
    #[error("{}: {source}", path.display())]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: GenesisError,
    },
    /// The key is wrong.
    #[error(transparent)]
    Key(#[from] KeyFileError),
}

impl DataDir {
    /// The data directory at `path`; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        DataDir { path: path.into() }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.toml`.
    pub fn config_path(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// `node.key`.
    pub fn key_path(&self) -> PathBuf {
        self.path.join("node.key")
    }

    /// `genesis.toml`.
    pub fn genesis_path(&self) -> PathBuf {
        self.path.join("genesis.toml")
    }

    /// `log/`.
    pub fn log_path(&self) -> PathBuf {
        self.path.join("log")
    }

    /// `gpu-cache/`.
    pub fn gpu_cache_path(&self) -> PathBuf {
        self.path.join("gpu-cache")
    }

    /// `journal/`.
    pub fn journal_path(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// Reads the settings.
    pub fn config(&self) -> Result<NodeConfig, DataDirError> {
        let path = self.config_path();
        NodeConfig::from_toml(&read(&path)?).map_err(|source| DataDirError::Config { path, source })
    }

    /// Reads the genesis.
    pub fn genesis(&self) -> Result<Genesis, DataDirError> {
        let path = self.genesis_path();
        Genesis::from_toml(&read(&path)?).map_err(|source| DataDirError::Genesis { path, source })
    }

    /// Reads the key.
    pub fn key(&self) -> Result<SecretKey, DataDirError> {
        Ok(read_key(&self.key_path())?)
    }
}

fn read(path: &Path) -> Result<String, DataDirError> {
    std::fs::read_to_string(path).map_err(|source| DataDirError::Io { path: path.to_owned(), source })
}
