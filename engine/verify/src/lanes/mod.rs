//! Vector code that every SIMD backend shares: eight field elements, points, hashes or signatures side by side, whatever the width
//! of the registers beneath. A backend brings a [`Field`] and [`Words`] written with its intrinsics, and a [`Vector`] whose phases
//! run this code where the compiler may use the backend's instructions. What is here is safe, portable Rust.
//!
//! Everything generic is `inline(always)`: only so does it become part of a phase, the one place that has the CPU features
//! switched on. An operation left outside would be slow, never wrong.

mod combination;
pub(crate) mod decode;
mod equation;
#[cfg(test)]
pub(crate) mod field_tests;
mod idle;
pub(crate) mod msm;
mod point;
mod prepare;
mod scalar;
pub(crate) mod sha512;
mod signers;
pub(crate) mod single;
#[cfg(test)]
pub(crate) mod vector_tests;
mod window;

pub(crate) use equation::Verifier;
pub(crate) use sha512::Input;
pub(crate) use single::{BaseTable, Signature};
pub(crate) use window::{Biased, Buckets, LaneSums, Window};

/// How many elements lie side by side, on every backend.
pub(crate) const LANES: usize = 8;

/// One bit for each lane, lane 0 the lowest.
pub(crate) type Mask = u8;

/// Three field elements of one point, limb after limb in the backend's own form, the rest zero.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Packed3(pub(crate) [u64; 16]);

/// Four field elements of one point in the same form.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Packed4(pub(crate) [u64; 24]);

impl Packed3 {
    pub(crate) const ZERO: Self = Self([0; 16]);
    /// y + x = y − x = 1 and 2dxy = 0: in every backend's form an element of 40 bytes starts with its lowest limb.
    pub(crate) const IDENTITY: Self = Self([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

impl Packed4 {
    pub(crate) const ZERO: Self = Self([0; 24]);
}

/// Eight elements of the field of p = 2^255 − 19.
///
/// Every element is *reduced*, in whatever sense lets the backend multiply it; each operation takes and gives reduced elements.
/// Implementations use CPU instructions that only a [`Vector`]'s phase has checked for: nothing else may reach them.
pub(crate) trait Field: Copy {
    /// 0 in every lane.
    fn zero() -> Self;
    /// 1 in every lane.
    fn one() -> Self;
    /// d = −121665/121666, the curve's constant, in every lane.
    fn d() -> Self;
    /// 2d in every lane.
    fn twice_d() -> Self;
    /// A square root of −1 in every lane.
    fn sqrt_minus_one() -> Self;
    /// The low 255 bits of eight little-endian strings.
    fn from_bytes(lanes: &[[u8; 32]; LANES]) -> Self;
    fn add(&self, other: &Self) -> Self;
    fn sub(&self, other: &Self) -> Self;
    fn mul(&self, other: &Self) -> Self;
    fn square(&self) -> Self;
    /// The sum and the difference of two products, each of two elements: where products are carried late, two carries do for four.
    #[inline(always)]
    fn products_sum_and_difference(left: [&Self; 2], right: [&Self; 2]) -> [Self; 2] {
        let (left, right) = (left[0].mul(left[1]), right[0].mul(right[1]));
        [left.add(&right), left.sub(&right)]
    }
    /// Twice `self`, plus and minus the product of two elements.
    #[inline(always)]
    fn twice_plus_and_minus_product(&self, factors: [&Self; 2]) -> [Self; 2] {
        let (twice, product) = (self.add(self), factors[0].mul(factors[1]));
        [twice.add(&product), twice.sub(&product)]
    }
    /// Lane by lane: `other` where `mask` has a one, else `self`.
    fn select(&self, other: &Self, mask: Mask) -> Self;
    /// The lanes that are zero modulo p.
    fn is_zero(&self) -> Mask;
    /// The lanes whose value below p is odd: the sign bit of an encoded x.
    fn is_odd(&self) -> Mask;
    /// Lane by lane, three elements of one point each.
    fn unpack3(points: [&Packed3; LANES]) -> [Self; 3];
    /// The inverse of [`unpack3`](Self::unpack3).
    fn pack3(elements: [&Self; 3]) -> [Packed3; LANES];
    /// Lane by lane, four elements of one point each.
    fn unpack4(points: [&Packed4; LANES]) -> [Self; 4];
    /// The inverse of [`unpack4`](Self::unpack4).
    fn pack4(elements: [&Self; 4]) -> [Packed4; LANES];
    /// Asks the CPU to bring a point near.
    fn prefetch(point: &Packed3);
    /// E, F, G and H of the double of the point X : Y : Z: X² + Y² − (X + Y)², 2Z² + G, X² − Y², X² + Y².
    #[inline(always)]
    fn double(x: &Self, y: &Self, z: &Self) -> [Self; 4] {
        let (xx, yy, zz) = (x.square(), y.square(), z.square());
        let h = xx.add(&yy);
        let e = h.sub(&x.add(y).square());
        let g = xx.sub(&yy);
        [e, zz.add(&zz).add(&g), g, h]
    }
}

/// Eight 64-bit words, for hashing.
pub(crate) trait Words: Copy {
    /// The same word in every lane.
    fn splat(word: u64) -> Self;
    /// Sixteen big-endian words from the same 128 bytes of eight blocks: word `w` of the result has in lane `l` the word `w` of
    /// block `l`.
    fn load_block(blocks: &[[u8; 128]; LANES]) -> [Self; 16];
    /// Lane by lane.
    fn to_lanes(self) -> [u64; LANES];
    fn add(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    /// Bit by bit: `yes` where `self` has a one, else `no`.
    fn choose(self, yes: Self, no: Self) -> Self;
    /// Bit by bit: what at least two of the three have.
    fn majority(self, second: Self, third: Self) -> Self;
    fn rotate_right<const BITS: i32>(self) -> Self;
    fn shift_right<const BITS: u32>(self) -> Self;
    /// Lane by lane: `other` where `mask` has a one, else `self`.
    fn select(self, other: Self, mask: Mask) -> Self;
}

/// A backend that is known to run on this CPU. Each phase runs the shared code of its name with the backend's instructions.
pub(crate) trait Vector: Copy + Send + Sync {
    /// See [`sha512::hash`].
    fn hash(self, inputs: &[Input<'_>; LANES]) -> [[u8; 64]; LANES];
    /// See [`decode::decode`].
    fn decode(self, encodings: &[[u8; 32]], points: &mut [Packed3], valid: &mut [Mask]);
    /// See [`Buckets::sum`].
    fn sum_window(self, buckets: &mut Buckets, window: Window, terms: &[Biased], points: &[Packed3]) -> LaneSums;
    /// See [`msm::add_lanes`].
    fn add_lanes(self, windows: &[LaneSums], sums: &mut [Packed4]);
    /// See [`msm::are_zero`].
    fn windows_are_zero(self, windows: &[Window], sums: &[Packed4]) -> bool;
    /// See [`single::verify`].
    fn verify_single(self, base: &BaseTable, signatures: &[&Signature; LANES]) -> Mask;
}

/// Writes the [`Vector`] of a backend: each phase once more, as a function that has the backend's CPU features.
macro_rules! impl_vector {
    ($vector:ty, $field:ty, $words:ty, $features:literal) => {
        impl $crate::lanes::Vector for $vector {
            fn hash(
                self,
                inputs: &[$crate::lanes::Input<'_>; $crate::lanes::LANES],
            ) -> [[u8; 64]; $crate::lanes::LANES] {
                #[target_feature(enable = $features)]
                fn phase(
                    inputs: &[$crate::lanes::Input<'_>; $crate::lanes::LANES],
                ) -> [[u8; 64]; $crate::lanes::LANES] {
                    $crate::lanes::sha512::hash::<$words>(inputs)
                }
                // SAFETY: a vector exists only where every one of these features was found.
                unsafe { phase(inputs) }
            }

            fn decode(
                self,
                encodings: &[[u8; 32]],
                points: &mut [$crate::lanes::Packed3],
                valid: &mut [$crate::lanes::Mask],
            ) {
                #[target_feature(enable = $features)]
                fn phase(
                    encodings: &[[u8; 32]],
                    points: &mut [$crate::lanes::Packed3],
                    valid: &mut [$crate::lanes::Mask],
                ) {
                    $crate::lanes::decode::decode::<$field>(encodings, points, valid);
                }
                // SAFETY: as above.
                unsafe { phase(encodings, points, valid) }
            }

            fn sum_window(
                self,
                buckets: &mut $crate::lanes::Buckets,
                window: $crate::lanes::Window,
                terms: &[$crate::lanes::Biased],
                points: &[$crate::lanes::Packed3],
            ) -> $crate::lanes::LaneSums {
                #[target_feature(enable = $features)]
                fn phase(
                    buckets: &mut $crate::lanes::Buckets,
                    window: $crate::lanes::Window,
                    terms: &[$crate::lanes::Biased],
                    points: &[$crate::lanes::Packed3],
                ) -> $crate::lanes::LaneSums {
                    buckets.sum::<$field>(window, terms, points)
                }
                // SAFETY: as above.
                unsafe { phase(buckets, window, terms, points) }
            }

            fn add_lanes(self, windows: &[$crate::lanes::LaneSums], sums: &mut [$crate::lanes::Packed4]) {
                #[target_feature(enable = $features)]
                fn phase(windows: &[$crate::lanes::LaneSums], sums: &mut [$crate::lanes::Packed4]) {
                    $crate::lanes::msm::add_lanes::<$field>(windows, sums);
                }
                // SAFETY: as above.
                unsafe { phase(windows, sums) }
            }

            fn windows_are_zero(self, windows: &[$crate::lanes::Window], sums: &[$crate::lanes::Packed4]) -> bool {
                #[target_feature(enable = $features)]
                fn phase(windows: &[$crate::lanes::Window], sums: &[$crate::lanes::Packed4]) -> bool {
                    $crate::lanes::msm::are_zero::<$field>(windows, sums)
                }
                // SAFETY: as above.
                unsafe { phase(windows, sums) }
            }

            fn verify_single(
                self,
                base: &$crate::lanes::BaseTable,
                signatures: &[&$crate::lanes::Signature; $crate::lanes::LANES],
            ) -> $crate::lanes::Mask {
                #[target_feature(enable = $features)]
                fn phase(
                    base: &$crate::lanes::BaseTable,
                    signatures: &[&$crate::lanes::Signature; $crate::lanes::LANES],
                ) -> $crate::lanes::Mask {
                    $crate::lanes::single::verify::<$field>(base, signatures)
                }
                // SAFETY: as above.
                unsafe { phase(base, signatures) }
            }
        }
    };
}
pub(crate) use impl_vector;
