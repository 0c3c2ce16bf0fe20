//! The client, and what only a WebSocket does: binary frames, pipelines, subscriptions.

use super::*;
use std::net::{TcpListener, TcpStream};
use tungstenite::{Message, WebSocket};

const WAIT: Duration = Duration::from_secs(20);

/// A socket that is driven frame by frame.
fn raw_socket(fixture: &Fixture) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(fixture.address()).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    tungstenite::client(format!("ws://{}/ws", fixture.address()), stream).unwrap().0
}

fn submit_frame(request_id: u32, records: &[u8]) -> Message {
    Message::binary([&request_id.to_le_bytes(), records].concat())
}

fn read_error(socket: &mut WebSocket<TcpStream>) -> wire::RpcError {
    let text = socket.read().unwrap().into_text().unwrap();
    let response: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(response["id"], serde_json::Value::Null);
    serde_json::from_value(response["error"].clone()).unwrap()
}

#[test]
fn the_client_reads_every_answer() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    assert_eq!(client.status().unwrap(), status());
    let star = bob().public_key();
    assert_eq!(client.star(&star).unwrap(), account(&star));
    assert_eq!(client.offers(&star, NETWORK).unwrap(), [offer()]);
    assert_eq!(client.offers(&alice().public_key(), NETWORK).unwrap(), []);
    assert_eq!(client.submit_offer(&offer()).unwrap(), Admission::Known);
    assert_eq!(client.submit(&vec![transaction(); 5]).unwrap(), ADMISSIONS);
    assert_eq!(client.submit(&[]).unwrap(), []);
    assert_eq!(client.transaction(&Hash([1; 32])).unwrap(), TransactionStatus::Admitted);
    fixture.feed.publish(block(3, 2));
    let applied = TransactionStatus::Applied { height: 3, black_hole: Hash([3; 32]) };
    assert_eq!(client.transaction(&block(3, 2).outcomes[1].0).unwrap(), applied);
}

#[test]
fn every_way_to_write_the_address_works() {
    let fixture = Fixture::start();
    for address in ["", "http://", "ws://"].map(|scheme| format!("{scheme}{}", fixture.address())) {
        assert!(Client::connect(&address).unwrap().status().is_ok());
    }
    assert!(Client::connect(&format!("ws://{}/ws", fixture.address())).unwrap().status().is_ok());
    for wrong in ["", "https://127.0.0.1:1", "127.0.0.1", "127.0.0.1:1/rpc"] {
        assert!(matches!(Client::connect(wrong), Err(ClientError::Address { .. })), "{wrong}");
    }
}

#[test]
fn more_transactions_than_a_frame_holds_go_in_several() {
    let fixture = Fixture::start();
    let transactions = vec![transaction(); wire::FRAME_MAX_BYTES / transaction().len_bytes() + 10];
    assert_eq!(fixture.client().submit(&transactions).unwrap().len(), transactions.len());
    assert_eq!(fixture.node.records.load(Ordering::SeqCst), transactions.len() as u64);
    let too_large = fixture.client().submit_records(&vec![0; wire::FRAME_MAX_BYTES]);
    assert!(matches!(too_large, Err(ClientError::TooLarge { .. })));
}

#[test]
fn refusals_reach_the_client_typed() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let malformed = client.submit_records(&transaction().to_bytes()[..100]);
    assert!(
        matches!(&malformed, Err(ClientError::Refused { code: wire::INVALID_PARAMS, message }) if message.contains("record 0"))
    );
    fixture.node.is_busy.store(true, Ordering::SeqCst);
    assert!(matches!(client.submit(&[transaction()]), Err(ClientError::Busy { retry_after_ms: 1500 })));
    assert!(matches!(client.status(), Err(ClientError::Busy { retry_after_ms: 1500 })));
    fixture.node.is_busy.store(false, Ordering::SeqCst);
    assert!(client.status().is_ok(), "a refusal leaves the connection usable");
}

#[test]
fn a_late_answer_is_not_taken_for_the_next() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    fixture.node.is_silent.store(true, Ordering::SeqCst);
    client.set_timeout(Duration::from_millis(50));
    assert!(matches!(client.submit(&[transaction()]), Err(ClientError::TimedOut { .. })));
    // On a loaded machine the frame may arrive after the time-out: wait until the node holds it.
    let reply = loop {
        match fixture.node.unanswered.lock().unwrap().pop() {
            Some(reply) => break reply,
            None => std::thread::yield_now(),
        }
    };
    fixture.node.is_silent.store(false, Ordering::SeqCst);
    client.set_timeout(WAIT);
    reply.send(SubmitReply::Admissions(vec![Admission::Final; 7])).unwrap();
    assert_eq!(client.submit(&[transaction()]).unwrap(), [Admission::Admitted]);
}

#[test]
fn frames_are_pipelined() {
    let fixture = Fixture::with(ApiLimits { requests_in_flight_max: 3, ..ApiLimits::default() });
    let mut socket = raw_socket(&fixture);
    let records = transaction().to_bytes();
    (0..50).for_each(|id| socket.write(submit_frame(id, &records)).unwrap());
    socket.flush().unwrap();
    let mut answered: Vec<u32> =
        (0..50).map(|_| wire::split_frame(&socket.read().unwrap().into_data()).unwrap().0).collect();
    answered.sort_unstable();
    assert_eq!(answered, (0..50).collect::<Vec<u32>>());
}

#[test]
fn malformed_frames_are_answered_and_named() {
    let fixture = Fixture::start();
    let mut socket = raw_socket(&fixture);
    socket.send(Message::binary(vec![1, 2, 3])).unwrap();
    assert!(read_error(&mut socket).message.contains("cut short"));
    socket.send(submit_frame(wire::FINAL_REQUEST_ID, &[])).unwrap();
    assert!(read_error(&mut socket).message.contains("use another"));
    socket.send(submit_frame(77, &[0; 5])).unwrap();
    assert_eq!(read_error(&mut socket).data.request_id, Some(77));
    socket.send(Message::text("{")).unwrap();
    assert_eq!(read_error(&mut socket).code, wire::PARSE_ERROR);
    let batch = r#"[{"jsonrpc":"2.0","id":null,"method":"subscribe_final"}]"#;
    socket.send(Message::text(batch)).unwrap();
    assert!(socket.read().unwrap().into_text().unwrap().contains("not in a batch"));
}

#[test]
fn an_oversized_frame_closes_the_connection_with_a_reason() {
    let fixture = Fixture::with(ApiLimits { body_max_bytes: 1000, ..ApiLimits::default() });
    let mut socket = raw_socket(&fixture);
    // Only the frame's header, with its masking key: its length alone is refused.
    let header = [0x82, 0x80 | 126, 0x04, 0x00, 0, 0, 0, 0];
    std::io::Write::write_all(socket.get_mut(), &header).unwrap();
    let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("expected a close frame") };
    assert!(frame.reason.contains("1000 bytes"), "{}", frame.reason);
}

#[test]
fn subscribers_get_whole_blocks() {
    let fixture = Fixture::start();
    let mut streams = [(); 2].map(|()| fixture.client().subscribe().unwrap());
    assert_eq!(streams[0].next(Duration::from_millis(1)).unwrap(), None);
    let blocks = [block(1, 5000), block(2, 0), block(3, 40_000)];
    blocks.iter().for_each(|block| fixture.feed.publish(block.clone()));
    for stream in &mut streams {
        for block in &blocks {
            assert_eq!(stream.next(WAIT).unwrap().as_ref(), Some(block));
        }
    }
}

#[test]
fn a_slow_subscriber_is_told_and_closed() {
    let fixture = Fixture::with(ApiLimits { write_timeout: WAIT, ..ApiLimits::default() });
    let mut stream = fixture.client().subscribe().unwrap();
    // Far more than the sockets' buffers and the feed hold together.
    (0..400).for_each(|height| fixture.feed.publish(block(height, 5000)));
    let mut heights = Vec::new();
    let end = loop {
        match stream.next(WAIT) {
            Ok(block) => heights.push(block.unwrap().height),
            Err(error) => break error,
        }
    };
    assert!(heights.iter().copied().eq(0..heights.len() as u64), "no gap before the end");
    assert!(heights.len() < 400);
    assert!(matches!(&end, ClientError::Closed { reason } if reason.contains("missed")), "{end}");
}

#[test]
fn a_subscriber_that_answers_pings_is_not_idle() {
    let fixture = Fixture::with(ApiLimits { idle_timeout: Duration::from_millis(600), ..ApiLimits::default() });
    let mut stream = fixture.client().subscribe().unwrap();
    assert_eq!(stream.next(Duration::from_millis(1500)).unwrap(), None);
    fixture.feed.publish(block(1, 1));
    assert_eq!(stream.next(WAIT).unwrap(), Some(block(1, 1)));
}

#[test]
fn connections_above_the_limit_are_told_to_come_back() {
    let fixture = Fixture::with(ApiLimits { connections_max: 2, ..ApiLimits::default() });
    let (mut first, second) = (fixture.client(), fixture.client());
    assert!(matches!(Client::connect(&fixture.address()), Err(ClientError::Busy { retry_after_ms: 1000 })));
    assert!(first.status().is_ok());
    drop(second);
    // The server notices a little later that the second has left.
    let mut third = loop {
        match Client::connect(&fixture.address()) {
            Ok(client) => break client,
            Err(error) => assert!(matches!(error, ClientError::Busy { .. }), "{error}"),
        }
    };
    assert!(third.status().is_ok());
}

#[test]
fn shutting_down_tells_the_clients_and_ends_the_thread() {
    let fixture = Fixture::start();
    let mut stream = fixture.client().subscribe().unwrap();
    fixture.server.shutdown();
    let end = stream.next(WAIT).unwrap_err();
    assert!(matches!(&end, ClientError::Closed { reason } if reason.contains("stopping")), "{end}");
    assert_eq!(Arc::strong_count(&fixture.feed), 1, "nothing of the server is left");
}

#[test]
fn errors_say_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let node = Arc::new(FakeNode::default());
    let second = ApiServer::start(address, node, Arc::new(FinalFeed::new(1)), ApiLimits::default());
    assert!(second.err().unwrap().to_string().contains("is another node running there?"));
    // No free port is ever taken below 1024: nothing listens there.
    let nobody = Client::connect("127.0.0.1:1").err().unwrap();
    assert!(nobody.to_string().starts_with("cannot connect to 127.0.0.1:1: is the node running?"));
}
