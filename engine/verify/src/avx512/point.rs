//! Points of edwards25519, eight at a time: decoding, doubling, adding, and the two kinds of tables of multiples.
//!
//! Coordinates and formulas are those of Hisil, Wong, Carter, Dawson (2008) for a = −1, which are complete on this
//! curve: no case, the identity included, is special.

use std::arch::x86_64::{
    __m512i, __mmask8, _mm512_abs_epi64, _mm512_add_epi64, _mm512_i64gather_epi64, _mm512_movepi64_mask,
    _mm512_mullo_epi64, _mm512_set1_epi64,
};

use super::field::{D, Fe, LANES, SQRT_MINUS_ONE, TWICE_D, load};

/// x = X/Z, y = Y/Z.
#[derive(Clone, Copy)]
pub(super) struct Projective {
    x: Fe,
    y: Fe,
    z: Fe,
}

/// x = X/Z, y = Y/Z, xy = T/Z.
#[derive(Clone, Copy)]
pub(super) struct Extended {
    x: Fe,
    y: Fe,
    z: Fe,
    t: Fe,
}

/// What a doubling or an addition leaves: x = E/G, y = H/F. Whether T is worth a product is for the next step to say.
#[derive(Clone, Copy)]
pub(super) struct Completed {
    e: Fe,
    f: Fe,
    g: Fe,
    h: Fe,
}

/// A point made ready to be added many times: Y + X, Y − X, 2dT, 2Z.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Cached {
    plus: Fe,
    minus: Fe,
    t2d: Fe,
    z2: Fe,
}

/// The same with Z = 1.
#[derive(Clone, Copy)]
pub(super) struct CachedAffine {
    plus: Fe,
    minus: Fe,
    t2d: Fe,
}

impl Extended {
    /// Decodes eight points and negates them. The mask has a one for each lane that holds a curve point; the other
    /// lanes hold rubbish. Encodings must be canonical and x must not be 0, as the byte checks see to.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn decode_negated(encodings: &[[u8; 32]; LANES]) -> (Self, __mmask8) {
        let y = Fe::from_bytes(encodings);
        let yy = y.square();
        let u = yy.sub(&Fe::one());
        let v = yy.mul(&Fe::splat(D)).add(&Fe::one());
        // x = u v^3 (u v^7)^((p − 5) / 8), up to a factor √−1.
        let v3 = v.square().mul(&v);
        let v7 = v3.square().mul(&v);
        let root = u.mul(&v3).mul(&u.mul(&v7).pow_p58());
        let check = v.mul(&root.square());
        let is_root = check.sub(&u).is_zero();
        let is_root_of_minus = check.add(&u).is_zero();
        let root = root.select(&root.mul(&Fe::splat(SQRT_MINUS_ONE)), is_root_of_minus & !is_root);

        let mut sign: __mmask8 = 0;
        for (lane, encoding) in encodings.iter().enumerate() {
            sign |= (encoding[31] >> 7) << lane;
        }
        // The sign asked for is flipped: this is where the point is negated.
        let x = root.select(&root.negate(), root.is_odd() ^ !sign);
        (Self { x, y, z: Fe::one(), t: x.mul(&y) }, is_root | is_root_of_minus)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn identity() -> Self {
        Self { x: Fe::zero(), y: Fe::one(), z: Fe::one(), t: Fe::zero() }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn cached(&self) -> Cached {
        Cached {
            plus: self.y.add(&self.x),
            minus: self.y.sub(&self.x),
            t2d: self.t.mul(&Fe::splat(TWICE_D)),
            z2: self.z.add(&self.z),
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn add(&self, other: &Cached) -> Completed {
        let affine = CachedAffine { plus: other.plus, minus: other.minus, t2d: other.t2d };
        self.add_with_z2(&affine, &self.z.mul(&other.z2))
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn add_affine(&self, other: &CachedAffine) -> Completed {
        self.add_with_z2(other, &self.z.add(&self.z))
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    fn add_with_z2(&self, other: &CachedAffine, zz2: &Fe) -> Completed {
        let a = self.y.sub(&self.x).mul(&other.minus);
        let b = self.y.add(&self.x).mul(&other.plus);
        let c = self.t.mul(&other.t2d);
        Completed { e: b.sub(&a), f: zz2.sub(&c), g: zz2.add(&c), h: b.add(&a) }
    }
}

impl Completed {
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn identity() -> Self {
        Self { e: Fe::zero(), f: Fe::one(), g: Fe::one(), h: Fe::one() }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn extended(&self) -> Extended {
        Extended { x: self.e.mul(&self.f), y: self.g.mul(&self.h), z: self.f.mul(&self.g), t: self.e.mul(&self.h) }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn projective(&self) -> Projective {
        Projective { x: self.e.mul(&self.f), y: self.g.mul(&self.h), z: self.f.mul(&self.g) }
    }
}

impl Projective {
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn double(&self) -> Completed {
        let a = self.x.square();
        let b = self.y.square();
        let zz = self.z.square();
        let h = a.add(&b);
        let e = h.sub(&self.x.add(&self.y).square());
        let g = a.sub(&b);
        let f = zz.add(&zz).add(&g);
        Completed { e, f, g, h }
    }

    /// The lanes that are the identity.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn is_identity(&self) -> __mmask8 {
        self.x.is_zero() & self.y.sub(&self.z).is_zero()
    }
}

/// Eight signed digits, one to a lane, as [`load`] takes them.
pub(super) type Digits = [u64; LANES];

/// 0 to 8 times each of eight points.
pub(super) struct LaneTable([Cached; 9]);

impl LaneTable {
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn new(point: &Extended) -> Self {
        let once = point.cached();
        let mut entries = [Extended::identity().cached(), once, once, once, once, once, once, once, once];
        let mut multiple = *point;
        for entry in &mut entries[2..] {
            multiple = multiple.add(&once).extended();
            *entry = multiple.cached();
        }
        Self(entries)
    }

    /// In each lane, its digit (−8 to 8) times its point.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn select(&self, digits: &Digits) -> Cached {
        const ENTRY_WORDS: i64 = (size_of::<Cached>() / size_of::<u64>()) as i64;
        let digits = load(digits);
        let lane = load(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let entry = _mm512_mullo_epi64(_mm512_abs_epi64(digits), _mm512_set1_epi64(ENTRY_WORDS));
        let index = _mm512_add_epi64(entry, lane);
        let table = self.0.as_ptr().cast::<i64>();
        let gather = |coordinate: usize| {
            let mut limbs = [digits; 5];
            for (number, limb) in limbs.iter_mut().enumerate() {
                // SAFETY: digits lie in −8..=8, so the entry is one of the nine; coordinate < 4, limb < 5 and
                // lane < 8 then stay inside that entry, which is `repr(C)` and all 64-bit words.
                *limb = unsafe { _mm512_i64gather_epi64::<8>(index, table.add((coordinate * 5 + number) * LANES)) };
            }
            Fe(limbs)
        };
        let (plus, minus, t2d, z2) = (gather(0), gather(1), gather(2), gather(3));
        let negative = _mm512_movepi64_mask(digits);
        Cached {
            plus: plus.select(&minus, negative),
            minus: minus.select(&plus, negative),
            t2d: t2d.select(&t2d.negate(), negative),
            z2,
        }
    }
}

/// 0 to 128 times the base point, shared by all lanes.
pub(super) struct BaseTable(Vec<[[i64; 5]; 3]>);

/// Words of one entry of a [`BaseTable`].
const BASE_ENTRY_WORDS: i64 = 15;

/// The largest multiple in a [`BaseTable`].
const BASE_MULTIPLES: usize = 128;

impl BaseTable {
    /// `encode(n)` is the encoding of −n times the base point.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn new(encode_negated: impl Fn(u64) -> [u8; 32]) -> Self {
        let mut entries = vec![[[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0; 5]]];
        for first in (1..=BASE_MULTIPLES as u64).step_by(LANES) {
            let encodings = std::array::from_fn(|lane| encode_negated(first + lane as u64));
            let (points, _) = Extended::decode_negated(&encodings);
            let cached = points.cached();
            let coordinates = [cached.plus, cached.minus, cached.t2d].map(|fe| fe.0.map(to_lanes));
            entries.extend((0..LANES).map(|lane| coordinates.map(|limbs| limbs.map(|limb| limb[lane]))));
        }
        Self(entries)
    }

    /// In each lane, its digit (−128 to 128) times the base point.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn select(&self, digits: &Digits) -> CachedAffine {
        let digits = load(digits);
        let index = _mm512_mullo_epi64(_mm512_abs_epi64(digits), _mm512_set1_epi64(BASE_ENTRY_WORDS));
        let table = self.0.as_ptr().cast::<i64>();
        let gather = |coordinate: usize| {
            let mut limbs = [digits; 5];
            for (number, limb) in limbs.iter_mut().enumerate() {
                // SAFETY: digits lie in −128..=128 and the table has 129 entries of 15 words; coordinate < 3 and
                // limb < 5 stay inside the entry.
                *limb = unsafe { _mm512_i64gather_epi64::<8>(index, table.add(coordinate * 5 + number)) };
            }
            Fe(limbs)
        };
        let (plus, minus, t2d) = (gather(0), gather(1), gather(2));
        let negative = _mm512_movepi64_mask(digits);
        CachedAffine {
            plus: plus.select(&minus, negative),
            minus: minus.select(&plus, negative),
            t2d: t2d.select(&t2d.negate(), negative),
        }
    }
}

fn to_lanes(vector: __m512i) -> [i64; LANES] {
    // SAFETY: both are 64 bytes and any bits are eight integers.
    unsafe { std::mem::transmute(vector) }
}
