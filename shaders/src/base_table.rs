//! The constants of the `signatures` program: SHA-512's round constants, and multiples of the base point.

use crate::Arithmetic;
use crate::numbers::{BASE, BASE_ENTRIES, BASE_WINDOWS, SHA512_ROUNDS, TWICE_D};
use crate::record::{BASE_TABLE, limbs};
use crate::twin::{Extended, Fe};

/// Words: the 80 round constants, low half first, then for each of 32 windows w and each multiple m from 0 to 128,
/// y + x, y − x and 2dxy of [m 2^(8w)]B in limbs, filled up to four elements.
pub(crate) fn constants(arithmetic: Arithmetic) -> Vec<u32> {
    let limbs = limbs(arithmetic) as usize;
    let mut words = Vec::with_capacity(4 * (BASE_TABLE as usize + BASE_WINDOWS * BASE_ENTRIES * limbs));
    words.extend(SHA512_ROUNDS.iter().flat_map(|&constant| [constant as u32, (constant >> 32) as u32]));
    let twice_d = Fe::from_words(arithmetic, &TWICE_D);
    for (x, y) in affine(&multiples(arithmetic)) {
        let values = [y.add(&x).carry(), y.sub(&x).carry(), x.mul(&y).mul(&twice_d), Fe::small(arithmetic, 0)];
        words.extend(values.iter().flat_map(Fe::limbs));
    }
    words
}

fn multiples(arithmetic: Arithmetic) -> Vec<Extended> {
    let [x, y] = BASE.map(|words| Fe::from_words(arithmetic, &words));
    let mut unit = Extended::from_affine(x, y, arithmetic);
    let mut points = Vec::with_capacity(BASE_WINDOWS * BASE_ENTRIES);
    for _ in 0..BASE_WINDOWS {
        let cached = unit.cached(arithmetic);
        let mut multiple = Extended::identity(arithmetic);
        for entry in 0..BASE_ENTRIES {
            points.push(multiple);
            if entry + 1 < BASE_ENTRIES {
                multiple = multiple.add_cached(&cached, false).extended();
            }
        }
        // The last multiple is [128]: half of the next window's unit.
        unit = multiple.double().extended();
    }
    points
}

/// x and y of each point, by one inversion of the product of all z.
fn affine(points: &[Extended]) -> Vec<(Fe, Fe)> {
    let Some(first) = points.first() else { return Vec::new() };
    let products: Vec<Fe> = points
        .iter()
        .skip(1)
        .scan(first.z, |product, point| {
            let before = *product;
            *product = product.mul(&point.z);
            Some(before)
        })
        .collect();
    let Some(last) = products.last() else { return Vec::new() };
    let mut inverse = last.mul(&points[points.len() - 1].z).invert();
    let mut affine = Vec::with_capacity(points.len());
    for (point, before) in points[1..].iter().zip(&products).rev() {
        let inverse_z = inverse.mul(before);
        affine.push((point.x.mul(&inverse_z), point.y.mul(&inverse_z)));
        inverse = inverse.mul(&point.z);
    }
    affine.push((first.x.mul(&inverse), first.y.mul(&inverse)));
    affine.reverse();
    affine
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
    use curve25519_dalek::{EdwardsPoint, Scalar};

    use super::*;

    /// The y of an entry, from its y + x and y − x.
    fn y_of(arithmetic: Arithmetic, words: &[u32], window: usize, entry: usize) -> [u8; 32] {
        let limbs = limbs(arithmetic) as usize;
        let at = 4 * (BASE_TABLE as usize + (BASE_ENTRIES * window + entry) * limbs);
        let [sum, difference] = [0, limbs].map(|offset| Fe::from_limbs(arithmetic, &words[at + offset..][..limbs]));
        let half = Fe::small(arithmetic, 2).invert();
        let mut y: [u8; 32] = bytemuck::cast(sum.add(&difference).carry().mul(&half).canonical());
        let x = sum.sub(&difference).carry().mul(&half).canonical();
        y[31] |= (x[0] as u8 & 1) << 7;
        y
    }

    #[test]
    fn entries_are_multiples_of_the_base_point() {
        let next_window = Scalar::from(256_u32);
        for arithmetic in Arithmetic::ALL {
            let words = constants(arithmetic);
            let mut unit: EdwardsPoint = ED25519_BASEPOINT_POINT;
            for window in 0..BASE_WINDOWS {
                for entry in [0, 1, 2, 3, 64, 127, 128] {
                    let expected = (unit * Scalar::from(entry as u32)).compress().to_bytes();
                    assert_eq!(y_of(arithmetic, &words, window, entry), expected, "window {window}, entry {entry}");
                }
                unit *= next_window;
            }
            assert_eq!(words.len() % 4, 0);
        }
    }
}
