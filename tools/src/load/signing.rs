//! Signing: just before transactions are sent, or all of them before the test begins.

use super::stars::{StarIndex, Stars};
use constellation_chain::{NetworkId, Offer, Transaction};
use std::collections::VecDeque;

/// What each transaction moves, in 10^-8 noos: little, so that balances last.
pub const AMOUNT: u64 = 1;
/// Transactions signed ahead, at most: some 900 MB of them.
const PREPARED_MAX: usize = 1 << 21;
/// Transactions whose signatures need nothing of each other, taken together while signing ahead.
const GROUP_MAX: usize = 1024;

/// How transactions are signed.
#[derive(Clone, Copy)]
pub struct Signing {
    /// The network they are for.
    pub network: NetworkId,
    /// Threads that sign.
    pub threads: usize,
}

impl Signing {
    /// Signs both halves of each pair's next transaction. No star may be in two pairs.
    pub fn sign(self, stars: &Stars, pairs: &[[StarIndex; 2]]) -> Vec<Transaction> {
        let sign = |pair: &[StarIndex; 2]| {
            let [(initiator, initiator_head), (counterparty, counterparty_head)] =
                pair.map(|index| stars.signer(index));
            let to = stars.public_key(pair[1]);
            Offer::transfer(self.network, initiator, initiator_head, to, AMOUNT)
                .countersign(counterparty, counterparty_head)
                .expect("the offer was made to this very star")
        };
        let threads = self.threads.clamp(1, 1 + pairs.len() / 64);
        if threads == 1 {
            return pairs.iter().map(sign).collect();
        }
        std::thread::scope(|scope| {
            let parts = pairs.chunks(pairs.len().div_ceil(threads));
            let signers: Vec<_> =
                parts.map(|part| scope.spawn(move || part.iter().map(sign).collect::<Vec<_>>())).collect();
            let signed = signers.into_iter().map(|signer| signer.join().expect("signing does not panic"));
            signed.flatten().collect()
        })
    }
}

/// Transactions that are signed as they will be if all of them apply, in their order. What the schedule leaves out for being late leaves them their
/// order; one whose stars' chains came to stand otherwise is signed anew when it is due.
#[derive(Default)]
pub struct Prepared {
    transactions: VecDeque<([StarIndex; 2], Transaction)>,
}

impl Prepared {
    /// Signs the first `count` transactions of a test that begins with `stars` as they are, or as many as can be kept.
    pub fn sign(signing: Signing, mut stars: Stars, count: u64) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(PREPARED_MAX);
        let mut transactions = VecDeque::with_capacity(count);
        while transactions.len() < count {
            let group_max = GROUP_MAX.min(count - transactions.len());
            let pairs: Vec<_> = std::iter::from_fn(|| stars.draw(AMOUNT)).take(group_max).collect();
            if pairs.is_empty() {
                break;
            }
            for (transaction, pair) in signing.sign(&stars, &pairs).into_iter().zip(pairs) {
                stars.advance(pair, transaction.id());
                stars.admitted(pair);
                stars.ended(pair, true);
                transactions.push_back((pair, transaction));
            }
        }
        Prepared { transactions }
    }

    /// The pair whose turn it is, if that was settled before. A pair that will not trade again as things stand loses its turn.
    pub fn pair(&mut self, stars: &Stars) -> Option<[StarIndex; 2]> {
        while self.transactions.pop_front_if(|(pair, _)| !stars.may_trade(*pair, AMOUNT)).is_some() {}
        self.transactions.front().map(|(pair, _)| *pair)
    }

    /// Hands out the transaction whose turn it is, if both stars' chains stand as it was signed for.
    pub fn take(&mut self, stars: &Stars) -> Option<Transaction> {
        let (pair, transaction) = self.transactions.pop_front()?;
        let extends = pair.iter().zip(transaction.halves()).all(|(index, (_, half))| {
            let (_, head) = stars.signer(*index);
            half.previous == head.head && half.sequence() == head.sequence + 1
        });
        extends.then_some(transaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::star_keys;
    use constellation_chain::{Genesis, GenesisNode, GenesisStar, Ledger, SecretKey, StarHead};

    const SIGNING: Signing = Signing { network: NetworkId([0; 8]), threads: 2 };

    fn stars() -> Stars {
        Stars::new(star_keys([1; 32], 8), &[(StarHead::default(), 100); 8], 5)
    }

    #[test]
    fn all_that_was_signed_ahead_applies_in_its_order() {
        let mut prepared = Prepared::sign(SIGNING, stars(), 300);
        let key = SecretKey::from_seed([9; 32]).public_key();
        let node = GenesisNode::new(key, "127.0.0.1:1".parse().unwrap());
        let keys = star_keys([1; 32], 8);
        let genesis_stars = keys.iter().map(|key| GenesisStar { public_key: key.public_key(), balance: 100 });
        let mut ledger = Ledger::new(&Genesis::new("test", 1, vec![node], genesis_stars.collect()).unwrap());
        let mut stars = stars();
        for _ in 0..300 {
            let pair = prepared.pair(&stars).and_then(|pair| stars.take(pair, AMOUNT)).unwrap();
            let transaction = prepared.take(&stars).unwrap();
            assert_eq!(ledger.apply([&transaction]).applied, 1);
            stars.advance(pair, transaction.id());
            stars.admitted(pair);
            stars.ended(pair, true);
        }
        assert_eq!((prepared.pair(&stars), prepared.take(&stars)), (None, None));
    }

    #[test]
    fn a_chain_that_stands_otherwise_is_not_served_from_stock() {
        let mut prepared = Prepared::sign(SIGNING, stars(), 8);
        let mut stars = stars();
        let pair = prepared.pair(&stars).unwrap();
        stars.resynchronise(pair[1], StarHead { sequence: 3, head: Default::default() }, 5);
        assert_eq!(stars.take(pair, AMOUNT), Some(pair));
        assert!(prepared.take(&stars).is_none());
        let pair = prepared.pair(&stars).unwrap();
        assert!(prepared.take(&stars).is_some_and(|one| one.initiator() == stars.public_key(pair[0])));
    }

    #[test]
    fn a_pair_that_is_parked_or_poor_loses_its_turn() {
        let mut prepared = Prepared::sign(SIGNING, stars(), 8);
        let mut stars = stars();
        let first = prepared.pair(&stars).unwrap();
        stars.park(first[1]);
        let second = prepared.pair(&stars).unwrap();
        assert!(!second.contains(&first[1]));
        stars.resynchronise(second[0], StarHead::default(), 0);
        assert!(prepared.pair(&stars).is_some_and(|third| third[0] != second[0]));
    }
}
