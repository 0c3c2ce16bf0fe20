//! A blocking client over one WebSocket, for the light client, the load generator and tests. One call at a time, each with a time-out.

use super::feed::FinalBlock;
use super::wire::{self, RpcError, TransactionStatus};
use constellation_chain::{Hash, NetworkId, Offer, PublicKey, Transaction, WireError};
use constellation_protocol::{Admission, NodeStatus, StarAnswer};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use tungstenite::client::client_with_config;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{HandshakeError, Message, WebSocket};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Socket time-outs of zero mean none at all.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// The largest frame taken from a node: a final block of two million transactions.
const ANSWER_MAX_BYTES: usize = 64 << 20;
/// Bytes of a submit frame before its records.
const HEADER_LEN_BYTES: usize = 4;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address cannot be understood.
    #[error("{address:?} is no address of a node: {what}; write HOST:PORT, for example 127.0.0.1:8000")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        what: String,
    },
    /// Nothing listens there, or it cannot be reached.
    #[error("cannot connect to {address}: is the node running? ({source})")]
    Connect {
        /// Where to.
        address: String,
        /// The system's error.
        source: io::Error,
    },
    /// Something listens there, but it is no node.
    #[error("{address} does not answer as a node: {what}; is it the node's client API address?")]
    NotANode {
        /// Where to.
        address: String,
        /// What it did.
        what: String,
    },
    /// The node has no room now; nothing was taken.
    #[error("the node is busy: retry after {retry_after_ms} ms")]
    Busy {
        /// When to try again, in milliseconds.
        retry_after_ms: u32,
    },
    /// The node refused the request: our fault.
    #[error("the node refused: {message} (code {code})")]
    Refused {
        /// A JSON-RPC error code, see [`wire`].
        code: i64,
        /// What the node says.
        message: String,
    },
    /// One request is larger than a node takes.
    #[error("request of {len_bytes} bytes is above the {bound_bytes} a node takes: send it in parts")]
    TooLarge {
        /// The request's length.
        len_bytes: usize,
        /// The bound.
        bound_bytes: usize,
    },
    /// No answer in time. What was submitted may still be taken: sending it again is safe.
    #[error("no answer within {} ms; sending again is safe", waited.as_millis())]
    TimedOut {
        /// How long the call waited.
        waited: Duration,
    },
    /// The node closed the connection, or it broke: connect again.
    #[error("the connection to the node ended: {reason}; connect again")]
    Closed {
        /// What the node or the system says.
        reason: String,
    },
    /// The node sent what no node sends: its fault.
    #[error("the node sent something malformed: {0}; do client and node have the same version?")]
    Protocol(String),
}

impl From<WireError> for ClientError {
    fn from(error: WireError) -> Self {
        ClientError::Protocol(error.to_string())
    }
}

impl From<serde_json::Error> for ClientError {
    fn from(error: serde_json::Error) -> Self {
        ClientError::Protocol(error.to_string())
    }
}

impl From<RpcError> for ClientError {
    fn from(error: RpcError) -> Self {
        match (error.code, error.data.retry_after_ms) {
            (wire::BUSY, Some(retry_after_ms)) => ClientError::Busy { retry_after_ms },
            _ => ClientError::Refused { code: error.code, message: error.message },
        }
    }
}

/// A connection to a node's client API. The node closes it when it is not used for two minutes.
///
/// ```no_run
/// use constellation_node::api::Client;
///
/// let mut client = Client::connect("127.0.0.1:8000")?;
/// println!("height {}", client.status()?.height);
/// # Ok::<(), constellation_node::api::ClientError>(())
/// ```
pub struct Client {
    socket: WebSocket<TimedStream>,
    timeout: Duration,
    last_request_id: u32,
}

impl Client {
    /// Connects to `HOST:PORT`, with `http://` or `ws://` before it or not.
    pub fn connect(address: &str) -> Result<Client, ClientError> {
        let host = host_of(address)?;
        let stream = TimedStream { stream: connect_any(host)?, deadline: Instant::now() + TIMEOUT };
        let not_a_node = |what: String| ClientError::NotANode { address: host.into(), what };
        let url = format!("ws://{host}/ws");
        let config =
            WebSocketConfig::default().max_message_size(Some(ANSWER_MAX_BYTES)).max_frame_size(Some(ANSWER_MAX_BYTES));
        match client_with_config(url, stream, Some(config)) {
            Ok((socket, _)) => Ok(Client { socket, timeout: TIMEOUT, last_request_id: 0 }),
            Err(HandshakeError::Interrupted(_)) => Err(not_a_node(format!("silent for {} ms", TIMEOUT.as_millis()))),
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) if response.status() == 503 => {
                Err(ClientError::Busy { retry_after_ms: 1000 })
            }
            Err(HandshakeError::Failure(error)) => Err(not_a_node(error.to_string())),
        }
    }

    /// How long each later call may take; 10 seconds unless set.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// How the node does.
    pub fn status(&mut self) -> Result<NodeStatus, ClientError> {
        self.call("node_status", json!({}))
    }

    /// The node's counters and meters, as `GET /metrics` shows them.
    pub fn metrics(&mut self) -> Result<Value, ClientError> {
        self.call("node_metrics", json!({}))
    }

    /// A star's account.
    pub fn star(&mut self, star: &PublicKey) -> Result<StarAnswer, ClientError> {
        self.call("star_account", json!({ "star": star }))
    }

    /// Where a transaction stands.
    pub fn transaction(&mut self, id: &Hash) -> Result<TransactionStatus, ClientError> {
        self.call("transaction_status", json!({ "id": id }))
    }

    /// The offers that wait for a star's signature. Their signatures are the node's word: check them before countersigning.
    pub fn offers(&mut self, star: &PublicKey, network: NetworkId) -> Result<Vec<Offer>, ClientError> {
        let answer: Offers = self.call("star_offers", json!({ "star": star }))?;
        answer.offers.iter().map(|text| read_offer(text, network)).collect()
    }

    /// Puts an offer into its counterparty's mailbox.
    pub fn submit_offer(&mut self, offer: &Offer) -> Result<Admission, ClientError> {
        self.call("offer_submit", json!({ "offer": hex::encode(offer.to_bytes()) }))
    }

    /// Submits transactions, in as few frames as hold them. One admission for each; after an error none, some or all were taken: sending
    /// them again is safe.
    pub fn submit(&mut self, transactions: &[Transaction]) -> Result<Vec<Admission>, ClientError> {
        let mut admissions = Vec::with_capacity(transactions.len());
        let mut frame = Vec::new();
        for transaction in transactions {
            if HEADER_LEN_BYTES + frame.len() + transaction.len_bytes() > wire::FRAME_MAX_BYTES {
                admissions.append(&mut self.submit_records(&frame)?);
                frame.clear();
            }
            transaction.write(&mut frame);
        }
        if !frame.is_empty() {
            admissions.append(&mut self.submit_records(&frame)?);
        }
        if admissions.len() != transactions.len() {
            let (found, wanted) = (admissions.len(), transactions.len());
            return Err(ClientError::Protocol(format!("{found} admissions for {wanted} transactions")));
        }
        Ok(admissions)
    }

    /// Submits raw transaction records, one after the other, in one frame. One admission for each.
    pub fn submit_records(&mut self, records: &[u8]) -> Result<Vec<Admission>, ClientError> {
        let len_bytes = HEADER_LEN_BYTES + records.len();
        if len_bytes > wire::FRAME_MAX_BYTES {
            return Err(ClientError::TooLarge { len_bytes, bound_bytes: wire::FRAME_MAX_BYTES });
        }
        let request_id = self.next_request_id();
        self.send(Message::binary([&request_id.to_le_bytes(), records].concat()))?;
        loop {
            match self.receive()? {
                Message::Binary(frame) => {
                    let (id, words) = wire::split_frame(&frame)?;
                    if id == request_id {
                        return Ok(wire::decode_admissions(words)?);
                    }
                }
                Message::Text(text) => {
                    let response: Response = serde_json::from_str(&text)?;
                    if let Some(error) = response.error
                        && error.data.request_id == Some(request_id)
                    {
                        return Err(error.into());
                    }
                }
                _ => {}
            }
        }
    }

    /// Follows final blocks from now on.
    pub fn subscribe(mut self) -> Result<FinalStream, ClientError> {
        self.call::<Value>("subscribe_final", json!({}))?;
        Ok(FinalStream { client: self })
    }

    fn call<T: DeserializeOwned>(&mut self, method: &str, params: Value) -> Result<T, ClientError> {
        let id = self.next_request_id();
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
        if request.len() > wire::FRAME_MAX_BYTES {
            return Err(ClientError::TooLarge { len_bytes: request.len(), bound_bytes: wire::FRAME_MAX_BYTES });
        }
        self.send(Message::text(request))?;
        loop {
            // What answers an earlier call that timed out is passed over.
            let Message::Text(text) = self.receive()? else { continue };
            let response: Response = serde_json::from_str(&text)?;
            match (response.id, response.error) {
                (Some(found), None) if found == id => return Ok(serde_json::from_value(response.result)?),
                (Some(found), Some(error)) if found == id => return Err(error.into()),
                (None, Some(error)) if error.data.request_id.is_none() => return Err(error.into()),
                _ => {}
            }
        }
    }

    fn next_request_id(&mut self) -> u32 {
        self.last_request_id = (self.last_request_id + 1) % wire::FINAL_REQUEST_ID;
        self.last_request_id
    }

    /// Sends a request; its answer has what is left of the same time-out.
    fn send(&mut self, message: Message) -> Result<(), ClientError> {
        self.socket.get_mut().deadline = Instant::now() + self.timeout;
        let sent = self.socket.send(message);
        sent.map_err(|error| self.failure(error))
    }

    fn receive(&mut self) -> Result<Message, ClientError> {
        match self.socket.read() {
            Ok(Message::Close(frame)) => {
                let reason = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                Err(ClientError::Closed {
                    reason: if reason.is_empty() { "closed by the node".into() } else { reason },
                })
            }
            Ok(message) => Ok(message),
            Err(error) => Err(self.failure(error)),
        }
    }

    fn failure(&self, error: tungstenite::Error) -> ClientError {
        use tungstenite::Error;
        match error {
            Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ClientError::TimedOut { waited: self.timeout }
            }
            Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed => {
                ClientError::Closed { reason: error.to_string() }
            }
            // Connections that break off are reported so.
            Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
                ClientError::Closed { reason: "broken off by the node".into() }
            }
            other => ClientError::Protocol(other.to_string()),
        }
    }
}

/// Final blocks, as they come.
pub struct FinalStream {
    client: Client,
}

impl FinalStream {
    /// The next final block; `None` when there is none within `timeout`. [`ClientError::Closed`] says so when blocks were missed.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<FinalBlock>, ClientError> {
        self.client.socket.get_mut().deadline = Instant::now() + timeout.max(SHORTEST_WAIT);
        loop {
            match self.client.receive() {
                Ok(Message::Binary(frame)) => return Ok(Some(wire::decode_final(&frame)?)),
                Ok(_) => {}
                Err(ClientError::TimedOut { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Offers {
    offers: Vec<String>,
}

#[derive(serde::Deserialize)]
struct Response {
    id: Option<u32>,
    #[serde(default)]
    result: Value,
    error: Option<RpcError>,
}

fn read_offer(text: &str, network: NetworkId) -> Result<Offer, ClientError> {
    let malformed = |what: String| ClientError::Protocol(format!("an offer that is none: {what}"));
    let bytes = hex::decode(text).map_err(|error| malformed(error.to_string()))?;
    Offer::decode(&bytes, network).map_err(|error| malformed(error.to_string()))
}

fn host_of(address: &str) -> Result<&str, ClientError> {
    let wrong = |what: &str| ClientError::Address { address: address.into(), what: what.into() };
    let trimmed = address.trim();
    let host = ["http://", "ws://"].iter().find_map(|scheme| trimmed.strip_prefix(scheme)).unwrap_or(trimmed);
    if host.contains("://") {
        return Err(wrong("only http:// and ws:// are spoken"));
    }
    let host = host.trim_end_matches('/');
    let host = host.strip_suffix("/ws").unwrap_or(host);
    if host.is_empty() || host.contains('/') { Err(wrong("host and port are missing")) } else { Ok(host) }
}

fn connect_any(host: &str) -> Result<TcpStream, ClientError> {
    let wrong = |what: String| ClientError::Address { address: host.into(), what };
    let addresses: Vec<SocketAddr> = host.to_socket_addrs().map_err(|error| wrong(error.to_string()))?.collect();
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, TIMEOUT).and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(source) => Err(ClientError::Connect { address: host.into(), source }),
        None => Err(wrong("the name has no address".into())),
    }
}

/// A socket whose every read and write ends at one deadline, however the peer trickles.
struct TimedStream {
    stream: TcpStream,
    deadline: Instant,
}

impl TimedStream {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(Some(left.max(SHORTEST_WAIT))) }
    }
}

impl Read for TimedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for TimedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
