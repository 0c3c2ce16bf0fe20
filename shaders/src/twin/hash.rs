//! The twin of `transaction_ids.wgsl`.

use super::{Header, string};
use crate::layout::{GROUP_SIZE, HEADER_WORDS};
use crate::seal;

/// BLAKE3 of each byte string, sealed, to `output`.
pub fn transaction_ids(input: &[u32], output: &mut [u32]) {
    let Header { nonce, count } = Header::of(input);
    let group_size = GROUP_SIZE as usize;
    for (group, sealed) in output.chunks_exact_mut(4 + 8 * group_size).take(count.div_ceil(group_size)).enumerate() {
        let (seal, ids) = sealed.split_at_mut(4);
        for (lane, id) in ids.chunks_exact_mut(8).enumerate() {
            let item = group * group_size + lane;
            let hash =
                if item < count { *blake3::hash(&string(input, HEADER_WORDS, item)).as_bytes() } else { [0; 32] };
            id.copy_from_slice(&bytemuck::cast::<_, [u32; 8]>(hash));
        }
        let [low, high] = seal::halves(nonce);
        let tag = seal::tag(nonce, group as u32, seal::digest(ids.chunks(8)));
        seal.copy_from_slice(&[low, high, tag[0], tag[1]]);
    }
}
