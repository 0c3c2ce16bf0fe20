//! The tag that binds a group of results to its batch, its position and its contents: the twin of `seal.wgsl`. It finds
//! accidents, not adversaries: whoever can write device memory needs no forged tag.

/// Where a chain of [`absorb`] starts; any constants do.
const START: [u32; 2] = [0x243F_6A88, 0x85A3_08D3];

/// The mixer of the sketch, also good enough here.
pub(crate) fn mix(mut word: u32) -> u32 {
    word ^= word >> 16;
    word = word.wrapping_mul(0x7FEB_352D);
    word ^= word >> 15;
    word = word.wrapping_mul(0x846C_A68B);
    word ^ word >> 16
}

/// The low and the high half.
pub(crate) fn halves(nonce: u64) -> [u32; 2] {
    [nonce as u32, (nonce >> 32) as u32]
}

/// Takes one word into a 64-bit state; two states that differ in one absorbed word differ for certain.
fn absorb([x, y]: [u32; 2], word: u32) -> [u32; 2] {
    let x = mix(x ^ word);
    [x, mix(y.wrapping_add(x))]
}

fn chain(words: impl IntoIterator<Item = u32>) -> [u32; 2] {
    words.into_iter().fold(START, absorb)
}

/// The tag of a group whose contents have `digest`.
pub(crate) fn tag(nonce: u64, group: u32, digest: [u32; 2]) -> [u32; 2] {
    let [low, high] = halves(nonce);
    chain([low, high, group, digest[0], digest[1]])
}

/// The digest of one item at `position` of its group.
fn item_digest(position: u32, words: &[u32]) -> [u32; 2] {
    chain(std::iter::once(position).chain(words.iter().copied()))
}

/// The digest of a group's items: the sum of theirs, so that invocations can add them up in any order.
pub(crate) fn digest<'a>(items: impl Iterator<Item = &'a [u32]>) -> [u32; 2] {
    (0..).zip(items).fold([0, 0], |sum, (position, words)| {
        let item = item_digest(position, words);
        [sum[0].wrapping_add(item[0]), sum[1].wrapping_add(item[1])]
    })
}

/// The mark a pass leaves in an item's record: only this batch's passes leave it, so that a pass that did not run is
/// noticed by the one that reads what it should have written.
pub(crate) fn mark(nonce: u64, item: u32, pass: u32) -> u32 {
    let [low, high] = halves(nonce);
    chain([low, high, item, pass])[1]
}
