//! Real devnets beside the model: reports of `constellation devnet --json` on this machine, and the model of those very networks, with no latency and the machine's
//! cores shared by the nodes and the load.

use constellation_chain::FIXED_LEN_BYTES;
use serde::{Deserialize, Serialize};

use crate::plan::VERIFY_PER_S;
use crate::scale::links::Links;
use crate::scale::machines::Quantity;
use crate::scale::model::{Galaxy, Roles, Site};

/// Loopback is no limit: what it costs is in the processor time.
const LOOPBACK_BYTES_PER_S: f64 = f64::INFINITY;

/// The least part of a core that a node is left with, however much the load takes.
const CORES_MIN: f64 = 0.01;

/// What a devnet's report has for the model.
#[derive(Clone, Debug, Deserialize)]
pub struct Devnet {
    nodes: u32,
    clusters: u32,
    asked: u64,
    duration_s: f64,
    committed_per_s: f64,
    latency_p50_ms: f64,
    lsh_blocks: u64,
    height: u64,
    cpu_us_per_committed: CpuUs,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct CpuUs {
    total: f64,
    load: f64,
}

/// A devnet's numbers and the model's. Field names are stable.
#[derive(Clone, Debug, Serialize)]
pub struct DevnetComparison {
    /// Nodes.
    pub nodes: u32,
    /// Star clusters.
    pub clusters: u32,
    /// What was asked for a second.
    pub offered_per_s: f64,
    /// The numbers; `machines` are the devnet's.
    pub quantities: Vec<Quantity>,
}

impl Devnet {
    /// Reads a report.
    ///
    /// # Errors
    /// What is not one, or is one of nothing.
    pub fn read(json: &str) -> Result<Self, String> {
        let devnet: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let is_something = devnet.nodes > 0 && devnet.clusters > 0 && devnet.asked > 0 && devnet.duration_s > 0.0;
        is_something.then_some(devnet).ok_or_else(|| "nothing happened in it".to_owned())
    }

    /// Beside the model, on a machine with so many cores.
    pub fn compare(&self, cores: f64) -> DevnetComparison {
        let Self { nodes, clusters, duration_s, cpu_us_per_committed: cpu_us, .. } = *self;
        let load_cores = cpu_us.load / 1e6 * self.committed_per_s;
        let site = Site {
            links: Links::Alike { one_way_s: 0.0 },
            link_bytes_per_s: LOOPBACK_BYTES_PER_S,
            cores: ((cores - load_cores) / f64::from(nodes)).max(CORES_MIN),
            verify_per_s: VERIFY_PER_S,
            transaction_bytes: FIXED_LEN_BYTES as f64,
            slowness: 1.0,
        };
        let offered_per_s = self.asked as f64 / duration_s;
        let galaxy = Galaxy { clusters, facilitators: nodes, validators: nodes, roles: Roles::Shared, offered_per_s };
        let state = galaxy.steady(&site);
        let quantities = vec![
            Quantity::new("committed_per_s", self.committed_per_s, state.committed_per_s),
            Quantity::new("lsh_blocks_per_s", self.lsh_blocks as f64 / duration_s, state.lsh_blocks_per_s),
            Quantity::new("black_holes_per_s", self.height as f64 / duration_s, state.black_holes_per_s),
            Quantity::new(
                "nodes_cpu_us_per_transaction",
                cpu_us.total - cpu_us.load,
                state.validator_cpu_s * 1e6 * f64::from(nodes),
            ),
            Quantity::new("finality_median_ms", self.latency_p50_ms, state.finality_s * 1e3),
        ];
        DevnetComparison { nodes, clusters, offered_per_s, quantities }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"nodes":4,"clusters":2,"asked":3600,"duration_s":6.0,"committed_per_s":600.0,"latency_p50_ms":43.7,
        "lsh_blocks":292,"height":178,"cpu_us_per_committed":{"total":1255.3,"load":127.2,"core":500.0},"other":1}"#;

    #[test]
    fn a_devnet_stands_beside_the_model_of_its_network() {
        let comparison = Devnet::read(REPORT).unwrap().compare(2.0);
        assert_eq!((comparison.nodes, comparison.clusters, comparison.offered_per_s), (4, 2, 600.0));
        let machines = |name| comparison.quantities.iter().find(|quantity| quantity.name == name).unwrap().machines;
        assert!((machines("nodes_cpu_us_per_transaction") - 1128.1).abs() < 1e-9);
        assert!((machines("black_holes_per_s") - 178.0 / 6.0).abs() < 1e-9);
        assert!(comparison.quantities.iter().all(|quantity| quantity.model > 0.0), "{comparison:?}");
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert!(Devnet::read("{}").unwrap_err().contains("nodes"));
        assert!(Devnet::read(&REPORT.replace("\"asked\":3600", "\"asked\":0")).is_err());
    }
}
