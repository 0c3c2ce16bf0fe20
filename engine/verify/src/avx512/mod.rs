//! The AVX-512 IFMA backend: eight lanes of 64 bits in one register.

#![allow(unsafe_code)]

mod field;
mod words;

use crate::lanes::impl_vector;

/// Proof that this CPU has what the backend needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The CPU features this backend needs and this CPU, or its operating system, lacks.
    pub(crate) fn missing_features() -> Vec<&'static str> {
        let needed = [
            ("AVX-512 F", is_x86_feature_detected!("avx512f")),
            ("AVX-512 BW", is_x86_feature_detected!("avx512bw")),
            ("AVX-512 DQ", is_x86_feature_detected!("avx512dq")),
            ("AVX-512 IFMA", is_x86_feature_detected!("avx512ifma")),
        ];
        needed.into_iter().filter(|(_, present)| !present).map(|(name, _)| name).collect()
    }

    /// `None` where [`missing_features`](Self::missing_features) has any.
    pub(crate) fn detect() -> Option<Self> {
        Self::missing_features().is_empty().then_some(Self(()))
    }
}

impl_vector!(Avx512, field::Fe, words::Word, "avx512f,avx512bw,avx512dq,avx512ifma");

#[cfg(test)]
const REDUCED: crate::lanes::field_tests::Reduced =
    crate::lanes::field_tests::Reduced { least: 0, most: (1 << 51) + (1 << 15) - 1 };
#[cfg(test)]
crate::lanes::vector_tests::backend_tests!(Avx512, field::Fe, REDUCED);
