//! Which implementation runs: the list of backends, what each needs of the CPU, and the errors of asking for what cannot be.

use std::fmt;
use std::str::FromStr;

use crate::cpu;

/// An implementation of the signature rule. All give the same verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Any CPU.
    Portable,
    /// x86-64 with AVX2 and FMA: twice four lanes of doubles.
    Avx2,
    /// x86-64 with AVX-512 IFMA: eight lanes of 64 bits.
    Avx512,
    /// The GPU, with the CPU standing by.
    Gpu,
    /// The GPU and the CPU, by their measured speeds.
    GpuAndCpu,
}

impl Backend {
    /// The CPU's backends, the one that runs everywhere first.
    pub(crate) const CPU: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// Every backend.
    const ALL: [Self; 5] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Gpu, Self::GpuAndCpu];

    /// The CPU's backends that this machine can run; never empty.
    #[must_use]
    pub fn available() -> Vec<Self> {
        Self::CPU.into_iter().filter(|backend| backend.missing().is_empty()).collect()
    }

    /// The fastest of the CPU's backends, found by a short measurement the first time.
    #[must_use]
    pub fn detect() -> Self {
        cpu::fastest()
    }

    /// The name used in configuration and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Gpu => "gpu",
            Self::GpuAndCpu => "gpu+cpu",
        }
    }

    /// What this backend needs of the CPU and this one lacks.
    pub(crate) fn missing(self) -> Vec<&'static str> {
        match self {
            Self::Portable | Self::Gpu | Self::GpuAndCpu => Vec::new(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => crate::avx2::Avx2::missing_features(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => crate::avx512::Avx512::missing_features(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => vec!["an x86-64 CPU"],
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = EngineError;

    fn from_str(name: &str) -> Result<Self, EngineError> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.name() == name)
            .ok_or_else(|| EngineError::UnknownBackend { name: name.to_owned() })
    }
}

/// What an operator asks for: a backend by name, or `auto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BackendChoice(
    /// The backend; `None` is `auto`.
    pub Option<Backend>,
);

impl BackendChoice {
    const AUTO: &str = "auto";
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.map_or(Self::AUTO, Backend::name))
    }
}

impl FromStr for BackendChoice {
    type Err = EngineError;

    fn from_str(name: &str) -> Result<Self, EngineError> {
        if name == Self::AUTO { Ok(Self(None)) } else { name.parse().map(|backend| Self(Some(backend))) }
    }
}

/// Why there is no such engine here: the operator's configuration is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The machine cannot run the backend.
    #[error("the {backend} backend cannot run on this machine, which lacks {}; use one of: {}",
        .missing.join(", "), names(&Backend::available()))]
    Unsupported {
        /// The backend asked for.
        backend: Backend,
        /// What it needs and the machine lacks.
        missing: Vec<&'static str>,
    },
    /// There is no GPU to use.
    #[error("there is no GPU to verify on: {cause}")]
    NoGpu {
        /// What was found instead, and the remedy.
        cause: String,
    },
    /// The operating system refuses threads.
    #[error("cannot start {threads} verification threads: {cause}; ask for fewer")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// The system's reason.
        cause: String,
    },
    /// No backend has this name.
    #[error("no verification backend is called \"{name}\"; use one of: auto, {}", names(&Backend::ALL))]
    UnknownBackend {
        /// The name given.
        name: String,
    },
}

fn names(backends: &[Backend]) -> String {
    backends.iter().map(|backend| backend.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for backend in Backend::ALL {
            assert_eq!(backend.to_string().parse(), Ok(backend));
            assert_eq!(backend.to_string().parse(), Ok(BackendChoice(Some(backend))));
        }
        assert_eq!("auto".parse(), Ok(BackendChoice(None)));
        assert_eq!(BackendChoice(None).to_string(), "auto");
        let error = "gpu9000".parse::<Backend>().unwrap_err();
        assert!(error.to_string().contains("portable, avx2, avx512, gpu, gpu+cpu"), "{error}");
    }
}
