//! A genesis that is accepted can be written, and what is written names the same network.
#![no_main]

use constellation_chain::Genesis;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(genesis) = Genesis::from_toml(text) else { return };
    let again = Genesis::from_toml(&genesis.to_toml());
    assert_eq!(again.as_ref().map(Genesis::hash), Ok(genesis.hash()));
    assert_eq!(again, Ok(genesis));
});
