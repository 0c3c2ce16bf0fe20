//! A validator that floods: messages of rounds far ahead, as fast as the others take them, over a real connection.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use common::{TestNetwork, applied, wait_until};
use constellation_acs::{InstanceSet, Message as SubsetMessage, Step, Value, Vote};
use constellation_chain::{StarHead, Tier};
use constellation_net::{Channel, Config, Event, Identity, Limits, Network, Peer, PeerId, SendError, Sink};
use constellation_protocol::Message;

/// What others say is nothing to a flooder.
struct Deaf;

impl Sink for Deaf {
    fn deliver(&mut self, _: Event) -> Result<(), Event> {
        Ok(())
    }
}

/// Takes the place of the stopped node `index`, with its key and on its address.
fn impersonate(network: &TestNetwork, index: usize) -> Network {
    let peers = network.genesis.nodes().iter();
    let config = Config {
        listen: network.addresses[index].0,
        identity: Identity::from_seed(network.data_dir(index).key().unwrap().seed()),
        network_id: network.network_id().0,
        peers: peers.map(|node| Peer { public_key: node.public_key.0, address: node.address }).collect(),
        limits: Limits::default(),
    };
    Network::start(config, Deaf).unwrap()
}

/// A message of either tier, `ahead` rounds ahead.
fn message(round: u64, tier: Tier) -> Vec<u8> {
    let instances = InstanceSet::from_bits(0b1111);
    let message =
        SubsetMessage::Votes(vec![Vote::Agree { instances, round: 2, step: Step::ALL[0], value: Value::One }]);
    Message::Round { tier, round, message }.to_bytes()
}

#[test]
fn a_flood_from_far_ahead_is_blamed_on_its_sender_and_commits_go_on() {
    const FAR: u64 = 10_000;
    let mut network = TestNetwork::start(4, 20);
    network.stop(3);
    let hostile = impersonate(&network, 3);
    let handle = hostile.handle();
    let mut client = network.client(0);
    let status = client.status().unwrap();
    let mut sent = 0_u64;
    let mut flood = || {
        for number in 0..2_000 {
            let tier = if number % 2 == 0 { Tier::Galaxy } else { Tier::Cluster(0) };
            let bytes = message(status.height + 3 + (sent + number) % FAR, tier);
            for peer in 0..3 {
                match handle.send(PeerId(peer), Channel::Consensus, bytes.clone()) {
                    Ok(()) | Err(SendError::Full) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        sent += 2_000;
    };
    wait_until("the flooder is connected", || client.status().unwrap().peers_connected == 3);
    let mut heads = [StarHead::default(); 2];
    for _ in 0..30 {
        flood();
        let transfer = network.transfer((0, heads[0]), (1, heads[1]), 1);
        heads = [StarHead { sequence: heads[0].sequence + 1, head: transfer.id() }; 2];
        client.submit(std::slice::from_ref(&transfer)).unwrap();
        wait_until("a transfer is final", || applied(&mut client, &transfer.id()));
    }
    let metrics = client.metrics().unwrap();
    let faults: Vec<u64> = serde_json::from_value(metrics["faults_by_node"].clone()).unwrap();
    assert!(faults[3] > 0 && faults[..3] == [0, 0, 0], "{faults:?}");
    drop(client);
    drop(hostile);
    network.restart(3);
    let height = |index: usize| network.client(index).status().unwrap().height;
    wait_until("the node itself is back and level", || (1..4).all(|index| height(index) == height(0)));
    let audits = network.audit();
    assert!(audits.iter().all(|audit| audit.applied == 30));
}
