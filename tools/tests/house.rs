//! The house keeps its order: dependencies between its crates point one way only, as ARCHITECTURE.md draws them.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

use std::path::Path;

/// Each crate with the crates of the house that it may use in its own code. Tests may use more: they sit above what they test.
const HOUSE: &[(&str, &str, &[&str])] = &[
    ("engine/chain", "chain", &[]),
    ("engine/acs", "acs", &[]),
    ("engine/meme", "meme", &["chain"]),
    ("shaders", "shaders", &[]),
    ("engine/verify", "verify", &["shaders"]),
    ("net", "net", &[]),
    ("storage", "storage", &[]),
    ("engine/protocol", "protocol", &["acs", "chain"]),
    ("engine/simulator", "simulator", &["acs", "chain", "protocol"]),
    ("engine/node", "node", &["acs", "chain", "net", "protocol", "storage", "verify"]),
    ("benches", "benches", &["acs", "chain", "verify"]),
    ("tools", "tools", &["benches", "chain", "meme", "node", "simulator", "storage", "verify"]),
];

#[test]
fn no_crate_depends_upward() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (dir, name, allowed) in HOUSE {
        let manifest = std::fs::read_to_string(root.join(dir).join("Cargo.toml")).unwrap();
        let mut is_own_code = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                is_own_code = line.contains("dependencies") && !line.contains("dev-dependencies");
            }
            let Some(used) = line.strip_prefix("constellation-").filter(|_| is_own_code) else { continue };
            let used = used.split(['.', ' ', '=']).next().unwrap();
            assert!(allowed.contains(&used), "{name} depends on {used}, which is not below it");
        }
    }
}

#[test]
fn every_crate_of_the_house_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let engine = std::fs::read_dir(root.join("engine")).unwrap().map(|entry| entry.unwrap().file_name());
    for name in engine {
        let name = format!("engine/{}", name.to_str().unwrap());
        assert!(HOUSE.iter().any(|(dir, _, _)| *dir == name), "{name} is not in the list above");
    }
}
