//! Points of edwards25519, eight side by side: adding, doubling, and the forms they take between.
//!
//! Coordinates and formulas are those of Hisil, Wong, Carter, Dawson (2008) for a = −1, which are complete on this
//! curve: no case, the identity included, is special.

use super::{Field, LANES, Mask, Packed3, Packed4};

/// x = X/Z, y = Y/Z.
#[derive(Clone, Copy)]
pub(crate) struct Projective<F> {
    x: F,
    y: F,
    z: F,
}

/// x = X/Z, y = Y/Z, xy = T/Z.
#[derive(Clone, Copy)]
pub(crate) struct Extended<F> {
    x: F,
    y: F,
    z: F,
    t: F,
}

/// A sum to which affine points are added: Y + X, Y − X, Z, T.
#[derive(Clone, Copy)]
pub(crate) struct Running<F> {
    plus: F,
    minus: F,
    z: F,
    t: F,
}

/// What a doubling or an addition leaves: x = E/G, y = H/F. Whether T is worth a product is for the next step to say.
#[derive(Clone, Copy)]
pub(crate) struct Completed<F> {
    e: F,
    f: F,
    g: F,
    h: F,
}

/// A point made ready to be added many times: Y + X, Y − X, 2dT, 2Z.
#[derive(Clone, Copy)]
pub(crate) struct Cached<F> {
    plus: F,
    minus: F,
    t2d: F,
    z2: F,
}

/// The same with Z = 1: y + x, y − x, 2dxy.
#[derive(Clone, Copy)]
pub(crate) struct Affine<F> {
    plus: F,
    minus: F,
    t2d: F,
}

impl<F: Field> Extended<F> {
    #[inline(always)]
    pub(crate) fn identity() -> Self {
        Self { x: F::zero(), y: F::one(), z: F::one(), t: F::zero() }
    }

    #[inline(always)]
    pub(crate) fn unpack(points: [&Packed4; LANES]) -> Self {
        let [x, y, z, t] = F::unpack4(points);
        Self { x, y, z, t }
    }

    #[inline(always)]
    pub(crate) fn pack(&self) -> [Packed4; LANES] {
        F::pack4([&self.x, &self.y, &self.z, &self.t])
    }

    #[inline(always)]
    pub(crate) fn cached(&self) -> Cached<F> {
        Cached {
            plus: self.y.add(&self.x),
            minus: self.y.sub(&self.x),
            t2d: self.t.mul(&F::twice_d()),
            z2: self.z.add(&self.z),
        }
    }

    #[inline(always)]
    pub(crate) fn projective(&self) -> Projective<F> {
        Projective { x: self.x, y: self.y, z: self.z }
    }

    /// Lane by lane: `other` where `mask` has a one, else `self`.
    #[inline(always)]
    pub(crate) fn select(&self, other: &Self, mask: Mask) -> Self {
        Self {
            x: self.x.select(&other.x, mask),
            y: self.y.select(&other.y, mask),
            z: self.z.select(&other.z, mask),
            t: self.t.select(&other.t, mask),
        }
    }

    #[inline(always)]
    pub(crate) fn add(&self, other: &Cached<F>) -> Completed<F> {
        let (plus, minus) = (self.y.add(&self.x), self.y.sub(&self.x));
        let [h, e] = F::products_sum_and_difference([&plus, &other.plus], [&minus, &other.minus]);
        let [g, f] = F::products_sum_and_difference([&self.z, &other.z2], [&self.t, &other.t2d]);
        Completed { e, f, g, h }
    }

    /// Adds `other`, or subtracts it in the lanes of `negative`.
    #[inline(always)]
    pub(crate) fn add_affine(&self, other: &Affine<F>, negative: Mask) -> Completed<F> {
        self.running().add_affine(other, negative)
    }

    #[inline(always)]
    pub(crate) fn running(&self) -> Running<F> {
        Running { plus: self.y.add(&self.x), minus: self.y.sub(&self.x), z: self.z, t: self.t }
    }
}

impl<F: Field> Running<F> {
    /// Adds `other`, or subtracts it in the lanes of `negative`.
    #[inline(always)]
    pub(crate) fn add_affine(&self, other: &Affine<F>, negative: Mask) -> Completed<F> {
        // −(x, y) = (−x, y) swaps y + x with y − x and turns the sign of 2dxy, and so swaps F with G.
        let plus = other.plus.select(&other.minus, negative);
        let minus = other.minus.select(&other.plus, negative);
        let [h, e] = F::products_sum_and_difference([&self.plus, &plus], [&self.minus, &minus]);
        let [g, f] = self.z.twice_plus_and_minus_product([&self.t, &other.t2d]);
        Completed { e, f: f.select(&g, negative), g: g.select(&f, negative), h }
    }

    /// Half of the sum and of the difference of Y ± X would be Y and X: all coordinates twice, instead.
    #[inline(always)]
    pub(crate) fn extended(&self) -> Extended<F> {
        Extended {
            x: self.plus.sub(&self.minus),
            y: self.plus.add(&self.minus),
            z: self.z.add(&self.z),
            t: self.t.add(&self.t),
        }
    }
}

impl<F: Field> Completed<F> {
    #[inline(always)]
    pub(crate) fn running(&self) -> Running<F> {
        let [plus, minus] = F::products_sum_and_difference([&self.g, &self.h], [&self.e, &self.f]);
        Running { plus, minus, z: self.f.mul(&self.g), t: self.e.mul(&self.h) }
    }

    #[inline(always)]
    pub(crate) fn identity() -> Self {
        Self { e: F::zero(), f: F::one(), g: F::one(), h: F::one() }
    }

    #[inline(always)]
    pub(crate) fn extended(&self) -> Extended<F> {
        Extended { x: self.e.mul(&self.f), y: self.g.mul(&self.h), z: self.f.mul(&self.g), t: self.e.mul(&self.h) }
    }

    #[inline(always)]
    pub(crate) fn projective(&self) -> Projective<F> {
        Projective { x: self.e.mul(&self.f), y: self.g.mul(&self.h), z: self.f.mul(&self.g) }
    }
}

impl<F: Field> Projective<F> {
    #[inline(always)]
    pub(crate) fn double(&self) -> Completed<F> {
        let [e, f, g, h] = F::double(&self.x, &self.y, &self.z);
        Completed { e, f, g, h }
    }

    /// The lanes that are the identity.
    #[inline(always)]
    pub(crate) fn is_identity(&self) -> Mask {
        self.x.is_zero() & self.y.sub(&self.z).is_zero()
    }
}

impl<F: Field> Affine<F> {
    /// From affine coordinates.
    #[inline(always)]
    pub(crate) fn new(x: &F, y: &F) -> Self {
        Self { plus: y.add(x), minus: y.sub(x), t2d: x.mul(y).mul(&F::twice_d()) }
    }

    #[inline(always)]
    pub(crate) fn unpack(points: [&Packed3; LANES]) -> Self {
        let [plus, minus, t2d] = F::unpack3(points);
        Self { plus, minus, t2d }
    }

    #[inline(always)]
    pub(crate) fn pack(&self) -> [Packed3; LANES] {
        F::pack3([&self.plus, &self.minus, &self.t2d])
    }

    /// The point itself, negated in the lanes of `negative`: what adding it to the identity gives, with one product.
    #[inline(always)]
    pub(crate) fn extended(&self, negative: Mask) -> Extended<F> {
        let plus = self.plus.select(&self.minus, negative);
        let minus = self.minus.select(&self.plus, negative);
        // (2x : 2y : 2 : 2xy), twice over so that T needs no halving: x and y times 4, Z = 4, T = 2x · 2y.
        let (x2, y2) = (plus.sub(&minus), plus.add(&minus));
        let two = F::one().add(&F::one());
        Extended { x: x2.add(&x2), y: y2.add(&y2), z: two.add(&two), t: x2.mul(&y2) }
    }
}

impl<F: Field> Cached<F> {
    #[inline(always)]
    pub(crate) fn unpack(points: [&Packed4; LANES]) -> Self {
        let [plus, minus, t2d, z2] = F::unpack4(points);
        Self { plus, minus, t2d, z2 }
    }

    #[inline(always)]
    pub(crate) fn pack(&self) -> [Packed4; LANES] {
        F::pack4([&self.plus, &self.minus, &self.t2d, &self.z2])
    }

    /// Lane by lane negated where `mask` has a one.
    #[inline(always)]
    pub(crate) fn negate(&self, mask: Mask) -> Self {
        Self {
            plus: self.plus.select(&self.minus, mask),
            minus: self.minus.select(&self.plus, mask),
            t2d: self.t2d.select(&F::zero().sub(&self.t2d), mask),
            z2: self.z2,
        }
    }
}
