//! The API server: its thread, its routes, its limits.

use super::backend::Backend;
use super::feed::FinalFeed;
use super::listener::LimitedListener;
use super::rpc::{self, Api};
use super::{socket, wire};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long open connections may take to end when the server shuts down.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// What clients may take of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiLimits {
    /// The largest request body or WebSocket frame.
    pub body_max_bytes: usize,
    /// Connections at the same time; further ones are answered with 503.
    pub connections_max: usize,
    /// Requests of one WebSocket that wait for their answers; further ones are not read before.
    pub requests_in_flight_max: usize,
    /// Requests in one JSON-RPC batch.
    pub batch_max: usize,
    /// How long a request may take to arrive, and how long the node may take to answer it.
    pub request_timeout: Duration,
    /// How long a client may take to accept more bytes.
    pub write_timeout: Duration,
    /// How long a client may be silent.
    pub idle_timeout: Duration,
}

impl Default for ApiLimits {
    fn default() -> Self {
        ApiLimits {
            body_max_bytes: wire::FRAME_MAX_BYTES,
            connections_max: 256,
            requests_in_flight_max: 64,
            batch_max: 256,
            request_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
        }
    }
}

/// Why the server cannot start. Ours or the system's fault, never a client's.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address cannot be listened on.
    #[error("cannot listen for clients on {address}: {source}; is another node running there?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The system refused a thread, or what the runtime on it needs.
    #[error("cannot start the API server: {0}")]
    Start(#[from] io::Error),
}

/// Where to listen.
#[derive(Debug)]
pub enum Listen {
    /// On an address; port 0 takes a free one.
    Address(SocketAddr),
    /// On a socket that is bound already.
    Bound(TcpListener),
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Listen::Address(address)
    }
}

impl From<TcpListener> for Listen {
    fn from(listener: TcpListener) -> Self {
        Listen::Bound(listener)
    }
}

/// A running API server, on its own thread. Shuts down when dropped.
pub struct ApiServer {
    local_addr: SocketAddr,
    shutdown: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl ApiServer {
    /// Starts serving `backend` and `feed`.
    pub fn start(
        listen: impl Into<Listen>,
        backend: Arc<dyn Backend>,
        feed: Arc<FinalFeed>,
        limits: ApiLimits,
    ) -> Result<ApiServer, ApiError> {
        let listener = match listen.into() {
            Listen::Bound(listener) => listener,
            Listen::Address(address) => {
                TcpListener::bind(address).map_err(|source| ApiError::Listen { address, source })?
            }
        };
        listener.set_nonblocking(true)?;
        let local_addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _context = runtime.enter();
            LimitedListener::new(tokio::net::TcpListener::from_std(listener)?, limits)
        };
        tracing::info!(network_id = %backend.network_id(), address = %local_addr, "listening for clients");
        let (shutdown, is_down) = watch::channel(false);
        let shared = Shared { api: Arc::new(Api { backend, feed, limits }), shutdown: is_down };
        let thread =
            std::thread::Builder::new().name("api".into()).spawn(move || runtime.block_on(serve(listener, shared)))?;
        Ok(ApiServer { local_addr, shutdown, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Closes all connections, telling WebSocket clients why, and waits for the thread: about a second at most.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.shutdown.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the API server's thread had panicked");
        }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Clone)]
struct Shared {
    api: Arc<Api>,
    shutdown: watch::Receiver<bool>,
}

async fn serve(listener: LimitedListener, shared: Shared) {
    let stopped = |mut shutdown: watch::Receiver<bool>| async move {
        // An error means that the server was dropped: down as well.
        shutdown.wait_for(|is_down| *is_down).await.map(|_| ()).unwrap_or_default();
    };
    let (graceful, forced) = (stopped(shared.shutdown.clone()), stopped(shared.shutdown.clone()));
    let routes = Router::new()
        .route("/rpc", post(post_rpc))
        .route("/transactions", post(post_transactions))
        .route("/ws", get(get_ws))
        .route("/metrics", get(get_metrics))
        .layer(DefaultBodyLimit::max(shared.api.limits.body_max_bytes))
        .with_state(shared);
    let connections_ended = listener.ended();
    let server = async {
        if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(graceful).await {
            tracing::error!(%error, "the API server ended");
        }
        connections_ended.await;
    };
    tokio::select! {
        () = server => {}
        () = async { forced.await; tokio::time::sleep(SHUTDOWN_TIMEOUT).await } => {
            tracing::debug!("clients that did not leave in time were cut off");
        }
    }
}

async fn post_rpc(State(shared): State<Shared>, request: Request) -> Response {
    let body = match read_body(&shared.api, request).await {
        Ok(body) => body,
        Err((status, what)) => {
            let text = rpc::failure(Value::Null, &wire::RpcError::new(wire::INVALID_REQUEST, what));
            return json_text(status, text);
        }
    };
    let answer = match rpc::parse(&body) {
        Ok(request) => shared.api.answer(request).await,
        Err(response) => Some(response),
    };
    answer.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |text| json_text(StatusCode::OK, text))
}

async fn post_transactions(State(shared): State<Shared>, request: Request) -> Response {
    let body = match read_body(&shared.api, request).await {
        Ok(body) => body,
        Err(refusal) => return refusal.into_response(),
    };
    let deadline = Instant::now() + shared.api.limits.request_timeout;
    match shared.api.submit(body.into(), deadline).await {
        Ok(admissions) => Json(admissions).into_response(),
        Err(error) => http_failure(error),
    }
}

async fn get_ws(State(shared): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    let max_bytes = shared.api.limits.body_max_bytes;
    upgrade
        .max_message_size(max_bytes)
        .max_frame_size(max_bytes)
        .on_upgrade(move |websocket| socket::serve(websocket, shared.api, shared.shutdown))
}

async fn get_metrics(State(shared): State<Shared>) -> Json<Value> {
    Json(shared.api.backend.metrics())
}

async fn read_body(api: &Api, request: Request) -> Result<Bytes, (StatusCode, String)> {
    match tokio::time::timeout(api.limits.request_timeout, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let what = format!("the body is above the {} bytes allowed: send it in parts", api.limits.body_max_bytes);
            Err((StatusCode::PAYLOAD_TOO_LARGE, what))
        }
        Ok(Err(rejection)) => Err((rejection.status(), rejection.body_text())),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".into())),
    }
}

fn http_failure(error: wire::RpcError) -> Response {
    let status = match error.code {
        wire::BUSY => StatusCode::SERVICE_UNAVAILABLE,
        wire::INVALID_PARAMS => StatusCode::BAD_REQUEST,
        wire::TIMED_OUT => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut headers = HeaderMap::new();
    if let Some(retry_after_ms) = error.data.retry_after_ms {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_ms.div_ceil(1000)));
    }
    (status, headers, error.message).into_response()
}

fn json_text(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}
