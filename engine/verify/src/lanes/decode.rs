//! Decoding of points, sixteen side by side: two square roots in turns, because the steps of one must wait for each other and
//! would leave half of the multipliers idle.

use super::point::Affine;
use super::{Field, LANES, Mask, Packed3};

/// Decodes `encodings` into the form in which points are added, `points[i]` for encoding i, and makes one mask of `valid` for each
/// eight: a one where the encoding is that of a curve point; other points are rubbish. Encodings must be canonical and x must not be
/// 0, as the byte checks see to.
#[inline(always)]
pub(crate) fn decode<F: Field>(encodings: &[[u8; 32]], points: &mut [Packed3], valid: &mut [Mask]) {
    let chunks = encodings.chunks(2 * LANES).zip(points.chunks_mut(2 * LANES)).zip(valid.chunks_mut(2));
    for ((encodings, points), valid) in chunks {
        let mut halves = [[[0; 32]; LANES]; 2];
        halves.as_flattened_mut()[..encodings.len()].copy_from_slice(encodings);
        let (decoded, masks) = decode_pair::<F>(&halves);
        for (half, points) in points.chunks_mut(LANES).enumerate() {
            points.copy_from_slice(&decoded[half].pack()[..points.len()]);
            valid[half] = masks[half];
        }
    }
}

/// Everything about one of the two that the root does not need.
#[derive(Clone, Copy)]
struct Curve<F> {
    y: F,
    u: F,
    v: F,
    uv3: F,
}

#[inline(always)]
fn decode_pair<F: Field>(halves: &[[[u8; 32]; LANES]; 2]) -> ([Affine<F>; 2], [Mask; 2]) {
    let (first, first_base) = before_root::<F>(&halves[0]);
    let (second, second_base) = before_root::<F>(&halves[1]);
    let [first_power, second_power] = pow_p58([first_base, second_base]);
    let (first, first_valid) = after_root(&first, &first_power, sign_bits(&halves[0]));
    let (second, second_valid) = after_root(&second, &second_power, sign_bits(&halves[1]));
    ([first, second], [first_valid, second_valid])
}

/// x² = u/v with u = y² − 1 and v = dy² + 1; the root is u v³ (u v⁷)^((p − 5) / 8), up to a factor √−1 (RFC 8032, 5.1.3).
#[inline(always)]
fn before_root<F: Field>(encodings: &[[u8; 32]; LANES]) -> (Curve<F>, F) {
    let y = F::from_bytes(encodings);
    let yy = y.square();
    let u = yy.sub(&F::one());
    let v = yy.mul(&F::d()).add(&F::one());
    let v3 = v.square().mul(&v);
    let uv3 = u.mul(&v3);
    let uv7 = uv3.mul(&v3).mul(&v);
    (Curve { y, u, v, uv3 }, uv7)
}

#[inline(always)]
fn after_root<F: Field>(curve: &Curve<F>, power: &F, signs: Mask) -> (Affine<F>, Mask) {
    let root = curve.uv3.mul(power);
    let check = curve.v.mul(&root.square());
    let is_root = check.sub(&curve.u).is_zero();
    let is_root_of_minus = check.add(&curve.u).is_zero();
    let root = root.select(&root.mul(&F::sqrt_minus_one()), is_root_of_minus & !is_root);
    let x = root.select(&F::zero().sub(&root), root.is_odd() ^ signs);
    (Affine::new(&x, &curve.y), is_root | is_root_of_minus)
}

#[inline(always)]
fn sign_bits(encodings: &[[u8; 32]; LANES]) -> Mask {
    let mut signs = 0;
    let mut lane = 0;
    while lane < LANES {
        signs |= (encodings[lane][31] >> 7) << lane;
        lane += 1;
    }
    signs
}

/// The power (p − 5) / 8 = 2^252 − 3 of two elements.
#[inline(always)]
fn pow_p58<F: Field>(base: [F; 2]) -> [F; 2] {
    // Named after the exponent: `ones_n` is base^(2^n − 1).
    let ones_2 = mul(&square_times(&base, 1), &base);
    let ones_4 = mul(&square_times(&ones_2, 2), &ones_2);
    let ones_5 = mul(&square_times(&ones_4, 1), &base);
    let ones_10 = mul(&square_times(&ones_5, 5), &ones_5);
    let ones_20 = mul(&square_times(&ones_10, 10), &ones_10);
    let ones_40 = mul(&square_times(&ones_20, 20), &ones_20);
    let ones_50 = mul(&square_times(&ones_40, 10), &ones_10);
    let ones_100 = mul(&square_times(&ones_50, 50), &ones_50);
    let ones_200 = mul(&square_times(&ones_100, 100), &ones_100);
    let ones_250 = mul(&square_times(&ones_200, 50), &ones_50);
    mul(&square_times(&ones_250, 2), &base)
}

#[inline(always)]
fn square_times<F: Field>(base: &[F; 2], count: usize) -> [F; 2] {
    let [mut first, mut second] = *base;
    for _ in 0..count {
        first = first.square();
        second = second.square();
    }
    [first, second]
}

#[inline(always)]
fn mul<F: Field>(left: &[F; 2], right: &[F; 2]) -> [F; 2] {
    [left[0].mul(&right[0]), left[1].mul(&right[1])]
}
