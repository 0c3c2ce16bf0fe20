// The compression function of BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn 2020), its state in four rows.

const BLAKE3_START = array<vec4<u32>, 2>(
    vec4<u32>(0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au),
    vec4<u32>(0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u),
);
const CHUNK_START = 1u;
const CHUNK_END = 2u;
const ROOT = 8u;
const KEYED_HASH = 16u;

fn rotate_rows(x: vec4<u32>, n: u32) -> vec4<u32> {
    return (x >> vec4<u32>(n)) | (x << vec4<u32>(32u - n));
}

struct Rows { a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32> }

// The mixing function in all four columns.
fn mix_columns(rows: Rows, x: vec4<u32>, y: vec4<u32>) -> Rows {
    var s = rows;
    s.a += s.b + x;
    s.d = rotate_rows(s.d ^ s.a, 16u);
    s.c += s.d;
    s.b = rotate_rows(s.b ^ s.c, 12u);
    s.a += s.b + y;
    s.d = rotate_rows(s.d ^ s.a, 8u);
    s.c += s.d;
    s.b = rotate_rows(s.b ^ s.c, 7u);
    return s;
}

// The flags of block `number` of `blocks` in a hash of one chunk.
fn chunk_flags(number: u32, blocks: u32) -> u32 {
    return select(0u, CHUNK_START, number == 0u) | select(0u, CHUNK_END | ROOT, number + 1u == blocks);
}

// The chaining value after a block of `len_bytes` bytes in chunk 0.
fn compress(chain: array<vec4<u32>, 2>, block: array<vec4<u32>, 4>, len_bytes: u32, flags: u32) -> array<vec4<u32>, 2> {
    var s = Rows(chain[0], chain[1], BLAKE3_START[0], vec4<u32>(0u, 0u, len_bytes, flags));
    var m0 = block[0];
    var m1 = block[1];
    var m2 = block[2];
    var m3 = block[3];
    for (var round = 0u; round < 7u; round++) {
        s = mix_columns(s, vec4<u32>(m0.xz, m1.xz), vec4<u32>(m0.yw, m1.yw));
        // The diagonals become columns, and back.
        s = Rows(s.a, s.b.yzwx, s.c.zwxy, s.d.wxyz);
        s = mix_columns(s, vec4<u32>(m2.xz, m3.xz), vec4<u32>(m2.yw, m3.yw));
        s = Rows(s.a, s.b.wxyz, s.c.zwxy, s.d.yzwx);
        let n0 = vec4<u32>(m0.z, m1.z, m0.w, m2.z);
        let n1 = vec4<u32>(m1.w, m0.x, m1.x, m3.y);
        let n2 = vec4<u32>(m0.y, m2.w, m3.x, m1.y);
        m3 = vec4<u32>(m2.y, m3.z, m3.w, m2.x);
        m0 = n0;
        m1 = n1;
        m2 = n2;
    }
    return array<vec4<u32>, 2>(s.a ^ s.c, s.b ^ s.d);
}
