//! `constellation star` on a network of real processes: two stars, each in a process of its own, trade through different nodes.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use std::path::{Path, PathBuf};

use common::network::Network;
use common::process::{Process, wait_until};
use common::{Finished, command, run};
use serde_json::{Value, json};

/// 10^-8 noos in a noos.
const NOOS: u64 = 100_000_000;
/// How long a command may wait for the other side.
const TIMEOUT: &str = "2m";

/// A star as its owner has it: a key file and a public key.
struct Star {
    key_file: PathBuf,
    public_key: String,
}

impl Star {
    fn new(dir: &Path, name: &str) -> Self {
        let key_file = dir.join(name);
        let made = run(&["star", "new", "--json", "--out", key_file.to_str().unwrap()]);
        assert_eq!((made.code, made.stderr.as_str()), (0, ""));
        let public_key = made.json()["public_key"].as_str().unwrap().to_owned();
        Self { key_file, public_key }
    }

    fn of_treasury(network: &Network) -> Self {
        let public_key = network.made["treasury"].as_str().unwrap().to_owned();
        Self { key_file: network.path().join("treasury.key"), public_key }
    }

    /// Starts a `star` command of this star through a node.
    fn start(&self, what: &str, node: &str, arguments: &[&str]) -> Process {
        let fixed = ["star", what, self.key_file.to_str().unwrap(), "--json", "--node", node];
        Process::start(command(&[&fixed, arguments].concat()))
    }

    fn run(&self, what: &str, node: &str, arguments: &[&str]) -> Finished {
        self.start(what, node, arguments).finish()
    }

    /// Runs a command that must succeed, and gives its report.
    fn ask(&self, what: &str, node: &str, arguments: &[&str]) -> Value {
        done(self.run(what, node, arguments))
    }

    fn show(&self, network: &Network, index: usize) -> Value {
        self.ask("show", network.api(index), &[])
    }
}

fn done(finished: Finished) -> Value {
    assert_eq!(finished.code, 0, "{finished:?}");
    finished.json()
}

/// Lets `from` pay `to` while the receiving process runs, and gives what each reports of the payment.
fn pay(from: (&Star, &str), to: (&Star, &str), amount: &str, payload: &str) -> (Value, Value) {
    let receiving = to.0.start("receive", to.1, &["--from", &from.0.public_key, "--timeout", TIMEOUT]);
    let arguments = ["--to", &to.0.public_key, "--amount", amount, "--payload", payload, "--timeout", TIMEOUT];
    let sent = from.0.ask("send", from.1, &arguments);
    let received = done(receiving.finish());
    assert_eq!(received["received"].as_array().unwrap().len(), 1, "{received}");
    (sent, received["received"][0].clone())
}

/// Fails unless all of `names` are the same in both, and there.
fn expect_same(one: &Value, other: &Value, names: &[&str]) {
    for name in names {
        assert!(!one[name].is_null() && one[name] == other[name], "{name}: {one} {other}");
    }
}

#[test]
fn two_stars_trade_through_different_nodes() {
    let network = Network::start(4);
    let treasury = Star::of_treasury(&network);
    let (alice, bob) = (Star::new(network.path(), "alice.key"), Star::new(network.path(), "bob.key"));
    assert_ne!(alice.public_key, bob.public_key);
    let place = ["id", "height", "black_hole"];

    let (sent, received) = pay((&treasury, network.api(0)), (&alice, network.api(1)), "50", "");
    expect_same(&sent, &received, &place);
    let (sent, received) = pay((&alice, network.api(2)), (&bob, network.api(3)), "12.5", "for tea");
    expect_same(&sent, &received, &place);
    assert_eq!((&sent["state"], &sent["sequence"], &received["sequence"]), (&json!("final"), &json!(2), &json!(1)));
    assert_eq!(received["payload"], "666f7220746561");

    // Each side's own history tells of the same transaction in the same black hole.
    let histories = [alice.ask("history", network.api(0), &[]), bob.ask("history", network.api(1), &[])];
    let rows = histories.each_ref().map(|history| history["transactions"].as_array().unwrap());
    assert_eq!((rows[0].len(), rows[1].len()), (2, 1), "{histories:?}");
    let (at_alice, at_bob) = (&rows[0][1], &rows[1][0]);
    for row in [at_alice, at_bob] {
        expect_same(row, &sent, &place);
        assert_eq!((&row["state"], &row["amount"]), (&json!("final"), &json!(12 * NOOS + NOOS / 2)));
    }
    let side = |row: &Value| (row["direction"].clone(), row["counterparty"].clone());
    assert_eq!(side(at_alice), (json!("sent"), json!(bob.public_key)));
    assert_eq!(side(at_bob), (json!("received"), json!(alice.public_key)));

    // The black hole is in every node's log under that hash, and every node has the same accounts.
    network.wait_until_level();
    let all = made_of(&network);
    let stars = [(&treasury, all - 50 * NOOS, 1), (&alice, 37 * NOOS + NOOS / 2, 2), (&bob, 12 * NOOS + NOOS / 2, 1)];
    for index in 0..network.len() {
        for (star, balance, sequence) in &stars {
            let shown = star.show(&network, index);
            assert_eq!((&shown["balance"], &shown["sequence"]), (&json!(balance), &json!(sequence)), "{shown}");
            expect_same(&shown, &shown["chain"], &["sequence", "head"]);
            assert_eq!(shown["chain"]["open"], Value::Null, "{shown}");
        }
    }
    expect_in_logs(network, &sent);
}

/// Coins of the network, in 10^-8 noos: the genesis gives them all to the treasury.
fn made_of(network: &Network) -> u64 {
    let genesis = std::fs::read_to_string(network.node_dir(0).join("genesis.toml")).unwrap();
    constellation_chain::Genesis::from_toml(&genesis).unwrap().stars().iter().map(|star| star.balance).sum()
}

/// Stops the nodes and looks for the black hole of a payment in each one's log.
fn expect_in_logs(mut network: Network, sent: &Value) {
    for index in 0..network.len() {
        assert_eq!(network.take(index).terminate().code, 0);
        let dir = network.node_dir(index);
        let height = sent["height"].to_string();
        let printed = run(&["log", "print", "--json", "--from", &height, "--count", "1", dir.to_str().unwrap()]);
        assert_eq!(printed.code, 0, "{printed:?}");
        assert_eq!(printed.json()["hash"], sent["black_hole"]);
        let verified = run(&["log", "verify", "--json", dir.to_str().unwrap()]);
        assert_eq!((verified.code, &verified.json()["applied"]), (0, &json!(2)), "{verified:?}");
    }
}

#[test]
fn a_payment_is_never_made_twice_and_waits_for_its_answer() {
    let network = Network::start(1);
    let node = network.api(0);
    let treasury = Star::of_treasury(&network);
    let (alice, bob) = (Star::new(network.path(), "alice.key"), Star::new(network.path(), "bob.key"));

    let offer = ["--to", &alice.public_key, "--amount", "3", "--no-wait"];
    let open = treasury.ask("send", node, &offer);
    assert_eq!((&open["state"], &open["resumed"], &open["id"]), (&json!("open"), &json!(false), &Value::Null));
    // The same again is the same payment; any other would be a fork.
    let again = treasury.ask("send", node, &offer);
    assert_eq!((&again["sequence"], &again["resumed"]), (&open["sequence"], &json!(true)), "{again}");
    treasury
        .run("send", node, &["--to", &bob.public_key, "--amount", "3"])
        .expect_error(1, &["offer 1", &alice.public_key, "fork", "star receive"]);

    let received = alice.ask("receive", node, &["--timeout", TIMEOUT]);
    assert_eq!(received["received"][0]["amount"], 3 * NOOS, "{received}");
    // What became of the offer is found out by the next command.
    wait_until("the treasury knows its payment is final", || {
        let history = treasury.ask("history", node, &[]);
        history["transactions"][0]["state"] == "final" && history["transactions"].as_array().unwrap().len() == 1
    });
    let shown = treasury.show(&network, 0);
    assert_eq!((&shown["sequence"], &shown["forks"]), (&json!(1), &json!(0)));
}

#[test]
fn errors_name_the_star_the_file_or_the_node() {
    let network = Network::start(1);
    let node = network.api(0);
    let (alice, bob) = (Star::new(network.path(), "alice.key"), Star::new(network.path(), "bob.key"));
    let key_file = alice.key_file.to_str().unwrap();
    run(&["star", "new", "--out", key_file]).expect_error(2, &[key_file, "exists already"]);

    let to_bob = ["--to", bob.public_key.as_str(), "--amount"];
    alice.run("send", node, &[&to_bob[..], &["1"]].concat()).expect_error(2, &["balance of 0 noos", "cover 1"]);
    alice.run("send", node, &[&to_bob[..], &["one"]].concat()).expect_error(2, &["--amount", "one"]);
    alice.run("send", node, &["--to", "nobody", "--amount", "1"]).expect_error(2, &["--to", "nobody"]);
    let nothing = alice.run("receive", node, &["--timeout", "100ms"]);
    assert!(nothing.code == 1 && nothing.stderr.contains("received 0 of 1"), "{nothing:?}");
    run(&["star", "history", "no-such.key"]).expect_error(2, &["no-such.key"]);

    // A port that was free a moment ago.
    let nobody = format!("127.0.0.1:{}", common::network::free_ports(1));
    alice.run("show", &nobody, &[]).expect_error(3, &[&nobody, "is the node running?"]);
}
