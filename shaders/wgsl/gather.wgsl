// The program `gather`: the inputs of `signatures`, `transaction_ids` and `sketch` out of whole transactions, so that
// their bytes go up once. src/layout/transactions.rs draws the upload.

const HEAD_WORDS = 3u;
const IDS_AT = 4u;
const SKETCH_AT = 5u;
const HALVES = 8u;
const HALF_WORDS = 6u;
const SKETCH_KEY = 20u;
const HEADS = 28u;

const GATHER_PASS = 1u;

// A half of the format: its domain, then in words where its key, its signature and its signed bytes start in a head,
// and how many these are.
struct Half { domain: vec2<u32>, key: u32, signature: u32, signed: u32, signed_words: u32 }

fn half(number: u32) -> Half {
    let at = HALVES + HALF_WORDS * number;
    return Half(
        vec2<u32>(input[at], input[at + 1u]), input[at + 2u], input[at + 3u], input[at + 4u], input[at + 5u],
    );
}

fn copy(from_at: u32, to_at: u32, words: u32) {
    for (var word = 0u; word < words; word++) {
        output[to_at + word] = input[from_at + word];
    }
}

// BLAKE3 of `words` words of the output, at most one chunk.
fn hash_of_output(at: u32, words: u32) -> array<vec4<u32>, 2> {
    let blocks = (words + 15u) / 16u;
    var chain = BLAKE3_START;
    for (var number = 0u; number < blocks; number++) {
        var block: array<vec4<u32>, 4>;
        let block_words = min(16u, words - 16u * number);
        for (var word = 0u; word < block_words; word++) {
            block[word / 4u][word % 4u] = output[at + 16u * number + word];
        }
        chain = compress(chain, block, 4u * block_words, chunk_flags(number, blocks));
    }
    return chain;
}

// Writes the two messages of a transaction from `at`, end to end.
fn write_messages(at: u32, head: u32, first: Half, second: Half) {
    output[at] = first.domain.x;
    output[at + 1u] = first.domain.y;
    copy(head + first.signed, at + 2u, first.signed_words);
    let hash = hash_of_output(at, 2u + first.signed_words);
    let second_at = at + 2u + first.signed_words;
    output[second_at] = second.domain.x;
    output[second_at + 1u] = second.domain.y;
    for (var word = 0u; word < 8u; word++) {
        output[second_at + 2u + word] = hash[word / 4u][word % 4u];
    }
    copy(head + second.signed, second_at + 10u, second.signed_words);
}

fn has_key(key: u32) -> bool {
    var bits = 0u;
    for (var word = 0u; word < 8u; word++) {
        bits |= input[key + word];
    }
    return bits != 0u;
}

// What the messages of transaction `item` start at in the input of `signatures`.
fn messages_at(count: u32, message_words: u32, item: u32) -> u32 {
    return ARRAYS + 50u * count + message_words * item;
}

fn gather_one(item: u32) {
    let count = input[COUNT];
    let head = HEADS + input[HEAD_WORDS] * item;
    var halves = array<Half, 2>(half(0u), half(1u));
    let first_words = 2u + halves[0].signed_words;
    let message_words = first_words + 10u + halves[1].signed_words;

    for (var number = 0u; number < 2u; number++) {
        let signature = 2u * item + number;
        copy(head + halves[number].key, key_at(signature), 8u);
        copy(head + halves[number].signature, signature_at(2u * count, signature), 16u);
    }
    let signature_ends = ARRAYS + 48u * count;
    output[signature_ends + 2u * item] = 4u * (message_words * item + first_words);
    output[signature_ends + 2u * item + 1u] = 4u * message_words * (item + 1u);
    let messages = messages_at(count, message_words, item);
    write_messages(messages, head, halves[0], halves[1]);

    let ids = input[IDS_AT] + ARRAYS;
    output[ids + item] = 4u * message_words * (item + 1u);
    for (var word = 0u; word < message_words; word++) {
        output[ids + count + message_words * item + word] = output[messages + word];
    }

    if input[SKETCH_AT] != 0u {
        let elements = input[SKETCH_AT] + ARRAYS + 8u + 16u * item;
        copy(head + halves[0].key, elements, 8u);
        // To a set it is all the same whether an element is given once or twice.
        copy(head + select(halves[0].key, halves[1].key, has_key(head + halves[1].key)), elements + 8u, 8u);
    }
}

// Pass 1: everything but the headers.
@compute @workgroup_size(64)
fn gather(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    if id.x < input[COUNT] {
        gather_one(id.x);
    }
    workgroupBarrier();
    if lane == 0u {
        scratch[group.x] = vec4<u32>(mark(group.x, GATHER_PASS), 0u, 0u, 0u);
    }
}

// A header with another nonce than the upload's makes results that the host refuses.
fn write_header(at: u32, count: u32, intact: bool) {
    output[at] = select(~input[NONCE], input[NONCE], intact);
    output[at + 1u] = input[NONCE + 1u];
    output[at + 2u] = count;
    for (var word = 3u; word < ARRAYS; word++) {
        output[at + word] = 0u;
    }
}

var<workgroup> groups_missing: atomic<u32>;

// Pass 2, one workgroup: the headers, if every group of pass 1 has done its part.
@compute @workgroup_size(64)
fn headers(@builtin(local_invocation_index) lane: u32) {
    let count = input[COUNT];
    for (var group = lane; group < (count + 63u) / 64u; group += 64u) {
        if scratch[group].x != mark(group, GATHER_PASS) {
            atomicOr(&groups_missing, 1u);
        }
    }
    workgroupBarrier();
    if lane == 0u {
        let intact = atomicLoad(&groups_missing) == 0u;
        let message_words = 12u + half(0u).signed_words + half(1u).signed_words;
        let ids = input[IDS_AT];
        write_header(0u, 2u * count, intact);
        output[messages_at(count, message_words, count)] = 0u;
        write_header(ids, count, intact);
        output[ids + ARRAYS + count + message_words * count] = 0u;
        if input[SKETCH_AT] != 0u {
            write_header(input[SKETCH_AT], 2u * count, intact);
            copy(SKETCH_KEY, input[SKETCH_AT] + ARRAYS, 8u);
        }
    }
}
