//! JSON-RPC, raw transactions and metrics over plain HTTP.

use super::*;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// A whole HTTP response: status, head, body.
fn exchange(address: &str, method_and_path: &str, body: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "{method_and_path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

fn post_json(fixture: &Fixture, body: &str) -> Value {
    let (status, _, text) = exchange(&fixture.address(), "POST /rpc", body.as_bytes());
    assert_eq!(status, 200);
    serde_json::from_str(&text).unwrap()
}

fn call(fixture: &Fixture, method: &str, params: Value) -> Result<Value, (i64, String)> {
    let request = json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params });
    let response = post_json(fixture, &request.to_string());
    assert_eq!((&response["jsonrpc"], &response["id"]), (&json!("2.0"), &json!("a")));
    match response.get("error") {
        None => Ok(response["result"].clone()),
        Some(error) => Err((error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())),
    }
}

fn error_code(response: &Value) -> i64 {
    response["error"]["code"].as_i64().unwrap()
}

#[test]
fn every_method_answers() {
    let fixture = Fixture::start();
    let status = call(&fixture, "node_status", json!({})).unwrap();
    assert_eq!((&status["height"], &status["network_id"]), (&json!(9), &json!("abababababababab")));
    let star = bob().public_key();
    let account = call(&fixture, "star_account", json!({ "star": star })).unwrap();
    assert_eq!((&account["balance"], &account["sequence"]), (&json!(u64::MAX - 1), &json!(star.0[0])));
    let offers = call(&fixture, "star_offers", json!({ "star": star })).unwrap();
    assert_eq!(offers, json!({ "offers": [hex::encode(offer().to_bytes())] }));
    let galaxy = |first: u8| call(&fixture, "galaxy_head", json!({ "genesis": Hash([first; 32]) })).unwrap();
    let head = json!({ "height": 5, "head": Hash([6; 32]), "forked_at": null });
    assert_eq!((galaxy(9), galaxy(8)), (head, json!(null)));
    let record = hex::encode(offer().to_bytes());
    assert_eq!(call(&fixture, "offer_submit", json!({ "offer": record })).unwrap(), json!({ "admission": "known" }));
    let records = vec![hex::encode(transaction().to_bytes()); 5];
    let admissions = call(&fixture, "transaction_submit", json!({ "transactions": records })).unwrap();
    let expected = json!([
        { "admission": "admitted" },
        { "admission": "known" },
        { "admission": "final" },
        { "admission": "busy", "retry_after_ms": 250 },
        { "admission": "censored", "reason": "fork" },
    ]);
    assert_eq!(admissions, expected);
}

#[test]
fn a_transaction_is_followed_from_the_pool_to_its_end() {
    let fixture = Fixture::start();
    let state = |first: u8| call(&fixture, "transaction_status", json!({ "id": Hash([first; 32]) })).unwrap();
    fixture.feed.dropped(Hash([3; 32]), None);
    fixture.feed.dropped(Hash([1; 32]), Some(Reason::Gap));
    let outcomes = vec![(Hash([4; 32]), None), (Hash([5; 32]), Some(Reason::Balance))];
    fixture.feed.publish(FinalBlock { height: 8, black_hole: Hash([9; 32]), outcomes });
    assert_eq!(state(0), json!({ "state": "unknown" }));
    assert_eq!(state(1), json!({ "state": "admitted" }), "what was dropped and sent again is in the pool");
    assert_eq!(state(2), json!({ "state": "cluster_final" }));
    assert_eq!(state(3), json!({ "state": "dropped", "reason": null }));
    assert_eq!(state(4), json!({ "state": "applied", "height": 8, "black_hole": Hash([9; 32]) }));
    let censored = json!({ "state": "censored", "height": 8, "black_hole": Hash([9; 32]), "reason": "balance" });
    assert_eq!(state(5), censored);
}

#[test]
fn wrong_parameters_are_named() {
    let fixture = Fixture::start();
    let refused = |method, params, what: &str| {
        let (code, message) = call(&fixture, method, params).unwrap_err();
        assert!(code == wire::INVALID_PARAMS && message.contains(what), "{method}: {code} {message}");
    };
    refused("star_account", json!({}), "star");
    refused("star_account", json!({ "star": "zz" }), "64 hex digits");
    refused("star_account", json!({ "star": Hash::ZERO, "stars": 1 }), "stars");
    refused("star_account", json!([Hash::ZERO]), "by name");
    refused("transaction_status", json!({ "id": 7 }), "string");
    refused("offer_submit", json!({ "offer": "0g" }), "hex digits");
    refused("offer_submit", json!({ "offer": "00" }), "cut short");
    refused("transaction_submit", json!({ "transactions": ["abc"] }), "hex digits");
    let cut = hex::encode(&transaction().to_bytes()[..100]);
    refused("transaction_submit", json!({ "transactions": [cut] }), "record 0");
    assert_eq!(call(&fixture, "subscribe_final", json!({})).unwrap_err().0, wire::INVALID_REQUEST);
    assert_eq!(call(&fixture, "star_acount", json!({})).unwrap_err().0, wire::METHOD_NOT_FOUND);
}

#[test]
fn what_is_no_request_is_refused_by_the_standard_codes() {
    let fixture = Fixture::start();
    let code = |body: &str| {
        let response = post_json(&fixture, body);
        assert_eq!(response["id"], Value::Null);
        error_code(&response)
    };
    assert_eq!(code("{"), wire::PARSE_ERROR);
    assert_eq!(code(""), wire::PARSE_ERROR);
    assert_eq!(code(&"[".repeat(100_000)), wire::PARSE_ERROR);
    assert_eq!(code("7"), wire::INVALID_REQUEST);
    assert_eq!(code("[]"), wire::INVALID_REQUEST);
    assert_eq!(code(r#"{"method":"node_status"}"#), wire::INVALID_REQUEST);
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":{},"method":"node_status"}"#), wire::INVALID_REQUEST);
    let many = vec![json!({ "jsonrpc": "2.0", "id": 1, "method": "node_status" }); 257];
    assert_eq!(code(&json!(many).to_string()), wire::INVALID_REQUEST);
}

#[test]
fn batches_answer_all_but_notifications() {
    let fixture = Fixture::start();
    let request = |id: u32| json!({ "jsonrpc": "2.0", "id": id, "method": "node_status" });
    let notification = json!({ "jsonrpc": "2.0", "method": "node_status" });
    let batch = json!([request(1), notification, 7, request(2)]);
    let responses = post_json(&fixture, &batch.to_string());
    let ids: Vec<&Value> = responses.as_array().unwrap().iter().map(|response| &response["id"]).collect();
    assert_eq!(ids, [&json!(1), &Value::Null, &json!(2)]);
    assert_eq!(error_code(&responses[1]), wire::INVALID_REQUEST);
    let silent = json!([notification]).to_string();
    assert_eq!(exchange(&fixture.address(), "POST /rpc", silent.as_bytes()).0, 204);
}

#[test]
fn raw_transactions_are_taken_by_post() {
    let fixture = Fixture::start();
    let records = transaction().to_bytes().repeat(2);
    let (status, head, body) = exchange(&fixture.address(), "POST /transactions", &records);
    assert_eq!((status, body.as_str()), (200, r#"[{"admission":"admitted"},{"admission":"known"}]"#));
    assert!(head.contains("content-type: application/json"));
    let (status, _, body) = exchange(&fixture.address(), "POST /transactions", &records[..400]);
    assert!(status == 400 && body.contains("record 1"), "{status} {body}");
    let (status, _, body) = exchange(&fixture.address(), "GET /metrics", b"");
    assert_eq!((status, body.as_str()), (200, r#"{"records":2}"#));
}

#[test]
fn a_busy_node_says_when_to_retry() {
    let fixture = Fixture::start();
    fixture.node.is_busy.store(true, Ordering::SeqCst);
    let (status, head, _) = exchange(&fixture.address(), "POST /transactions", &transaction().to_bytes());
    assert!(status == 503 && head.contains("retry-after: 2"), "{head}");
    let response = post_json(&fixture, r#"{"jsonrpc":"2.0","id":1,"method":"node_status"}"#);
    assert_eq!(error_code(&response), wire::BUSY);
    assert_eq!(response["error"]["data"], json!({ "retry_after_ms": 1500 }));
}

#[test]
fn oversized_bodies_are_refused() {
    let fixture = Fixture::with(ApiLimits { body_max_bytes: 1000, ..ApiLimits::default() });
    let (status, _, body) = exchange(&fixture.address(), "POST /transactions", &[0; 1001]);
    assert!(status == 413 && body.contains("1000 bytes"), "{status} {body}");
    let (status, _, body) = exchange(&fixture.address(), "POST /rpc", &[b' '; 1001]);
    assert_eq!((status, error_code(&serde_json::from_str(&body).unwrap())), (413, wire::INVALID_REQUEST));
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for_without_end() {
    let fixture = Fixture::with(ApiLimits { request_timeout: Duration::from_millis(200), ..ApiLimits::default() });
    fixture.node.is_silent.store(true, Ordering::SeqCst);
    let record = hex::encode(transaction().to_bytes());
    let timed_out = call(&fixture, "transaction_submit", json!({ "transactions": [record] })).unwrap_err();
    assert_eq!(timed_out.0, wire::TIMED_OUT);
    let (status, ..) = exchange(&fixture.address(), "POST /transactions", &transaction().to_bytes());
    assert_eq!(status, 504);
}

#[test]
fn a_silent_connection_is_closed() {
    let fixture = Fixture::with(ApiLimits { idle_timeout: Duration::from_millis(50), ..ApiLimits::default() });
    let mut stream = TcpStream::connect(fixture.address()).unwrap();
    stream.write_all(b"POST /rpc HTTP/1.1\r\n").unwrap();
    let mut rest = Vec::new();
    // The end of the stream, or a reset: not a wait without end.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}
