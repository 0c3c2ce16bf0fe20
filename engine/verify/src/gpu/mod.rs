//! The GPU backend: verification, ids and sketches on the machine's GPU, with the CPU standing by. Whatever the device
//! does (comes late, is lost, runs out of memory, returns another batch's result or none at all), every signature gets
//! the verdict of the rule: a result counts only when all of it carries the marks of its request, and the CPU does what
//! the GPU did not.
//!
//! One thread owns the device. Callers pack requests on their own threads, hand them over through a bounded queue and
//! wait no longer than a bound; so a driver that hangs stops nobody.
//!
//! | Module | Purpose |
//! | --- | --- |
//! | `adapter`, `wgpu_device`, `compiled`, `slot`, `stamps`, `pipeline_cache` | the real device |
//! | `device` | the seam: what is asked of a device |
//! | `request` | packing, and believing a result |
//! | `self_test` | known answers and calibration, before a device is taken in |
//! | `worker` | the thread that owns the device: several requests in flight, deadlines, faults, back-off |
//! | `runner` | what callers hold |
//! | `call`, `work` | one caller's batch: split, shared with the CPU, redone where needed |
//! | `shared` | what the threads and the operator see: open or not, counters |

mod adapter;
mod call;
mod compiled;
mod device;
mod pipeline_cache;
mod request;
mod runner;
mod self_test;
mod shared;
mod slot;
mod stamps;
mod wgpu_device;
mod work;
mod worker;

#[cfg(test)]
mod double;
#[cfg(test)]
mod fault_tests;

pub use device::StageTimes;
pub use runner::{CpuFallback, Gpu, GpuOptions, GpuTimeouts};
pub use shared::GpuCounters;

/// The name of the adapter that [`Gpu::start`] would choose.
///
/// # Errors
/// What was found instead, and the remedy.
pub fn find(software_gpu: bool) -> Result<String, String> {
    adapter::choose(software_gpu, false).map(|choice| choice.adapter.get_info().name).map_err(|error| error.to_string())
}
