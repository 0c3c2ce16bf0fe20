//! One test body for the phases of every backend: hashing against `sha2`, everything about points against `curve25519-dalek`.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity, IsIdentity};
use num_bigint::{BigInt, Sign};
use sha2::{Digest, Sha512};

use super::field_tests::{LIMBS, Random, inverse, modulo_p, p, packed_value};
use super::msm::{Msm, Plan};
use super::{BaseTable, Input, LANES, Mask, Packed3, Signature, Vector};
use crate::threads::Threads;

/// Writes the tests of a backend.
macro_rules! backend_tests {
    ($vector:ty, $field:ty, $reduced:expr) => {
        #[cfg(test)]
        mod tests {
            use super::*;
            use $crate::lanes::{field_tests, vector_tests};

            fn vector() -> Option<$vector> {
                let vector = <$vector>::detect();
                if vector.is_none() {
                    let missing = <$vector>::missing_features().join(", ");
                    eprintln!("SKIPPED: this CPU has no {missing}, so {} is NOT TESTED by this run", module_path!());
                }
                vector
            }

            #[test]
            fn arithmetic_agrees_with_big_integers() {
                if vector().is_some() {
                    field_tests::arithmetic::<$field>($reduced);
                }
            }

            #[test]
            fn hashes_agree_with_sha2() {
                vector().map(vector_tests::hashes);
            }

            #[test]
            fn points_decode_as_dalek_decodes_them() {
                vector().map(vector_tests::decoding);
            }

            #[test]
            fn sums_agree_with_dalek() {
                vector().map(vector_tests::sums);
            }

            #[test]
            fn single_verdicts_follow_the_equation() {
                vector().map(vector_tests::single_verdicts);
            }
        }
    };
}
pub(crate) use backend_tests;

/// Messages of every length up to 300 bytes, next to others of any of these lengths.
pub(crate) fn hashes(vector: impl Vector) {
    let mut random = Random::new("hashes");
    let bytes: [u8; 300] = random.bytes();
    for length in 0..=bytes.len() {
        let heads: [[u8; 32]; 2 * LANES] = std::array::from_fn(|_| random.bytes());
        let tails: [&[u8]; LANES] = std::array::from_fn(|lane| match lane {
            0 => &bytes[..length],
            _ => &bytes[random.below(bytes.len() + 1)..],
        });
        let inputs =
            std::array::from_fn(|lane| Input { head: [&heads[2 * lane], &heads[2 * lane + 1]], tail: tails[lane] });
        for (lane, hash) in vector.hash(&inputs).into_iter().enumerate() {
            let expected = Sha512::new().chain_update(heads[2 * lane]).chain_update(heads[2 * lane + 1]);
            let expected: [u8; 64] = expected.chain_update(tails[lane]).finalize().into();
            assert_eq!(hash, expected, "{} bytes in lane {lane}", tails[lane].len());
        }
    }
}

/// A random point, of the whole curve: with a part of small order.
fn random_point(random: &mut Random) -> EdwardsPoint {
    let torsion = EIGHT_TORSION[random.below(EIGHT_TORSION.len())];
    EdwardsPoint::mul_base(&Scalar::from_bytes_mod_order_wide(&random.bytes())) + torsion
}

fn decode<V: Vector>(vector: V, encodings: &[[u8; 32]]) -> (Vec<Packed3>, Vec<Mask>) {
    let (mut points, mut valid) = (vec![Packed3::ZERO; encodings.len()], vec![0; encodings.len().div_ceil(LANES)]);
    vector.decode(encodings, &mut points, &mut valid);
    (points, valid)
}

/// The points of `points`, which must be valid.
fn packed<V: Vector>(vector: V, points: &[EdwardsPoint]) -> Vec<Packed3> {
    let encodings: Vec<[u8; 32]> = points.iter().map(|point| point.compress().to_bytes()).collect();
    decode(vector, &encodings).0
}

/// Checks that `point` is the one point with this y and this sign of x.
fn check_point(point: &Packed3, encoding: &[u8; 32]) {
    let [plus, minus, t2d]: [BigInt; 3] = std::array::from_fn(|element| packed_value(&point.0[LIMBS * element..]));
    let half = inverse(&BigInt::from(2));
    let (x, y) = (modulo_p(&((&plus - &minus) * &half)), modulo_p(&((&plus + &minus) * &half)));
    let d: BigInt = -121_665 * inverse(&BigInt::from(121_666));
    assert_eq!(y, BigInt::from_bytes_le(Sign::Plus, encoding) % (BigInt::from(1) << 255));
    assert_eq!(x.bit(0), encoding[31] >> 7 == 1, "the sign of x");
    let (xx, yy) = (&x * &x, &y * &y);
    assert_eq!(modulo_p(&(&yy - &xx)), modulo_p(&(1 + &d * xx * yy)), "the curve's equation");
    assert_eq!(t2d, modulo_p(&(2 * d * x * y)));
}

/// Points, and encodings of none: about half of all strings.
pub(crate) fn decoding(vector: impl Vector) {
    let mut random = Random::new("decoding");
    for count in (0..=2 * LANES + 1).chain([200]) {
        let encodings: Vec<[u8; 32]> = (0..count)
            .map(|_| match random.below(3) {
                0 => random_point(&mut random).compress().to_bytes(),
                _ => random.bytes(),
            })
            // What the byte checks let through: canonical, and x is not 0.
            .inspect(|encoding| {
                let y = BigInt::from_bytes_le(Sign::Plus, encoding) % (BigInt::from(1) << 255);
                assert!(y < p() && y != BigInt::from(1) && y != p() - 1, "a chance of 2^-250");
            })
            .collect();
        let (points, valid) = decode(vector, &encodings);
        for (number, (encoding, point)) in encodings.iter().zip(&points).enumerate() {
            let is_valid = CompressedEdwardsY(*encoding).decompress().is_some();
            assert_eq!(valid[number / LANES] >> (number % LANES) & 1 == 1, is_valid, "{encoding:x?} of {count}");
            if is_valid {
                check_point(point, encoding);
            }
        }
    }
}

fn words(scalar: &[u8; 32]) -> [u64; 4] {
    let words = scalar.as_chunks().0;
    std::array::from_fn(|word| u64::from_le_bytes(words[word]))
}

/// A scalar of a multiplication, often an extreme one.
fn wide_scalar(random: &mut Random) -> [u8; 32] {
    let mut bytes: [u8; 32] = random.bytes();
    bytes[31] %= 0x1C;
    match random.below(8) {
        0 => [0; 32],
        1 => Scalar::ONE.to_bytes(),
        2 => (-Scalar::ONE).to_bytes(),
        3 => {
            // The largest: not below the group's order, but below 2^253 - 2^250.
            bytes = [u8::MAX; 32];
            bytes[31] = 0x1B;
            bytes
        }
        4 => {
            // 2^252 and a little.
            bytes[8..31].fill(0);
            bytes[31] = 0x10;
            bytes
        }
        _ => bytes,
    }
}

fn narrow_scalar(random: &mut Random) -> u128 {
    match random.below(8) {
        0 => 0,
        1 => 1,
        2 => u128::MAX,
        3 => 1 << 127,
        _ => u128::from_le_bytes(random.bytes()),
    }
}

/// Sums of all sizes that plans differ for, of points some of which are equal or opposite, and scalars some of which are
/// extreme.
pub(crate) fn sums(vector: impl Vector) {
    let mut random = Random::new("sums");
    let mut pool: Vec<EdwardsPoint> = (0..3000).map(|_| random_point(&mut random)).collect();
    for number in (0..pool.len()).step_by(5) {
        let other = pool[random.below(pool.len())];
        pool[number] = if random.below(2) == 0 { other } else { -other };
    }
    let mut points = vec![Packed3::IDENTITY];
    points.extend(packed(vector, &pool));
    let last = points.len() as u32;
    points.push(Packed3::ZERO);
    let mut msm = Msm::default();
    let sizes = [0, 1, 2, 3, 5, 8, 13, 30, 60, 120, 250, 500, 1000, 2000, 3000];
    for (size, wide_count) in sizes.iter().flat_map(|&size| [(size, size / 2), (size, 0), (size, size)]) {
        let start = random.below(pool.len() - size + 1);
        let places = start as u32 + 1..(start + size) as u32 + 1;
        let scalars: Vec<[u8; 32]> = (0..wide_count).map(|_| wide_scalar(&mut random)).collect();
        let mut wide: Vec<_> = places.clone().zip(scalars.iter().map(words)).collect();
        let narrow: Vec<(u32, u128)> =
            places.skip(wide_count).map(|place| (place, narrow_scalar(&mut random))).collect();
        let narrow_scalars = narrow.iter().map(|&(_, scalar)| Scalar::from(scalar));
        let scalars = scalars.iter().map(|&scalar| Scalar::from_bytes_mod_order(scalar)).chain(narrow_scalars);
        let summed =
            scalars.zip(&pool[start..]).fold(EdwardsPoint::identity(), |sum, (scalar, point)| sum + scalar * point);

        let narrow: Vec<_> =
            narrow.iter().map(|&(place, scalar)| (place, [scalar as u64, (scalar >> 64) as u64, 0, 0])).collect();
        let is_zero = |msm: &mut Msm, points: &[Packed3], wide: &[(u32, [u64; 4])]| {
            let plan = Plan::new(wide.len(), narrow.len());
            let terms: Vec<_> = wide.iter().chain(&narrow).map(|(place, scalar)| (*place, plan.bias(scalar))).collect();
            let [alone, together] =
                [Threads::One, Threads::Pool].map(|threads| msm.is_zero(vector, threads, &plan, &terms, points));
            assert_eq!(alone, together, "{size} terms");
            alone
        };
        let expected = summed.mul_by_cofactor().is_identity();
        assert_eq!(is_zero(&mut msm, &points, &wide), expected, "{size} terms, {wide_count} of them wide");

        // One more term makes the sum zero, up to a part of small order; and another one makes it something else.
        let torsion = EIGHT_TORSION[random.below(EIGHT_TORSION.len())];
        wide.push((last, [1, 0, 0, 0]));
        let opposite = torsion - summed;
        points[last as usize] =
            if opposite.is_small_order() { Packed3::IDENTITY } else { packed(vector, &[opposite])[0] };
        assert!(is_zero(&mut msm, &points, &wide), "{size} terms, {wide_count} of them wide, and their opposite");
        let missed = opposite + EdwardsPoint::mul_base(&Scalar::from(1_u64 << random.below(64)));
        points[last as usize] = packed(vector, &[missed])[0];
        assert!(!is_zero(&mut msm, &points, &wide), "{size} terms, {wide_count} of them wide, and not their opposite");
    }
}

/// Signatures of every kind that the equation accepts, and next to them in the same vector what it must refuse.
pub(crate) fn single_verdicts(vector: impl Vector) {
    let encode = |multiple| EdwardsPoint::mul_base(&Scalar::from(multiple)).compress().to_bytes();
    let base = BaseTable::new(encode, |encodings| decode(vector, encodings).0);
    let mut random = Random::new("single verdicts");
    for round in 0..60 {
        let expected: Mask = random.bytes::<1>()[0];
        let signatures: [Signature; LANES] = std::array::from_fn(|lane| {
            let scalar = |random: &mut Random| match random.below(6) {
                0 => Scalar::ZERO,
                1 => -Scalar::ONE,
                _ => Scalar::from_bytes_mod_order_wide(&random.bytes()),
            };
            let [a, r] = [0; 2].map(|_| Scalar::from_bytes_mod_order_wide(&random.bytes()));
            let mut torsion = || EIGHT_TORSION[random.below(EIGHT_TORSION.len())];
            let points = [EdwardsPoint::mul_base(&a) + torsion(), EdwardsPoint::mul_base(&r) + torsion()];
            let k = scalar(&mut random);
            let mut s = r + k * a;
            if expected >> lane & 1 == 0 {
                s += Scalar::from(1 + random.word());
            }
            let packed = packed(vector, &points);
            Signature { a: packed[0], r: packed[1], k: k.to_bytes(), s: s.to_bytes() }
        });
        let valid = vector.verify_single(&base, &signatures.each_ref());
        assert_eq!(valid, expected, "round {round}: {valid:08b} {expected:08b}");
    }
}
