//! Straight-line WGSL, written by loops: limb code, rounds of SHA-512. Everything else is in the WGSL files.
//! The text is made when a program is composed, so it cannot be out of date.

mod declarations;
mod field;
mod halve;
mod product;
mod scalar;
mod sha512;

pub(crate) use declarations::declarations;
pub(crate) use field::field;
pub(crate) use halve::integers;
pub(crate) use scalar::{GROUP_ORDER_LIMBS, LOW_LIMBS, scalar};
pub(crate) use sha512::sha512;

/// Joins what `item` gives for each index.
fn join(count: usize, separator: &str, item: impl FnMut(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(separator)
}
