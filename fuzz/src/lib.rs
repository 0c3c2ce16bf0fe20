//! What the fuzz targets share: a small network with fixed keys, transactions made of fuzz input, a node driven by a script,
//! and a disk in memory. Nothing here is part of the product; it must only make the targets reach deep and stay repeatable.

mod driver;
mod memory_disk;
mod network;
mod reseal;

pub use driver::{Driver, Step, peer_config};
pub use memory_disk::MemoryDisk;
pub use network::{NODES, Trusting, genesis, network_id, node_key, star_key, transactions};
pub use reseal::reseal_segment;
