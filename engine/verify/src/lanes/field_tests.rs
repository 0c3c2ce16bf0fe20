//! One test body for the arithmetic of every backend, against big integers. Backends differ in the limbs that they call
//! reduced, and every result is checked to have such limbs: whatever is computed from it then stays inside the same bounds.

use num_bigint::{BigInt, Sign};

use super::{Field, LANES, Mask, Packed3, Packed4};

/// All backends pack an element as five limbs in radix 2^51, one to a 64-bit word, signed where they can be negative.
pub(crate) const LIMB_BITS: usize = 51;
pub(crate) const LIMBS: usize = 5;

type Limbs = [i64; LIMBS];

/// The limbs that a backend calls reduced, both ends included.
#[derive(Clone, Copy)]
pub(crate) struct Reduced {
    pub(crate) least: i64,
    pub(crate) most: i64,
}

/// A source of reproducible bytes.
pub(crate) struct Random(blake3::OutputReader);

impl Random {
    pub(crate) fn new(seed: &str) -> Self {
        Self(blake3::Hasher::new().update(seed.as_bytes()).finalize_xof())
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    pub(crate) fn word(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound as u64) as usize
    }

    /// Limbs anywhere between the bounds; each at one of them or at a value of note; or all at the same bound, but for low bits that
    /// leave nothing to symmetry.
    fn limbs(&mut self, reduced: Reduced) -> Limbs {
        let Reduced { least, most } = reduced;
        let (style, at_most) = (self.below(3), self.below(2) == 0);
        std::array::from_fn(|_| match (style, self.below(8)) {
            (0, _) => least + (self.word() % (most - least + 1) as u64) as i64,
            (1, 0) => 0.clamp(least, most),
            (1, 1) => 1.clamp(least, most),
            (1, 2) => (-1).clamp(least, most),
            (1, 3) => (1 << (LIMB_BITS - 1)).clamp(least, most),
            (1, even) if even % 2 == 0 => most,
            (1, _) => least,
            _ if at_most => most - self.below(1 << 7) as i64,
            _ => least + self.below(1 << 7) as i64,
        })
    }
}

/// 2^255 − 19.
pub(crate) fn p() -> BigInt {
    (BigInt::from(1) << 255) - 19
}

/// The value from 0 to p − 1.
pub(crate) fn modulo_p(value: &BigInt) -> BigInt {
    ((value % p()) + p()) % p()
}

/// 1/value modulo p.
pub(crate) fn inverse(value: &BigInt) -> BigInt {
    modulo_p(value).modpow(&(p() - 2), &p())
}

fn exact_value(limbs: &Limbs) -> BigInt {
    limbs.iter().rev().fold(BigInt::ZERO, |value, &limb| (value << LIMB_BITS) + limb)
}

/// The value modulo p of packed words.
pub(crate) fn packed_value(words: &[u64]) -> BigInt {
    modulo_p(&exact_value(&std::array::from_fn(|limb| words[limb].cast_signed())))
}

/// Reduced limbs of exactly `value`, if it has them.
fn limbs_of(mut value: BigInt, reduced: Reduced) -> Option<Limbs> {
    let radix = BigInt::from(1) << LIMB_BITS;
    let mut limbs = [0; LIMBS];
    for limb in &mut limbs[..LIMBS - 1] {
        let digit = i64::try_from(((&value % &radix) + &radix) % &radix).unwrap();
        *limb = if digit > reduced.most { digit - (1 << LIMB_BITS) } else { digit };
        value = (value - *limb) >> LIMB_BITS;
    }
    limbs[LIMBS - 1] = i64::try_from(value).ok().filter(|limb| (reduced.least..=reduced.most).contains(limb))?;
    Some(limbs)
}

fn element<F: Field>(lanes: &[Limbs; LANES]) -> F {
    let packed = lanes.map(|limbs| {
        let mut packed = Packed3::ZERO;
        packed.0[..LIMBS].copy_from_slice(&limbs.map(i64::cast_unsigned));
        packed
    });
    let [element, ..] = F::unpack3(packed.each_ref());
    element
}

fn limbs<F: Field>(element: &F) -> [Limbs; LANES] {
    let zero = F::zero();
    F::pack3([element, &zero, &zero]).map(|packed| std::array::from_fn(|limb| packed.0[limb].cast_signed()))
}

/// Checks that `element` is reduced and has the values `expected`.
fn check<F: Field>(what: &str, element: &F, reduced: Reduced, expected: impl Fn(usize) -> BigInt) {
    for (lane, limbs) in limbs(element).iter().enumerate() {
        let range = reduced.least..=reduced.most;
        assert!(limbs.iter().all(|limb| range.contains(limb)), "{what}: {limbs:x?} is not reduced");
        assert_eq!(modulo_p(&exact_value(limbs)), modulo_p(&expected(lane)), "{what}, lane {lane}: {limbs:x?}");
    }
}

fn mask_where(predicate: impl Fn(usize) -> bool) -> Mask {
    (0..LANES).fold(0, |mask, lane| mask | Mask::from(predicate(lane)) << lane)
}

/// Everything below.
pub(crate) fn arithmetic<F: Field>(reduced: Reduced) {
    constants::<F>(reduced);
    operations::<F>(reduced);
    chains::<F>(reduced);
    representatives::<F>(reduced);
    moves::<F>(reduced);
}

fn constants<F: Field>(reduced: Reduced) {
    let d: BigInt = -121_665 * inverse(&BigInt::from(121_666));
    check("0", &F::zero(), reduced, |_| BigInt::ZERO);
    check("1", &F::one(), reduced, |_| BigInt::from(1));
    check("d", &F::d(), reduced, |_| d.clone());
    check("2d", &F::twice_d(), reduced, |_| 2 * &d);
    check("the square of the root of -1", &F::sqrt_minus_one().square(), reduced, |_| BigInt::from(-1));
}

/// Every operation on random elements and on those at the bounds.
fn operations<F: Field>(reduced: Reduced) {
    let Reduced { least, most } = reduced;
    let mut random = Random::new("operations");
    let extremes = [[least; LIMBS], [most; LIMBS], [least, most, least, most, least], [most, least, most, least, most]];
    for round in 0..500 {
        let mut lanes = || std::array::from_fn(|_| random.limbs(reduced));
        let (mut left, mut right): ([Limbs; LANES], [Limbs; LANES]) = (lanes(), lanes());
        if round < extremes.len() {
            left[..extremes.len()].fill(extremes[round]);
            right[..extremes.len()].copy_from_slice(&extremes);
        }
        let (a, b) = (left.map(|limbs| exact_value(&limbs)), right.map(|limbs| exact_value(&limbs)));
        let (left, right) = (element::<F>(&left), element::<F>(&right));
        check("product", &left.mul(&right), reduced, |lane| &a[lane] * &b[lane]);
        check("square", &left.square(), reduced, |lane| &a[lane] * &a[lane]);
        check("sum", &left.add(&right), reduced, |lane| &a[lane] + &b[lane]);
        check("difference", &left.sub(&right), reduced, |lane| &a[lane] - &b[lane]);
        assert_eq!(left.is_zero(), mask_where(|lane| modulo_p(&a[lane]) == BigInt::ZERO));
        assert_eq!(left.is_odd(), mask_where(|lane| modulo_p(&a[lane]).bit(0)));
        compound::<F>(reduced, [&left, &right], [&a, &b]);
    }
}

/// The operations that carry several products at once.
fn compound<F: Field>(reduced: Reduced, elements: [&F; 2], values: [&[BigInt; LANES]; 2]) {
    let ([left, right], [a, b]) = (elements, values);
    let [sum, difference] = F::products_sum_and_difference([left, right], [right, right]);
    check("sum of products", &sum, reduced, |lane| &b[lane] * (&a[lane] + &b[lane]));
    check("difference of products", &difference, reduced, |lane| &b[lane] * (&a[lane] - &b[lane]));
    let [plus, minus] = left.twice_plus_and_minus_product([left, right]);
    check("twice plus product", &plus, reduced, |lane| &a[lane] * (2 + &b[lane]));
    check("twice minus product", &minus, reduced, |lane| &a[lane] * (2 - &b[lane]));
    let [e, f, g, h] = F::double(left, right, left);
    let square = |value: &BigInt| value * value;
    check("double: e", &e, reduced, |lane| -2 * &a[lane] * &b[lane]);
    check("double: f", &f, reduced, |lane| 3 * square(&a[lane]) - square(&b[lane]));
    check("double: g", &g, reduced, |lane| square(&a[lane]) - square(&b[lane]));
    check("double: h", &h, reduced, |lane| square(&a[lane]) + square(&b[lane]));
}

/// Operations on results of operations, and now and then on an element at the bounds.
fn chains<F: Field>(reduced: Reduced) {
    let mut random = Random::new("chains");
    let mut lanes = || -> [Limbs; LANES] { std::array::from_fn(|_| random.limbs(reduced)) };
    let mut elements: [[Limbs; LANES]; 4] = [lanes(), lanes(), lanes(), lanes()];
    let mut values = elements.map(|lanes| lanes.map(|limbs| exact_value(&limbs)));
    let mut state = elements.map(|lanes| element::<F>(&lanes));
    for step in 0..1500 {
        let (to, left, right) = (random.below(4), random.below(4), random.below(4));
        let (a, b) = (values[left].clone(), values[right].clone());
        let operation = random.below(9);
        state[to] = match operation {
            0 => {
                elements[to] = std::array::from_fn(|_| random.limbs(reduced));
                element(&elements[to])
            }
            1 | 2 => state[left].mul(&state[right]),
            3 | 4 => state[left].square(),
            5 | 6 => state[left].add(&state[right]),
            _ => state[left].sub(&state[right]),
        };
        values[to] = std::array::from_fn(|lane| {
            modulo_p(&match operation {
                0 => exact_value(&elements[to][lane]),
                1 | 2 => &a[lane] * &b[lane],
                3 | 4 => &a[lane] * &a[lane],
                5 | 6 => &a[lane] + &b[lane],
                _ => &a[lane] - &b[lane],
            })
        });
        check(&format!("step {step}"), &state[to], reduced, |lane| values[to][lane].clone());
    }
}

/// The values around 0 and p, and around p/2 where signed limbs change sign, in every reduced form that they have.
fn representatives<F: Field>(reduced: Reduced) {
    let (mut values, mut forms) = (0, 0);
    for offset in -40..=40 {
        for value in [modulo_p(&BigInt::from(offset)), p() / 2 + offset] {
            values += 1;
            for multiple in -2..=2 {
                let Some(limbs) = limbs_of(&value + multiple * p(), reduced) else { continue };
                forms += 1;
                let element = element::<F>(&[limbs; LANES]);
                assert_eq!(element.is_zero(), mask_where(|_| value == BigInt::ZERO), "{limbs:x?}");
                assert_eq!(element.is_odd(), mask_where(|_| value.bit(0)), "{limbs:x?}");
            }
        }
    }
    assert!(forms > values, "some value must have two forms: {forms} of {values}");
}

/// What moves elements and does not compute.
fn moves<F: Field>(reduced: Reduced) {
    let mut random = Random::new("moves");
    for _ in 0..100 {
        let packed3: [Packed3; LANES] = std::array::from_fn(|_| Packed3(words(&mut random, reduced, 3)));
        let unpacked = F::unpack3(packed3.each_ref());
        assert_eq!(F::pack3(unpacked.each_ref()).map(|packed| packed.0), packed3.map(|packed| packed.0));
        let packed4: [Packed4; LANES] = std::array::from_fn(|_| Packed4(words(&mut random, reduced, 4)));
        let unpacked = F::unpack4(packed4.each_ref());
        assert_eq!(F::pack4(unpacked.each_ref()).map(|packed| packed.0), packed4.map(|packed| packed.0));
        for (number, element) in unpacked.iter().enumerate() {
            let expected = |lane: usize| packed_value(&packed4[lane].0[LIMBS * number..]);
            check("unpacked", element, reduced, expected);
        }

        let mask = random.bytes::<1>()[0];
        let (a, b) = (limbs(&unpacked[0]), limbs(&unpacked[1]));
        for (lane, chosen) in limbs(&unpacked[0].select(&unpacked[1], mask)).into_iter().enumerate() {
            assert_eq!(chosen, if mask >> lane & 1 == 1 { b[lane] } else { a[lane] }, "{mask:b}, lane {lane}");
        }

        let mut bytes: [[u8; 32]; LANES] = std::array::from_fn(|_| random.bytes());
        bytes[0] = [u8::MAX; 32];
        check("from bytes", &F::from_bytes(&bytes), reduced, |lane| {
            BigInt::from_bytes_le(Sign::Plus, &bytes[lane]) % (BigInt::from(1) << 255)
        });
    }
    let [plus, minus, t2d] = F::unpack3([&Packed3::IDENTITY; LANES]);
    check("the identity's y + x", &plus, reduced, |_| BigInt::from(1));
    check("the identity's y - x", &minus, reduced, |_| BigInt::from(1));
    check("the identity's 2dxy", &t2d, reduced, |_| BigInt::ZERO);
}

/// Reduced limbs of `elements` elements, the rest zero.
fn words<const WORDS: usize>(random: &mut Random, reduced: Reduced, elements: usize) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for words in words.chunks_exact_mut(LIMBS).take(elements) {
        words.copy_from_slice(&random.limbs(reduced).map(i64::cast_unsigned));
    }
    words
}
