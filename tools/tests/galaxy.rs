//! `constellation init` and `constellation galaxy run` as operators use them: one process for each node, ended and started again.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::network::Network;
use common::process::wait_until;
use common::{Finished, run};
use serde_json::Value;

/// Runs a node that is expected not to come up.
fn run_node(dir: &Path) -> Finished {
    run(&["galaxy", "run", "--dir", dir.to_str().unwrap()])
}

/// Lets the treasury pay new stars through the given nodes, and gives how many payments became final.
fn pay(network: &Network, nodes: &[usize]) -> u64 {
    let stars = network.path().join("stars.txt");
    let treasury = std::fs::read_to_string(network.path().join("treasury.key")).unwrap();
    let others: Vec<String> = (1..=9u8).map(|seed| format!("{seed:02x}").repeat(32)).collect();
    std::fs::write(&stars, format!("{}\n{}\n", treasury.trim(), others.join("\n"))).unwrap();
    let nodes: Vec<&str> = nodes.iter().map(|index| network.api(*index)).collect();
    let arguments = ["load", "--json", "--nodes", &nodes.join(","), "--stars", stars.to_str().unwrap()];
    let schedule = ["--rate", "10", "--duration", "2s"];
    let report = run(&[&arguments[..], &schedule].concat());
    assert_eq!(report.code, 0, "{report:?}");
    let report = report.json();
    assert_eq!(report["lost"], 0, "{report}");
    report["committed"].as_u64().unwrap()
}

/// What `log verify` says of a node that does not run.
fn verified(network: &Network, index: usize) -> Value {
    let verified = run(&["log", "verify", "--json", network.node_dir(index).to_str().unwrap()]);
    assert_eq!(verified.code, 0, "{verified:?}");
    verified.json()
}

#[test]
fn a_network_lives_through_kills_and_stops() {
    let mut network = Network::start(4);
    let mut committed = pay(&network, &[0, 1, 2, 3]);
    assert!(committed > 0);

    network.take(1).kill();
    committed += pay(&network, &[0, 2, 3]);
    network.run(1);
    network.wait_until_connected();
    assert!(network.wait_until_level() > 0);

    // All at once, as when the power fails; what was final is still there, and the network goes on.
    let before = network.status(0).unwrap().height;
    (0..4).for_each(|index| network.take(index).kill());
    (0..4).for_each(|index| network.run(index));
    network.wait_until_connected();
    committed += pay(&network, &[1]);
    let height = network.wait_until_level();
    assert!(height > before, "{height} {before}");

    for index in 0..4 {
        let stopped = network.take(index).terminate();
        let end = format!("stopped at black hole {height}");
        assert!(stopped.code == 0 && stopped.stderr.contains(&end), "{stopped:?}");
    }
    let logs: Vec<Value> = (0..4).map(|index| verified(&network, index)).collect();
    for log in &logs {
        assert_eq!((&log["holds"], &log["contents_digest"]), (&Value::from(true), &logs[0]["contents_digest"]));
        assert_eq!((&log["black_holes"], &log["applied"]), (&Value::from(height), &Value::from(committed)));
    }

    network.run(2);
    wait_until("a node that was stopped runs again", || {
        network.status(2).is_some_and(|status| status.height == height)
    });
    assert_eq!(network.take(2).terminate().code, 0);
}

/// Has a node join or leave, waiting so long.
fn ask(network: &Network, what: &str, index: usize, timeout: &str) -> Finished {
    let dir = network.node_dir(index);
    run(&["galaxy", what, "--json", "--timeout", timeout, "--dir", dir.to_str().unwrap()])
}

#[test]
fn validators_leave_are_switched_off_and_join_again() {
    let mut network = Network::start(5);
    let left = ask(&network, "leave", 4, "90s");
    assert_eq!(left.code, 0, "{left:?}");
    assert_eq!(left.json()["validators"], 4, "{left:?}");
    assert_eq!(network.take(4).terminate().code, 0);
    assert!(pay(&network, &[0, 1, 2, 3]) > 0);

    // The genesis keeps four.
    ask(&network, "leave", 3, "8s").expect_error(1, &["stands", "last 4 validators", "another joins"]);
    network.run(4);
    network.wait_until_connected();
    let joined = ask(&network, "join", 4, "90s");
    assert_eq!(joined.code, 0, "{joined:?}");
    // Who was to stay until then is out; to ask again changes nothing.
    let left = ask(&network, "leave", 3, "90s");
    assert_eq!((left.code, &left.json()["validators"]), (0, &Value::from(4)), "{left:?}");

    let height = network.wait_until_level();
    for index in 0..5 {
        assert_eq!(network.take(index).terminate().code, 0);
        let log = verified(&network, index);
        assert_eq!((&log["validators"], &log["black_holes"]), (&Value::from(4), &Value::from(height)), "{log}");
    }
    ask(&network, "leave", 0, "1s").expect_error(3, &[]);
}

#[test]
fn a_data_directory_has_one_node_and_a_port_one_owner() {
    let mut network = Network::new(1);
    let dir = network.node_dir(0);
    network.run(0);
    run_node(&dir).expect_error(2, &[dir.to_str().unwrap(), "in use"]);
    assert_eq!(network.status(0).unwrap().peers_connected, 0, "the first goes on");
    assert_eq!(network.take(0).terminate().code, 0);

    for address in [network.listen(0), network.api(0)] {
        let _owner = TcpListener::bind(address).unwrap();
        run_node(&dir).expect_error(4, &[address]);
    }
    network.run(0);
    assert_eq!(network.take(0).terminate().code, 0);
}

#[test]
fn what_init_makes_is_guarded_and_never_overwritten() {
    let network = Network::new(4);
    let dir = network.path().to_str().unwrap();
    let keys: Vec<_> = (0..4)
        .map(|index| network.node_dir(index).join("node.key"))
        .chain([network.path().join("treasury.key")])
        .collect();
    let contents = || -> Vec<String> { keys.iter().map(|key| std::fs::read_to_string(key).unwrap()).collect() };
    for key in &keys {
        let mode = std::fs::metadata(key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", key.display());
    }
    assert_eq!(network.made["treasury_key"].as_str().map(Path::new), Some(keys[4].as_path()));

    let before = contents();
    run(&["init", "--dir", dir, "--nodes", "4"]).expect_error(2, &[dir, "exists already"]);
    // The treasury's key would have to go where there is one: then there must be no node without a treasury either.
    run(&["init", "--dir", dir]).expect_error(2, &[keys[4].to_str().unwrap(), "exists already"]);
    assert!(!network.path().join("node.key").exists(), "half a data directory was left");
    assert_eq!(contents(), before);

    let genesis = network.node_dir(0).join("genesis.toml");
    let joined = network.path().join("late");
    let join = ["init", "--json", "--dir", joined.to_str().unwrap(), "--genesis", genesis.to_str().unwrap()];
    let made = run(&join);
    assert_eq!((made.code, &made.json()["network_id"]), (0, &network.made["network_id"]), "{made:?}");
    assert!(made.json()["note"].as_str().unwrap().contains("not among the nodes"), "{made:?}");
    run_node(&joined).expect_error(2, &["genesis"]);

    run(&["init", "--dir", joined.to_str().unwrap(), "--nodes", "0"]).expect_error(2, &["--nodes"]);
    run(&["init", "--dir", dir, "--nodes", "4", "--port", "65534"]).expect_error(2, &["65535"]);
    run(&["init", "--dir", dir, "--genesis", "no-such-file"]).expect_error(2, &["no-such-file"]);
    run(&["init", "--dir", dir, "--genesis", "file", "--clusters", "4"]).expect_error(2, &["--genesis", "--clusters"]);
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named_with_the_remedy() {
    let network = Network::new(1);
    let dir = network.node_dir(0);
    let config = dir.join("config.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    let line = format!("line {}", 1 + good.lines().count());
    std::fs::write(&config, format!("{good}segment_mb = 64\n")).unwrap();
    run_node(&dir).expect_error(2, &[config.to_str().unwrap(), &line, "segment_mb"]);
    std::fs::write(&config, good.replace(network.api(0), network.listen(0))).unwrap();
    run_node(&dir).expect_error(2, &[config.to_str().unwrap(), "line", "choose another port"]);
    std::fs::write(&config, good).unwrap();

    let key = dir.join("node.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    run_node(&dir).expect_error(2, &[key.to_str().unwrap(), "chmod 600"]);
    std::fs::remove_file(&key).unwrap();
    run_node(&dir).expect_error(2, &[key.to_str().unwrap()]);
    run_node(&dir.join("nothing-here")).expect_error(2, &["nothing-here", "constellation init"]);
    run(&["galaxy", "run"]).expect_error(2, &["--dir"]);
}
