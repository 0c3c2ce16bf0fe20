//! Gossip items: what the network carries by id without knowing what it is. An item is the record of a transaction or of an offer; which, the
//! record itself tells: an offer's second half is empty.
//!
//! An item's id is BLAKE3 of the record, signatures included: a record with a spoilt signature has another id than the good one, so
//! nobody can make a node believe that it has seen a transaction that it has not.

use constellation_chain::{NetworkId, Offer, Transaction, is_offer, record_hash};
use constellation_net::ItemId;
use std::sync::Arc;

/// What an item holds.
#[derive(Debug)]
pub(crate) enum Item {
    Transaction(Arc<Transaction>),
    Offer(Arc<Offer>),
}

/// A transaction as an item; its record is shared, not copied.
pub(crate) fn transaction_item(transaction: &Transaction) -> (ItemId, Arc<[u8]>) {
    (transaction.record_hash().0, transaction.record().clone())
}

pub(crate) fn offer_item(offer: &Offer) -> (ItemId, Arc<[u8]>) {
    let record = offer.to_bytes();
    (record_hash(&record).0, record.into())
}

/// Reads an item; an error is the fault of who delivered it.
pub(crate) fn decode(id: &ItemId, record: Arc<[u8]>, network: NetworkId) -> Result<Item, String> {
    if is_offer(&record) {
        let offer = Offer::decode(&record, network).map_err(|error| error.to_string())?;
        return if record_hash(&record).0 == *id { Ok(Item::Offer(Arc::new(offer))) } else { Err("wrong id".into()) };
    }
    let transaction = Transaction::from_record(record, network).map_err(|error| error.to_string())?;
    if transaction.record_hash().0 == *id {
        Ok(Item::Transaction(Arc::new(transaction)))
    } else {
        Err("wrong id".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use constellation_chain::{Kind, SecretKey, StarHead};
    use proptest::prelude::*;

    const NETWORK: NetworkId = NetworkId([0; 8]);

    #[test]
    fn items_read_back_and_a_spoilt_signature_is_another_item() {
        let (one, two) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
        let offer = Offer::transfer(NETWORK, &one, StarHead::default(), two.public_key(), 1);
        let (id, record) = offer_item(&offer);
        assert!(matches!(decode(&id, record.clone(), NETWORK), Ok(Item::Offer(read)) if *read == offer));
        let join = Transaction::one_sided(Kind::Join, NETWORK, &one, StarHead::default(), b"here").unwrap();
        let transfer = offer.countersign(&two, StarHead::default()).unwrap();
        for transaction in [transfer, join] {
            let (id, record) = transaction_item(&transaction);
            assert!(
                matches!(decode(&id, record.clone(), NETWORK), Ok(Item::Transaction(read)) if *read == transaction)
            );
            let mut spoilt = record.to_vec();
            spoilt[170] ^= 1;
            assert!(decode(&id, spoilt.into(), NETWORK).is_err());
        }
        let mut spoilt = record.to_vec();
        spoilt[170] ^= 1;
        assert!(decode(&id, spoilt.into(), NETWORK).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            prop_assert!(decode(&[0; 32], bytes.into(), NETWORK).is_err());
        }
    }
}
