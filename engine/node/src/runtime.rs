//! A running node: opens its files, takes up where it left off, starts the stages, and stops them in order.

use crate::api::{ApiLimits, ApiServer, FinalFeed, Listen};
use crate::audit::{LOG_RECORD_KIND_BLACK_HOLE, read_black_hole};
use crate::bell::Bell;
use crate::config::NodeConfig;
use crate::core_stage::{CoreRings, CoreStage};
use crate::data_dir::{DataDir, DataDirError};
use crate::engine::VerifyEngine;
use crate::ingress::Ingress;
use crate::journal::{Journal, JournalError, Opened};
use crate::log_stage::{LogStage, final_block};
use crate::meter::Meter;
use crate::net_stage::NetSink;
use crate::placement::Placement;
use crate::ring::Ring;
use crate::verify_stage::VerifyStage;
use constellation_net::{GossipLimits, Handle, Identity, Limits, Network, Peer};
use constellation_protocol::{Admission, Config, ConfigError, Node, NodeIndex, ReplayError};
use constellation_storage::{Log, LogOptions};
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const MESSAGES_MAX: usize = 1024;
const TRANSACTION_INPUTS_MAX: usize = 256;
const QUERIES_MAX: usize = 1024;
const JOBS_MAX: usize = 16;
const LOG_INPUTS_MAX: usize = 64;
const RECENT_MAX: usize = 1 << 18;
const LOG_STAGE: &str = "log";
/// Pending transactions announced to a peer that connects.
const ANNOUNCE_ON_CONNECT: usize = 8192;
/// The largest message of a round: a proposal, or the votes of a large committee with their coin shares.
const CONSENSUS_MAX_LEN_BYTES: u32 = 1 << 20;
/// The largest black hole: what three cluster rounds can hold (12 MiB), each transaction of it censored and a fork of both its stars
/// (213 bytes for every 328), and certificates.
const BULK_MAX_LEN_BYTES: u32 = 32 << 20;

/// Why a node cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The node does not belong to its network.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The verification backend does not run here.
    #[error(transparent)]
    Engine(#[from] constellation_verify::EngineError),
    /// The log cannot be read.
    #[error(transparent)]
    ReadLog(#[from] crate::audit::AuditLogError),
    /// The log and the genesis do not belong together.
    #[error("{0}; compare the genesis file with the other nodes', or move the log away to fetch it anew")]
    Replay(#[from] ReplayError),
    /// The log failed: nothing that clients were told is lost; the node stops rather than go on without a log.
    #[error("the log failed: {0}")]
    Log(#[from] constellation_storage::LogError),
    /// The journal failed.
    #[error("the journal failed: {0}")]
    Journal(JournalError),
    /// The network could not start.
    #[error(transparent)]
    Net(#[from] constellation_net::NetError),
    /// The client API could not start.
    #[error(transparent)]
    Api(#[from] crate::api::ApiError),
    /// The system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// This node's state is not what a quorum certified.
    #[error("stopped before doing harm: {0}; keep the data directory and report this")]
    Diverged(String),
    /// A stage ended by a panic, which is a defect of this program.
    #[error("the {0} stage panicked; please report this")]
    Panicked(&'static str),
    /// The node was told to stop.
    #[error("the node was told to stop")]
    Stopped,
}

/// How a node ends: the first failure, or the order to stop.
#[derive(Default)]
pub(crate) struct Ending {
    outcome: Mutex<Option<Option<NodeError>>>,
    changed: Condvar,
}

impl Ending {
    pub fn fail(&self, error: NodeError) {
        self.settle(match error {
            NodeError::Stopped => None,
            error => Some(error),
        });
    }

    fn settle(&self, outcome: Option<NodeError>) {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(outcome);
        self.changed.notify_all();
    }

    fn wait(&self, timeout: Option<Duration>) -> bool {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match timeout {
            None => {
                let waited = self.changed.wait_while(outcome, |outcome| outcome.is_none());
                drop(waited.unwrap_or_else(PoisonError::into_inner));
                true
            }
            Some(timeout) => {
                let waited = self.changed.wait_timeout_while(outcome, timeout, |outcome| outcome.is_none());
                waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
            }
        }
    }

    fn take(&self) -> Option<NodeError> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(Option::take)
    }
}

/// Counters and meters that operators read.
pub(crate) struct Gauges {
    pub height: AtomicU64,
    /// What the load of the last epoch asks for.
    pub clusters_wanted: AtomicU64,
    /// Seats of each of them.
    facilitators: u64,
    /// Faults seen, by the validator whose they are.
    faults: Vec<AtomicU64>,
    pub unsent: AtomicU64,
    admitted: AtomicU64,
    busy: AtomicU64,
    refused: AtomicU64,
    engine: VerifyEngine,
    core: (Arc<Meter>, Arc<CoreRings>),
    verify: (Arc<Meter>, Arc<Ring<crate::verify_stage::VerifyInput>>),
    log: (Arc<Meter>, Arc<Ring<crate::log_stage::LogInput>>),
    net: Arc<OnceLock<Handle>>,
}

impl Gauges {
    pub fn count_fault(&self, node: NodeIndex) {
        if let Some(counter) = self.faults.get(usize::from(node)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn count_admissions(&self, admissions: &[Admission]) {
        for admission in admissions {
            let counter = match admission {
                Admission::Admitted | Admission::Known | Admission::Final => &self.admitted,
                Admission::Busy { .. } => &self.busy,
                Admission::Censored { .. } => &self.refused,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All of them; `api_cpu_us` is the processor time of the API's thread.
    pub fn metrics(&self, api_cpu_us: u64) -> serde_json::Value {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let net = self.net.get().map(|handle| {
            let stats = handle.stats();
            let closed: serde_json::Map<String, serde_json::Value> =
                stats.closed_by_reason().map(|(reason, count)| (reason.name().to_owned(), count.into())).collect();
            serde_json::json!({ "closed": closed, "messages_unsent": load(&self.unsent) })
        });
        let net_stage = self.net.get().map(|handle| {
            let stats = handle.stats();
            serde_json::json!({ "busy_us": stats.busy_us, "waiting_us": stats.waiting_us, "cpu_us": stats.cpu_us })
        });
        serde_json::json!({
            "height": load(&self.height),
            "clusters_wanted": load(&self.clusters_wanted),
            "facilitators_wanted": load(&self.clusters_wanted) * self.facilitators,
            "backend": self.engine.backend().name(),
            "verification": self.engine.metrics(),
            "transactions_admitted": load(&self.admitted),
            "transactions_busy": load(&self.busy),
            "transactions_refused": load(&self.refused),
            "faults": self.faults.iter().map(load).sum::<u64>(),
            "faults_by_node": self.faults.iter().map(load).collect::<Vec<_>>(),
            "net": net,
            "stages": {
                "verify": self.verify.0.read(self.verify.1.len()),
                "core": self.core.0.read(self.core.1.len()),
                "log": self.log.0.read(self.log.1.len()),
                "net": net_stage,
                "api": { "cpu_us": api_cpu_us },
            },
        })
    }
}

/// Listeners that are bound already, where the caller picked the ports.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For other nodes.
    pub nodes: Option<TcpListener>,
    /// For clients.
    pub api: Option<TcpListener>,
}

/// A node that runs.
pub struct RunningNode {
    ending: Arc<Ending>,
    stop: Arc<AtomicBool>,
    log_stop: Arc<AtomicBool>,
    gauges: Arc<Gauges>,
    api: Option<ApiServer>,
    network: Option<Network>,
    stages: Vec<(&'static str, JoinHandle<()>)>,
    api_addr: SocketAddr,
    node_addr: SocketAddr,
}

/// Tells a running node to stop, from any thread.
#[derive(Clone)]
pub struct StopHandle {
    ending: Arc<Ending>,
}

impl StopHandle {
    /// Asks the node to stop; [`RunningNode::wait`] then returns.
    pub fn stop(&self) {
        self.ending.settle(None);
    }
}

impl RunningNode {
    /// Starts the node of a data directory on its configured addresses.
    pub fn start(data_dir: &DataDir, config: NodeConfig) -> Result<Self, NodeError> {
        Self::start_on(data_dir, config, Listeners::default())
    }

    /// Starts the node of a data directory, on listeners that are bound already where given.
    pub fn start_on(data_dir: &DataDir, config: NodeConfig, listeners: Listeners) -> Result<Self, NodeError> {
        let placement = config.pin_core.then(|| Placement::on_this_machine(config.listen.port().into())).flatten();
        // Threads inherit what they are bound to from the one that starts them.
        if let Some(placement) = &placement {
            tracing::info!(cpu = placement.core_cpu(), "consensus has this CPU to itself");
            placement.bind_others();
        }
        let running = Self::start_threads(data_dir, config, listeners, placement.clone());
        if let Some(placement) = &placement {
            placement.unbind();
        }
        running
    }

    fn start_threads(
        data_dir: &DataDir,
        config: NodeConfig,
        listeners: Listeners,
        placement: Option<Placement>,
    ) -> Result<Self, NodeError> {
        let engine = VerifyEngine::configured(&config, data_dir.gpu_cache_path())?;
        let (genesis, key) = (data_dir.genesis()?, data_dir.key()?);
        let validators = genesis.validators().len();
        if genesis.cluster_facilitators() < validators {
            tracing::warn!(
                facilitators = genesis.cluster_facilitators(),
                validators,
                "the genesis seats fewer facilitators than there are validators: the network bears only the faults that such a committee does"
            );
        }
        let network_id = genesis.network_id();
        let peers: Vec<Peer> =
            genesis.nodes().iter().map(|node| Peer { public_key: node.public_key.0, address: node.address }).collect();
        let facilitators = genesis.cluster_facilitators() as u64;
        let galaxies = genesis.galaxies().to_vec();
        let mut settings = Config::new(genesis, key.clone());
        settings.round_interval_us = config.round_interval_ms * 1000;
        let mut node = Node::new(settings, Arc::new(engine.clone()))?;
        let feed = Arc::new(FinalFeed::new(RECENT_MAX));
        let log = open_log(data_dir, &config, &mut node, &feed)?;
        let journal = open_journal(data_dir, &config, &mut node)?;

        let (stop, log_stop): (Arc<AtomicBool>, Arc<AtomicBool>) = Default::default();
        let (ending, durable_height) = (Arc::new(Ending::default()), Arc::new(AtomicU64::new(node.tip().0)));
        let (core_bell, verify_bell, log_bell) = (Bell::new(), Bell::new(), Bell::new());
        let rings = Arc::new(CoreRings {
            bell: core_bell.clone(),
            verdicts: Ring::new(JOBS_MAX, &core_bell),
            messages: Ring::new(MESSAGES_MAX, &core_bell),
            queries: Ring::new(QUERIES_MAX, &core_bell),
            transactions: Ring::new(TRANSACTION_INPUTS_MAX, &core_bell),
            message_bytes: Arc::default(),
        });
        let jobs = Ring::new(JOBS_MAX, &verify_bell);
        let verify_inputs = Ring::new(TRANSACTION_INPUTS_MAX, &verify_bell);
        let log_inputs = Ring::new(LOG_INPUTS_MAX, &log_bell);
        let meters = [(); 3].map(|()| Arc::new(Meter::default()));
        let [core_meter, verify_meter, log_meter] = meters;
        let net_handle = Arc::new(OnceLock::new());
        let gauges = Arc::new(Gauges {
            height: AtomicU64::new(node.tip().0),
            clusters_wanted: AtomicU64::new(node.clusters_wanted() as u64),
            facilitators,
            faults: peers.iter().map(|_| AtomicU64::new(0)).collect(),
            unsent: AtomicU64::new(0),
            admitted: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            engine: engine.clone(),
            core: (core_meter.clone(), rings.clone()),
            verify: (verify_meter.clone(), verify_inputs.clone()),
            log: (log_meter.clone(), log_inputs.clone()),
            net: net_handle.clone(),
        });

        let limits = Limits {
            consensus_max_len_bytes: CONSENSUS_MAX_LEN_BYTES,
            bulk_max_len_bytes: BULK_MAX_LEN_BYTES,
            gossip: GossipLimits { announce_on_connect: ANNOUNCE_ON_CONNECT, ..GossipLimits::default() },
            ..Limits::default()
        };
        let net_config = constellation_net::Config {
            listen: config.listen,
            identity: Identity::from_seed(key.seed()),
            network_id: network_id.0,
            peers,
            limits,
        };
        let sink = NetSink {
            core: rings.messages.clone(),
            core_bytes: rings.message_bytes.clone(),
            verify: verify_inputs.clone(),
        };
        let network = match listeners.nodes {
            Some(listener) => Network::start_on(listener, net_config, sink)?,
            None => Network::start(net_config, sink)?,
        };
        let net = network.handle();
        let net = net_handle.get_or_init(|| net).clone();

        let log_stage = LogStage {
            log,
            bell: log_bell,
            inputs: log_inputs.clone(),
            feed: feed.clone(),
            net: net.clone(),
            meter: log_meter,
            durable_height: durable_height.clone(),
            stop: log_stop.clone(),
            ending: ending.clone(),
            buffer: Vec::new(),
        };
        let verify_stage = VerifyStage {
            engine,
            network: network_id,
            galaxies,
            bell: verify_bell,
            jobs: jobs.clone(),
            inputs: verify_inputs.clone(),
            core: rings.transactions.clone(),
            verdicts: rings.verdicts.clone(),
            net: net_handle,
            meter: verify_meter,
            stop: stop.clone(),
        };
        let core_stage = CoreStage {
            node,
            journal,
            rings: rings.clone(),
            jobs,
            log: log_inputs,
            durable_height,
            net,
            feed: feed.clone(),
            gauges: gauges.clone(),
            meter: core_meter,
            stop: stop.clone(),
            ending: ending.clone(),
            started: Instant::now(),
            retiring: VecDeque::new(),
        };
        let mut running = RunningNode {
            ending: ending.clone(),
            stop,
            log_stop,
            gauges: gauges.clone(),
            api: None,
            node_addr: network.local_addr(),
            network: Some(network),
            stages: Vec::new(),
            api_addr: config.api,
        };
        running.spawn("core", move || {
            if let Some(placement) = placement {
                placement.bind_core();
            }
            core_stage.run();
        })?;
        running.spawn("verify", move || verify_stage.run())?;
        running.spawn(LOG_STAGE, move || log_stage.run())?;
        let backend =
            Arc::new(Ingress { network: network_id, verify: verify_inputs, core: rings.queries.clone(), gauges });
        let listen = listeners.api.map_or(Listen::Address(config.api), Listen::Bound);
        let api = ApiServer::start(listen, backend, feed, ApiLimits::default())?;
        running.api_addr = api.local_addr();
        running.api = Some(api);
        Ok(running)
    }

    /// Where clients connect.
    pub fn api_addr(&self) -> SocketAddr {
        self.api_addr
    }

    /// Where other nodes connect.
    pub fn node_addr(&self) -> SocketAddr {
        self.node_addr
    }

    /// Height of the last black hole.
    pub fn height(&self) -> u64 {
        self.gauges.height.load(Ordering::Relaxed)
    }

    /// For stopping the node from another thread.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle { ending: self.ending.clone() }
    }

    /// Whether the node has failed, or was told to stop; waits for that at most `timeout`.
    pub fn has_ended(&self, timeout: Duration) -> bool {
        self.ending.wait(Some(timeout))
    }

    /// Waits until the node fails or is told to stop, and stops it in order.
    pub fn wait(self) -> Result<(), NodeError> {
        self.ending.wait(None);
        self.stop()
    }

    /// Stops the node: no new requests, then the core, then what was certified goes to disk.
    pub fn stop(mut self) -> Result<(), NodeError> {
        self.wind_down()
    }

    fn spawn(&mut self, name: &'static str, body: impl FnOnce() + Send + 'static) -> Result<(), NodeError> {
        let ending = self.ending.clone();
        let guarded = move || {
            // A stage that panics must take the node down, not leave it half alive.
            struct Alarm(Arc<Ending>, &'static str);
            impl Drop for Alarm {
                fn drop(&mut self) {
                    if std::thread::panicking() {
                        self.0.fail(NodeError::Panicked(self.1));
                    }
                }
            }
            let _alarm = Alarm(ending, name);
            body();
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(guarded).map_err(NodeError::Thread)?;
        self.stages.push((name, thread));
        Ok(())
    }

    fn wind_down(&mut self) -> Result<(), NodeError> {
        self.ending.settle(None);
        drop(self.api.take());
        self.stop.store(true, Ordering::Relaxed);
        let mut outcome = match self.ending.take() {
            Some(error) => Err(error),
            None => Ok(()),
        };
        // The log goes last, after the core can give it nothing more: what was certified is written.
        for (name, thread) in self.stages.drain(..) {
            if name == LOG_STAGE {
                self.log_stop.store(true, Ordering::Relaxed);
            }
            if thread.join().is_err() && outcome.is_ok() {
                outcome = Err(NodeError::Panicked(name));
            }
        }
        if let Some(network) = self.network.take() {
            let stopped = network.shutdown();
            if outcome.is_ok() {
                outcome = stopped.map_err(NodeError::Net);
            }
        }
        outcome
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        if let Err(error) = self.wind_down() {
            tracing::error!(%error, "the node did not stop cleanly");
        }
    }
}

fn open_log(data_dir: &DataDir, config: &NodeConfig, node: &mut Node, feed: &FinalFeed) -> Result<Log, NodeError> {
    let segment_len_bytes = config.segment_mib << 20;
    let options = LogOptions { segment_len_bytes, reserve_len_bytes: segment_len_bytes };
    create_dir(data_dir, &data_dir.log_path())?;
    let (log, recovery) = Log::open(&data_dir.log_path(), options)?;
    if let Some(tail) = &recovery.torn_tail {
        tracing::warn!(
            segment = %tail.segment.display(), offset = tail.offset, len_bytes = tail.len_bytes,
            "the log ended in an unfinished record, as after a crash; it was cleared, and will be fetched from peers"
        );
    }
    let network = data_dir.genesis()?.network_id();
    for record in log.iter_from(log.first_sequence()) {
        let record = record?;
        if record.kind == LOG_RECORD_KIND_BLACK_HOLE {
            let (black_hole, _) = read_black_hole(&record, network)?;
            node.replay(&black_hole)?;
            feed.publish(final_block(&black_hole));
        }
    }
    Ok(log)
}

fn open_journal(data_dir: &DataDir, config: &NodeConfig, node: &mut Node) -> Result<Journal, NodeError> {
    create_dir(data_dir, &data_dir.journal_path())?;
    let (journal, Opened { records, recovery, is_lost }) =
        Journal::open(&data_dir.journal_path(), config.journal_sync)?;
    if is_lost {
        tracing::warn!(
            "this node has no journal (one is made by `constellation init`): it follows the chain, and sits out of the rounds until the network has \
             passed what it may have said"
        );
        node.sit_out();
    }
    if recovery.torn_tail.is_some() {
        tracing::warn!("the journal ended in an unfinished record, as after a crash: it had not been acted on");
    }
    node.restore(records);
    Ok(journal)
}

fn create_dir(data_dir: &DataDir, path: &std::path::Path) -> Result<(), NodeError> {
    std::fs::create_dir_all(path)
        .map_err(|source| NodeError::DataDir(DataDirError::Io { path: data_dir.path().join(path), source }))
}
