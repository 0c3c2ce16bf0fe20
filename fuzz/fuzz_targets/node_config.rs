//! Settings that are accepted can be written out with their comments, and read back the same.
#![no_main]

use constellation_node::NodeConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(config) = NodeConfig::from_toml(text) {
        assert_eq!(NodeConfig::from_toml(&config.to_commented_toml()), Ok(config));
    }
});
