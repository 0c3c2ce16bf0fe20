//! One WebSocket: requests in, answers out in the order they are ready, and final blocks for who follows them.

use super::feed::FinalNotice;
use super::rpc::{self, Api};
use super::wire;
use axum::body::Bytes;
use axum::extract::ws::{CloseCode, CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

type Finals = broadcast::Receiver<Arc<FinalNotice>>;

/// A client's connection.
struct Session {
    api: Arc<Api>,
    replies: JoinSet<Option<Message>>,
    finals: Option<Finals>,
}

/// Serves a socket until its client leaves or is too slow, or the server shuts down.
pub(super) async fn serve(mut socket: WebSocket, api: Arc<Api>, mut shutdown: watch::Receiver<bool>) {
    // Whoever only listens is heard of through the pongs.
    let mut pings = tokio::time::interval(api.limits.idle_timeout / 3);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let mut session = Session { api, replies: JoinSet::new(), finals: None };
    loop {
        let has_room = session.replies.len() < session.api.limits.requests_in_flight_max;
        let message = tokio::select! {
            incoming = socket.recv(), if has_room => match incoming {
                Some(Ok(incoming)) => session.take(incoming),
                Some(Err(error)) => Some(refusal(&error, session.api.limits.body_max_bytes)),
                None => return,
            },
            Some(reply) = session.replies.join_next() => reply.unwrap_or_else(|_| Some(failed())),
            notice = next_final(&mut session.finals) => Some(notice),
            _ = pings.tick() => Some(Message::Ping(Bytes::new())),
            _ = shutdown.wait_for(|is_down| *is_down) => Some(close(close_code::AWAY, "the node is stopping")),
        };
        let Some(message) = message else { continue };
        let is_last = matches!(message, Message::Close(_));
        if let Err(error) = socket.send(message).await {
            tracing::debug!(%error, "a client's connection broke off");
            return;
        }
        if is_last {
            return;
        }
    }
}

impl Session {
    /// Starts what a message asks for; answers at once what needs no waiting.
    fn take(&mut self, message: Message) -> Option<Message> {
        match message {
            Message::Text(text) => self.take_text(&text),
            Message::Binary(frame) => self.take_records(&frame),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => None,
        }
    }

    fn take_text(&mut self, text: &str) -> Option<Message> {
        let request = match rpc::parse(text.as_bytes()) {
            Ok(request) => request,
            Err(response) => return Some(Message::text(response)),
        };
        if rpc::is_subscription(&request) {
            self.finals.get_or_insert_with(|| self.api.feed.subscribe());
            let id = request.get("id")?;
            return Some(Message::text(rpc::success(id.clone(), Value::Bool(true))));
        }
        let api = self.api.clone();
        self.replies.spawn(async move { api.answer(request).await.map(Message::text) });
        None
    }

    fn take_records(&mut self, frame: &[u8]) -> Option<Message> {
        let (request_id, records) = match wire::split_frame(frame) {
            Ok((request_id, records)) if request_id != wire::FINAL_REQUEST_ID => (request_id, records.to_vec()),
            Ok(_) => return Some(failure(None, "request id 0xffffffff is for final blocks: use another")),
            Err(error) => return Some(failure(None, &format!("binary frame: {error}"))),
        };
        let api = self.api.clone();
        self.replies.spawn(async move {
            let deadline = Instant::now() + api.limits.request_timeout;
            Some(match api.submit(records, deadline).await {
                Ok(admissions) => Message::binary(wire::encode_admissions(request_id, &admissions)),
                Err(mut error) => {
                    error.data.request_id = Some(request_id);
                    Message::text(rpc::failure(Value::Null, &error))
                }
            })
        });
        None
    }
}

/// Waits for ever when nothing is followed.
async fn next_final(finals: &mut Option<Finals>) -> Message {
    let Some(finals) = finals else { return std::future::pending().await };
    match finals.recv().await {
        Ok(notice) => Message::Binary(notice.frame.clone()),
        Err(broadcast::error::RecvError::Lagged(missed)) => {
            close(close_code::POLICY, &format!("too slow: missed {missed} final blocks; subscribe again"))
        }
        Err(broadcast::error::RecvError::Closed) => close(close_code::AWAY, "the node is stopping"),
    }
}

fn failure(request_id: Option<u32>, what: &str) -> Message {
    let mut error = wire::RpcError::new(wire::INVALID_REQUEST, what);
    error.data.request_id = request_id;
    Message::text(rpc::failure(Value::Null, &error))
}

fn failed() -> Message {
    close(close_code::ERROR, "the node failed on this request")
}

fn refusal(error: &axum::Error, body_max_bytes: usize) -> Message {
    tracing::debug!(%error, "a client's frame was refused");
    close(close_code::SIZE, &format!("cannot read this frame; the largest allowed has {body_max_bytes} bytes"))
}

fn close(code: CloseCode, reason: &str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::from(reason) }))
}
