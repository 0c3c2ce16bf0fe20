//! Which star cluster a star belongs to.

use crate::keys::PublicKey;

/// The most star clusters of one galaxy: three LSH blocks of each fit one black hole.
pub const CLUSTERS_MAX: u32 = 256;

/// The cluster, of so many, whose facilitators order what a star initiates. Keys are spread evenly; who searches for one that falls to a cluster of
/// its choice gains nothing by it.
pub fn home_cluster(star: &PublicKey, clusters: u32) -> u32 {
    let (word, _) = star.0.split_first_chunk::<8>().expect("a key has 32 bytes");
    (u64::from_le_bytes(*word) % u64::from(clusters)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_spread_over_the_clusters() {
        let mut counts = [0; 4];
        for byte in 0..=255u8 {
            counts[home_cluster(&crate::SecretKey::from_seed([byte; 32]).public_key(), 4) as usize] += 1;
        }
        assert!(counts.iter().all(|count| *count > 40), "{counts:?}");
    }
}
