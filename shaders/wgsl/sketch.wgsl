// The program `sketch`: FastSimilaritySketch (Dahlgaard, Knudsen, Thorup 2017) of a set, as the verify crate specifies
// it: 128 bins, least (round, 25-bit value) in each, rounds until no bin is empty.

const BINS = 128u;
const EMPTY = 0xffffffffu;
const SEEDS_PASS = 1u;

fn input_row(at: u32) -> vec4<u32> {
    return vec4<u32>(input[at], input[at + 1u], input[at + 2u], input[at + 3u]);
}

// Pass 1: two words of keyed BLAKE3 of each element.
@compute @workgroup_size(64)
fn seeds(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= input[COUNT] {
        return;
    }
    let key = array<vec4<u32>, 2>(input_row(ARRAYS), input_row(ARRAYS + 4u));
    let element = ARRAYS + 8u + 8u * id.x;
    let block = array<vec4<u32>, 4>(input_row(element), input_row(element + 4u), vec4<u32>(), vec4<u32>());
    let hash = compress(key, block, 32u, CHUNK_START | CHUNK_END | ROOT | KEYED_HASH);
    scratch[id.x] = vec4<u32>(hash[0].xy, mark(id.x, SEEDS_PASS), 0u);
}

// Minima of this round, EMPTY where nothing was offered.
var<workgroup> offered: array<atomic<u32>, 128>;
// Minima of the first round that offered anything, and that round.
var<workgroup> kept: array<u32, 128>;
var<workgroup> kept_rounds: array<u32, 128>;
var<workgroup> empty_bins: atomic<u32>;
var<workgroup> passes_missing: atomic<u32>;
var<workgroup> digest: array<atomic<u32>, 2>;

// The elements of a workgroup.
struct Share { start: u32, end: u32 }

fn offer_all(round: u32, share: Share, lane: u32) {
    for (var element = share.start + lane; element < share.end; element += 64u) {
        let seed = scratch[element];
        let hash = mix(mix(seed.x + round * 0x9e3779b9u) ^ seed.y);
        let bin = select(round - BINS, hash >> 25u, round < BINS);
        atomicMin(&offered[bin], hash & 0x1ffffffu);
    }
}

// Keeps what this round offered to the empty ones of a lane's two bins; counts those that stay empty.
fn keep_offered(round: u32, lane: u32) {
    for (var bin = lane; bin < BINS; bin += 64u) {
        if kept[bin] == EMPTY {
            kept[bin] = atomicLoad(&offered[bin]);
            kept_rounds[bin] = round;
        }
        if kept[bin] == EMPTY {
            atomicAdd(&empty_bins, 1u);
        }
        atomicStore(&offered[bin], EMPTY);
    }
}

fn check_marks(share: Share, lane: u32) {
    for (var element = share.start + lane; element < share.end; element += 64u) {
        if scratch[element].z != mark(element, SEEDS_PASS) {
            atomicOr(&passes_missing, 1u);
        }
    }
}

// Nonce, tag, and 128 bins in fours.
const SKETCH_GROUP_WORDS = 164u;
const SKETCH_GROUP_ITEMS = 2048u;

// Pass 2: the bins of each workgroup's share.
@compute @workgroup_size(64)
fn minima(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let first = SKETCH_GROUP_ITEMS * group.x;
    let share = Share(first, min(first + SKETCH_GROUP_ITEMS, input[COUNT]));
    let group_at = SKETCH_GROUP_WORDS * group.x;
    for (var bin = lane; bin < BINS; bin += 64u) {
        kept[bin] = EMPTY;
        atomicStore(&offered[bin], EMPTY);
    }
    check_marks(share, lane);
    workgroupBarrier();
    for (var round = 0u; round < 2u * BINS; round++) {
        offer_all(round, share, lane);
        workgroupBarrier();
        keep_offered(round, lane);
        if workgroupUniformLoad(&empty_bins) == 0u {
            break;
        }
        workgroupBarrier();
        if lane == 0u {
            atomicStore(&empty_bins, 0u);
        }
        workgroupBarrier();
    }
    if lane < 32u {
        let at = group_at + 4u + 5u * lane;
        var state = absorb(SEAL_START, lane);
        var rounds = 0u;
        for (var bin = 0u; bin < 4u; bin++) {
            let value = kept[4u * lane + bin];
            output[at + bin] = value;
            state = absorb(state, value);
            rounds |= kept_rounds[4u * lane + bin] << (8u * bin);
        }
        output[at + 4u] = rounds;
        state = absorb(state, rounds);
        atomicAdd(&digest[0], state.x);
        atomicAdd(&digest[1], state.y);
    }
    workgroupBarrier();
    if lane == 0u {
        let sum = vec2<u32>(atomicLoad(&digest[0]), atomicLoad(&digest[1]));
        write_seal(group_at, group.x, sum, atomicLoad(&passes_missing) == 0u);
    }
}
