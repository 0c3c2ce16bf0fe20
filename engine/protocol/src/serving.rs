//! How many blocks a peer is served: serving costs far more than asking, so each peer has a budget.

use crate::event::NodeIndex;
use crate::node::Node;

/// Black holes served to one peer within [`SERVE_WINDOW_US`], at most.
const BLACK_HOLES_SERVED_MAX: u32 = 32;
/// LSH blocks of one cluster, likewise, on the average of all clusters.
const LSH_BLOCKS_SERVED_MAX: u32 = 4;
const SERVE_WINDOW_US: u64 = 200_000;

/// Blocks served to a peer lately. Each kind has its budget: a node that is behind asks for both, and one must not use up the other's.
#[derive(Default)]
pub(crate) struct Served {
    since_us: u64,
    black_holes: u32,
    lsh_blocks: u32,
}

impl Node {
    pub(crate) fn may_serve_black_hole(&mut self, peer: NodeIndex) -> bool {
        let served = self.served_lately(peer);
        served.black_holes += 1;
        served.black_holes <= BLACK_HOLES_SERVED_MAX
    }

    pub(crate) fn may_serve_lsh_block(&mut self, peer: NodeIndex) -> bool {
        let most = LSH_BLOCKS_SERVED_MAX * self.clusters.len() as u32;
        let served = self.served_lately(peer);
        served.lsh_blocks += 1;
        served.lsh_blocks <= most
    }

    fn served_lately(&mut self, peer: NodeIndex) -> &mut Served {
        let served = self.served.entry(peer).or_default();
        if self.now_us >= served.since_us + SERVE_WINDOW_US {
            *served = Served { since_us: self.now_us, ..Served::default() };
        }
        served
    }
}
