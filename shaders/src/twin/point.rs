//! Points: the twin of `point.wgsl`, formula for formula.

use super::Fe;
use crate::Arithmetic;
use crate::numbers::TWICE_D;

#[derive(Clone, Copy)]
pub(crate) struct Extended {
    pub(crate) x: Fe,
    pub(crate) y: Fe,
    pub(crate) z: Fe,
    pub(crate) t: Fe,
}

#[derive(Clone, Copy)]
pub(crate) struct Cached {
    pub(crate) sum: Fe,
    pub(crate) difference: Fe,
    pub(crate) z2: Fe,
    pub(crate) t2d: Fe,
}

#[derive(Clone, Copy)]
pub(crate) struct Completed {
    e: Fe,
    f: Fe,
    g: Fe,
    h: Fe,
}

impl Completed {
    pub(crate) fn extended(&self) -> Extended {
        let Self { e, f, g, h } = self;
        Extended { x: f.mul(e), y: g.mul(h), z: f.mul(g), t: e.mul(h) }
    }
}

impl Extended {
    pub(crate) fn identity(arithmetic: Arithmetic) -> Self {
        let [zero, one] = [0, 1].map(|value| Fe::small(arithmetic, value));
        Self { x: zero, y: one, z: one, t: zero }
    }

    pub(crate) fn from_affine(x: Fe, y: Fe, arithmetic: Arithmetic) -> Self {
        Self { x, y, z: Fe::small(arithmetic, 1), t: x.mul(&y) }
    }

    pub(crate) fn double(&self) -> Completed {
        let (xx, yy, zz) = (self.x.square(), self.y.square(), self.z.square());
        let (h, g) = (yy.add(&xx), yy.sub(&xx));
        let e = self.x.add(&self.y).square().sub_wide(&h).carry();
        Completed { e, f: zz.add(&zz).sub_wide(&g), g, h }
    }

    fn add_values(&self, sum: &Fe, difference: &Fe, t2d: &Fe, zz2: &Fe, is_negative: bool) -> Completed {
        let (sum, difference) = if is_negative { (difference, sum) } else { (sum, difference) };
        let a = self.y.sub(&self.x).mul(difference);
        let b = self.y.add(&self.x).mul(sum);
        let c = self.t.mul(&if is_negative { t2d.negate() } else { *t2d });
        Completed { e: b.sub(&a), f: zz2.sub(&c), g: zz2.add(&c), h: b.add(&a) }
    }

    pub(crate) fn add_cached(&self, q: &Cached, is_negative: bool) -> Completed {
        self.add_values(&q.sum, &q.difference, &q.t2d, &self.z.mul(&q.z2), is_negative)
    }

    pub(crate) fn add_affine(&self, sum: &Fe, difference: &Fe, t2d: &Fe, is_negative: bool) -> Completed {
        self.add_values(sum, difference, t2d, &self.z.add(&self.z).carry(), is_negative)
    }

    pub(crate) fn cached(&self, arithmetic: Arithmetic) -> Cached {
        Cached {
            sum: self.y.add(&self.x).carry(),
            difference: self.y.sub(&self.x).carry(),
            z2: self.z.add(&self.z).carry(),
            t2d: self.t.mul(&Fe::from_words(arithmetic, &TWICE_D)),
        }
    }

    /// Whether 8 times the point is the identity.
    pub(crate) fn is_small_order(&self) -> bool {
        let p = (0..3).fold(*self, |p, _| p.double().extended());
        p.x.is_zero() && p.y.sub(&p.z).is_zero()
    }
}
