//! The client API's frames and JSON objects have one form: what decodes encodes to the same bytes, or to JSON of the same value.
#![no_main]

use constellation_node::api::wire::{self, RpcError, TransactionStatus};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((request_id, words)) = wire::split_frame(bytes)
        && let Ok(admissions) = wire::decode_admissions(words)
    {
        assert_eq!(wire::encode_admissions(request_id, &admissions), bytes);
    }
    if let Ok(block) = wire::decode_final(bytes) {
        assert_eq!(wire::encode_final(&block), bytes);
    }
    if let Ok(status) = serde_json::from_slice::<TransactionStatus>(bytes) {
        let again = serde_json::to_vec(&status).expect("a status is JSON");
        assert_eq!(serde_json::from_slice::<TransactionStatus>(&again).ok(), Some(status));
    }
    if let Ok(error) = serde_json::from_slice::<RpcError>(bytes) {
        let again = serde_json::to_vec(&error).expect("an error is JSON");
        assert_eq!(serde_json::from_slice::<RpcError>(&again).ok(), Some(error));
    }
});
