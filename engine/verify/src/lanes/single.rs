//! The equation for one signature in each lane, with a verdict each: what a bad signature costs here is what a good one does.
//!
//! A lane computes [8]([S]B − [k]A − R) by one shared run of doublings (four for each of 64 digits of k in radix 16, S in radix 256
//! every second digit) and asks for the identity.

use super::point::{Affine, Cached, Completed, Extended};
use super::{Field, LANES, Mask, Packed3, Packed4};

/// Radix-16 digits of a scalar.
const CHALLENGE_DIGITS: usize = 64;

/// The largest multiple of a key, and of the base point, that a digit can ask for.
const KEY_MULTIPLES: usize = 8;
const BASE_MULTIPLES: usize = 128;

/// A signature that passes the byte checks and whose points are decoded.
#[derive(Clone, Copy)]
pub(crate) struct Signature {
    pub(crate) a: Packed3,
    pub(crate) r: Packed3,
    /// SHA-512(R ‖ A ‖ M) mod ℓ, little endian.
    pub(crate) k: [u8; 32],
    pub(crate) s: [u8; 32],
}

/// 0 to 128 times the base point.
pub(crate) struct BaseTable(Vec<Packed3>);

impl BaseTable {
    /// `decode` decodes encodings of points, which `encode` gives for multiples of the base point.
    pub(crate) fn new(encode: impl Fn(u64) -> [u8; 32], decode: impl Fn(&[[u8; 32]]) -> Vec<Packed3>) -> Self {
        let encodings: Vec<[u8; 32]> = (1..=BASE_MULTIPLES as u64).map(encode).collect();
        let mut table = vec![Packed3::IDENTITY];
        table.extend(decode(&encodings));
        Self(table)
    }

    /// The base point itself.
    pub(crate) fn base_point(&self) -> Packed3 {
        self.0[1]
    }
}

/// The lanes whose signature satisfies the equation.
#[inline(always)]
pub(crate) fn verify<F: Field>(base: &BaseTable, signatures: &[&Signature; LANES]) -> Mask {
    let challenges: [[i8; CHALLENGE_DIGITS]; LANES] = signatures.map(|signature| radix_16(&signature.k));
    let responses: [[i16; CHALLENGE_DIGITS / 2]; LANES] = signatures.map(|signature| radix_256(&signature.s));
    let multiples = multiples_of_minus::<F>(&signatures.map(|signature| &signature.a));
    let mut sum = Completed::<F>::identity();
    for position in (0..CHALLENGE_DIGITS).rev() {
        for _ in 0..4 {
            sum = sum.projective().double();
        }
        let mut entries = [&multiples[0][0]; LANES];
        let mut negative: Mask = 0;
        let mut lane = 0;
        while lane < LANES {
            let digit = challenges[lane][position];
            entries[lane] = &multiples[usize::from(digit.unsigned_abs())][lane];
            negative |= Mask::from(digit < 0) << lane;
            lane += 1;
        }
        sum = sum.extended().add(&Cached::unpack(entries).negate(negative));
        if position % 2 == 0 {
            let mut entries = [&base.0[0]; LANES];
            let mut negative: Mask = 0;
            let mut lane = 0;
            while lane < LANES {
                let digit = responses[lane][position / 2];
                entries[lane] = &base.0[usize::from(digit.unsigned_abs())];
                negative |= Mask::from(digit < 0) << lane;
                lane += 1;
            }
            sum = sum.extended().add_affine(&Affine::unpack(entries), negative);
        }
    }
    let r = Affine::unpack(signatures.map(|signature| &signature.r));
    sum = sum.extended().add_affine(&r, Mask::MAX);
    for _ in 0..3 {
        sum = sum.projective().double();
    }
    sum.projective().is_identity()
}

/// 0 to 8 times the negative of each point, lane by lane.
#[inline(always)]
fn multiples_of_minus<F: Field>(points: &[&Packed3; LANES]) -> [[Packed4; LANES]; KEY_MULTIPLES + 1] {
    let point = Affine::<F>::unpack(*points);
    let mut multiples = [[Packed4::ZERO; LANES]; KEY_MULTIPLES + 1];
    multiples[0] = Extended::<F>::identity().cached().pack();
    let mut multiple = point.extended(Mask::MAX);
    for entry in &mut multiples[1..] {
        *entry = multiple.cached().pack();
        multiple = multiple.add_affine(&point, Mask::MAX).extended();
    }
    multiples
}

/// Digits from −8 to 8 of a scalar below 2^253, least first.
fn radix_16(scalar: &[u8; 32]) -> [i8; CHALLENGE_DIGITS] {
    let mut carry = 0;
    std::array::from_fn(|position| {
        let digit = (scalar[position / 2] >> (4 * (position % 2)) & 15) as i8 + carry;
        carry = i8::from(digit > 8);
        digit - 16 * carry
    })
}

/// Digits from −128 to 128 of a scalar below 2^253, least first.
fn radix_256(scalar: &[u8; 32]) -> [i16; CHALLENGE_DIGITS / 2] {
    let mut carry = 0;
    std::array::from_fn(|position| {
        let digit = i16::from(scalar[position]) + carry;
        carry = i16::from(digit > 128);
        digit - 256 * carry
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::scalar::Scalar;

    #[test]
    fn digits_stand_for_the_scalar_and_stay_in_range() {
        let mut scalars = vec![Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from(u128::MAX)];
        scalars.extend([0x08, 0x80, 0x88, 0x77, 0x7F].map(|byte| Scalar::from_bytes_mod_order([byte; 32])));
        for scalar in scalars {
            let signed = |digits: &[i16], radix: u64| {
                digits.iter().rev().fold(Scalar::ZERO, |sum, &digit| {
                    let magnitude = Scalar::from(u64::from(digit.unsigned_abs()));
                    assert!(u64::from(digit.unsigned_abs()) <= radix / 2, "digit {digit} in radix {radix}");
                    sum * Scalar::from(radix) + if digit < 0 { -magnitude } else { magnitude }
                })
            };
            assert_eq!(signed(&radix_16(scalar.as_bytes()).map(i16::from), 16), scalar);
            assert_eq!(signed(&radix_256(scalar.as_bytes()), 256), scalar);
        }
    }
}
