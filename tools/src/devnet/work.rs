//! What the nodes of a devnet tell of their work: where each stage's time went, and who verified.

use constellation_node::api::Client;
use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// The stages of a node, each one thread.
const STAGES: [&str; 5] = ["verify", "core", "log", "net", "api"];

/// Where a stage's time went, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StageTimes {
    /// With work in hand, whether or not there was a processor to do it on. Not told of `api`, like the next two.
    pub busy_s: f64,
    /// Without work.
    pub waiting_s: f64,
    /// Held up by the stage behind it.
    pub held_up_s: f64,
    /// On a processor.
    pub cpu_s: f64,
}

/// Where the time of a node's stages went.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NodeTimes {
    /// Verifying signatures.
    pub verify: StageTimes,
    /// The state machine: consensus, pool, ledger, journal.
    pub core: StageTimes,
    /// Writing and syncing the log, and telling the clients.
    pub log: StageTimes,
    /// Sockets between nodes, encryption, gossip.
    pub net: StageTimes,
    /// The clients' connections.
    pub api: StageTimes,
}

impl NodeTimes {
    fn stages(&self) -> [&StageTimes; 5] {
        [&self.verify, &self.core, &self.log, &self.net, &self.api]
    }

    fn stages_mut(&mut self) -> [&mut StageTimes; 5] {
        [&mut self.verify, &mut self.core, &mut self.log, &mut self.net, &mut self.api]
    }

    /// Processor time of all stages, in seconds.
    fn cpu_s(&self) -> f64 {
        self.stages().iter().map(|times| times.cpu_s).sum()
    }
}

impl fmt::Display for NodeTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [verify, core, log, net, api] = self.stages();
        for (name, times) in STAGES.iter().zip([verify, core, log, net]) {
            let StageTimes { busy_s, waiting_s, held_up_s, cpu_s } = times;
            write!(f, "{name} {busy_s:.1}+{waiting_s:.1}+{held_up_s:.1} ({cpu_s:.1}), ")?;
        }
        write!(f, "api ({:.1})", api.cpu_s)
    }
}

/// Processor time for each committed transaction, summed over all nodes, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CpuCost {
    /// By stage, as in [`NodeTimes`].
    pub verify: f64,
    /// See [`NodeTimes`].
    pub core: f64,
    /// See [`NodeTimes`].
    pub log: f64,
    /// See [`NodeTimes`].
    pub net: f64,
    /// See [`NodeTimes`].
    pub api: f64,
    /// The load itself, and whatever else this process does.
    pub load: f64,
    /// All together.
    pub total: f64,
}

/// What all nodes tell.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// The verification backend, the same on all of them.
    pub backend: String,
    /// Signatures verified on the GPU, and in all; none where there is no GPU.
    signatures: [u64; 2],
    /// By node; all zero for one that does not answer.
    pub nodes: Vec<NodeTimes>,
}

impl Work {
    /// Asks all nodes.
    pub fn of(addresses: &[String]) -> Self {
        let mut work = Self::default();
        for address in addresses {
            let metrics = Client::connect(address).and_then(|mut client| client.metrics()).unwrap_or_default();
            work.take(&metrics);
        }
        work
    }

    fn take(&mut self, metrics: &Value) {
        let mut node = NodeTimes::default();
        for (times, name) in node.stages_mut().into_iter().zip(STAGES) {
            let seconds = |field: &str| metrics["stages"][name][field].as_u64().unwrap_or(0) as f64 / 1e6;
            *times = StageTimes {
                busy_s: seconds("busy_us"),
                waiting_s: seconds("waiting_us"),
                held_up_s: seconds("back_pressured_us"),
                cpu_s: seconds("cpu_us"),
            };
        }
        self.nodes.push(node);
        if let Some(backend) = metrics["backend"].as_str() {
            self.backend = backend.to_owned();
        }
        let gpu = |name: &str| metrics["verification"]["gpu"][name].as_u64().unwrap_or(0);
        let (on_gpu, on_cpu) = (gpu("signatures_gpu"), gpu("signatures_cpu"));
        self.signatures = [self.signatures[0] + on_gpu, self.signatures[1] + on_gpu + on_cpu];
    }

    /// The GPU's part of all signatures; `None` where there is no GPU.
    pub fn gpu_share(&self) -> Option<f64> {
        let [on_gpu, all] = self.signatures;
        (all > 0).then(|| on_gpu as f64 / all as f64)
    }

    /// A node's process is gone: whatever it tells from now on is another one's, which counts from nothing.
    pub fn forget(&mut self, node: usize) {
        self.nodes[node] = NodeTimes::default();
    }

    /// What was done since `before`. Of a node that was started again meanwhile only the time since then is known.
    pub fn since(mut self, before: &Work) -> Self {
        for (node, before) in self.nodes.iter_mut().zip(&before.nodes) {
            if node.cpu_s() < before.cpu_s() {
                continue;
            }
            for (times, before) in node.stages_mut().into_iter().zip(before.stages()) {
                times.busy_s -= before.busy_s;
                times.waiting_s -= before.waiting_s;
                times.held_up_s -= before.held_up_s;
                times.cpu_s -= before.cpu_s;
            }
        }
        self
    }

    /// What each of `committed` transactions cost. `process_s` is the processor time of this process, in which the nodes ran or did not.
    pub fn cost(&self, committed: u64, process_s: f64, nodes_are_apart: bool) -> CpuCost {
        let each = |seconds: f64| if committed == 0 { 0.0 } else { seconds * 1e6 / committed as f64 };
        let stage = |pick: fn(&NodeTimes) -> &StageTimes| each(self.nodes.iter().map(|node| pick(node).cpu_s).sum());
        let nodes_s: f64 = self.nodes.iter().map(NodeTimes::cpu_s).sum();
        let load_s = if nodes_are_apart { process_s } else { (process_s - nodes_s).max(0.0) };
        CpuCost {
            verify: stage(|node| &node.verify),
            core: stage(|node| &node.core),
            log: stage(|node| &node.log),
            net: stage(|node| &node.net),
            api: stage(|node| &node.api),
            load: each(load_s),
            total: each(nodes_s + load_s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(us: u64) -> Work {
        let stage = serde_json::json!({ "busy_us": 4 * us, "waiting_us": 2 * us, "cpu_us": us });
        let stages = serde_json::json!({ "verify": stage, "core": stage, "net": stage, "api": { "cpu_us": us } });
        let mut work = Work::default();
        (0..2).for_each(|_| work.take(&serde_json::json!({ "backend": "portable", "stages": stages })));
        work
    }

    #[test]
    fn costs_are_those_of_the_test_alone() {
        let work = work(3_000_000).since(&work(1_000_000));
        assert_eq!((work.backend.as_str(), work.gpu_share()), ("portable", None));
        assert_eq!((work.nodes[1].core.busy_s, work.nodes[1].core.waiting_s), (8.0, 4.0));
        let cost = work.cost(1_000_000, 20.0, false);
        assert_eq!((cost.verify, cost.log, cost.load, cost.total), (4.0, 0.0, 4.0, 20.0));
        assert_eq!(work.cost(1_000_000, 20.0, true).total, 36.0);
        assert_eq!(work.cost(0, 20.0, true), CpuCost::default());
    }

    #[test]
    fn a_node_that_started_anew_counts_from_there() {
        assert_eq!(work(1_000_000).since(&work(3_000_000)).nodes[0].core.busy_s, 4.0);
        let mut before = work(1_000_000);
        before.forget(1);
        let busy_s = work(2_000_000).since(&before).nodes.iter().map(|node| node.core.busy_s).collect::<Vec<_>>();
        assert_eq!(busy_s, [4.0, 8.0]);
    }
}
