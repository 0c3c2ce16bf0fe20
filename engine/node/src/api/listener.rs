//! The connections of the API: counted against a limit, and cut when they make no progress in reading or writing.

use super::server::ApiLimits;
use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// Clients above the limit that are told so at the same time; further ones are just closed.
const REFUSALS_MAX: usize = 16;
/// How long a client above the limit may take to be told so.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait after the system refused to accept (no file descriptors, for example).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: text/plain\r\ncontent-length: 47\r\n\r\ntoo many connections to this node: retry later\n";

/// Accepts connections up to a limit.
pub(super) struct LimitedListener {
    listener: TcpListener,
    limits: ApiLimits,
    connections: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

impl LimitedListener {
    pub(super) fn new(listener: TcpListener, limits: ApiLimits) -> Self {
        let connections = Arc::new(Semaphore::new(limits.connections_max));
        LimitedListener { listener, limits, connections, refusals: Arc::new(Semaphore::new(REFUSALS_MAX)) }
    }

    /// Waits until every connection accepted so far has ended, those that became WebSockets included.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let (connections, all) = (self.connections.clone(), self.limits.connections_max);
        async move {
            let all = u32::try_from(all).unwrap_or(u32::MAX);
            if connections.acquire_many(all).await.is_err() {
                tracing::debug!("the count of connections was closed");
            }
        }
    }
}

impl Listener for LimitedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let (stream, address) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a client: is the limit of open files too low?");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if let Ok(permit) = self.connections.clone().try_acquire_owned() {
                return (Connection::new(stream, permit, &self.limits), address);
            }
            if let Ok(permit) = self.refusals.clone().try_acquire_owned() {
                tokio::spawn(refuse(stream, permit));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Reads the request first: closing a socket with unread bytes would take the answer away from the client.
async fn refuse(mut stream: TcpStream, _permit: OwnedSemaphorePermit) {
    let told = async {
        let mut request = [0; 4096];
        let mut len_bytes = stream.read(&mut request).await?;
        stream.write_all(REFUSAL).await?;
        stream.shutdown().await?;
        while len_bytes > 0 {
            len_bytes = stream.read(&mut request).await?;
        }
        io::Result::Ok(())
    };
    if !matches!(tokio::time::timeout(REFUSAL_TIMEOUT, told).await, Ok(Ok(()))) {
        tracing::debug!("a client above the connection limit left before it was told so");
    }
}

/// One client's socket.
pub(super) struct Connection {
    stream: TcpStream,
    reads: Stall,
    writes: Stall,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit, limits: &ApiLimits) -> Self {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "answers to this client may be delayed");
        }
        let (reads, writes) = (Stall::new(limits.idle_timeout), Stall::new(limits.write_timeout));
        Connection { stream, reads, writes, _permit: permit }
    }
}

/// Fails an operation that stays pending for too long.
struct Stall {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    is_armed: bool,
}

impl Stall {
    fn new(limit: Duration) -> Self {
        Stall { limit, timer: Box::pin(tokio::time::sleep(limit)), is_armed: false }
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.is_armed = false;
            return progress;
        }
        if !self.is_armed {
            self.is_armed = true;
            self.timer.as_mut().reset(Instant::now() + self.limit);
        }
        self.timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.reads.watch(cx, progress)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.writes.watch(cx, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.writes.watch(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_flush(cx);
        self.writes.watch(cx, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.writes.watch(cx, progress)
    }
}
