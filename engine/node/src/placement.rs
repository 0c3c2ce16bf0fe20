//! Which CPU a node's consensus has to itself, where there are CPUs to spare.
//!
//! The core's thread, on which all consensus state lives, is bound to one CPU; every other thread of the node is bound to the rest, so that
//! neither verification nor clients ever take its place or its caches. On a machine with few CPUs nothing is bound: all share, and sleep
//! instead of spinning.

#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The fewest CPUs of which one is worth giving away.
const CPUS_MIN: usize = 8;

/// CPUs of a node: one for its core, the others for everything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    core: usize,
    others: Vec<usize>,
}

impl Placement {
    /// A placement on the CPUs this process may use; `None` where they are too few, or this system has no such thing. Nodes on one machine
    /// have different `number`s (their ports), so that they do not pick one CPU.
    pub fn on_this_machine(number: usize) -> Option<Self> {
        Self::on(allowed_cpus(), number)
    }

    fn on(mut cpus: Vec<usize>, number: usize) -> Option<Self> {
        if cpus.len() < CPUS_MIN {
            return None;
        }
        let core = cpus.remove(number % cpus.len());
        Some(Self { core, others: cpus })
    }

    /// The CPU of the core.
    pub fn core_cpu(&self) -> usize {
        self.core
    }

    /// Binds the calling thread to the core's CPU.
    pub fn bind_core(&self) {
        bind(&[self.core]);
    }

    /// Binds the calling thread, and every thread that it starts from here on, to the other CPUs.
    pub fn bind_others(&self) {
        bind(&self.others);
    }

    /// Lets the calling thread use all of the node's CPUs again.
    pub fn unbind(&self) {
        bind(&[&self.others[..], &[self.core]].concat());
    }
}

#[cfg(target_os = "linux")]
fn allowed_cpus() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect(),
        Err(_) => Vec::new(),
    }
}

#[cfg(target_os = "linux")]
fn bind(cpus: &[usize]) {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|&cpu| set.set(cpu));
    // A node that cannot be bound (a container may forbid it) is slower, not wrong.
    if let Err(error) = sched_setaffinity(None, &set) {
        tracing::warn!(%error, ?cpus, "could not bind a thread to its CPUs; set pin_core = false to go without");
    }
}

#[cfg(not(target_os = "linux"))]
fn allowed_cpus() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
fn bind(_: &[usize]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_has_a_cpu_of_its_own_where_there_are_enough() {
        assert_eq!(Placement::on((0..CPUS_MIN - 1).collect(), 0), None);
        for number in 0..40 {
            let placement = Placement::on((4..16).collect(), number).unwrap();
            assert!(!placement.others.contains(&placement.core) && placement.others.len() == 11);
        }
        let cores: Vec<usize> = (7000..7012).map(|port| Placement::on((4..16).collect(), port).unwrap().core).collect();
        assert!((4..16).all(|cpu| cores.contains(&cpu)), "neighbouring ports share a CPU: {cores:?}");
    }

    /// On the machine as it is: what a thread binds itself to is what the system then says of it.
    #[cfg(target_os = "linux")]
    #[test]
    fn bound_threads_stay_where_they_are_put() {
        let cpus = allowed_cpus();
        let placement = Placement { core: cpus[0], others: cpus[1..].to_vec() };
        std::thread::spawn(move || {
            placement.bind_core();
            assert_eq!(allowed_cpus(), [placement.core]);
            placement.unbind();
            assert_eq!(allowed_cpus(), cpus);
            if !placement.others.is_empty() {
                placement.bind_others();
                assert_eq!(std::thread::spawn(allowed_cpus).join().unwrap(), placement.others);
            }
        })
        .join()
        .unwrap();
    }
}
