// The 64-bit words of SHA-512 as two 32-bit halves, low first.

alias Word = vec2<u32>;

fn word(halves: vec2<u32>) -> Word {
    return halves;
}

fn halves(x: Word) -> vec2<u32> {
    return x;
}

fn word_add(a: Word, b: Word) -> Word {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

// Rotates right by n from 1 to 31. A rotation by more is one of the swapped halves by 32 less.
fn rotate(x: Word, n: u32) -> Word {
    return (x >> vec2<u32>(n)) | (x.yx << vec2<u32>(32u - n));
}

fn big_sigma0(x: Word) -> Word {
    return rotate(x, 28u) ^ rotate(x.yx, 2u) ^ rotate(x.yx, 7u);
}

fn big_sigma1(x: Word) -> Word {
    return rotate(x, 14u) ^ rotate(x, 18u) ^ rotate(x.yx, 9u);
}

fn small_sigma0(x: Word) -> Word {
    return rotate(x, 1u) ^ rotate(x, 8u) ^ vec2<u32>((x.x >> 7u) | (x.y << 25u), x.y >> 7u);
}

fn small_sigma1(x: Word) -> Word {
    return rotate(x, 19u) ^ rotate(x.yx, 29u) ^ vec2<u32>((x.x >> 6u) | (x.y << 26u), x.y >> 6u);
}
