//! Starting and stopping: everything that can fail is done before the I/O thread runs.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use mio::{Poll, Waker};

use crate::config::{Config, NetError};
use crate::event::Sink;
use crate::handle::{Handle, Shared};
use crate::handshake::Local;
use crate::reactor::{Reactor, WAKE_TOKEN};
use crate::stats::Stats;

/// A running network: one I/O thread and its connections. Dropping it stops and joins the thread.
#[derive(Debug)]
pub struct Network {
    handle: Handle,
    local_addr: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Network {
    /// Binds `config.listen` and starts.
    ///
    /// # Errors
    /// When the address cannot be bound, or as [`start_on`](Self::start_on).
    pub fn start(config: Config, sink: impl Sink + 'static) -> Result<Self, NetError> {
        let address = config.listen;
        let listener = TcpListener::bind(address).map_err(|source| NetError::Bind { address, source })?;
        Self::start_on(listener, config, sink)
    }

    /// Starts on a listener that is already bound; `config.listen` is not used.
    ///
    /// # Errors
    /// When the configuration contradicts itself or the system refuses a resource.
    pub fn start_on(listener: TcpListener, config: Config, sink: impl Sink + 'static) -> Result<Self, NetError> {
        config.limits.check()?;
        let io = |action| move |source| NetError::Io { action, source };
        let local_addr = listener.local_addr().map_err(io("read the listen address"))?;
        listener.set_nonblocking(true).map_err(io("make the listener non-blocking"))?;
        let local = Local::new(config.identity, config.network_id, &config.peers)?;
        let poll = Poll::new().map_err(io("create the event poll"))?;
        let waker = Waker::new(poll.registry(), WAKE_TOKEN).map_err(io("create the waker"))?;
        let shared = Arc::new(Shared::new(&config.limits, config.peers.len(), waker));
        let reactor = Reactor::new(poll, listener, shared.clone(), local, &config.peers, config.limits, sink)?;
        let thread = std::thread::Builder::new()
            .name("net".into())
            .spawn(move || reactor.run())
            .map_err(io("start the I/O thread"))?;
        Ok(Self { handle: Handle { shared }, local_addr, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// For giving commands.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// Sends what the sockets take at once of what is queued, closes all connections, and waits for the thread.
    ///
    /// # Errors
    /// When the thread had panicked.
    pub fn shutdown(mut self) -> Result<(), NetError> {
        self.stop()
    }

    fn stop(&mut self) -> Result<(), NetError> {
        self.handle.shared.stop();
        match self.thread.take() {
            Some(thread) => thread.join().map_err(|_| NetError::Panicked),
            None => Ok(()),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::error!(%error, "network did not stop cleanly");
        }
    }
}
