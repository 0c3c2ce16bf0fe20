//! TCP on loopback: a thread for each node, and a connection between each two.
//!
//! ```text
//! offset len
//!      0   4  length of what follows the epoch
//!      4   4  epoch: what is left over from an earlier one is passed over
//!      8   …  the message
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use constellation_acs::Target;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use super::node::Node;
use super::{Epoch, Run};
use crate::machine::cpu_ms;

const HEADER_LEN_BYTES: usize = 8;

/// What is read from a connection before another has its turn.
const READ_LEN_BYTES: u64 = 1 << 18;

/// A node that is finished looks so often whether all are.
const LOOK_AGAIN_NS: i64 = 1_000_000;

/// Nothing here takes as long unless it is stuck.
const STUCK: Duration = Duration::from_secs(60);

pub struct Tcp {
    epoch: u32,
    /// Of each node, its links to the others.
    links: Vec<Vec<Link>>,
}

/// One end of a connection.
struct Link {
    peer: usize,
    stream: TcpStream,
    /// Bytes read that are not a whole frame yet.
    read: Vec<u8>,
    /// Bytes that the connection has not taken yet.
    unsent: Vec<u8>,
}

/// What the nodes of an epoch share.
struct Shared<'a> {
    number: u32,
    payloads: &'a [Arc<[u8]>],
    start: Barrier,
    finished: AtomicUsize,
    failed: AtomicBool,
}

impl Tcp {
    pub fn new(nodes: usize) -> io::Result<Self> {
        let mut links: Vec<Vec<Link>> = (0..nodes).map(|_| Vec::new()).collect();
        for one in 0..nodes {
            // A port for each, so that there are enough of them for the connections.
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            for other in one + 1..nodes {
                let connected = TcpStream::connect(listener.local_addr()?)?;
                let (accepted, _) = listener.accept()?;
                links[one].push(Link::new(other, accepted)?);
                links[other].push(Link::new(one, connected)?);
            }
        }
        Ok(Self { epoch: 0, links })
    }
}

impl Run for Tcp {
    fn epoch(&mut self, payloads: &[Arc<[u8]>]) -> io::Result<Option<Epoch>> {
        self.epoch += 1;
        let shared = Shared {
            number: self.epoch,
            payloads,
            start: Barrier::new(payloads.len()),
            finished: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        };
        let (links, shared) = (&mut self.links, &shared);
        let ended: Vec<_> = thread::scope(|scope| {
            let nodes = links.iter_mut().enumerate();
            let threads: Vec<_> = nodes.map(|(me, links)| scope.spawn(move || live(me, links, shared))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(panicked()))).collect()
        });
        let mut epoch = Epoch { latency_ms: Some(0.0), ..Epoch::default() };
        let mut is_finished = true;
        for end in ended {
            let Some(part) = end? else {
                is_finished = false;
                continue;
            };
            epoch.cpu_ms += part.cpu_ms;
            epoch.messages += part.messages;
            epoch.bytes += part.bytes;
            epoch.latency_ms = epoch.latency_ms.zip(part.latency_ms).map(|(longest, latency)| longest.max(latency));
            epoch.outputs.extend(part.outputs);
            epoch.faults.extend(part.faults);
        }
        Ok(is_finished.then_some(epoch))
    }
}

fn panicked() -> io::Error {
    io::Error::other("a node's thread panicked")
}

/// One node's epoch; `None` if it did not come to its end.
fn live(me: usize, links: &mut [Link], shared: &Shared) -> io::Result<Option<Epoch>> {
    shared.start.wait();
    let (start, start_cpu_ms) = (Instant::now(), cpu_ms());
    let mut epoch = Epoch::default();
    let mut node = Node::new(me, shared.payloads);
    let mut is_finished = false;
    loop {
        if epoch.latency_ms.is_none() && node.has_output() {
            epoch.latency_ms = Some(start.elapsed().as_secs_f64() * 1e3);
        }
        if !is_finished && node.is_finished() {
            is_finished = true;
            shared.finished.fetch_add(1, Ordering::Relaxed);
        }
        speak(&mut node, links, shared.number, &mut epoch).inspect_err(|_| shared.fail())?;
        let is_over = shared.finished.load(Ordering::Relaxed) == shared.payloads.len();
        if is_over && links.iter().all(|link| link.unsent.is_empty()) {
            break;
        }
        if shared.failed.load(Ordering::Relaxed) || start.elapsed() > STUCK {
            return Ok(None);
        }
        hear(&mut node, links, shared.number, is_finished).inspect_err(|_| shared.fail())?;
    }
    epoch.outputs = vec![node.output()];
    epoch.faults = node.take_faults();
    drop(node);
    epoch.cpu_ms = cpu_ms() - start_cpu_ms;
    Ok(Some(epoch))
}

/// Says what there is to say.
fn speak(node: &mut Node, links: &mut [Link], number: u32, epoch: &mut Epoch) -> io::Result<()> {
    node.flush(|target, frame| {
        for link in links.iter_mut().filter(|link| target == Target::All || target == Target::One(link.peer)) {
            epoch.count(&frame);
            link.push(number, &frame);
        }
    });
    links.iter_mut().try_for_each(Link::write)
}

/// Waits for something to do, and takes all that has come.
fn hear(node: &mut Node, links: &mut [Link], number: u32, is_finished: bool) -> io::Result<()> {
    let wait = Timespec { tv_sec: i64::from(!is_finished), tv_nsec: if is_finished { LOOK_AGAIN_NS } else { 0 } };
    let mut sockets: Vec<PollFd> = links.iter().map(Link::socket).collect();
    poll(&mut sockets, Some(&wait))?;
    let is_ready: Vec<bool> = sockets.iter().map(|socket| !socket.revents().is_empty()).collect();
    let ready = links.iter_mut().zip(is_ready).filter(|(_, is_ready)| *is_ready);
    for (link, _) in ready {
        let peer = link.peer;
        link.read(|message_epoch, message| {
            if message_epoch == number {
                node.take(peer, message);
            }
        })?;
    }
    Ok(())
}

impl Shared<'_> {
    fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

impl Link {
    fn new(peer: usize, stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { peer, stream, read: Vec::new(), unsent: Vec::new() })
    }

    fn socket(&self) -> PollFd<'_> {
        let unsent = if self.unsent.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        PollFd::new(&self.stream, PollFlags::IN | unsent)
    }

    fn push(&mut self, epoch: u32, message: &[u8]) {
        self.unsent.extend((message.len() as u32).to_le_bytes());
        self.unsent.extend(epoch.to_le_bytes());
        self.unsent.extend_from_slice(message);
    }

    fn write(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.unsent) {
            Ok(written) => {
                self.unsent.drain(..written);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads once, and hands on every message that is whole, with its epoch.
    fn read(&mut self, mut take: impl FnMut(u32, &[u8])) -> io::Result<()> {
        match (&self.stream).take(READ_LEN_BYTES).read_to_end(&mut self.read) {
            Ok(read) if (read as u64) < READ_LEN_BYTES => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let mut rest = &self.read[..];
        while let Some((&header, behind)) = rest.split_first_chunk::<HEADER_LEN_BYTES>() {
            let [len, epoch] =
                [0, 4].map(|at| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
            let Some((message, behind)) = behind.split_at_checked(len as usize) else {
                break;
            };
            take(epoch, message);
            rest = behind;
        }
        let read = self.read.len() - rest.len();
        self.read.drain(..read);
        Ok(())
    }
}
