//! No bytes make the verifier panic, and a node has one output for an input: any proof that holds shows the one its key makes.
#![no_main]

use constellation_chain::{PublicKey, vrf};
use constellation_fuzz::node_key;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((key, rest)) = input.split_first_chunk::<32>() else { return };
    let Some((proof, message)) = rest.split_at_checked(vrf::PROOF_LEN_BYTES) else { return };
    vrf::verify(&PublicKey(*key), message, proof);
    vrf::verify(&PublicKey(*key), message, rest);

    let secret = node_key(0);
    let honest = vrf::verify(&secret.public_key(), message, &vrf::prove(&secret, message));
    assert!(honest.is_some());
    if let Some(output) = vrf::verify(&secret.public_key(), message, proof) {
        assert_eq!(Some(output), honest);
    }
});
