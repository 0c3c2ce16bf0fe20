//! Field elements: limb for limb what [`crate::generate`] writes. Overflow checks, where they are on, prove the bounds
//! of [`crate::shape`] for whatever is computed.

use crate::Arithmetic;
use crate::shape::Shape;

/// An element; only the first limbs of it are used where the variant has fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fe {
    arithmetic: Arithmetic,
    limbs: [u32; 20],
}

impl Fe {
    pub(crate) fn from_limbs(arithmetic: Arithmetic, limbs: &[u32]) -> Self {
        Self { arithmetic, limbs: std::array::from_fn(|limb| limbs.get(limb).copied().unwrap_or(0)) }
    }

    /// The low 255 bits of `words`.
    pub(crate) fn from_words(arithmetic: Arithmetic, words: &[u32; 8]) -> Self {
        Self::from_limbs(arithmetic, &Shape::of(arithmetic).limbs_of(words))
    }

    pub(crate) fn small(arithmetic: Arithmetic, value: u32) -> Self {
        Self::from_limbs(arithmetic, &[value])
    }

    pub(crate) fn limbs(&self) -> &[u32] {
        &self.limbs[..self.shape().limbs()]
    }

    fn shape(&self) -> Shape {
        Shape::of(self.arithmetic)
    }

    /// Each limb from those at the same place, carried where the variant does.
    fn sum(&self, limb: impl Fn(usize) -> u32) -> Self {
        let mut sum = *self;
        for index in 0..self.shape().limbs() {
            sum.limbs[index] = limb(index);
        }
        if self.shape().carries_sums { sum.carry_once() } else { sum }
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        self.sum(|limb| self.limbs[limb] + other.limbs[limb])
    }

    pub(crate) fn sub(&self, other: &Self) -> Self {
        self.sum(|limb| self.limbs[limb] + self.shape().tight_bias[limb] - other.limbs[limb])
    }

    pub(crate) fn sub_wide(&self, other: &Self) -> Self {
        self.sum(|limb| self.limbs[limb] + self.shape().loose_bias[limb] - other.limbs[limb])
    }

    pub(crate) fn negate(&self) -> Self {
        Self::small(self.arithmetic, 0).sub(self)
    }

    fn carry_once(&self) -> Self {
        let shape = self.shape();
        let mut carried = *self;
        for index in 0..shape.limbs() {
            let (from, weight) = if index == 0 { (shape.limbs() - 1, shape.wrap) } else { (index - 1, 1) };
            carried.limbs[index] =
                (self.limbs[index] & shape.mask(index)) + weight * (self.limbs[from] >> shape.bits[from]);
        }
        carried
    }

    pub(crate) fn carry(&self) -> Self {
        if self.shape().carries_sums { *self } else { self.carry_once() }
    }

    pub(crate) fn square(&self) -> Self {
        self.mul(self)
    }

    pub(crate) fn square_times(&self, times: u32) -> Self {
        (0..times).fold(*self, |power, _| power.square())
    }

    pub(crate) fn mul(&self, other: &Self) -> Self {
        match self.arithmetic {
            Arithmetic::Int64 => self.mul_int64(other),
            Arithmetic::Int32 => self.mul_int32(other),
        }
    }

    fn mul_int64(&self, other: &Self) -> Self {
        let shape = self.shape();
        let mut columns = [0_u64; 10];
        for i in 0..10 {
            for j in 0..10 {
                let left = self.limbs[i] * if i * j % 2 == 1 { 2 } else { 1 };
                let right = other.limbs[j] * if i + j < 10 { 1 } else { 19 };
                columns[(i + j) % 10] += u64::from(left) * u64::from(right);
            }
        }
        for index in 0..9 {
            columns[index + 1] += columns[index] >> shape.bits[index];
        }
        // Masked to at most 26 bits, or shifted to what the bounds allow.
        let mut limbs: [u32; 10] = std::array::from_fn(|index| columns[index] as u32 & shape.mask(index));
        let wrapped = u64::from(limbs[0]) + 19 * (columns[9] >> 25);
        limbs[0] = wrapped as u32 & shape.mask(0);
        limbs[1] += (wrapped >> 26) as u32;
        Self::from_limbs(self.arithmetic, &limbs)
    }

    fn mul_int32(&self, other: &Self) -> Self {
        let mut columns = [0_u32; 40];
        for i in 0..20 {
            for j in 0..20 {
                columns[i + j] += self.limbs[i] * other.limbs[j];
            }
        }
        let carry_into = |columns: &mut [u32], next: usize| {
            columns[next] += columns[next - 1] >> 13;
            columns[next - 1] &= 8191;
        };
        (1..40).for_each(|next| carry_into(&mut columns, next));
        let (low, high) = columns.split_at_mut(20);
        for (low, high) in low.iter_mut().zip(high) {
            *low += 608 * *high;
        }
        (1..20).for_each(|next| carry_into(low, next));
        low[0] += 608 * (low[19] >> 13);
        low[19] &= 8191;
        carry_into(low, 1);
        Self::from_limbs(self.arithmetic, low)
    }

    /// A chain of carries that leaves whole limbs below 2^255; the carry out.
    fn chain(&mut self) -> u32 {
        let shape = self.shape();
        let last = shape.limbs() - 1;
        for index in 0..last {
            self.limbs[index + 1] += self.limbs[index] >> shape.bits[index];
            self.limbs[index] &= shape.mask(index);
        }
        let carry = self.limbs[last] >> shape.last_bits();
        self.limbs[last] &= (1 << shape.last_bits()) - 1;
        carry
    }

    /// The one representative below p, as words.
    pub(crate) fn canonical(&self) -> [u32; 8] {
        let mut kept = *self;
        for _ in 0..2 {
            kept.limbs[0] += 19 * kept.chain();
        }
        let mut reduced = kept;
        reduced.limbs[0] += 19;
        let is_reduced = reduced.chain() != 0;
        let whole = if is_reduced { reduced } else { kept };
        let mut words = [0_u32; 8];
        for (index, &limb) in whole.limbs().iter().enumerate() {
            let start = self.shape().start(index);
            let spread = u64::from(limb) << (start % 32);
            words[start as usize / 32] |= spread as u32;
            if let Some(next) = words.get_mut(start as usize / 32 + 1) {
                *next |= (spread >> 32) as u32;
            }
        }
        words
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.canonical() == [0; 8]
    }

    /// x^((p − 5) / 8) = x^(2^252 − 3).
    pub(crate) fn root_power(&self) -> Self {
        let x2 = self.square();
        let x9 = x2.square_times(2).mul(self);
        let x11 = x9.mul(&x2);
        let ones_5 = x11.square().mul(&x9);
        let ones_10 = ones_5.square_times(5).mul(&ones_5);
        let ones_20 = ones_10.square_times(10).mul(&ones_10);
        let ones_40 = ones_20.square_times(20).mul(&ones_20);
        let ones_50 = ones_40.square_times(10).mul(&ones_10);
        let ones_100 = ones_50.square_times(50).mul(&ones_50);
        let ones_200 = ones_100.square_times(100).mul(&ones_100);
        let ones_250 = ones_200.square_times(50).mul(&ones_50);
        ones_250.square_times(2).mul(self)
    }

    /// 1/x = x^(p − 2), from (p − 2) = 8 (p − 5)/8 + 3.
    pub(crate) fn invert(&self) -> Self {
        self.root_power().square_times(3).mul(&self.square().mul(self))
    }
}
