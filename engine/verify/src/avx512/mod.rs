//! The AVX-512 IFMA backend: eight signatures side by side, each with its own verdict.
//!
//! No random linear combination: a bad signature costs what a good one does, and cannot make its neighbours dearer.
//! A lane computes [8]([S]B − [k]A − R) by one shared run of doublings (four for each of 64 digits of k in radix 16,
//! S in radix 256 every second digit) and asks for the identity.

#![allow(unsafe_code)]

mod field;
mod point;

use std::sync::OnceLock;

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;

use crate::{Batch, Verdicts, rule};
use field::LANES;
use point::{BaseTable, Completed, Digits, Extended, LaneTable};

/// Radix-16 digits of a scalar.
const CHALLENGE_DIGITS: usize = 64;

/// Radix-256 digits of a scalar.
const RESPONSE_DIGITS: usize = 32;

/// The CPU features this backend needs and this CPU, or its operating system, lacks.
pub(crate) fn missing_features() -> Vec<&'static str> {
    let needed = [
        ("AVX-512 F", is_x86_feature_detected!("avx512f")),
        ("AVX-512 DQ", is_x86_feature_detected!("avx512dq")),
        ("AVX-512 IFMA", is_x86_feature_detected!("avx512ifma")),
    ];
    needed.into_iter().filter(|(_, present)| !present).map(|(name, _)| name).collect()
}

/// Verifies `batch`. Must only be called where [`missing_features`] is empty, which it asserts.
pub(crate) fn verify(batch: &Batch<'_>) -> Verdicts {
    assert!(missing_features().is_empty(), "an Engine on this backend exists only where the CPU can run it");
    // SAFETY: every feature the function enables was just found to be present.
    unsafe { verify_all(batch) }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn verify_all(batch: &Batch<'_>) -> Verdicts {
    static BASE: OnceLock<BaseTable> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        BaseTable::new(|multiple| (-EdwardsPoint::mul_base(&Scalar::from(multiple))).compress().to_bytes())
    });
    let mut verdicts = Verdicts::none_valid(batch.len());
    let candidates: Vec<usize> = (0..batch.len())
        .filter(|&index| rule::bytes_pass(&batch.public_keys()[index], &batch.signatures()[index]))
        .collect();
    for group in candidates.chunks(LANES) {
        let valid = verify_lanes(base, &Lanes::new(batch, group));
        for (lane, &index) in group.iter().enumerate() {
            if valid >> lane & 1 == 1 {
                verdicts.set_valid(index);
            }
        }
    }
    verdicts
}

/// Eight signatures, ready for the vector code.
struct Lanes {
    public_keys: [[u8; 32]; LANES],
    rs: [[u8; 32]; LANES],
    challenges: [Digits; CHALLENGE_DIGITS],
    responses: [Digits; RESPONSE_DIGITS],
}

impl Lanes {
    /// Takes one to eight signatures that pass the byte checks; the last one fills the lanes left over.
    fn new(batch: &Batch<'_>, group: &[usize]) -> Self {
        let mut lanes = Self {
            public_keys: [[0; 32]; LANES],
            rs: [[0; 32]; LANES],
            challenges: [[0; LANES]; CHALLENGE_DIGITS],
            responses: [[0; LANES]; RESPONSE_DIGITS],
        };
        for lane in 0..LANES {
            let index = group[lane.min(group.len() - 1)];
            let (public_key, signature) = (&batch.public_keys()[index], &batch.signatures()[index]);
            let k = rule::challenge(public_key, signature, batch.messages().at(index));
            let (r, s) = rule::split(signature);
            lanes.public_keys[lane] = *public_key;
            lanes.rs[lane] = r;
            for (digits, digit) in lanes.challenges.iter_mut().zip(radix_16(k.as_bytes())) {
                digits[lane] = digit;
            }
            for (digits, digit) in lanes.responses.iter_mut().zip(radix_256(&s)) {
                digits[lane] = digit;
            }
        }
        lanes
    }
}

/// Digits from −8 to 8 of a scalar below 2^253, least first, as two's complement words.
fn radix_16(scalar: &[u8; 32]) -> [u64; CHALLENGE_DIGITS] {
    let mut carry = 0;
    std::array::from_fn(|position| {
        let nibble = scalar[position / 2] >> (4 * (position % 2)) & 15;
        let digit = i64::from(nibble) + carry;
        carry = i64::from(digit > 8);
        (digit - 16 * carry) as u64
    })
}

/// Digits from −128 to 128 of a scalar below 2^253, least first, as two's complement words.
fn radix_256(scalar: &[u8; 32]) -> [u64; RESPONSE_DIGITS] {
    let mut carry = 0;
    std::array::from_fn(|position| {
        let digit = i64::from(scalar[position]) + carry;
        carry = i64::from(digit > 128);
        (digit - 256 * carry) as u64
    })
}

/// The lanes whose signature satisfies the equation.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn verify_lanes(base: &BaseTable, lanes: &Lanes) -> u8 {
    let (minus_a, a_decodes) = Extended::decode_negated(&lanes.public_keys);
    let (minus_r, r_decodes) = Extended::decode_negated(&lanes.rs);
    let decodes = a_decodes & r_decodes;
    if decodes == 0 {
        return 0;
    }
    let table = LaneTable::new(&minus_a);
    let mut sum = Completed::identity();
    for position in (0..CHALLENGE_DIGITS).rev() {
        for _ in 0..4 {
            sum = sum.projective().double();
        }
        sum = sum.extended().add(&table.select(&lanes.challenges[position]));
        if position % 2 == 0 {
            sum = sum.extended().add_affine(&base.select(&lanes.responses[position / 2]));
        }
    }
    sum = sum.extended().add(&minus_r.cached());
    for _ in 0..3 {
        sum = sum.projective().double();
    }
    sum.projective().is_identity() & decodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_for_the_scalar_and_stay_in_range() {
        let mut scalars = vec![Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from(u128::MAX)];
        scalars.extend([0x08, 0x80, 0x88, 0x77, 0x7F].map(|byte| Scalar::from_bytes_mod_order([byte; 32])));
        for scalar in scalars {
            let signed = |digits: &[u64], radix: u64| {
                digits.iter().rev().fold(Scalar::ZERO, |sum, &digit| {
                    let (digit, magnitude) = (digit as i64, Scalar::from((digit as i64).unsigned_abs()));
                    assert!(digit.unsigned_abs() <= radix / 2, "digit {digit} in radix {radix}");
                    sum * Scalar::from(radix) + if digit < 0 { -magnitude } else { magnitude }
                })
            };
            assert_eq!(signed(&radix_16(scalar.as_bytes()), 16), scalar);
            assert_eq!(signed(&radix_256(scalar.as_bytes()), 256), scalar);
        }
    }
}
