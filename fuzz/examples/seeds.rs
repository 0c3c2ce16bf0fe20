//! Writes the seed corpus: `cargo run --example seeds`, in this folder. The same bytes every time but for storage's random seeds.

use constellation_acs::{
    Fragment, InstanceSet, JournalEntry, Message as SubsetMessage, Step as SubsetStep, Value, Vote,
};
use constellation_chain::{
    BlackHole, COMMITTEE_MAX, CertifiedHeader, Hash, Kind, Offer, RoundId, Share, StarHead, Tier, Transaction, vrf,
};
use constellation_fuzz::{Driver, Step, genesis, network_id, node_key, star_key};
use constellation_node::NodeConfig;
use constellation_node::api::FinalBlock;
use constellation_node::api::wire::{self, RpcError, TransactionStatus};
use constellation_protocol::{Admission, JournalRecord, Message};
use constellation_storage::{Log, LogOptions};
use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;

type Anything = Result<(), Box<dyn std::error::Error>>;

/// Input of `constellation_fuzz::transactions`: three transfers, a fork, a join.
const TRANSFERS: &[u8] = &[
    0, 0, 1, 5, 0, 0, 0, 0, 0, 1, 2, 7, 0, 0, 0, 3, 0, 0, 2, 9, 0, 0, 0, 0, 0, 0, 3, 9, 0, 1, 0, 0, 1, 3, 0, 0, 0, 0,
    0, 9,
];

fn save(target: &str, name: &str, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join(name), bytes)
}

fn main() -> Anything {
    chain()?;
    subset()?;
    protocol()?;
    storage()?;
    node()?;
    save("gossip", "announce-request-deliver", gossip_script())?;
    Ok(())
}

fn chain() -> Anything {
    let (alice, bob) = (star_key(0), star_key(1));
    let offer = Offer::new(Kind::Transfer, network_id(), &alice, StarHead::default(), bob.public_key(), 25, b"tea")?;
    let transaction = offer.countersign(&bob, StarHead::default())?;
    let join = Transaction::one_sided(Kind::Join, network_id(), &alice, StarHead::default(), b"here")?;
    save("offer", "transfer", offer.to_bytes())?;
    save("transaction", "transfer", transaction.to_bytes())?;
    save("transaction", "join", join.to_bytes())?;
    save("ledger", "transfers-fork-join", TRANSFERS)?;
    save("lsh_block", "transfers-fork-join", TRANSFERS)?;
    save("genesis", "four-nodes.toml", genesis().to_toml())?;
    let proof = vrf::prove(&node_key(0), b"input");
    save("vrf", "proof", [&node_key(0).public_key().0[..], &proof, b"input"].concat())?;
    let signed = alice.sign(b"message");
    save("verify", "signature", [&alice.public_key().0[..], &signed.0, b"message"].concat())?;
    Ok(())
}

fn subset() -> Anything {
    let (proposer, root) = (1, [5; 32]);
    let votes = SubsetMessage::Votes(vec![
        Vote::Echo { proposer, root },
        Vote::Ready { proposer, root },
        Vote::ReadyAsEchoed { proposers: InstanceSet::from_bits(0b1101) },
        Vote::Agree { instances: InstanceSet::from_bits(0b1110), round: 0, step: SubsetStep::Echo, value: Value::One },
        Vote::Agree { instances: InstanceSet::one(2), round: 1, step: SubsetStep::Echo3, value: Value::Bottom },
        Vote::Coin { instance: 1, round: 2, proof: vec![3; 4] },
        Vote::CoinMin { instance: 1, round: 2, owner: 2, proof: vec![4; 4] },
        Vote::Decided { instances: InstanceSet::one(1), value: true },
    ]);
    let payload = SubsetMessage::Payload { proposer, seal: [0; 64], payload: b"payload"[..].into() };
    let pull = SubsetMessage::Pull { proposer, root };
    let seal = SubsetMessage::Seal { proposer, root, seal: [0; 64] };
    // As of a committee of four, where a piece has a branch of two hashes.
    let fragment = Fragment { index: 0, seal: [0; 64], payload_len_bytes: 7, branch: vec![[6; 32]; 2], bytes: b"payl"[..].into() };
    let held = JournalEntry::HeldFragment { proposer, root, fragment: fragment.clone() };
    let fragment = SubsetMessage::Fragment { proposer, root, fragment };
    let (mut script, mut journal) = (Vec::new(), Vec::new());
    for (name, message) in [("payload", payload), ("votes", votes), ("pull", pull), ("fragment", fragment), ("seal", seal)] {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        save("acs_message", name, &bytes)?;
        script.extend([1, bytes.len() as u8]);
        script.extend(&bytes);
        bytes.clear();
        JournalEntry::Sent(message).encode(&mut bytes);
        journal.push(bytes.len() as u8);
        journal.extend(bytes);
    }
    let mut bytes = Vec::new();
    held.encode(&mut bytes);
    journal.push(bytes.len() as u8);
    journal.extend(bytes);
    // A payload's fragments 0, 1 and 2 to and from their holders, echoes of all; then some of no payload's.
    let holders = [0b0000_1001, 0b0000_0010, 0b0000_0111, 0b0001_0001, 0b0001_0010, 0b0001_0011, 0b0001_1000, 0xff];
    let fragments = [&[0, 24][..], &[9; 24], &holders, &[1, 32], &[1; 8], &[2; 8], &[3; 8], &[4; 8], &holders].concat();
    save("acs_fragments", "of-a-payload-and-of-none", fragments)?;
    save("acs_subset", "one-of-each", script)?;
    save("acs_journal", "one-of-each", journal)?;
    Ok(())
}

/// A real run of four nodes; what node 0 hears and writes is recorded.
struct Recorder {
    nodes: Vec<Driver>,
    queue: VecDeque<(usize, Step)>,
    script: Vec<u8>,
    heard: Vec<Vec<u8>>,
}

impl Recorder {
    fn new() -> Self {
        let nodes = (0..4).map(Driver::new).collect();
        Recorder { nodes, queue: VecDeque::new(), script: Vec::new(), heard: Vec::new() }
    }

    /// All of `nodes` take `step`, and then everything that follows from it; what is for node 0 is lost unless it takes part.
    fn step(&mut self, nodes: Range<usize>, step: Step) {
        self.queue.extend(nodes.clone().map(|node| (node, step.clone())));
        while let Some((to, step)) = self.queue.pop_front() {
            if to == 0 {
                step.write(&mut self.script);
                if let Step::Message(_, bytes) = &step {
                    self.heard.push(bytes.clone());
                }
            }
            for (peer, bytes) in self.nodes[to].step(step) {
                let peer = usize::from(peer);
                if peer > 0 || nodes.start == 0 {
                    self.queue.push_back((peer, Step::Message(to as u16, bytes)));
                }
            }
        }
    }

    fn run_until(&mut self, nodes: Range<usize>, height: u64) {
        while self.nodes[nodes.end - 1].height() < height {
            self.step(nodes.clone(), Step::Time(10));
        }
    }
}

fn protocol() -> Anything {
    let mut run = Recorder::new();
    run.step(0..4, Step::Gossip(TRANSFERS.to_vec()));
    run.run_until(0..4, 1);
    save("protocol_node", "one-round", &run.script)?;
    save("protocol_journal", "one-round", journal_script(&run.nodes[0]))?;
    save_messages(&run.heard)?;
    late_node()
}

/// Nodes 1 to 3 make a black hole; node 0 comes late, and fetches it.
fn late_node() -> Anything {
    let mut run = Recorder::new();
    run.step(1..4, Step::Gossip(TRANSFERS.to_vec()));
    run.run_until(1..4, 1);
    run.step(0..1, Step::Connected(1));
    run.run_until(0..1, 1);
    save("protocol_node", "catch-up", &run.script)?;
    for bytes in &run.heard {
        if let Message::BlackHole(record) = Message::decode(bytes, COMMITTEE_MAX)? {
            save("protocol_message", "black-hole", bytes)?;
            save("black_hole", "transfers", &record)?;
            let (hole, certificate) = BlackHole::decode(&record, network_id())?;
            let carried = CertifiedHeader::new(hole.header, &certificate, 3);
            save("certified_header", "of-a-real-round", carried.to_bytes())?;
            let mut block = Vec::new();
            hole.lsh_blocks[0].write(&mut block);
            save("lsh_block", "sealed", block)?;
            assert!(hole.header.transaction_count() > 0, "the first black hole holds transactions");
        }
    }
    Ok(())
}

fn journal_script(node: &Driver) -> Vec<u8> {
    let mut records: Vec<JournalRecord> = node.journal().to_vec();
    let entry = JournalEntry::Held { proposer: 1, seal: [0; 64], payload: b"payload"[..].into() };
    records.push(JournalRecord { tier: Tier::Cluster(0), round: 1, entry });
    let instances = InstanceSet::one(1);
    let votes = vec![Vote::Agree { instances, round: 0, step: SubsetStep::Echo, value: Value::One }];
    let entry = JournalEntry::Sent(SubsetMessage::Votes(votes));
    records.push(JournalRecord { tier: Tier::Galaxy, round: 1, entry });
    let mut script = Vec::new();
    for record in records {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        script.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        script.extend(bytes);
    }
    script
}

fn save_messages(heard: &[Vec<u8>]) -> Anything {
    let share =
        Share::sign(&RoundId { network: network_id(), tier: Tier::Galaxy, number: 1 }, Hash([1; 32]), &node_key(1));
    let made = [
        Message::Share { tier: Tier::Galaxy, round: 1, share },
        Message::Status { height: 1, answer: true, cluster_rounds: vec![2] },
        Message::GetBlackHole { height: 1 },
        Message::GetLshBlock { cluster: 0, round: 1 },
    ];
    for (index, message) in made.iter().enumerate() {
        save("protocol_message", &format!("made-{index}"), message.to_bytes())?;
    }
    for (index, bytes) in heard.iter().take(6).enumerate() {
        save("protocol_message", &format!("heard-{index}"), bytes)?;
    }
    Ok(())
}

fn storage() -> Anything {
    let dir = tempfile::tempdir()?;
    let options = LogOptions { segment_len_bytes: 4096, reserve_len_bytes: 0 };
    let (mut log, _) = Log::open(dir.path(), options)?;
    for record in 0..3u8 {
        log.append(1, &[&vec![record; 10 * usize::from(record)]])?;
    }
    log.sync()?;
    let mut segment = std::fs::read(&log.bounds().segments[0].path)?;
    segment.truncate(320);
    save("storage_log", "three-records", [&[4, 64, 0][..], &segment].concat())?;
    segment[16..24].copy_from_slice(&4096u64.to_le_bytes());
    save("storage_repair", "three-records", [&[2, 40][..], &segment, &segment].concat())?;
    Ok(())
}

fn node() -> Anything {
    let config = NodeConfig::new("127.0.0.1:7000".parse()?, "127.0.0.1:8800".parse()?);
    save("node_config", "commented.toml", config.to_commented_toml())?;
    let admissions = [Admission::Admitted, Admission::Known, Admission::Busy { retry_after_ms: 50 }];
    save("api_wire", "admissions", wire::encode_admissions(1, &admissions))?;
    let block = FinalBlock { height: 1, black_hole: Hash([1; 32]), outcomes: vec![(Hash([2; 32]), None)] };
    save("api_wire", "final", wire::encode_final(&block))?;
    let status = TransactionStatus::Applied { height: 3, black_hole: Hash([1; 32]) };
    save("api_wire", "status.json", serde_json::to_vec(&status)?)?;
    save("api_wire", "error.json", serde_json::to_vec(&RpcError::new(wire::BUSY, "full"))?)?;
    Ok(())
}

/// Steps of four bytes: what, peer, two ids.
fn gossip_script() -> Vec<u8> {
    [
        [0, 0, 0, 0],
        [0, 1, 0, 0],
        [2, 0, 1, 2],
        [2, 1, 1, 3],
        [5, 0, 1, 2],
        [7, 0, 1, 2],
        [6, 0, 4, 5],
        [4, 1, 4, 5],
        [9, 0, 20, 0],
    ]
    .concat()
}
