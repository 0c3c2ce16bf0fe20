//! What a figure depends on and a report must state: the CPU, its features, the compiler and its flags; the core's
//! frequency; and the clock of CPU time.

use std::fmt::{self, Display};
use std::hint::black_box;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Steps of one run of the frequency's estimate: some .1 ms.
const STEPS: u32 = 200_000;

/// Runs of that estimate, of which the fastest counts: whatever disturbs one makes it slower.
const RUNS: u32 = 3;

/// Where and with what the figures were measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The CPU's model where the system tells it, or else its architecture.
    pub cpu: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// The CPU features that verification can use, of those this CPU has.
    pub features: Vec<&'static str>,
    /// The compiler.
    pub compiler: &'static str,
    /// The target, profile, optimisation level, and flags beyond those.
    pub flags: String,
}

impl Machine {
    /// This machine and this build.
    #[must_use]
    pub fn here() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").ok();
        let model = cpuinfo.as_deref().and_then(model_name);
        Self {
            cpu: model.unwrap_or(std::env::consts::ARCH).to_owned(),
            cores: cores(),
            features: features(),
            compiler: env!("CONSTELLATION_COMPILER"),
            flags: flags(),
        }
    }
}

impl Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "cpu       {}, {} cores", self.cpu, self.cores)?;
        writeln!(formatter, "compiler  {}", self.compiler)?;
        writeln!(formatter, "flags     {}", self.flags)
    }
}

/// How many cores this process may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn model_name(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
}

fn flags() -> String {
    let rustflags = match env!("CONSTELLATION_RUSTFLAGS") {
        "" => "none",
        flags => flags,
    };
    format!(
        "target {}, profile {}, opt-level {}, RUSTFLAGS {rustflags}",
        env!("CONSTELLATION_TARGET"),
        env!("CONSTELLATION_PROFILE"),
        env!("CONSTELLATION_OPT_LEVEL"),
    )
}

fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! present {
            ($($feature:tt)*) => { [$((is_x86_feature_detected!($feature), $feature)),*] };
        }
        let features =
            present!["bmi2" "adx" "avx2" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512ifma" "avx512vbmi"];
        features.into_iter().filter(|(is_present, _)| *is_present).map(|(_, name)| name).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}

/// The frequency of the core that runs this, in hertz: an **estimate**, from the time of a chain of additions and
/// exclusive-ors, each of which waits for the one before it and takes one cycle on every CPU in use. It does not
/// see a clock that falls under wide vector instructions only.
#[must_use]
pub fn core_hz() -> f64 {
    let (a, b) = (black_box(0x9E37_79B9_7F4A_7C15_u64), black_box(0xD1B5_4A32_D192_ED03_u64));
    let run = || {
        let start = Instant::now();
        let mut chain = black_box(1_u64);
        for _ in 0..STEPS {
            chain = chain.wrapping_add(a) ^ b;
        }
        black_box(chain);
        f64::from(2 * STEPS) / start.elapsed().as_secs_f64()
    };
    (0..RUNS).map(|_| run()).fold(0.0, f64::max)
}

/// CPU time of the thread that asks, in milliseconds.
pub(crate) fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_name_is_found() {
        assert_eq!(model_name("vendor_id\t: x\nmodel name\t: A CPU: fast\n"), Some("A CPU: fast"));
        assert_eq!(model_name("processor: 0\n"), None);
    }

    #[test]
    fn the_build_is_stated() {
        let machine = Machine::here();
        assert!(machine.compiler.starts_with("rustc 1."), "{machine:?}");
        assert!(machine.flags.contains("opt-level") && machine.cores >= 1 && !machine.cpu.is_empty(), "{machine:?}");
    }
}
