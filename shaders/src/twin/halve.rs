//! The twin of `halve.wgsl`.

use crate::numbers::GROUP_ORDER;

/// Bits of u and v.
const HALF_BITS: u32 = 126;

/// u and v with u = ±v k mod ℓ, v not 0; `is_negative` for −.
pub(super) struct Halves {
    pub(super) u: u128,
    pub(super) v: u128,
    pub(super) is_negative: bool,
}

/// 256 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Integer {
    high: u128,
    low: u128,
}

impl Integer {
    fn from_words(words: &[u32; 8]) -> Self {
        let [low, high] = bytemuck::cast(*words);
        Self { high, low }
    }

    fn bits(self) -> u32 {
        if self.high == 0 { 128 - self.low.leading_zeros() } else { 256 - self.high.leading_zeros() }
    }

    /// Times 2^`by`, `by` below 128.
    fn shift_left(self, by: u32) -> Self {
        let over = if by == 0 { 0 } else { self.low >> (128 - by) };
        Self { high: self.high << by | over, low: self.low << by }
    }

    /// Less `other`, which is not above it.
    fn subtract(self, other: Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Self { high: self.high - other.high - u128::from(borrow), low }
    }
}

/// Euclid's algorithm on ℓ and k, down to the first remainder of half the bits.
pub(super) fn halve(k: &[u32; 8]) -> Halves {
    let (mut a, mut b) = (Integer::from_words(&GROUP_ORDER), Integer::from_words(k));
    let (mut ta, mut tb) = (0_u128, 1_u128);
    let mut is_negative = false;
    while b.bits() > HALF_BITS {
        while a >= b {
            let mut by = a.bits() - b.bits();
            if b.shift_left(by) > a {
                by -= 1;
            }
            a = a.subtract(b.shift_left(by));
            ta += tb << by;
        }
        (a, b) = (b, a);
        (ta, tb) = (tb, ta);
        is_negative = !is_negative;
    }
    Halves { u: b.low, v: tb, is_negative }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;

    fn check(k: &BigUint) {
        let order = BigUint::new(GROUP_ORDER.to_vec());
        let mut words = k.to_u32_digits();
        words.resize(8, 0);
        let Halves { u, v, is_negative } = halve(&words.try_into().unwrap());
        assert!(u < 1 << 126 && v <= (1 << 126) + 1 && v > 0, "{k}: {u} {v}");
        let product = k * v % &order;
        let expected = if is_negative { (&order - product) % &order } else { product };
        assert_eq!(BigUint::from(u), expected, "{k}");
    }

    #[test]
    fn halves_are_short_and_right() {
        let order = BigUint::new(GROUP_ORDER.to_vec());
        for small in 0..20_u32 {
            check(&BigUint::from(small));
            check(&(&order - 1_u32 - small));
            check(&(&order / 2_u32 + small));
            check(&(&order / 3_u32 + small));
        }
        for bit in 0..252_u64 {
            check(&(BigUint::from(1_u32) << bit));
            check(&((BigUint::from(1_u32) << bit) - 1_u32));
        }
        let mut random = blake3::Hasher::new().update(b"halves").finalize_xof();
        for _ in 0..2000 {
            let mut bytes = [0; 40];
            random.fill(&mut bytes);
            check(&(BigUint::from_bytes_le(&bytes) % &order));
        }
    }
}
