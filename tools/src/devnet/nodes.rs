//! The nodes of a devnet: in this process, or one process each. Either way they share nothing but TCP.

use crate::backend::BackendArgs;
use crate::commands::galaxy::node_failure;
use crate::exit::{Exit, Failure, note};
use crate::network::{NewNode, Shape, new_genesis};
use crate::requests::{settle, sign};
use constellation_chain::{Genesis, GenesisStar, Kind, SecretKey, Transaction};
use constellation_node::api::Client;
use constellation_node::{DataDir, JournalSync, Listeners, RunningNode};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a node has to stop in order before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a request may take to be final.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

/// A devnet's nodes.
pub struct Nodes {
    genesis: Genesis,
    nodes: Vec<DevNode>,
}

struct DevNode {
    data_dir: DataDir,
    api: SocketAddr,
    key: SecretKey,
    /// What it asked the galaxy for last.
    request: Option<Transaction>,
    state: State,
}

enum State {
    InProcess(Box<RunningNode>),
    OwnProcess(Child),
    Down,
}

/// How the nodes are to run.
pub struct Settings<'a> {
    /// What the network is like.
    pub shape: Shape,
    /// Whether each has a process of its own.
    pub processes: bool,
    /// What their journals survive.
    pub journal_sync: JournalSync,
    /// What verifies signatures.
    pub backend: &'a BackendArgs,
}

impl Nodes {
    /// Makes a network of `count` nodes under `dir`, on free ports of loopback, and starts it.
    pub fn start(dir: &Path, count: usize, stars: Vec<GenesisStar>, settings: &Settings<'_>) -> Result<Self, Failure> {
        let Settings { shape, processes, journal_sync, backend } = *settings;
        let mut listeners = Vec::new();
        let mut made = Vec::new();
        for index in 0..count {
            let (nodes, api) = (free_listener()?, free_listener()?);
            let address = |listener: &TcpListener| {
                listener
                    .local_addr()
                    .map_err(|error| Failure::new(Exit::Machine, format_args!("no local address: {error}")))
            };
            let mut node = NewNode::new(&dir.join(format!("node-{index}")), address(&nodes)?, address(&api)?)?;
            node.config.journal_sync = journal_sync;
            (node.config.backend, node.config.software_gpu) = (backend.backend, backend.software_gpu);
            // The nodes share this machine, and the load has its part of it too.
            node.config.verify_threads = 1;
            node.config.pin_core = false;
            made.push(node);
            listeners.push(Listeners { nodes: Some(nodes), api: Some(api) });
        }
        made.iter().try_for_each(NewNode::check_is_new)?;
        let genesis = new_genesis("devnet", &made, &shape, stars)?;
        let mut nodes = Nodes { genesis: genesis.clone(), nodes: Vec::new() };
        for (node, listeners) in made.into_iter().zip(listeners) {
            node.write(&genesis)?;
            let (data_dir, api, key) = (node.data_dir.clone(), node.config.api, node.key.clone());
            let state = if processes {
                // The ports go to the child, which binds them again.
                drop(listeners);
                State::OwnProcess(spawn(&data_dir)?)
            } else {
                State::InProcess(Box::new(
                    RunningNode::start_on(&data_dir, node.config, listeners).map_err(node_failure)?,
                ))
            };
            nodes.nodes.push(DevNode { data_dir, api, key, request: None, state });
        }
        Ok(nodes)
    }

    /// The network's genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Where clients connect, by node.
    pub fn api_addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.api.to_string()).collect()
    }

    /// The same for the nodes that are not down.
    pub fn api_addresses_up(&self) -> Vec<String> {
        let up = self.nodes.iter().filter(|node| !matches!(node.state, State::Down));
        up.map(|node| node.api.to_string()).collect()
    }

    /// The nodes that are down.
    pub fn down(&self) -> Vec<usize> {
        let down = self.nodes.iter().enumerate().filter(|(_, node)| matches!(node.state, State::Down));
        down.map(|(index, _)| index).collect()
    }

    /// The log folder of each node.
    pub fn log_dirs(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(|node| node.data_dir.log_path()).collect()
    }

    /// Nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Kills a node's process with SIGKILL.
    pub fn kill(&mut self, index: usize) -> Result<(), Failure> {
        let State::OwnProcess(child) = &mut self.nodes[index].state else { return Ok(()) };
        child
            .kill()
            .and_then(|()| child.wait())
            .map_err(|error| Failure::new(Exit::Machine, format_args!("cannot kill node {index}: {error}")))?;
        self.nodes[index].state = State::Down;
        Ok(())
    }

    /// Starts a node that is down again, from its data directory.
    pub fn restart(&mut self, index: usize) -> Result<(), Failure> {
        if let State::Down = self.nodes[index].state {
            self.nodes[index].state = State::OwnProcess(spawn(&self.nodes[index].data_dir)?);
        }
        Ok(())
    }

    /// Has a node ask to join the galaxy, or to leave it. What it asked for before is final first.
    pub fn ask(&mut self, index: usize, kind: Kind) -> Result<(), Failure> {
        let node = &mut self.nodes[index];
        let mut client = Client::connect(&node.api.to_string())?;
        if let Some(earlier) = &node.request {
            settle(&mut client, earlier, Instant::now() + SETTLE_TIMEOUT)?;
        }
        let request = sign(&mut client, &node.key, self.genesis.network_id(), kind)?;
        client.submit(std::slice::from_ref(&request))?;
        node.request = Some(request);
        Ok(())
    }

    /// Says which nodes have died of themselves since the last look.
    pub fn notice_deaths(&mut self) {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            match &mut node.state {
                State::OwnProcess(child) => {
                    if let Ok(Some(status)) = child.try_wait() {
                        let how = match status.signal() {
                            Some(signal) => format!("was killed by signal {signal}"),
                            None => format!("ended: {status}"),
                        };
                        note(format_args!("node {index} {how}; see {}", stderr_path(&node.data_dir).display()));
                        node.state = State::Down;
                    }
                }
                State::InProcess(running) if running.has_ended(Duration::ZERO) => {
                    if let State::InProcess(running) = std::mem::replace(&mut node.state, State::Down)
                        && let Err(error) = running.stop()
                    {
                        note(format_args!("node {index} ended: {error}"));
                    }
                }
                State::InProcess(_) | State::Down => {}
            }
        }
    }

    /// Stops all nodes in order; the first failure is told after all have stopped.
    pub fn stop(&mut self) -> Result<(), Failure> {
        for node in &mut self.nodes {
            if let State::OwnProcess(child) = &node.state
                && let Some(pid) = rustix::process::Pid::from_raw(child.id() as i32)
            {
                // A process that has gone already is what is wanted.
                rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
            }
        }
        let mut first_failure = Ok(());
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let stopped = match std::mem::replace(&mut node.state, State::Down) {
                State::InProcess(running) => running.stop().map_err(node_failure),
                State::OwnProcess(child) => wait_for(child, index),
                State::Down => Ok(()),
            };
            if first_failure.is_ok() {
                first_failure = stopped;
            }
        }
        first_failure
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let State::OwnProcess(child) = &mut node.state {
                // The last resort of an end by error: no child is left behind.
                child.kill().and_then(|()| child.wait()).ok();
            }
        }
    }
}

fn wait_for(mut child: Child, index: usize) -> Result<(), Failure> {
    let deadline = Instant::now() + STOP_TIMEOUT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(Failure::new(Exit::Machine, format_args!("node {index} ended: {status}"))),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) | Err(_) => {
                child.kill().and_then(|()| child.wait()).ok();
                let seconds = STOP_TIMEOUT.as_secs();
                return Err(Failure::new(
                    Exit::Machine,
                    format_args!("node {index} did not stop within {seconds} s and was killed"),
                ));
            }
        }
    }
}

fn free_listener() -> Result<TcpListener, Failure> {
    TcpListener::bind("127.0.0.1:0")
        .map_err(|error| Failure::new(Exit::Machine, format_args!("no free port on loopback: {error}")))
}

fn stderr_path(data_dir: &DataDir) -> PathBuf {
    data_dir.path().join("stderr.log")
}

fn spawn(data_dir: &DataDir) -> Result<Child, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Machine, format_args!("cannot start a node: {error}"));
    let stderr = std::fs::OpenOptions::new().create(true).append(true).open(stderr_path(data_dir)).map_err(failed)?;
    let child = Command::new(std::env::current_exe().map_err(failed)?)
        .args(["galaxy", "run", "--until-eof", "--dir"])
        .arg(data_dir.path())
        // The end of this pipe tells the node that the devnet is no more, however that came about.
        .stdin(Stdio::piped())
        // Ctrl-C in a terminal goes to a whole process group, and the nodes must outlive the load.
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .map_err(failed)?;
    let pid_path = data_dir.path().join("pid");
    std::fs::write(&pid_path, format!("{}\n", child.id()))
        .map_err(|error| Failure::new(Exit::Machine, format_args!("cannot write {}: {error}", pid_path.display())))?;
    Ok(child)
}
