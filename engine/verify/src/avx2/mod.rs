//! The AVX2 backend: eight lanes of 64 bits in two registers.

#![allow(unsafe_code)]

mod field;
mod quad;
mod words;

use crate::lanes::impl_vector;

/// Proof that this CPU has what the backend needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The CPU features this backend needs and this CPU, or its operating system, lacks.
    pub(crate) fn missing_features() -> Vec<&'static str> {
        let needed = [("AVX2", is_x86_feature_detected!("avx2")), ("FMA", is_x86_feature_detected!("fma"))];
        needed.into_iter().filter(|(_, present)| !present).map(|(name, _)| name).collect()
    }

    /// `None` where [`missing_features`](Self::missing_features) has any.
    pub(crate) fn detect() -> Option<Self> {
        Self::missing_features().is_empty().then_some(Self(()))
    }
}

impl_vector!(Avx2, field::Fe, words::Word, "avx2,fma");

#[cfg(test)]
const REDUCED: crate::lanes::field_tests::Reduced =
    crate::lanes::field_tests::Reduced { least: -(1 << 50) - (1 << 8), most: (1 << 50) + (1 << 8) };
#[cfg(test)]
crate::lanes::vector_tests::backend_tests!(Avx2, field::Fe, REDUCED);
