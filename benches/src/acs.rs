//! What an epoch of the common subset costs: n machines in this process, over a network in memory or over TCP on loopback.
//!
//! **What counts.** One epoch: n machines are made, each proposes its share of the payload (random bytes, new in every
//! epoch), messages go round until nobody has anything left to hear, and the machines are dropped. All of that is measured, in CPU
//! time of the threads that do it, summed over all nodes. Every message is encoded once by its sender and decoded by every
//! receiver from bytes. Not in it: the journal, encryption, the signature that seals each proposal (made once, checked by each
//! other node), and the coin's cryptography (in the common case no coin is asked for; the stub here would give it). What nodes give back at the end of an epoch the allocator keeps for the next.
//!
//! **The network in memory** ([`Delivery`]) costs next to nothing itself: a message on its way is kept once for all
//! receivers, and decoding gives each its own copy of a payload. A link keeps the order of its messages. A node has one
//! inbox and takes messages out of it one by one; when it lets out what it has to say is what the three kinds of delivery
//! differ in. [`Delivery::Turns`] is what a node's event loop does, with nodes that are never in step.
//!
//! **Over TCP** every node is a thread with a connection to each other node, and the kernel's work is in the figures.

mod memory;
mod node;
mod peak;
mod report;
mod tcp;

use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;

use constellation_acs::{Accepted, Fault, MAX_NODES};

pub use report::{Report, Row};

use crate::Machine;
use crate::random::Random;
use crate::statistics::{median, spread};
use memory::Memory;
use peak::Peak;
use tcp::Tcp;

/// The largest payload of an epoch, in bytes: every node holds all of it.
pub const PAYLOAD_MAX_BYTES: usize = 16 << 20;

/// When nodes in memory take messages, and when they let out what they have to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Nodes take turns, in an order drawn anew each time round. A node whose turn it is takes all that has arrived, even what
    /// was sent in the same time round, and then speaks once.
    #[default]
    Turns,
    /// Every message takes equally long: all nodes take what was sent in the step before, and then speak once.
    Steps,
    /// The harsh one: a random node takes a single message and speaks at once, so that hardly anything leaves together.
    Single,
}

impl Delivery {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Turns, Self::Steps, Self::Single];

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Turns => "turns",
            Self::Steps => "steps",
            Self::Single => "single",
        }
    }
}

impl Display for Delivery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// No delivery has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of turns, steps and single")]
pub struct UnknownDelivery(String);

impl FromStr for Delivery {
    type Err = UnknownDelivery;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|delivery| delivery.name() == name);
        found.ok_or_else(|| UnknownDelivery(name.to_owned()))
    }
}

/// What connects the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Inboxes in memory, one thread.
    Memory(Delivery),
    /// TCP on loopback, a thread for each node.
    Tcp,
}

impl Network {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory(delivery) => delivery.name(),
            Self::Tcp => "tcp",
        }
    }
}

/// How much to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Committee sizes.
    pub nodes: Vec<usize>,
    /// Payload of an epoch over all nodes, in bytes; every node proposes an equal share.
    pub payload_bytes: Vec<usize>,
    /// Epochs of each row, of which the median counts; two more go before them unmeasured.
    pub epochs: usize,
    /// What connects the nodes.
    pub network: Network,
}

impl Default for Options {
    /// 1,000 transactions of 250 bytes an epoch.
    fn default() -> Self {
        let network = Network::Memory(Delivery::default());
        Self { nodes: vec![4, 16, 31, 64, 128], payload_bytes: vec![250_000], epochs: 15, network }
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing to measure, or not possible.
    #[error(
        "a run needs a committee of 1 to {MAX_NODES} nodes, a payload of at most {PAYLOAD_MAX_BYTES} bytes and an epoch"
    )]
    Options,
    /// The machines did not come to a right end: a fault of the engine.
    #[error("epoch {epoch} of {nodes} nodes: {what}")]
    Wrong {
        /// Committee size.
        nodes: usize,
        /// Which epoch; 0 are those before the measured ones.
        epoch: usize,
        /// What is wrong.
        what: String,
    },
    /// Sockets could not be had, or broke.
    #[error("TCP among {nodes} nodes, which takes {} connections: {source}; allow more open files (`ulimit -n`), or measure fewer nodes", nodes * (nodes - 1) / 2)]
    Tcp {
        /// Committee size.
        nodes: usize,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What one epoch cost and came to.
#[derive(Debug, Default)]
struct Epoch {
    cpu_ms: f64,
    /// Messages sent, one for each receiver, and their bytes.
    messages: u64,
    bytes: u64,
    /// The longest chain of messages, each sent after the one before was taken, up to the last node's output. In memory only.
    message_delays: u32,
    /// From the first proposal to the last node's output. Over TCP only.
    latency_ms: Option<f64>,
    /// Of each node.
    outputs: Vec<Option<Vec<Accepted>>>,
    faults: Vec<Fault>,
}

impl Epoch {
    fn count(&mut self, frame: &[u8]) {
        self.messages += 1;
        self.bytes += frame.len() as u64;
    }
}

/// Runs epochs among the same nodes.
trait Run {
    /// One epoch; `None` when it ends before all machines are finished.
    fn epoch(&mut self, payloads: &[Arc<[u8]>]) -> std::io::Result<Option<Epoch>>;
}

/// Measures every committee size with every payload. `progress` is told what comes next.
///
/// # Errors
/// See [`Error`].
pub fn measure(options: &Options, mut progress: impl FnMut(usize, usize)) -> Result<Report, Error> {
    let are_within = |values: &[usize], max| !values.is_empty() && values.iter().all(|value| *value <= max);
    let nodes = &options.nodes;
    let is_possible = are_within(nodes, MAX_NODES) && !nodes.contains(&0) && options.epochs > 0;
    if !is_possible || !are_within(&options.payload_bytes, PAYLOAD_MAX_BYTES) {
        return Err(Error::Options);
    }
    let before = peak::resident_bytes();
    keep_memory();
    let mut rows = Vec::new();
    for &nodes in &options.nodes {
        for &payload_bytes in &options.payload_bytes {
            progress(nodes, payload_bytes);
            rows.push(row(options, nodes, payload_bytes, before)?);
        }
    }
    Ok(Report::new(Machine::here(), options.network, options.epochs, rows))
}

/// Lets the allocator keep what the nodes of an epoch give back, as it does in a process that goes on using it: a block that the
/// system had to map, once freed, makes glibc return no less than twice as much to the system from then on.
fn keep_memory() {
    drop(std::hint::black_box(vec![1_u8; 31 << 20]));
}

fn row(options: &Options, nodes: usize, payload_bytes: usize, before: Option<u64>) -> Result<Row, Error> {
    let tcp_error = |source| Error::Tcp { nodes, source };
    let mut run: Box<dyn Run> = match options.network {
        Network::Memory(delivery) => Box::new(Memory::new(delivery, nodes)),
        Network::Tcp => Box::new(Tcp::new(nodes).map_err(tcp_error)?),
    };
    let mut random = Random(nodes as u64);
    let mut payloads = || (0..nodes).map(|node| random.bytes(share(payload_bytes, nodes, node))).collect::<Vec<_>>();
    let mut epoch = |run: &mut dyn Run, number| {
        let payloads = payloads();
        let epoch = run.epoch(&payloads).map_err(tcp_error)?;
        let wrong = |what| Error::Wrong { nodes, epoch: number, what };
        let epoch = epoch.ok_or_else(|| wrong("it ended before all nodes were finished".to_owned()))?;
        check(&epoch, &payloads).map_err(wrong)?;
        // The outputs hold payloads.
        Ok(Epoch { outputs: Vec::new(), ..epoch })
    };
    let message_delays = epoch(&mut Memory::new(Delivery::Steps, nodes), 0)?.message_delays;
    epoch(&mut *run, 0)?;
    let peak = Peak::start();
    let measured = (1..=options.epochs).map(|number| epoch(&mut *run, number)).collect::<Result<Vec<_>, _>>()?;
    let each = |value: &dyn Fn(&Epoch) -> f64| measured.iter().map(value).collect::<Vec<f64>>();
    Ok(Row {
        nodes,
        payload_bytes,
        cpu_ms_per_epoch: median(each(&|epoch| epoch.cpu_ms)),
        spread: spread(each(&|epoch| epoch.cpu_ms)),
        messages_per_epoch: median(each(&|epoch| epoch.messages as f64)),
        bytes_per_epoch: median(each(&|epoch| epoch.bytes as f64)),
        message_delays,
        latency_ms: measured.iter().map(|epoch| epoch.latency_ms).collect::<Option<Vec<_>>>().map(median),
        memory_bytes: peak.bytes().zip(before).map(|(peak, before)| peak.saturating_sub(before)),
    })
}

/// Bytes that `node` proposes: equal shares, the first ones a byte longer where they do not come out even.
fn share(payload_bytes: usize, nodes: usize, node: usize) -> usize {
    payload_bytes / nodes + usize::from(node < payload_bytes % nodes)
}

/// Whether an epoch came to what it must: one output everywhere, of what was proposed, and nobody to blame.
fn check(epoch: &Epoch, payloads: &[Arc<[u8]>]) -> Result<(), String> {
    let n = payloads.len();
    if !epoch.faults.is_empty() {
        return Err(format!("faults of nodes that have none: {:?}", epoch.faults));
    }
    let Some(Some(first)) = epoch.outputs.first() else {
        return Err("a node has no output".to_owned());
    };
    if !epoch.outputs.iter().all(|output| output.as_ref() == Some(first)) {
        return Err("outputs differ".to_owned());
    }
    if first.len() < n - (n - 1) / 3 {
        return Err(format!("{} proposals are too few", first.len()));
    }
    let is_right = |(proposer, payload): &Accepted| payloads[*proposer] == *payload;
    if first.iter().all(is_right) { Ok(()) } else { Err("a payload is not what was proposed".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(nodes: &[usize], payload_bytes: &[usize], network: Network) -> Options {
        Options { nodes: nodes.to_vec(), payload_bytes: payload_bytes.to_vec(), epochs: 2, network }
    }

    #[test]
    fn every_network_runs_to_a_right_end() {
        let networks = Delivery::ALL.map(Network::Memory).into_iter().chain([Network::Tcp]);
        for network in networks {
            let report = measure(&options(&[1, 4, 7], &[0, 1001], network), |_, _| ()).unwrap();
            assert_eq!(report.rows.len(), 6);
            for row in &report.rows {
                assert!(row.cpu_ms_per_epoch > 0.0, "{network:?} {row:?}");
                // Each other node hears each payload, and votes after it.
                let links = (row.nodes * (row.nodes - 1)) as f64;
                assert!(row.messages_per_epoch >= 2.0 * links, "{network:?} {row:?}");
                assert!(
                    row.bytes_per_epoch >= (row.nodes - 1) as f64 * row.payload_bytes as f64,
                    "{network:?} {row:?}"
                );
                // The three of the broadcast, and the three of the agreement.
                assert_eq!(row.message_delays, if row.nodes == 1 { 0 } else { 6 });
                assert_eq!(row.latency_ms.is_some(), network == Network::Tcp);
            }
        }
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let network = Network::Memory(Delivery::Turns);
        let cases =
            [(vec![], vec![0]), (vec![0], vec![0]), (vec![129], vec![0]), (vec![4], vec![PAYLOAD_MAX_BYTES + 1])];
        for (nodes, payload_bytes) in cases {
            let refused = measure(&options(&nodes, &payload_bytes, network), |_, _| ());
            assert!(matches!(refused, Err(Error::Options)), "{nodes:?} {payload_bytes:?}");
        }
    }

    #[test]
    fn a_wrong_end_is_seen() {
        let payloads: Vec<Arc<[u8]>> = (0..4).map(|node| vec![node; 3].into()).collect();
        let output: Vec<Accepted> = payloads.iter().cloned().enumerate().collect();
        let epoch = |outputs| Epoch { outputs, ..Epoch::default() };
        assert_eq!(check(&epoch(vec![Some(output.clone()); 4]), &payloads), Ok(()));
        let few = output[..2].to_vec();
        assert!(check(&epoch(vec![Some(few.clone()); 4]), &payloads).is_err());
        assert!(check(&epoch(vec![Some(output.clone()), Some(few)]), &payloads).is_err());
        assert!(check(&epoch(vec![Some(output.clone()), None]), &payloads).is_err());
        let lie = output.into_iter().map(|(proposer, _)| (proposer, payloads[0].clone())).collect();
        assert!(check(&epoch(vec![Some(lie); 4]), &payloads).is_err());
    }

    #[test]
    fn shares_add_up() {
        for (payload_bytes, nodes) in [(0, 4), (3, 4), (250_000, 31)] {
            assert_eq!((0..nodes).map(|node| share(payload_bytes, nodes, node)).sum::<usize>(), payload_bytes);
        }
    }

    #[test]
    fn names_round_trip() {
        for delivery in Delivery::ALL {
            assert_eq!(delivery.name().parse(), Ok(delivery));
        }
        assert!("post".parse::<Delivery>().unwrap_err().to_string().contains("turns"));
    }
}
