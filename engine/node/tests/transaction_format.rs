//! The ledger's transactions through the verification engine as raw bytes: the same verdicts, ids and sketch as by the
//! ledger's own reading of them.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

use constellation_chain::{Hash, Kind, NetworkId, Offer, SecretKey, StarHead, Transaction};
use constellation_verify::{Engine, HalfFormat, Messages, Senders, TransactionFormat, Transactions};

const NETWORK: NetworkId = NetworkId([3; 8]);

/// As `chain/src/transaction.rs` draws it.
fn format() -> TransactionFormat {
    let first = HalfFormat { domain: *b"cst.init", key: 24, signature: 160, signed: 0, signed_len_bytes: 160 };
    let second = HalfFormat { domain: *b"cst.coun", key: 56, signature: 264, signed: 224, signed_len_bytes: 40 };
    TransactionFormat::new([first, second]).unwrap()
}

fn transaction(index: u8) -> Transaction {
    let key = |byte| SecretKey::from_seed([byte; 32]);
    let head = |byte| StarHead { sequence: index.into(), head: Hash([byte; 32]) };
    let payload = vec![index; usize::from(index) * 13 % 40];
    Offer::new(Kind::Transfer, NETWORK, &key(index), head(5), key(100).public_key(), 7, &payload)
        .unwrap()
        .countersign(&key(100), head(6))
        .unwrap()
}

#[test]
fn raw_transactions_have_the_ledgers_ids_and_verdicts() {
    let transactions: Vec<_> = (0..80).map(transaction).collect();
    let (mut bytes, mut ends, mut accounts) = (Vec::new(), Vec::new(), Vec::new());
    for (index, transaction) in transactions.iter().enumerate() {
        let start = bytes.len();
        transaction.write(&mut bytes);
        ends.push(bytes.len() as u32);
        accounts.extend(transaction.halves().map(|(star, _)| star.0));
        match index % 5 {
            // A bit of the initiator's signature, and of the counterparty's.
            3 => bytes[start + 170] ^= 1,
            4 => bytes[start + 270] ^= 1,
            _ => {}
        }
    }
    let format = format();
    let raw = Transactions::new(&format, Messages::new(&bytes, &ends).unwrap()).unwrap();
    let results = Engine::detect().verify_transactions(Senders::Any, &raw.with_sketch(&[9; 32]));
    for (index, transaction) in transactions.iter().enumerate() {
        assert_eq!(Hash(results.ids[index]), transaction.id(), "transaction {index}");
        let verdicts = [results.verdicts.get(2 * index), results.verdicts.get(2 * index + 1)];
        assert_eq!(verdicts, [index % 5 != 3, index % 5 != 4], "transaction {index}");
    }
    assert_eq!(results.sketch, Some(constellation_verify::sketch(&[9; 32], &accounts)));
}
