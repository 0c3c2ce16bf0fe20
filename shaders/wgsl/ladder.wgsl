// Pass 3 of `signatures`: whether [8]([±u](-A) + [v](-R) + [v S]B) is the identity, and the verdict bits.

// Where entry `entry` of the multiples of -A (`is_r` 0) or -R (1) lies.
fn entry_at(record: u32, is_r: u32, entry: u32) -> u32 {
    return record + TABLE + 2u * PAIR_VECTORS * (TABLE_ENTRIES * is_r + entry);
}

fn store_entry(at: u32, q: Cached) {
    store_scratch(at, q.sum, q.difference);
    store_scratch(at + PAIR_VECTORS, q.z2, q.t2d);
}

fn load_entry(at: u32) -> Cached {
    let first = load_scratch(at);
    let second = load_scratch(at + PAIR_VECTORS);
    return Cached(first.x, first.y, second.x, second.y);
}

// The multiples of -A and -R from 0 to 8, to the record.
fn write_tables(record: u32) {
    for (var is_r = 0u; is_r < 2u; is_r++) {
        store_entry(entry_at(record, is_r, 0u), Cached(FE_ONE, FE_ONE, FE_TWO, FE_ZERO));
        let point = load_scratch(record + POINTS + POINT_VECTORS * is_r + 1u);
        var multiple = Extended(point.x, point.y, FE_ONE, fe_mul(point.x, point.y));
        let one = cached(multiple);
        store_entry(entry_at(record, is_r, 1u), one);
        for (var entry = 2u; entry < TABLE_ENTRIES; entry++) {
            multiple = extended(add_cached(multiple, one, false));
            store_entry(entry_at(record, is_r, entry), cached(multiple));
        }
    }
}

// [±u](-A) + [v](-R), both in signed digits of 4 bits from the top.
fn multiply_a_and_r(record: u32) -> Extended {
    let is_negated = scratch[record + STATE].z == 1u;
    var p = identity();
    var sum = Completed(FE_ZERO, FE_ONE, FE_ONE, FE_ONE);
    for (var window = 32u; window > 0u; window--) {
        for (var bit = 0u; bit < 4u; bit++) {
            sum = double(p);
            p = projective(sum);
        }
        let at = window - 1u;
        for (var is_r = 0u; is_r < 2u; is_r++) {
            let word = scratch[record + CHALLENGE + is_r][at / 8u];
            let digit = i32((word >> (4u * (at % 8u))) & 15u) - 8;
            let is_negative = (digit < 0) != (is_negated && is_r == 0u);
            p.t = fe_mul(sum.e, sum.h);
            sum = add_cached(p, load_entry(entry_at(record, is_r, u32(abs(digit)))), is_negative);
            p = projective(sum);
        }
    }
    p.t = fe_mul(sum.e, sum.h);
    return p;
}

// p + [v S]B. The table has, for each of 32 windows, the multiples of [2^(8 window)]B from 0 to 128.
fn add_b(record: u32, start: Extended) -> Extended {
    var p = start;
    for (var window = 0u; window < BASE_WINDOWS; window++) {
        let word = scratch[record + RESPONSE + window / 16u][window / 4u % 4u];
        let digit = i32((word >> (8u * (window % 4u))) & 255u) - 128;
        let at = BASE_TABLE + 2u * PAIR_VECTORS * (BASE_ENTRIES * window + u32(abs(digit)));
        let first = load_constants(at);
        let t2d = load_constants(at + PAIR_VECTORS).x;
        p = extended(add_affine(p, first.x, first.y, t2d, digit < 0));
    }
    return p;
}

fn is_small_order(point: Extended) -> bool {
    var p = point;
    for (var bit = 0u; bit < 3u; bit++) {
        p = projective(double(p));
    }
    return is_zero(p.x) && is_zero(fe_sub(p.y, p.z));
}

var<workgroup> verdicts: array<atomic<u32>, 2>;
var<workgroup> passes_missing: atomic<u32>;

@compute @workgroup_size(64)
fn ladder(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    let item = id.x;
    if item < input[COUNT] {
        let record = RECORD_VECTORS * item;
        write_tables(record);
        let holds = is_small_order(add_b(record, multiply_a_and_r(record)));
        let s = scratch[record + STATE];
        let a = scratch[record + POINTS];
        let r = scratch[record + POINTS + POINT_VECTORS];
        if holds && (s.y & a.y & r.y) == 1u {
            atomicOr(&verdicts[lane / 32u], 1u << (lane % 32u));
        }
        let marks = vec3<u32>(mark(item, CHALLENGE_PASS), mark(item, DECODE_PASS), mark(item, DECODE_PASS + 1u));
        if any(vec3<u32>(s.x, a.x, r.x) != marks) {
            atomicOr(&passes_missing, 1u);
        }
    }
    workgroupBarrier();
    if lane == 0u {
        let bits = vec2<u32>(atomicLoad(&verdicts[0]), atomicLoad(&verdicts[1]));
        let at = VERDICT_GROUP_WORDS * group.x;
        write_seal(at, group.x, bits, atomicLoad(&passes_missing) == 0u);
        output[at + 4u] = bits.x;
        output[at + 5u] = bits.y;
    }
}
