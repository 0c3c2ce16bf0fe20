//! The GPU backend: verification, ids and sketches on the machine's GPU, with the CPU standing by. Whether the device comes
//! late, is lost, runs out of memory, or returns another batch's result, half of one or none at all, every signature gets
//! the verdict of the rule: a result counts only when all of it carries the marks of its request, and the CPU does what
//! the GPU did not. What this cannot tell is a device that computes wrongly and marks its results rightly: against that there is the
//! self-test, before it is taken in and after every fault.
//!
//! One thread owns the device. Callers pack requests on their own threads, hand them over through a bounded queue and
//! wait no longer than a bound; so a driver that hangs stops nobody.
//!
//! | Module | Purpose |
//! | --- | --- |
//! | `adapter`, `wgpu_device`, `programs`, `compiled`, `slot`, `stamps`, `pipeline_cache` | the real device |
//! | `device` | the seam: what is asked of a device |
//! | `request` | packing, and believing a result |
//! | `steps` | which programs a request takes, and what each reads and writes |
//! | `self_test` | known answers and calibration, before a device is taken in |
//! | `worker` | the thread that owns the device: several requests in flight, deadlines, faults, back-off |
//! | `runner` | what callers hold |
//! | `call`, `work` | one caller's batch: split, shared with the CPU, redone where needed |
//! | `shared` | what the threads and the operator see: open or not, counters |

use std::thread;
use std::time::Duration;

use crossbeam::channel::bounded;

mod adapter;
mod call;
mod compiled;
mod device;
mod pipeline_cache;
mod programs;
mod request;
mod runner;
mod self_test;
mod shared;
mod slot;
mod stamps;
mod steps;
mod wgpu_device;
mod work;
mod worker;

#[cfg(test)]
mod double;
#[cfg(test)]
mod fault_tests;

pub use device::StageTimes;
pub use runner::{Gpu, GpuOptions, GpuTimeouts, OnCpu};
pub use shared::GpuCounters;

/// How long drivers may take to tell what adapters there are.
const FIND_PATIENCE: Duration = Duration::from_secs(10);

/// The name of the adapter that [`Gpu::start`] would choose. The drivers are asked on a thread of their own, so that one that hangs or
/// panics is as good as none.
///
/// # Errors
/// What was found instead, and the remedy.
pub fn find(software_gpu: bool) -> Result<String, String> {
    if !software_gpu && !adapter::may_be_there() {
        return Err(adapter::none().to_string());
    }
    let (sender, receiver) = bounded(1);
    let ask = move || {
        let found = adapter::choose(software_gpu, false);
        let name = found.map(|choice| choice.adapter.get_info().name).map_err(|error| error.to_string());
        // Whoever asked may have given up.
        sender.send(name).ok();
    };
    let asked = thread::Builder::new().name("gpu-find".to_owned()).spawn(ask);
    let no_answer = |_| "its driver gave no answer; see the kernel's log, or choose a CPU backend".to_owned();
    asked.map_err(|error| error.to_string())?;
    receiver.recv_timeout(FIND_PATIENCE).map_err(no_answer)?
}
