// The program `transaction_ids`: BLAKE3 of each byte string of at most one chunk.

// The word at byte `at` of a string of `len` bytes from byte `start`, zeros past its end; `at` is a multiple of 4.
fn string_word(start: u32, len: u32, at: u32) -> u32 {
    if at >= len {
        return 0u;
    }
    let word = unaligned_word(ARRAYS + input[COUNT], start + at);
    let left = len - at;
    return select(word & ((1u << (8u * (left % 4u))) - 1u), word, left >= 4u);
}

fn hash_string(item: u32) -> array<vec4<u32>, 2> {
    let start = start_of(ARRAYS, item);
    let len = input[ARRAYS + item] - start;
    let blocks = max(1u, (len + 63u) / 64u);
    var chain = BLAKE3_START;
    for (var number = 0u; number < blocks; number++) {
        var block: array<vec4<u32>, 4>;
        for (var row = 0u; row < 4u; row++) {
            let at = 64u * number + 16u * row;
            block[row] = vec4<u32>(
                string_word(start, len, at), string_word(start, len, at + 4u),
                string_word(start, len, at + 8u), string_word(start, len, at + 12u),
            );
        }
        chain = compress(chain, block, min(64u, len - 64u * number), chunk_flags(number, blocks));
    }
    return chain;
}

// Nonce, tag, and 64 ids of 8 words.
const ID_GROUP_WORDS = 516u;

var<workgroup> digest: array<atomic<u32>, 2>;

@compute @workgroup_size(64)
fn transaction_ids(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    var hash: array<vec4<u32>, 2>;
    if id.x < input[COUNT] {
        hash = hash_string(id.x);
    }
    let at = ID_GROUP_WORDS * group.x;
    var state = absorb(SEAL_START, lane);
    for (var word = 0u; word < 8u; word++) {
        let value = hash[word / 4u][word % 4u];
        output[at + 4u + 8u * lane + word] = value;
        state = absorb(state, value);
    }
    atomicAdd(&digest[0], state.x);
    atomicAdd(&digest[1], state.y);
    workgroupBarrier();
    if lane == 0u {
        write_seal(at, group.x, vec2<u32>(atomicLoad(&digest[0]), atomicLoad(&digest[1])), true);
    }
}
