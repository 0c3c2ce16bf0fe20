//! The flags by which an operator chooses what verifies signatures, and the engine that they ask for.

use std::time::Duration;

use constellation_verify::gpu::{Gpu, GpuOptions};
use constellation_verify::{BackendChoice, Engine, EngineOptions};

use crate::exit::{Exit, Failure, note};

/// How long a command waits for a GPU that was asked for by name: its driver may have to compile.
const GPU_PATIENCE: Duration = Duration::from_secs(90);

/// What verifies signatures.
#[derive(Clone, Debug, clap::Args)]
pub struct BackendArgs {
    /// The implementation: auto (the CPU's fastest; nodes add a GPU where there is one), gpu, gpu+cpu, avx512, avx2 or portable
    #[arg(long, value_name = "NAME", default_value_t)]
    pub backend: BackendChoice,
    /// Let a software GPU do for the GPU backends (for tests: it is slower than the CPU itself)
    #[arg(long)]
    pub software_gpu: bool,
}

impl BackendArgs {
    /// The engine for one job, ready: that is too short for a GPU nobody asked for by name.
    pub fn engine(&self) -> Result<Engine, Failure> {
        let Some(backend) = self.backend.0 else { return Ok(Engine::detect()) };
        // Who asks for a GPU by name wants to see it work, however little there is to do.
        let gpu = GpuOptions { software_gpu: self.software_gpu, batch_min: 0, ..GpuOptions::default() };
        let options = EngineOptions { backend: Some(backend), gpu, ..EngineOptions::default() };
        let engine = Engine::with_options(&options).map_err(|error| Failure::from_error(Exit::BadInput, &error))?;
        if !engine.wait_ready(GPU_PATIENCE) {
            let cause = engine.gpu().and_then(Gpu::last_fault).unwrap_or_else(|| "it is not ready".to_owned());
            note(format_args!("the CPU ({}) verifies, not the GPU: {cause}", engine.cpu_backend()));
        }
        Ok(engine)
    }
}
