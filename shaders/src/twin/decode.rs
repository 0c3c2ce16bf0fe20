//! The twin of `decode.wgsl`.

use super::{Fe, Header, eight, key_at, signature_at};
use crate::Arithmetic;
use crate::numbers::{D, SMALL_ORDER_Y, SQRT_MINUS_ONE};
use crate::record::{DECODE_PASS, POINTS, limbs, point_vectors, record_vectors};
use crate::seal;

/// −A and −R, and whether they pass the checks on bytes and lie on the curve, to each record of `scratch`.
pub fn decode(arithmetic: Arithmetic, input: &[u32], scratch: &mut [u32]) {
    let Header { nonce, count } = Header::of(input);
    let record_words = 4 * record_vectors(arithmetic) as usize;
    for (item, record) in scratch.chunks_exact_mut(record_words).take(count).enumerate() {
        for (is_r, at) in (0..).zip([key_at(item), signature_at(count, item)]) {
            let (x, y, passes) = decode_negative(arithmetic, eight(input, at));
            let point = 4 * (POINTS + is_r * point_vectors(arithmetic)) as usize;
            let mark = seal::mark(nonce, item as u32, DECODE_PASS + is_r);
            record[point..point + 4].copy_from_slice(&[mark, u32::from(passes), 0, 0]);
            let limbs = limbs(arithmetic) as usize;
            record[point + 4..][..limbs].copy_from_slice(x.limbs());
            record[point + 4 + limbs..][..limbs].copy_from_slice(y.limbs());
        }
    }
}

/// −x, y and whether they may be used.
fn decode_negative(arithmetic: Arithmetic, mut words: [u32; 8]) -> (Fe, Fe, bool) {
    let is_odd_wanted = words[7] >> 31 == 0;
    words[7] &= 0x7fff_ffff;
    let constant = |words| Fe::from_words(arithmetic, words);
    let [zero, one] = [0, 1].map(|value| Fe::small(arithmetic, value));
    let y = constant(&words);
    let yy = y.square();
    let u = yy.sub(&one).carry();
    let v = yy.mul(&constant(&D)).add(&one).carry();
    let v3 = v.square().mul(&v);
    let v7 = v3.square().mul(&v);
    let mut x = v7.mul(&u).root_power().mul(&v3).mul(&u);
    let vxx = x.square().mul(&v);
    let is_root = vxx.sub(&u).is_zero();
    let is_other_root = vxx.add(&u).is_zero();
    if !is_root {
        x = x.mul(&constant(&SQRT_MINUS_ONE));
    }
    if (x.canonical()[0] & 1 == 1) != is_odd_wanted {
        x = zero.sub(&x).carry();
    }
    (x, y, (is_root || is_other_root) && is_acceptable(&words))
}

/// Whether y is below p and no point of small order has it.
fn is_acceptable(y: &[u32; 8]) -> bool {
    let is_below_p = y[0] < 0xffff_ffed || y[1..7] != [!0; 6] || y[7] != 0x7fff_ffff;
    is_below_p && !SMALL_ORDER_Y.contains(y)
}
