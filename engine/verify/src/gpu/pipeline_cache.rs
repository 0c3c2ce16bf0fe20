//! Compiled pipelines on disk, so that a restart does not compile them again. Losing or damaging the file costs that
//! time and nothing else.
//!
//! The file is 32 bytes of BLAKE3 over everything that the pipelines depend on and the bytes that follow, then those
//! bytes, as the driver gave them.

#![allow(unsafe_code)] // wgpu takes cached pipelines on trust; what is done to deserve it is in `open`.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use wgpu::{AdapterInfo, Device, PipelineCache, PipelineCacheDescriptor};

const CONTEXT: &str = "constellation verify 2026 GPU pipeline cache";

/// Drivers write some megabytes; a file beyond this is not ours.
const FILE_LEN_MAX_BYTES: u64 = 64 << 20;

const HASH_LEN_BYTES: usize = 32;

/// A pipeline cache and the file that it came from and goes to.
pub(super) struct DiskCache {
    cache: PipelineCache,
    path: PathBuf,
    /// What the pipelines depend on: a file of another driver or another program is no use.
    owner: String,
    loaded: bool,
}

impl DiskCache {
    /// The cache of `programs` (any text that changes when they do) on this adapter, from `directory` where it has a
    /// good one, otherwise empty. The device must have been made with `Features::PIPELINE_CACHE`.
    pub(super) fn open(device: &Device, info: &AdapterInfo, programs: &str, directory: &Path) -> Self {
        let owner = format!(
            "{:?} {:#x} {:#x} {} {} {} {programs}",
            info.backend, info.vendor, info.device, info.name, info.driver, info.driver_info
        );
        let name = blake3::Hasher::new_derive_key(CONTEXT).update(owner.as_bytes()).finalize().to_hex();
        let path = directory.join(format!("gpu-pipelines-{}.bin", &name[..16]));
        let data = read(&path, &owner);
        let descriptor = PipelineCacheDescriptor { label: None, data: data.as_deref(), fallback: true };
        // SAFETY: the data must be what `PipelineCache::get_data` gave for such an adapter. `write` alone makes files
        // whose hash under our context covers the adapter, its driver and every byte; `read` gives nothing else. The
        // hash is no signature: who can write in the operator's own directory is trusted, as with the node's programs.
        let cache = unsafe { device.create_pipeline_cache(&descriptor) };
        Self { cache, path, owner, loaded: data.is_some() }
    }

    pub(super) fn cache(&self) -> &PipelineCache {
        &self.cache
    }

    /// Writes what was compiled, unless it came from the file. A failure is logged and costs the next start its time.
    pub(super) fn save(&self) {
        let Some(data) = self.cache.get_data().filter(|_| !self.loaded) else { return };
        if let Err(error) = write(&self.path, &self.owner, &data) {
            tracing::warn!(
                path = %self.path.display(), %error,
                "compiled GPU programs could not be kept, so the next start compiles them again; \
                 make the directory writable"
            );
        }
    }
}

fn hash(owner: &str, data: &[u8]) -> blake3::Hash {
    let owner_len = (owner.len() as u64).to_le_bytes();
    blake3::Hasher::new_derive_key(CONTEXT).update(&owner_len).update(owner.as_bytes()).update(data).finalize()
}

/// The data of a good file of `owner`, `None` for any other file or none.
fn read(path: &Path, owner: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(FILE_LEN_MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
    let (claimed, data) = bytes.split_first_chunk::<HASH_LEN_BYTES>()?;
    let is_good = bytes.len() as u64 <= FILE_LEN_MAX_BYTES && hash(owner, data) == *claimed;
    if !is_good {
        tracing::warn!(path = %path.display(), "the file of compiled GPU programs is damaged and is made anew");
    }
    is_good.then(|| data.to_vec())
}

/// Replaces the file in one step: a reader sees the old one or the new one.
fn write(path: &Path, owner: &str, data: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    // Two processes may share the directory.
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = fs::File::create(&temporary)?;
    file.write_all(hash(owner, data).as_bytes())?;
    file.write_all(data)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_file_of_the_same_owner_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache").join("file.bin");
        assert_eq!(read(&path, "owner"), None);
        write(&path, "owner", b"pipelines").unwrap();
        assert_eq!(read(&path, "owner").as_deref(), Some(&b"pipelines"[..]));
        assert_eq!(read(&path, "owne"), None);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "the temporary file is left");

        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert_eq!(read(&path, "owner"), None, "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert_eq!(read(&path, "owner"), None, "cut at {at}");
        }
    }
}
