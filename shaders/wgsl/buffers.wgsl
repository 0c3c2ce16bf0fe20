// The four buffers of every program, and the header of an upload.

@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read> constants: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

const NONCE = 0u;
const COUNT = 2u;
const ARRAYS = 8u;

// The word whose first byte lies at byte `at` of the words from `base`, whatever its alignment.
fn unaligned_word(base: u32, at: u32) -> u32 {
    let low = input[base + at / 4u];
    let shift = 8u * (at % 4u);
    if shift == 0u {
        return low;
    }
    return (low >> shift) | (input[base + at / 4u + 1u] << (32u - shift));
}

// Where byte string `item` starts, in bytes; `ends` is the word where the ends lie.
fn start_of(ends: u32, item: u32) -> u32 {
    if item == 0u {
        return 0u;
    }
    return input[ends + item - 1u];
}
