//! Four real nodes: what clients send becomes final everywhere; absences, forks and hostile connections change nothing of that.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use common::{TestNetwork, applied, star_key, wait_until};
use constellation_chain::{Hash, StarHead, Transaction};
use constellation_node::api::TransactionStatus;
use constellation_protocol::Admission;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A star's first `count` transfers to another, as a chain.
fn chain(network: &TestNetwork, from: u64, to: u64, count: usize) -> Vec<Transaction> {
    let (mut from_at, mut to_at) = (StarHead::default(), StarHead::default());
    (0..count)
        .map(|_| {
            let next = network.transfer((from, from_at), (to, to_at), 1);
            from_at = StarHead { sequence: from_at.sequence + 1, head: next.id() };
            to_at = StarHead { sequence: to_at.sequence + 1, head: next.id() };
            next
        })
        .collect()
}

#[test]
fn what_is_sent_to_any_node_is_final_on_all() {
    let mut network = TestNetwork::start(4, 20);
    let mut sent = Vec::new();
    for index in 0..4 {
        let chain = chain(&network, 2 * index as u64, 2 * index as u64 + 1, 50);
        let admissions = network.client(index).submit(&chain).unwrap();
        assert!(admissions.iter().all(|admission| *admission == Admission::Admitted), "{admissions:?}");
        sent.extend(chain);
    }
    for index in 0..4 {
        let mut client = network.client(index);
        wait_until("all is final", || sent.iter().all(|transaction| applied(&mut client, &transaction.id())));
        let star = client.star(&star_key(0).public_key()).unwrap();
        assert_eq!((star.balance, star.head.sequence), (1_000_000 - 50, 50));
        assert_eq!(client.submit(&sent[..1]).unwrap(), [Admission::Final]);
    }
    let audits = network.audit();
    assert!(audits.windows(2).all(|pair| pair[0].contents_digest == pair[1].contents_digest), "{audits:?}");
    assert_eq!((audits[0].applied, audits[0].total_supply), (200, 20_000_000));
}

#[test]
fn with_two_of_four_away_nothing_commits_and_nothing_is_lost() {
    let mut network = TestNetwork::start(4, 20);
    let first = chain(&network, 0, 1, 10);
    network.client(0).submit(&first).unwrap();
    let mut client = network.client(1);
    wait_until("the first are final", || first.iter().all(|transaction| applied(&mut client, &transaction.id())));
    network.stop(2);
    network.stop(3);
    let second = chain(&network, 2, 3, 10);
    network.client(0).submit(&second).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let is_final = |client: &mut constellation_node::api::Client, id: &Hash| applied(client, id);
    assert!(!second.iter().any(|transaction| is_final(&mut client, &transaction.id())), "two of four cannot commit");
    network.restart(3);
    for index in [0, 1, 3] {
        let mut client = network.client(index);
        wait_until("they go on", || second.iter().all(|transaction| applied(&mut client, &transaction.id())));
    }
    network.restart(2);
    let mut late = network.client(2);
    wait_until("the last catches up", || second.iter().all(|transaction| applied(&mut late, &transaction.id())));
    let audits = network.audit();
    assert!(audits.windows(2).all(|pair| pair[0].contents_digest == pair[1].contents_digest), "{audits:?}");
}

#[test]
fn of_a_fork_sent_to_two_nodes_exactly_one_stands_and_the_pair_is_evidence() {
    let mut network = TestNetwork::start(4, 20);
    let start = StarHead::default();
    let (one, rival) = (network.transfer((0, start), (1, start), 5), network.transfer((0, start), (2, start), 5));
    let mut clients: Vec<_> = (0..4).map(|index| network.client(index)).collect();
    clients[0].submit(std::slice::from_ref(&one)).unwrap();
    clients[3].submit(std::slice::from_ref(&rival)).unwrap();
    let settled = |status: &TransactionStatus| {
        matches!(status, TransactionStatus::Applied { .. } | TransactionStatus::Censored { .. })
    };
    let mut verdicts = Vec::new();
    for client in &mut clients {
        let mut both = || [one.id(), rival.id()].map(|id| client.transaction(&id).unwrap());
        wait_until("both are settled", || both().iter().all(settled));
        verdicts.push(both());
    }
    assert!(verdicts.windows(2).all(|pair| pair[0] == pair[1]), "{verdicts:?}");
    let standing = verdicts[0].iter().filter(|status| matches!(status, TransactionStatus::Applied { .. })).count();
    assert_eq!(standing, 1, "{verdicts:?}");
    assert_eq!(clients[2].star(&star_key(0).public_key()).unwrap().forks, 1);
    drop(clients);
    assert!(network.audit().iter().all(|audit| audit.evidence == 1));
}

/// What a connection that is up to no good sends, and the reason it must be counted under.
fn hostile_connections(network: &TestNetwork) -> Vec<(&'static str, Vec<u8>)> {
    let preamble = |network_id: [u8; 8]| [&b"CSTL-NET\x02\x00"[..], &network_id].concat();
    let mut other = network.network_id().0;
    other[0] ^= 1;
    vec![
        ("bad_preamble", b"GET / HTTP/1.1\r\nHost: node\r\n\r\n".to_vec()),
        ("wrong_network", preamble(other)),
        // A first handshake message, which anybody can make, and then no third one that fits.
        (
            "handshake_failed",
            [&preamble(network.network_id().0)[..], &[32, 0], &[0x11; 32], &[64, 0], &[0x22; 64]].concat(),
        ),
    ]
}

#[test]
fn hostile_connections_close_with_a_counted_reason_and_commits_go_on() {
    let mut network = TestNetwork::start(4, 20);
    let closed = |network: &TestNetwork, reason: &str| {
        network.client(0).metrics().unwrap()["net"]["closed"][reason].as_u64().unwrap_or(0)
    };
    let mut sent = Vec::new();
    for round in 0..4 {
        let part = chain(&network, 2 * round as u64, 2 * round as u64 + 1, 50);
        network.client(round).submit(&part).unwrap();
        sent.extend(part);
        for (reason, bytes) in hostile_connections(&network) {
            let before = closed(&network, reason);
            let mut stream = TcpStream::connect(network.addresses[0].0).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream.write_all(&bytes).unwrap();
            let mut rest = Vec::new();
            // The node hangs up; a reset is a way of doing so.
            stream.read_to_end(&mut rest).ok();
            wait_until(reason, || closed(&network, reason) > before);
        }
    }
    let mut client = network.client(3);
    wait_until("all is final", || sent.iter().all(|transaction| applied(&mut client, &transaction.id())));
    assert_eq!(client.status().unwrap().peers_connected, 3, "no honest connection was lost");
    drop(client);
    let audits = network.audit();
    assert!(audits.windows(2).all(|pair| pair[0].contents_digest == pair[1].contents_digest));
}

#[test]
fn a_log_cut_in_its_last_record_is_completed_by_the_peers() {
    let mut network = TestNetwork::start(4, 20);
    let sent = chain(&network, 0, 1, 30);
    for part in sent.chunks(5) {
        network.client(1).submit(part).unwrap();
        let mut client = network.client(2);
        let last = part.last().unwrap().id();
        wait_until("the part is final", || applied(&mut client, &last));
    }
    let mut client = network.client(2);
    wait_until("node 2 has all", || sent.iter().all(|transaction| applied(&mut client, &transaction.id())));
    drop(client);
    network.stop(2);
    let log_dir = network.data_dir(2).log_path();
    let last = {
        let reader = constellation_storage::Reader::open(&log_dir).unwrap();
        let last = reader.iter_from(0).last().unwrap().unwrap();
        (last.segment.to_owned(), last.offset)
    };
    let file = std::fs::OpenOptions::new().write(true).open(&last.0).unwrap();
    file.set_len(last.1 + 40).unwrap();
    network.restart(2);
    let mut client = network.client(2);
    wait_until("what was cut off is fetched", || {
        sent.iter().all(|transaction| applied(&mut client, &transaction.id()))
    });
    drop(client);
    let audits = network.audit();
    assert!(audits.windows(2).all(|pair| pair[0].contents_digest == pair[1].contents_digest));
}
