// Pass 2 of `signatures`: A and R checked as bytes and decoded, one point an invocation; the negatives are kept.

fn square_times(x: Fe, times: u32) -> Fe {
    var power = x;
    for (var i = 0u; i < times; i++) {
        power = fe_square(power);
    }
    return power;
}

// x^((p - 5) / 8) = x^(2^252 - 3); `ones_n` is x^(2^n - 1).
fn root_power(x: Fe) -> Fe {
    let x2 = fe_square(x);
    let x9 = fe_mul(square_times(x2, 2u), x);
    let x11 = fe_mul(x9, x2);
    let ones_5 = fe_mul(fe_square(x11), x9);
    let ones_10 = fe_mul(square_times(ones_5, 5u), ones_5);
    let ones_20 = fe_mul(square_times(ones_10, 10u), ones_10);
    let ones_40 = fe_mul(square_times(ones_20, 20u), ones_20);
    let ones_50 = fe_mul(square_times(ones_40, 10u), ones_10);
    let ones_100 = fe_mul(square_times(ones_50, 50u), ones_50);
    let ones_200 = fe_mul(square_times(ones_100, 100u), ones_100);
    let ones_250 = fe_mul(square_times(ones_200, 50u), ones_50);
    return fe_mul(square_times(ones_250, 2u), x);
}

fn is_zero(x: Fe) -> bool {
    let w = fe_canonical(x);
    return (w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7]) == 0u;
}

fn equals(a: array<u32, 8>, b: array<u32, 8>) -> bool {
    return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])
        | (a[4] ^ b[4]) | (a[5] ^ b[5]) | (a[6] ^ b[6]) | (a[7] ^ b[7])) == 0u;
}

// Whether y is below p and no point of small order has it.
fn is_acceptable(y: array<u32, 8>) -> bool {
    let upper_ones = (y[1] & y[2] & y[3] & y[4] & y[5] & y[6]) == 0xffffffffu && y[7] == 0x7fffffffu;
    let small = equals(y, SMALL_ORDER_Y0) || equals(y, SMALL_ORDER_Y1) || equals(y, SMALL_ORDER_Y2)
        || equals(y, SMALL_ORDER_Y3) || equals(y, SMALL_ORDER_Y4);
    return !small && !(upper_ones && y[0] >= 0xffffffedu);
}

@compute @workgroup_size(64)
fn decode(@builtin(global_invocation_id) id: vec3<u32>) {
    let item = id.x / 2u;
    if item >= input[COUNT] {
        return;
    }
    let is_r = id.x % 2u;
    let encoding = select(key_at(item), signature_at(input[COUNT], item), is_r == 1u);
    let top = input[encoding + 7u];
    let words = array<u32, 8>(
        input[encoding], input[encoding + 1u], input[encoding + 2u], input[encoding + 3u],
        input[encoding + 4u], input[encoding + 5u], input[encoding + 6u], top & 0x7fffffffu,
    );
    // x^2 = (y^2 - 1) / (d y^2 + 1) = u / v.
    let y = fe_from_words(words);
    let yy = fe_square(y);
    let u = fe_carry(fe_sub(yy, FE_ONE));
    let v = fe_carry(fe_add(fe_mul(yy, FE_D), FE_ONE));
    let v3 = fe_mul(fe_square(v), v);
    let v7 = fe_mul(fe_square(v3), v);
    var x = fe_mul(fe_mul(root_power(fe_mul(v7, u)), v3), u);
    let vxx = fe_mul(fe_square(x), v);
    let is_root = is_zero(fe_sub(vxx, u));
    let is_other_root = is_zero(fe_add(vxx, u));
    x = fe_select(fe_mul(x, FE_SQRT_M1), x, is_root);
    // The sign bit asks for an odd x; the negative is wanted.
    let is_odd_wanted = (top >> 31u) ^ 1u;
    x = fe_select(x, fe_carry(fe_sub(FE_ZERO, x)), (fe_canonical(x)[0] & 1u) != is_odd_wanted);

    let point = RECORD_VECTORS * item + POINTS + POINT_VECTORS * is_r;
    let passes = (is_root || is_other_root) && is_acceptable(words);
    scratch[point] = vec4<u32>(mark(item, DECODE_PASS + is_r), select(0u, 1u, passes), 0u, 0u);
    store_scratch(point + 1u, x, y);
}
