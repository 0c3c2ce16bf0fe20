// The 64-bit words of SHA-512 where the adapter has 64-bit integers.

alias Word = u64;

fn word(halves: vec2<u32>) -> Word {
    return u64(halves.x) | (u64(halves.y) << 32u);
}

fn halves(x: Word) -> vec2<u32> {
    return vec2<u32>(u32(x & 0xfffffffflu), u32(x >> 32u));
}

fn word_add(a: Word, b: Word) -> Word {
    return a + b;
}

fn big_sigma0(x: Word) -> Word {
    return ((x >> 28u) | (x << 36u)) ^ ((x >> 34u) | (x << 30u)) ^ ((x >> 39u) | (x << 25u));
}

fn big_sigma1(x: Word) -> Word {
    return ((x >> 14u) | (x << 50u)) ^ ((x >> 18u) | (x << 46u)) ^ ((x >> 41u) | (x << 23u));
}

fn small_sigma0(x: Word) -> Word {
    return ((x >> 1u) | (x << 63u)) ^ ((x >> 8u) | (x << 56u)) ^ (x >> 7u);
}

fn small_sigma1(x: Word) -> Word {
    return ((x >> 19u) | (x << 45u)) ^ ((x >> 61u) | (x << 3u)) ^ (x >> 6u);
}
