//! Gossip items: what the network carries by id without knowing what it is.
//!
//! ```text
//! offset len
//!      0   1  1 transaction, 2 offer
//!      1   …  the record
//! ```
//!
//! An item's id is BLAKE3 of its bytes, signatures included: a record with a spoilt signature has another id than the good one, so
//! nobody can make a node believe that it has seen a transaction that it has not.

use constellation_chain::{Hash, NetworkId, Offer, Transaction};
use std::sync::Arc;

const DOMAIN: &[u8; 8] = b"cst.item";
const TRANSACTION: u8 = 1;
const OFFER: u8 = 2;

/// What an item holds.
#[derive(Debug)]
pub(crate) enum Item {
    Transaction(Arc<Transaction>),
    Offer(Arc<Offer>),
}

/// The id of an item's bytes.
pub(crate) fn item_id(bytes: &[u8]) -> [u8; 32] {
    Hash::of(DOMAIN, bytes).0
}

pub(crate) fn encode_transaction(transaction: &Transaction) -> ([u8; 32], Arc<[u8]>) {
    let mut bytes = Vec::with_capacity(1 + transaction.len_bytes());
    bytes.push(TRANSACTION);
    transaction.write(&mut bytes);
    (item_id(&bytes), bytes.into())
}

pub(crate) fn encode_offer(offer: &Offer) -> ([u8; 32], Arc<[u8]>) {
    let bytes = [&[OFFER][..], &offer.to_bytes()].concat();
    (item_id(&bytes), bytes.into())
}

/// Reads an item; an error is the fault of who delivered it.
pub(crate) fn decode(bytes: &[u8], network: NetworkId) -> Result<Item, String> {
    match bytes.split_first() {
        Some((&TRANSACTION, record)) => Transaction::decode(record, network)
            .map(|transaction| Item::Transaction(Arc::new(transaction)))
            .map_err(|error| error.to_string()),
        Some((&OFFER, record)) => {
            Offer::decode(record, network).map(|offer| Item::Offer(Arc::new(offer))).map_err(|error| error.to_string())
        }
        Some((kind, _)) => Err(format!("gossip item of unknown kind {kind}")),
        None => Err("empty gossip item".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use constellation_chain::{SecretKey, StarHead};
    use proptest::prelude::*;

    #[test]
    fn items_read_back_and_a_spoilt_signature_is_another_item() {
        let (one, two) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
        let offer = Offer::transfer(NetworkId::default(), &one, StarHead::default(), two.public_key(), 1);
        let (_, bytes) = encode_offer(&offer);
        assert!(matches!(decode(&bytes, NetworkId::default()), Ok(Item::Offer(read)) if *read == offer));
        let transaction = offer.countersign(&two, StarHead::default()).unwrap();
        let (id, bytes) = encode_transaction(&transaction);
        assert!(matches!(decode(&bytes, NetworkId::default()), Ok(Item::Transaction(read)) if *read == transaction));
        let mut spoilt = bytes.to_vec();
        spoilt[1 + 170] ^= 1;
        assert_ne!(item_id(&spoilt), id);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            prop_assert!(decode(&bytes, NetworkId::default()).is_err());
        }
    }
}
