//! JSON-RPC 2.0: reading requests and batches, and the methods.

use super::backend::{Backend, Busy, SubmitReply};
use super::feed::{FinalFeed, FinalOutcome};
use super::server::ApiLimits;
use super::wire::{self, RpcError, TransactionStatus};
use constellation_chain::{Hash, NetworkId, PublicKey};
use constellation_protocol::{Admission, Answer, Query, TransactionState};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What every connection shares.
pub(super) struct Api {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) feed: Arc<FinalFeed>,
    pub(super) limits: ApiLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParams {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StarParams {
    star: PublicKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GalaxyParams {
    /// Hash of the galaxy's genesis.
    genesis: Hash,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransactionParams {
    id: Hash,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfferParams {
    offer: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransactionsParams {
    transactions: Vec<String>,
}

/// Reads a request body. The error is the response that says what is wrong.
pub(super) fn parse(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| {
        failure(Value::Null, &RpcError::new(wire::PARSE_ERROR, format!("the request is not JSON: {error}")))
    })
}

/// Whether a request asks to follow final blocks. It must come alone, not in a batch.
pub(super) fn is_subscription(request: &Value) -> bool {
    request.get("method").is_some_and(|method| method == "subscribe_final")
}

pub(super) fn success(id: Value, result: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}

pub(super) fn failure(id: Value, error: &RpcError) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()
}

impl Api {
    /// The text that answers a request or a batch; none when only notifications were sent.
    pub(super) async fn answer(&self, body: Value) -> Option<String> {
        let deadline = Instant::now() + self.limits.request_timeout;
        let requests = match body {
            Value::Array(requests) => requests,
            single => return self.answer_one(single, deadline).await,
        };
        if requests.is_empty() || requests.len() > self.limits.batch_max {
            let what = format!("a batch holds 1 to {} requests, not {}", self.limits.batch_max, requests.len());
            return Some(failure(Value::Null, &RpcError::new(wire::INVALID_REQUEST, what)));
        }
        let mut responses = Vec::new();
        for request in requests {
            responses.extend(self.answer_one(request, deadline).await);
        }
        (!responses.is_empty()).then(|| format!("[{}]", responses.join(",")))
    }

    async fn answer_one(&self, request: Value, deadline: Instant) -> Option<String> {
        let Value::Object(mut request) = request else {
            return Some(failure(Value::Null, &invalid_request("a request is a JSON object")));
        };
        let id = request.remove("id");
        let result = match method_of(&mut request, id.as_ref()) {
            Ok(method) => self.call(&method, request.remove("params"), deadline).await,
            Err(error) => return Some(failure(id.filter(is_id).unwrap_or(Value::Null), &error)),
        };
        Some(match result {
            Ok(result) => success(id?, result),
            Err(error) => failure(id?, &error),
        })
    }

    async fn call(&self, method: &str, params: Option<Value>, deadline: Instant) -> Result<Value, RpcError> {
        match method {
            "node_status" => {
                let NoParams {} = read(params)?;
                self.query_value(Query::Status, deadline).await
            }
            "node_metrics" => {
                let NoParams {} = read(params)?;
                Ok(self.backend.metrics())
            }
            "star_account" => {
                let StarParams { star } = read(params)?;
                self.query_value(Query::Star(star), deadline).await
            }
            "star_offers" => {
                let StarParams { star } = read(params)?;
                self.query_value(Query::Offers(star), deadline).await
            }
            "galaxy_head" => {
                let GalaxyParams { genesis } = read(params)?;
                self.query_value(Query::Galaxy(NetworkId::of_genesis(&genesis)), deadline).await
            }
            "transaction_status" => {
                let TransactionParams { id } = read(params)?;
                to_value(&self.transaction_status(id, deadline).await?)
            }
            "offer_submit" => {
                let OfferParams { offer } = read(params)?;
                to_value(&self.offer_submit(&offer, deadline).await?)
            }
            "transaction_submit" => {
                let TransactionsParams { transactions } = read(params)?;
                to_value(&self.transaction_submit(&transactions, deadline).await?)
            }
            "subscribe_final" => Err(invalid_request("subscribe_final goes over a WebSocket, and not in a batch")),
            _ => Err(RpcError::new(wire::METHOD_NOT_FOUND, format!("there is no method {method:?}"))),
        }
    }

    /// The final index is asked before and after: a transaction may leave the pool in between.
    async fn transaction_status(&self, id: Hash, deadline: Instant) -> Result<TransactionStatus, RpcError> {
        let finished = || self.feed.outcome(&id).map(status_of);
        if let Some(status) = finished() {
            return Ok(status);
        }
        match self.query(Query::Transaction(id), deadline).await? {
            Answer::Transaction(TransactionState::Admitted) => Ok(TransactionStatus::Admitted),
            Answer::Transaction(TransactionState::ClusterFinal) => Ok(TransactionStatus::ClusterFinal),
            Answer::Transaction(TransactionState::Unknown) => {
                let dropped = || self.feed.dropped_reason(&id).map(|reason| TransactionStatus::Dropped { reason });
                Ok(finished().or_else(dropped).unwrap_or(TransactionStatus::Unknown))
            }
            _ => Err(wrong_answer()),
        }
    }

    async fn offer_submit(&self, offer: &str, deadline: Instant) -> Result<Admission, RpcError> {
        let record = from_hex("offer", offer)?;
        let (reply, answer) = oneshot::channel();
        self.backend.offer(record, reply).map_err(busy)?;
        match admissions(wait(answer, deadline).await?)?[..] {
            [admission] => Ok(admission),
            _ => Err(wrong_answer()),
        }
    }

    async fn transaction_submit(&self, records: &[String], deadline: Instant) -> Result<Vec<Admission>, RpcError> {
        let records = records.iter().map(|record| from_hex("transactions", record)).collect::<Result<Vec<_>, _>>()?;
        self.submit(records.concat(), deadline).await
    }

    /// Submits raw records, one after the other.
    pub(super) async fn submit(&self, records: Vec<u8>, deadline: Instant) -> Result<Vec<Admission>, RpcError> {
        let (reply, answer) = oneshot::channel();
        self.backend.submit(records, reply).map_err(busy)?;
        admissions(wait(answer, deadline).await?)
    }

    async fn query(&self, query: Query, deadline: Instant) -> Result<Answer, RpcError> {
        let (reply, answer) = oneshot::channel();
        self.backend.query(query, reply).map_err(busy)?;
        wait(answer, deadline).await
    }

    async fn query_value(&self, query: Query, deadline: Instant) -> Result<Value, RpcError> {
        match (&query, self.query(query.clone(), deadline).await?) {
            (Query::Status, Answer::Status(status)) => to_value(&status),
            (Query::Star(_), Answer::Star(star)) => to_value(&star),
            (Query::Offers(_), Answer::Offers(offers)) => {
                let offers: Vec<String> = offers.iter().map(|offer| hex::encode(offer.to_bytes())).collect();
                Ok(json!({ "offers": offers }))
            }
            (Query::Galaxy(_), Answer::Galaxy(head)) => to_value(&head),
            _ => Err(wrong_answer()),
        }
    }
}

fn status_of(outcome: FinalOutcome) -> TransactionStatus {
    let FinalOutcome { height, black_hole, reason } = outcome;
    match reason {
        None => TransactionStatus::Applied { height, black_hole },
        Some(reason) => TransactionStatus::Censored { height, black_hole, reason },
    }
}

fn method_of(request: &mut Map<String, Value>, id: Option<&Value>) -> Result<String, RpcError> {
    if request.get("jsonrpc").is_none_or(|version| version != "2.0") {
        return Err(invalid_request(r#""jsonrpc" must be "2.0""#));
    }
    if !id.is_none_or(is_id) {
        return Err(invalid_request(r#""id" must be a number, a string or null"#));
    }
    match request.remove("method") {
        Some(Value::String(method)) => Ok(method),
        _ => Err(invalid_request(r#""method" must be a string"#)),
    }
}

fn is_id(id: &Value) -> bool {
    matches!(id, Value::Number(_) | Value::String(_) | Value::Null)
}

fn read<T: DeserializeOwned>(params: Option<Value>) -> Result<T, RpcError> {
    let params = params.unwrap_or_else(|| Value::Object(Map::new()));
    if !params.is_object() {
        return Err(RpcError::new(wire::INVALID_PARAMS, "parameters are given by name, as a JSON object"));
    }
    serde_json::from_value(params).map_err(|error| RpcError::new(wire::INVALID_PARAMS, error.to_string()))
}

fn from_hex(what: &str, text: &str) -> Result<Vec<u8>, RpcError> {
    hex::decode(text).map_err(|error| RpcError::new(wire::INVALID_PARAMS, format!("{what}: not hex digits: {error}")))
}

async fn wait<T>(answer: oneshot::Receiver<T>, deadline: Instant) -> Result<T, RpcError> {
    match tokio::time::timeout_at(deadline, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(RpcError::new(wire::INTERNAL_ERROR, "the node is stopping")),
        Err(_) => Err(RpcError::new(wire::TIMED_OUT, "the node did not answer in time; sending again is safe")),
    }
}

fn admissions(reply: SubmitReply) -> Result<Vec<Admission>, RpcError> {
    match reply {
        SubmitReply::Admissions(admissions) => Ok(admissions),
        SubmitReply::Malformed(what) => Err(RpcError::new(wire::INVALID_PARAMS, what)),
    }
}

fn busy(busy: Busy) -> RpcError {
    let mut error = RpcError::new(wire::BUSY, busy.to_string());
    error.data.retry_after_ms = Some(busy.retry_after_ms);
    error
}

fn invalid_request(what: &str) -> RpcError {
    RpcError::new(wire::INVALID_REQUEST, what)
}

fn wrong_answer() -> RpcError {
    RpcError::new(wire::INTERNAL_ERROR, "the node answered another question; this is a defect: please report it")
}

fn to_value(value: &impl serde::Serialize) -> Result<Value, RpcError> {
    serde_json::to_value(value).map_err(|error| RpcError::new(wire::INTERNAL_ERROR, error.to_string()))
}
