//! Bodies of the gossip messages.
//!
//! ```text
//! announce, request   id (32 bytes), id, …            1 to 1024 ids
//! deliver             item, item, …                   item = id (32) | len u32 LE | bytes (len, never 0)
//! ```

use crate::gossip::ItemId;

/// Bytes of an id.
pub(crate) const ID_LEN: usize = 32;
/// Most ids in one announcement or request.
pub const MAX_IDS: usize = 1024;
/// Bytes by which an item in a delivery is longer than its content.
pub const ITEM_OVERHEAD_BYTES: usize = ID_LEN + 4;

/// Concatenates ids.
pub(crate) fn encode_ids(ids: &[ItemId]) -> Vec<u8> {
    ids.concat()
}

/// Splits an announcement or request; `None` if it is malformed.
pub(crate) fn decode_ids(body: &[u8]) -> Option<&[ItemId]> {
    let (ids, rest) = body.as_chunks::<ID_LEN>();
    (rest.is_empty() && !ids.is_empty() && ids.len() <= MAX_IDS).then_some(ids)
}

/// Encoded length of a delivery.
pub(crate) fn items_len<T: AsRef<[u8]>>(items: &[(ItemId, T)]) -> usize {
    items.iter().map(|(_, bytes)| ITEM_OVERHEAD_BYTES + bytes.as_ref().len()).sum()
}

/// Encodes a delivery.
pub(crate) fn encode_items<T: AsRef<[u8]>>(items: &[(ItemId, T)]) -> Vec<u8> {
    let mut body = Vec::with_capacity(items_len(items));
    for (id, bytes) in items {
        let bytes = bytes.as_ref();
        body.extend_from_slice(id);
        body.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        body.extend_from_slice(bytes);
    }
    body
}

/// Splits a delivery; `None` if any part of it is malformed.
pub(crate) fn decode_items(mut body: &[u8]) -> Option<Vec<(ItemId, &[u8])>> {
    let mut items = Vec::new();
    while !body.is_empty() {
        let (id, rest) = body.split_first_chunk::<ID_LEN>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        if bytes.is_empty() {
            return None;
        }
        items.push((*id, bytes));
        body = rest;
    }
    (!items.is_empty()).then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_bodies_are_refused() {
        assert!(decode_ids(&[]).is_none());
        assert!(decode_ids(&[0; 33]).is_none());
        assert!(decode_ids(&vec![0; ID_LEN * (MAX_IDS + 1)]).is_none());
        assert!(decode_items(&[]).is_none());
        let empty_item: &[u8] = &[];
        assert!(decode_items(&encode_items(&[([0; 32], empty_item)])).is_none());
        let good = encode_items(&[([0; 32], [5u8; 9])]);
        assert!(decode_items(&good[..good.len() - 1]).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

        #[test]
        fn items_and_ids_round_trip(
            items in prop::collection::vec((any::<[u8; 32]>(), prop::collection::vec(any::<u8>(), 1..300)), 1..20)
        ) {
            let body = encode_items(&items);
            let decoded: Vec<_> = decode_items(&body).unwrap().into_iter().map(|(id, b)| (id, b.to_vec())).collect();
            prop_assert_eq!(&decoded, &items);
            let ids: Vec<ItemId> = items.iter().map(|(id, _)| *id).collect();
            let encoded = encode_ids(&ids);
            prop_assert_eq!(decode_ids(&encoded).unwrap(), &ids[..]);
        }

        #[test]
        fn arbitrary_bytes_decode_to_what_encodes_to_them_or_not_at_all(body in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Some(ids) = decode_ids(&body) {
                prop_assert_eq!(encode_ids(ids), &body[..]);
            }
            if let Some(items) = decode_items(&body) {
                prop_assert_eq!(encode_items(&items), &body[..]);
            }
        }
    }
}
