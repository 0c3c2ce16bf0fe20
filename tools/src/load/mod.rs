//! Open-loop load on running nodes: a schedule that no answer slows down, and the latency of every transaction from the moment it was due.
//!
//! ```text
//!  conductor (this thread): schedule, signing, chains, counting
//!     │ one job at a time to each node          ▲ one bounded channel of events
//!     ▼                                         │
//!  per node: sender thread ── WebSocket    follower thread ── WebSocket, final blocks
//! ```
//!
//! Measuring from the intended time is what makes the numbers honest: a network that stalls for a second shows a second of latency in
//! every transaction that was due meanwhile, instead of fewer transactions.

mod conductor;
mod flights;
mod report;
mod sender;
mod signing;
mod stars;

pub use report::{LoadProgress, LoadReport};
pub use stars::star_keys;

use conductor::{Conductor, Desk};
use constellation_chain::{NetworkId, SecretKey, StarHead};
use constellation_node::api::{Client, ClientError, FinalStream};
use rustix::time::{ClockId, clock_gettime};
use sender::Wire;
use signing::{Prepared, Signing};
use stars::Stars;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// Events that wait for the conductor, at most.
const EVENTS_MAX: usize = 1024;

/// What to load, and how.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The nodes' client addresses.
    pub nodes: Vec<String>,
    /// The network that all of them belong to.
    pub network: NetworkId,
    /// The stars to trade between; those of the genesis, because somebody has to be able to pay.
    pub stars: Vec<SecretKey>,
    /// Transactions due each second.
    pub rate_per_s: u64,
    /// How long the schedule is.
    pub duration: Duration,
    /// How long to wait after that for what is still on its way.
    pub drain_max: Duration,
    /// Threads that sign.
    pub threads: usize,
    /// Whether transactions are signed before the schedule starts, so that the test's own work is sending alone.
    pub prepared: bool,
}

impl LoadOptions {
    /// Transactions of the schedule.
    fn count(&self) -> u64 {
        let count = u128::from(self.rate_per_s) * self.duration.as_micros() / 1_000_000;
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

impl Default for LoadOptions {
    /// Nothing to load yet; a drain of half a minute, and one thread that signs.
    fn default() -> Self {
        LoadOptions {
            nodes: Vec::new(),
            network: NetworkId::default(),
            stars: Vec::new(),
            rate_per_s: 0,
            duration: Duration::ZERO,
            drain_max: Duration::from_secs(30),
            threads: 1,
            prepared: false,
        }
    }
}

/// Why a load test cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing to do it with.
    #[error(
        "a load test needs a node, two stars and a rate above 0; given: {nodes} nodes, {stars} stars, {rate_per_s} a second"
    )]
    Options {
        /// Nodes given.
        nodes: usize,
        /// Stars given.
        stars: usize,
        /// Rate given.
        rate_per_s: u64,
    },
    /// No node answers.
    #[error("none of the nodes answers; {address}: {source}")]
    Unreachable {
        /// The last that was tried.
        address: String,
        /// What it said.
        source: ClientError,
    },
    /// A node of another network.
    #[error("node {address} belongs to network {found}, not {expected}: was it started with another genesis?")]
    OtherNetwork {
        /// The node.
        address: String,
        /// Its network.
        found: NetworkId,
        /// The network of the test.
        expected: NetworkId,
    },
    /// Nobody can pay.
    #[error(
        "none of the {stars} stars has a balance on network {network}: give the stars of its genesis, from the same seed"
    )]
    NoBalance {
        /// Stars given.
        stars: usize,
        /// The network.
        network: NetworkId,
    },
    /// A node stopped answering while the stars' accounts were read.
    #[error("cannot read the stars' accounts from {address}: {source}")]
    Accounts {
        /// The node.
        address: String,
        /// What it said.
        source: ClientError,
    },
    /// The system gives no threads.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A load test that is ready to run: the stars' accounts are known, and transactions signed if that was asked for.
pub struct Load<'a> {
    options: &'a LoadOptions,
    stars: Stars,
    prepared: Prepared,
}

impl<'a> Load<'a> {
    /// Reads the stars' accounts from the nodes, and signs ahead.
    pub fn prepare(options: &'a LoadOptions) -> Result<Self, LoadError> {
        let (nodes, stars, rate_per_s) = (options.nodes.len(), options.stars.len(), options.rate_per_s);
        if nodes == 0 || stars < 2 || rate_per_s == 0 {
            return Err(LoadError::Options { nodes, stars, rate_per_s });
        }
        let accounts = read_accounts(options, &mut connect(options)?)?;
        let seed = u64::from_le_bytes(options.network.0);
        let stars = || Stars::new(options.stars.clone(), &accounts, seed);
        let signing = Signing { network: options.network, threads: options.threads };
        let prepared = match options.prepared {
            true => Prepared::sign(signing, stars(), options.count()),
            false => Prepared::default(),
        };
        Ok(Load { options, stars: stars(), prepared })
    }

    /// Runs the test. `progress` is called a few times a second; `stop` ends the schedule at once, and soon after the test.
    ///
    /// Nodes that do not answer at the start, or stop answering, are tried again in the background, and what was sent to them is sent to the
    /// others: sending again is idempotent.
    pub fn run(self, progress: &mut dyn FnMut(&LoadProgress), stop: &AtomicBool) -> Result<LoadReport, LoadError> {
        let links = connect(self.options)?;
        let height = links.iter().map(|link| link.height).max().unwrap_or(0);
        let node_errors = links.iter().filter(|link| link.client.is_none()).count() as u64;
        let is_over = AtomicBool::new(false);
        let (events_in, events) = sync_channel(EVENTS_MAX);
        std::thread::scope(|scope| {
            let mut desks = Vec::new();
            for (node, link) in links.into_iter().enumerate() {
                let wire = Wire { node, address: &self.options.nodes[node], events: &events_in, is_over: &is_over };
                let (jobs_in, jobs) = sync_channel(1);
                desks.push(Desk::new(jobs_in, link.client.is_some(), link.stream.is_some()));
                let sending = std::thread::Builder::new().name(format!("load-send-{node}"));
                let following = std::thread::Builder::new().name(format!("load-follow-{node}"));
                let started = sending
                    .spawn_scoped(scope, move || wire.send_all(link.client, &jobs))
                    .and_then(|_| following.spawn_scoped(scope, move || wire.follow(link.stream)));
                if let Err(error) = started {
                    is_over.store(true, Ordering::Relaxed);
                    return Err(LoadError::Thread(error));
                }
            }
            let cpu_before = process_cpu_s();
            let plan = (self.stars, self.prepared);
            let mut report =
                Conductor::new(self.options, desks, plan, height, node_errors).run(&events, progress, stop);
            report.cpu_s = process_cpu_s() - cpu_before;
            is_over.store(true, Ordering::Relaxed);
            drain(&events);
            Ok(report)
        })
    }
}

/// Processor time of this process so far, in seconds.
fn process_cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Lets threads that still have something to say say it, so that none waits for room in the channel for ever.
fn drain<T>(events: &Receiver<T>) {
    while events.try_recv().is_ok() {}
}

/// The connections to a node at the start.
struct Link {
    client: Option<Client>,
    stream: Option<FinalStream>,
    height: u64,
}

fn connect(options: &LoadOptions) -> Result<Vec<Link>, LoadError> {
    let mut links = Vec::with_capacity(options.nodes.len());
    let mut last_error = None;
    for address in &options.nodes {
        match connect_one(address) {
            Ok((client, stream, status)) => {
                let (found, expected) = (status.network_id, options.network);
                if found != expected {
                    return Err(LoadError::OtherNetwork { address: address.clone(), found, expected });
                }
                links.push(Link { client: Some(client), stream: Some(stream), height: status.height });
            }
            Err(source) => {
                tracing::warn!(%address, error = %source, "node does not answer");
                links.push(Link { client: None, stream: None, height: 0 });
                last_error = Some(LoadError::Unreachable { address: address.clone(), source });
            }
        }
    }
    match last_error {
        Some(error) if links.iter().all(|link| link.client.is_none()) => Err(error),
        _ => Ok(links),
    }
}

fn connect_one(address: &str) -> Result<(Client, FinalStream, constellation_node::api::NodeStatus), ClientError> {
    let stream = Client::connect(address)?.subscribe()?;
    let mut client = Client::connect(address)?;
    let status = client.status()?;
    Ok((client, stream, status))
}

/// Reads every star's head and balance from the node that has got furthest.
fn read_accounts(options: &LoadOptions, links: &mut [Link]) -> Result<Vec<(StarHead, u64)>, LoadError> {
    let furthest = links.iter_mut().zip(&options.nodes).max_by_key(|(link, _)| (link.client.is_some(), link.height));
    let Some((Link { client: Some(client), .. }, address)) = furthest else { return Ok(Vec::new()) };
    let account = |star: &SecretKey| client.star(&star.public_key()).map(|account| (account.head, account.balance));
    let accounts: Vec<_> = options
        .stars
        .iter()
        .map(account)
        .collect::<Result<_, _>>()
        .map_err(|source| LoadError::Accounts { address: address.clone(), source })?;
    if accounts.iter().all(|(_, balance)| *balance == 0) {
        return Err(LoadError::NoBalance { stars: options.stars.len(), network: options.network });
    }
    Ok(accounts)
}
