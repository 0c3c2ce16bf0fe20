//! `devnet`: a whole constellation on this machine, under load, with a report.

use crate::backend::BackendArgs;
use crate::devnet::chaos::{At, CHAOS_GAP_MIN, Plan, What, parse_duration};
use crate::devnet::check::check_logs;
use crate::devnet::nodes::{Nodes, Settings};
use crate::devnet::report::{DevnetReport, StageCores};
use crate::devnet::work::Work;
use crate::exit::{Exit, Failure, help, note};
use crate::load::{Load, LoadOptions, LoadProgress, LoadReport, star_keys};
use crate::network::{STAR_BALANCE, Shape};
use crate::output::Output;
use crate::signals::StopSignal;
use constellation_chain::{GenesisStar, Kind};
use constellation_node::JournalSync;
use constellation_node::api::Client;
use constellation_simulator::scenario::faulty_max;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the nodes have to come up, and at the end to reach the same height.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// Run a whole network on this machine under load, and check it
///
/// Makes a genesis and keys in a fresh directory, starts the nodes (each facilitator and validator, with a data directory,
/// a TCP port on loopback, a Noise identity and a log of its own), lets stars send each other double-signed transfers
/// through the nodes' client API, reports, verifies every node's log from the first byte and compares them. Ctrl-C ends the
/// load; the report follows. Nodes share nothing but TCP, in one process or in several.
#[derive(Debug, clap::Args)]
#[command(after_help = help(&[
    "constellation devnet",
    "constellation devnet --nodes 7 --rate 2000 --duration 30s --json",
    "constellation devnet --clusters 4 --nodes 8 --rate 2000",
    "constellation devnet --nodes 5 --standby 1 --join 4@3s --leave 0@8s",
    "constellation devnet --clusters-max 4 --cluster-stars-max 1000 --place-stars",
    "constellation devnet --processes --duration 60s --kill 2@15s --restart 2@30s",
    "constellation devnet --processes --duration 200s --rate 1000 --chaos 100 --seed 7",
], &[Exit::CheckFailed, Exit::Machine]))]
pub struct Args {
    /// Nodes, 1 to 32
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=32))]
    nodes: u16,
    #[command(flatten)]
    shape: Shape,
    /// Stars that trade, 2 to 100000
    #[arg(long, default_value_t = 8000, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    stars: u32,
    /// Transfers asked for each second (open loop: answers never slow it down)
    #[arg(long, default_value_t = 6000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// How long transfers are sent
    #[arg(long, default_value = "20s", value_parser = parse_duration, value_name = "TIME")]
    duration: Duration,
    /// Sign all transfers before the first is due (up to 2 million, some 900 MB), so that the machine is the nodes' own
    #[arg(long)]
    prepared: bool,
    /// Where the nodes' directories are made, and kept [default: a temporary one, removed unless something is wrong]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    backend: BackendArgs,
    /// What the nodes' journals survive: process (a killed process) or power (a power cut too)
    #[arg(long, value_name = "LEVEL", default_value_t = JournalSync::Process)]
    journal_sync: JournalSync,
    /// One operating system process for each node
    #[arg(long)]
    processes: bool,
    /// Kill a node with SIGKILL at a time after the load's start, as in 2@15s (with --processes; can be repeated)
    #[arg(long, value_name = "NODE@TIME", requires = "processes")]
    kill: Vec<At>,
    /// Start a killed node again, as in 2@30s (with --processes; can be repeated)
    #[arg(long, value_name = "NODE@TIME", requires = "processes")]
    restart: Vec<At>,
    /// Have a node leave the galaxy, as in 2@5s; it goes on running, as one that is no validator (can be repeated)
    #[arg(long, value_name = "NODE@TIME")]
    leave: Vec<At>,
    /// Have a node join it, again or, if it stands by, for the first time (can be repeated)
    #[arg(long, value_name = "NODE@TIME")]
    join: Vec<At>,
    /// Kill as many random nodes at once as the network bears, so many times, and start them again (with --processes)
    #[arg(long, value_name = "TIMES", requires = "processes", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    chaos: Option<u32>,
    /// Whom --chaos kills and when follows from this
    #[arg(long, requires = "chaos", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let signal = StopSignal::install()?;
        let plan = self.plan()?;
        let dir = self.make_dir()?;
        let outcome = self.run_in(&dir, plan, &signal);
        let has_nothing_to_tell = match &outcome {
            Ok(report) => report.mismatches == 0,
            // What is asked for cannot be: no node has run.
            Err(failure) => failure.exit() == Exit::BadInput,
        };
        if self.dir.is_none() && has_nothing_to_tell {
            std::fs::remove_dir_all(&dir).map_err(|error| Failure::reading(dir.display(), &error))?;
        } else if self.dir.is_none() {
            note(format_args!("the nodes' directories are kept in {}", dir.display()));
        }
        let report = outcome?;
        self.output.write(&report)?;
        match report.mismatches {
            0 => Ok(()),
            count => Err(Failure::new(Exit::CheckFailed, format_args!("{count} logs do not hold or differ"))),
        }
    }

    /// What is to happen to the nodes; refuses what could never happen.
    fn plan(&self) -> Result<Plan, Failure> {
        let bad = |what: String| Err(Failure::new(Exit::BadInput, what));
        for at in self.kill.iter().chain(&self.restart).chain(&self.leave).chain(&self.join) {
            if at.node >= usize::from(self.nodes) {
                return bad(format!("there is no node {}; they are 0 to {}", at.node, self.nodes - 1));
            }
            if at.after >= self.duration {
                return bad(format!(
                    "{at} is not before the load's end: choose an earlier time, or a longer --duration"
                ));
            }
        }
        let is_first = |at: &&At| !self.kill.iter().any(|kill| kill.node == at.node && kill.after < at.after);
        if let Some(at) = self.restart.iter().find(is_first) {
            return bad(format!("--restart {at}: node {} is not killed before, see --kill", at.node));
        }
        let mut plan = Plan::default();
        plan.add(What::Kill, &self.kill);
        plan.add(What::Restart, &self.restart);
        plan.add(What::Leave, &self.leave);
        plan.add(What::Join, &self.join);
        if let Some(times) = self.chaos {
            if self.duration < CHAOS_GAP_MIN * times {
                let seconds = (CHAOS_GAP_MIN * times).as_secs_f64();
                return bad(format!(
                    "--chaos {times} takes {seconds} s or more: choose a longer --duration, or fewer times"
                ));
            }
            let nodes = usize::from(self.nodes);
            let together = faulty_max(nodes).max(1);
            plan.add_random(times, together, nodes, self.duration, self.seed);
        }
        Ok(plan)
    }

    fn make_dir(&self) -> Result<PathBuf, Failure> {
        let failed = |error: std::io::Error, path: &Path| {
            Failure::new(Exit::Machine, format_args!("cannot make {}: {error}", path.display()))
        };
        match &self.dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(|error| failed(error, dir))?;
                Ok(dir.clone())
            }
            None => {
                let dir = std::env::temp_dir().join(format!("constellation-devnet-{}", std::process::id()));
                std::fs::create_dir(&dir).map_err(|error| failed(error, &dir))?;
                Ok(dir)
            }
        }
    }

    fn run_in(&self, dir: &Path, mut plan: Plan, signal: &StopSignal) -> Result<DevnetReport, Failure> {
        let keys = star_keys(*b"the stars of every devnet (test)", self.stars as usize);
        let stars =
            keys.iter().map(|key| GenesisStar { public_key: key.public_key(), balance: STAR_BALANCE }).collect();
        let settings = Settings {
            shape: self.shape,
            processes: self.processes,
            journal_sync: self.journal_sync,
            backend: &self.backend,
        };
        let mut nodes = Nodes::start(dir, usize::from(self.nodes), stars, &settings)?;
        wait_until_up(&mut nodes)?;
        let options = LoadOptions {
            nodes: nodes.api_addresses(),
            network: nodes.genesis().network_id(),
            stars: keys,
            rate_per_s: self.rate,
            duration: self.duration,
            drain_max: DRAIN_MAX,
            threads: 2,
            prepared: self.prepared,
        };
        let load = Load::prepare(&options).map_err(|error| Failure::from_error(Exit::Machine, &error))?;
        let mut before = Work::of(&nodes.api_addresses());
        let started = Instant::now();
        let mut kills = 0;
        let mut line = StatusLine::new();
        let mut failure = Ok(());
        let load = load.run(
            &mut |progress| {
                line.show(progress);
                nodes.notice_deaths();
                for (node, what) in plan.due(started.elapsed()) {
                    note(format_args!("node {node} {what} at {:.1} s", started.elapsed().as_secs_f64()));
                    let happened = match what {
                        What::Kill => {
                            kills += 1;
                            before.forget(node);
                            nodes.kill(node)
                        }
                        What::Restart => nodes.restart(node),
                        What::Leave => nodes.ask(node, Kind::Leave),
                        What::Join => nodes.ask(node, Kind::Join),
                    };
                    failure = std::mem::replace(&mut failure, Ok(())).and(happened);
                }
            },
            signal.flag(),
        );
        line.end();
        failure?;
        let load = load.map_err(|error| Failure::from_error(Exit::Machine, &error))?;
        // The load may have ended before its time, at a signal.
        for node in plan.take_restarts() {
            nodes.restart(node)?;
        }
        settle(&mut nodes);
        let work = Work::of(&nodes.api_addresses()).since(&before);
        let run = started.elapsed();
        let down = nodes.down();
        nodes.stop()?;
        Ok(DevnetReport { kills, ..self.report(load, &nodes, down, work, run) })
    }

    fn report(&self, load: LoadReport, nodes: &Nodes, down: Vec<usize>, work: Work, run: Duration) -> DevnetReport {
        let started = Instant::now();
        let check = check_logs(&nodes.log_dirs(), &down, nodes.genesis());
        let stage_cores = StageCores::of(&work, run);
        let mut report = DevnetReport {
            cpu_us_per_committed: work.cost(load.committed, load.cpu_s, self.processes),
            load,
            nodes: nodes.len(),
            clusters: self.shape.clusters,
            clusters_at_end: 0,
            validators_at_end: 0,
            lsh_blocks: 0,
            cross_cluster: 0,
            stars: self.stars as usize,
            processes: self.processes,
            kills: 0,
            down,
            journal_sync: self.journal_sync.to_string(),
            gpu_share: work.gpu_share(),
            backend: work.backend,
            height: 0,
            evidence: 0,
            bytes_on_disk: 0,
            mismatches: 0,
            mismatch_details: Vec::new(),
            check_s: 0.0,
            verify_share: stage_cores.verify_share(),
            stage_cores,
            stage_times: work.nodes,
            dir: self.dir.clone(),
        };
        report.take_check(&check, started.elapsed().as_secs_f64());
        report
    }
}

/// One line on a terminal that is written over; on anything else a line every ten seconds.
struct StatusLine {
    is_terminal: bool,
    last: Option<Instant>,
}

impl StatusLine {
    fn new() -> Self {
        StatusLine { is_terminal: std::io::stderr().is_terminal(), last: None }
    }

    fn show(&mut self, progress: &LoadProgress) {
        let gap = if self.is_terminal { Duration::from_millis(250) } else { Duration::from_secs(10) };
        if self.last.is_some_and(|last| last.elapsed() < gap) {
            return;
        }
        self.last = Some(Instant::now());
        let end = if self.is_terminal { "\x1b[K\r" } else { "\n" };
        // Nobody may be reading the status, and that is no failure.
        write!(std::io::stderr(), "{progress}{end}").ok();
    }

    fn end(&self) {
        if self.is_terminal {
            write!(std::io::stderr(), "\x1b[K").ok();
        }
    }
}

/// Waits until every node answers and has a session with every other.
fn wait_until_up(nodes: &mut Nodes) -> Result<(), Failure> {
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    let others = nodes.len() - 1;
    for (index, address) in nodes.api_addresses().iter().enumerate() {
        loop {
            let connected = Client::connect(address).and_then(|mut client| client.status());
            if connected.is_ok_and(|status| status.peers_connected == others) {
                break;
            }
            nodes.notice_deaths();
            if Instant::now() > deadline {
                let seconds = SETTLE_TIMEOUT.as_secs();
                return Err(Failure::new(
                    Exit::Machine,
                    format_args!("node {index} did not come up within {seconds} s"),
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// Waits until all nodes that are not down answer, and stand and stay at the same height: also after a signal, because the log of a
/// node that runs and is behind counts as one that differs.
fn settle(nodes: &mut Nodes) {
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    let mut last = None;
    while Instant::now() < deadline {
        nodes.notice_deaths();
        let status = |address: &String| Client::connect(address).and_then(|mut client| client.status()).ok();
        let up = nodes.api_addresses_up();
        // A node that is down for this program may have been started again by hand: then it counts too.
        let heights: Vec<Option<u64>> = nodes
            .api_addresses()
            .iter()
            .map(|address| (address, status(address).map(|status| status.height)))
            .filter(|(address, height)| height.is_some() || up.contains(address))
            .map(|(_, height)| height)
            .collect();
        let is_level = heights.iter().all(|height| height.is_some() && *height == heights[0]);
        if is_level && last.as_ref() == Some(&heights) {
            return;
        }
        last = is_level.then_some(heights);
        std::thread::sleep(Duration::from_millis(300));
    }
}
