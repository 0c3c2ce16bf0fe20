// The tag that binds a group of results to its batch, its position and its contents. Twin: src/seal.rs.

fn mix(word: u32) -> u32 {
    var x = word;
    x ^= x >> 16u;
    x *= 0x7feb352du;
    x ^= x >> 15u;
    x *= 0x846ca68bu;
    return x ^ (x >> 16u);
}

const SEAL_START = vec2<u32>(0x243f6a88u, 0x85a308d3u);

fn absorb(state: vec2<u32>, word: u32) -> vec2<u32> {
    let x = mix(state.x ^ word);
    return vec2<u32>(x, mix(state.y + x));
}

fn absorb_nonce() -> vec2<u32> {
    return absorb(absorb(SEAL_START, input[NONCE]), input[NONCE + 1u]);
}

fn tag(group: u32, digest: vec2<u32>) -> vec2<u32> {
    return absorb(absorb(absorb(absorb_nonce(), group), digest.x), digest.y);
}

fn mark(item: u32, pass_number: u32) -> u32 {
    return absorb(absorb(absorb_nonce(), item), pass_number).y;
}

// Writes the nonce and the tag at `at`. A group that is not `intact` gets a tag that no contents have.
fn write_seal(at: u32, group: u32, digest: vec2<u32>, intact: bool) {
    let right = tag(group, digest);
    output[at] = input[NONCE];
    output[at + 1u] = input[NONCE + 1u];
    output[at + 2u] = select(~right.x, right.x, intact);
    output[at + 3u] = right.y;
}
