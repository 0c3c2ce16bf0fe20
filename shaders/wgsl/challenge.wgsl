// Pass 1 of `signatures`: k = SHA-512(R ‖ A ‖ M) mod ℓ, halved to u = ±v k, and v S, all recoded for signed digits;
// and the check S < ℓ.

fn swap_bytes(x: u32) -> u32 {
    return (x << 24u) | ((x & 0xff00u) << 8u) | ((x >> 8u) & 0xff00u) | (x >> 24u);
}

// What R ‖ A ‖ M with SHA-512's padding has at bytes `at` to `at` + 3, the length left out; `at` is a multiple of 4,
// and the message is `len` bytes from byte `start` of the messages.
fn padded_word(item: u32, start: u32, len: u32, at: u32) -> u32 {
    if at < 32u {
        return input[signature_at(input[COUNT], item) + at / 4u];
    }
    if at < 64u {
        return input[key_at(item) + at / 4u - 8u];
    }
    let within = at - 64u;
    if within >= len {
        return select(0u, 0x80u, within == len);
    }
    let word = unaligned_word(ARRAYS + 25u * input[COUNT], start + within);
    let left = len - within;
    if left >= 4u {
        return word;
    }
    return (word & ((1u << (8u * left)) - 1u)) | (0x80u << (8u * left));
}

// Writes the digest to the first four vectors of the record, as the bytes lie.
fn hash(item: u32, record: u32) {
    let ends = ARRAYS + 24u * input[COUNT];
    let start = start_of(ends, item);
    let len = input[ends + item] - start;
    // The padding is a byte and a length of 16 bytes at least.
    let blocks = (64u + len + 17u + 127u) / 128u;
    var state = array<Word, 8>(
        word(vec2<u32>(0xf3bcc908u, 0x6a09e667u)), word(vec2<u32>(0x84caa73bu, 0xbb67ae85u)),
        word(vec2<u32>(0xfe94f82bu, 0x3c6ef372u)), word(vec2<u32>(0x5f1d36f1u, 0xa54ff53au)),
        word(vec2<u32>(0xade682d1u, 0x510e527fu)), word(vec2<u32>(0x2b3e6c1fu, 0x9b05688cu)),
        word(vec2<u32>(0xfb41bd6bu, 0x1f83d9abu)), word(vec2<u32>(0x137e2179u, 0x5be0cd19u)),
    );
    for (var number = 0u; number < blocks; number++) {
        var block: array<u32, 32>;
        for (var at = 0u; at < 32u; at++) {
            block[at] = padded_word(item, start, len, 128u * number + 4u * at);
        }
        if number + 1u == blocks {
            // The length in bits, big endian; messages are far below 2^32 bits of 2^30 bytes.
            block[30] = swap_bytes((64u + len) >> 29u);
            block[31] = swap_bytes((64u + len) << 3u);
        }
        state = sha512_block(state, block);
    }
    for (var at = 0u; at < 4u; at++) {
        let first = halves(state[2u * at]);
        let second = halves(state[2u * at + 1u]);
        scratch[record + CHALLENGE + at] =
            vec4<u32>(swap_bytes(first.y), swap_bytes(first.x), swap_bytes(second.y), swap_bytes(second.x));
    }
}

// Word `at` of the digest; 0 past its end.
fn digest_word(record: u32, at: u32) -> u32 {
    if at >= 16u {
        return 0u;
    }
    return scratch[record + CHALLENGE + at / 4u][at % 4u];
}

fn reduced_digest(record: u32) -> array<u32, 8> {
    var r = Scalar();
    for (var number = 40u; number > 0u; number--) {
        let bit = 13u * (number - 1u);
        let shift = bit % 32u;
        var digit = digest_word(record, bit / 32u) >> shift;
        if shift > 19u {
            digit |= digest_word(record, bit / 32u + 1u) << (32u - shift);
        }
        r = scalar_step(r, digit & 8191u);
    }
    return scalar_finish(r);
}

// The words of x plus `offset` in every word: its digits, each less the offset's digit, are signed digits of x.
fn write_digits(at: u32, x: array<u32, 8>, offset: u32) {
    var sum = x;
    var carry = 0u;
    for (var index = 0u; index < 8u; index++) {
        let partial = sum[index] + carry;
        carry = select(0u, 1u, partial < carry);
        sum[index] = partial + offset;
        carry += select(0u, 1u, sum[index] < offset);
    }
    scratch[at] = vec4<u32>(sum[0], sum[1], sum[2], sum[3]);
    scratch[at + 1u] = vec4<u32>(sum[4], sum[5], sum[6], sum[7]);
}

fn is_below_order(x: array<u32, 8>) -> bool {
    var s = x;
    var order = GROUP_ORDER;
    for (var index = 8u; index > 0u; index--) {
        if s[index - 1u] != order[index - 1u] {
            return s[index - 1u] < order[index - 1u];
        }
    }
    return false;
}

@compute @workgroup_size(64)
fn challenge(@builtin(global_invocation_id) id: vec3<u32>) {
    let item = id.x;
    if item >= input[COUNT] {
        return;
    }
    let record = RECORD_VECTORS * item;
    hash(item, record);
    let half = halve(reduced_digest(record));
    var s: array<u32, 8>;
    for (var index = 0u; index < 8u; index++) {
        s[index] = input[signature_at(input[COUNT], item) + 8u + index];
    }
    let uv = array<u32, 8>(
        half.u[0], half.u[1], half.u[2], half.u[3], half.v[0], half.v[1], half.v[2], half.v[3],
    );
    // Both halves have 126 bits, so that nothing carries from u into v.
    write_digits(record + CHALLENGE, uv, 0x88888888u);
    write_digits(record + RESPONSE, scalar_product(half.v, s), 0x80808080u);
    scratch[record + STATE] = vec4<u32>(
        mark(item, CHALLENGE_PASS), select(0u, 1u, is_below_order(s)), select(0u, 1u, half.is_negative), 0u,
    );
}
