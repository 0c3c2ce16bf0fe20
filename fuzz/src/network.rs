//! The network that all targets are on, and transactions between its stars.

use constellation_chain::{
    CheckSignatures, FIXED_LEN_BYTES, Genesis, GenesisNode, GenesisStar, Hash, NetworkId, PublicKey, SecretKey,
    SignedMessage, Transaction,
};
use constellation_protocol::Compute;
use std::sync::{Arc, LazyLock};

/// Nodes of the network; all of them are facilitators.
pub const NODES: u8 = 4;
const STARS: u8 = 4;
const BALANCE: u64 = 1000;

static GENESIS: LazyLock<Genesis> = LazyLock::new(|| {
    let address = "127.0.0.1:7000".parse().expect("an address");
    let nodes = (0..NODES).map(|index| GenesisNode::new(node_key(index).public_key(), address)).collect();
    let stars =
        (0..STARS).map(|index| GenesisStar { public_key: star_key(index).public_key(), balance: BALANCE }).collect();
    Genesis::new("fuzz", usize::from(NODES), nodes, stars).expect("a network of four nodes and four stars")
});
static STAR_KEYS: LazyLock<Vec<PublicKey>> =
    LazyLock::new(|| (0..STARS).map(|index| star_key(index).public_key()).collect());

/// The genesis.
pub fn genesis() -> &'static Genesis {
    &GENESIS
}

/// The network's id, which every seed carries.
pub fn network_id() -> NetworkId {
    static ID: LazyLock<NetworkId> = LazyLock::new(|| GENESIS.network_id());
    *ID
}

/// The key of a node.
pub fn node_key(index: u8) -> SecretKey {
    SecretKey::from_seed([100 + index; 32])
}

/// The key of a star.
pub fn star_key(index: u8) -> SecretKey {
    SecretKey::from_seed([1 + index; 32])
}

/// Reads transactions out of fuzz input, eight bytes each, with signatures of zeros. Most follow what came before; some fork,
/// leave gaps, or spend too much.
pub fn transactions(input: &[u8]) -> Vec<Arc<Transaction>> {
    let mut heads = [(0u64, Hash::ZERO); STARS as usize];
    let mut made = Vec::new();
    for &[kind, from, to, amount_low, amount_high, sequence, previous, payload] in input.as_chunks::<8>().0 {
        let (from, to) = (usize::from(from % STARS), usize::from(to % STARS));
        let half = |star: usize, shift: u8| {
            let (last, head) = heads[star];
            let stale_head = if previous & shift == 0 { head } else { Hash([previous; 32]) };
            (last.wrapping_add(1).wrapping_sub(u64::from(sequence & shift)), stale_head)
        };
        let kind = 1 + kind % 5;
        let payload = vec![payload; usize::from(payload % 32)];
        let mut bytes = vec![0; FIXED_LEN_BYTES];
        bytes[..3].copy_from_slice(&[1, kind, payload.len() as u8]);
        bytes[8..16].copy_from_slice(&network_id().0);
        bytes[24..56].copy_from_slice(&STAR_KEYS[from].0);
        bytes[88..120].copy_from_slice(blake3::hash(&payload).as_bytes());
        write_half(&mut bytes[120..160], half(from, 0x0f));
        if kind == 1 {
            bytes[16..18].copy_from_slice(&[amount_low, amount_high]);
            bytes[56..88].copy_from_slice(&STAR_KEYS[to].0);
            write_half(&mut bytes[224..264], half(to, 0xf0));
        }
        bytes.extend_from_slice(&payload);
        if let Ok(transaction) = Transaction::decode(&bytes, network_id()) {
            for (star, half) in transaction.halves() {
                if let Some(index) = STAR_KEYS.iter().position(|key| *key == *star) {
                    heads[index] = (half.sequence(), transaction.id());
                }
            }
            made.push(Arc::new(transaction));
        }
    }
    made
}

fn write_half(out: &mut [u8], (sequence, previous): (u64, Hash)) {
    out[..8].copy_from_slice(&sequence.to_le_bytes());
    out[8..].copy_from_slice(&previous.0);
}

/// An engine that finds every signature good, so that fuzz input gets past the checks that no fuzzer can meet.
pub struct Trusting;

impl CheckSignatures for Trusting {
    fn check(&self, items: &[SignedMessage<'_>]) -> Vec<bool> {
        vec![true; items.len()]
    }
}

impl Compute for Trusting {
    fn sketch(&self, _: &Hash, _: &[PublicKey]) -> [u8; 128] {
        [0; 128]
    }
}
