//! Key files: a 32-byte seed as 64 hex digits, readable by its owner alone.

use constellation_chain::SecretKey;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read or written.
    #[error("key file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file of that name is there already.
    #[error("key file {} exists already; a key is never overwritten: choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others can read the key.
    #[error("key file {} can be read by others (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a key.
    #[error("key file {} does not hold 64 hex digits", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(std::io::Error),
}

/// A new key from the operating system's randomness.
pub fn new_key() -> Result<SecretKey, KeyFileError> {
    let mut seed = Zeroizing::new([0; 32]);
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut *seed))
        .map_err(KeyFileError::Randomness)?;
    Ok(SecretKey::from_seed(*seed))
}

/// Reads a key; refuses a file that others can read.
pub fn read_key(path: &Path) -> Result<SecretKey, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(1024).read_to_string(&mut text).map_err(io)?;
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), &mut *seed).map_err(|_| KeyFileError::Malformed { path: path.to_owned() })?;
    Ok(SecretKey::from_seed(*seed))
}

/// Writes a key to a new file of mode 0600, and makes sure that it is on disk.
pub fn write_new_key(path: &Path, key: &SecretKey) -> Result<(), KeyFileError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
        _ => KeyFileError::Io { path: path.to_owned(), source },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    let text = Zeroizing::new(hex::encode(*key.seed()) + "\n");
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_are_guarded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("star.key");
        let key = new_key().unwrap();
        write_new_key(&path, &key).unwrap();
        assert_eq!(read_key(&path).unwrap().public_key(), key.public_key());
        assert!(matches!(write_new_key(&path, &key), Err(KeyFileError::Exists { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_key(&path), Err(KeyFileError::Exposed { mode: 0o640, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "not a key").unwrap();
        assert!(matches!(read_key(&path), Err(KeyFileError::Malformed { .. })));
        assert!(matches!(read_key(&dir.path().join("none")), Err(KeyFileError::Io { .. })));
    }
}
