//! Signing: just before transactions are sent, or all of them before the test begins.

use super::stars::{StarIndex, Stars};
use constellation_chain::{NetworkId, Offer, Transaction};

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

/// The first transactions of a schedule, signed as they will be if all of them apply. One whose stars' chains came to stand otherwise is
/// signed anew when it is due.
#[derive(Default)]
pub struct Prepared {
    transactions: Vec<Option<([StarIndex; 2], Transaction)>>,
}

impl Prepared {
    /// Signs the first `count` transactions of a schedule that begins with `stars` as they are, or as many as can be kept.
    pub fn sign(signing: Signing, mut stars: Stars, count: u64) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(PREPARED_MAX);
        let mut transactions = Vec::with_capacity(count);
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
                transactions.push(Some((pair, transaction)));
            }
        }
        Prepared { transactions }
    }

    /// The pair whose turn it is at a place of the schedule, if that was settled before.
    pub fn pair(&self, place: u64) -> Option<[StarIndex; 2]> {
        self.slot(place).map(|(pair, _)| *pair)
    }

    /// Hands out the transaction of a place, if it was signed and both stars' chains stand as it was signed for.
    pub fn take(&mut self, place: u64, stars: &Stars) -> Option<Transaction> {
        let (pair, transaction) = self.transactions.get_mut(usize::try_from(place).ok()?)?.take()?;
        let extends = pair.iter().zip(transaction.halves()).all(|(index, (_, half))| {
            let (_, head) = stars.signer(*index);
            half.previous == head.head && half.sequence() == head.sequence + 1
        });
        extends.then_some(transaction)
    }

    fn slot(&self, place: u64) -> Option<&([StarIndex; 2], Transaction)> {
        self.transactions.get(usize::try_from(place).ok()?)?.as_ref()
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
        let node = GenesisNode {
            public_key: SecretKey::from_seed([9; 32]).public_key(),
            address: "127.0.0.1:1".parse().unwrap(),
        };
        let keys = star_keys([1; 32], 8);
        let genesis_stars = keys.iter().map(|key| GenesisStar { public_key: key.public_key(), balance: 100 });
        let mut ledger = Ledger::new(&Genesis::new("test", 1, vec![node], genesis_stars.collect()).unwrap());
        let mut stars = stars();
        for place in 0..300 {
            let pair = prepared.pair(place).and_then(|pair| stars.take(pair, AMOUNT)).unwrap();
            let transaction = prepared.take(place, &stars).unwrap();
            assert_eq!(ledger.apply([&transaction]).applied, 1);
            stars.advance(pair, transaction.id());
            stars.admitted(pair);
            stars.ended(pair, true);
        }
        assert_eq!((prepared.pair(299), prepared.pair(300)), (None, None));
    }

    #[test]
    fn a_chain_that_stands_otherwise_is_not_served_from_stock() {
        let mut prepared = Prepared::sign(SIGNING, stars(), 8);
        let mut stars = stars();
        let pair = prepared.pair(0).unwrap();
        stars.park(pair[1]);
        assert_eq!(stars.take(pair, AMOUNT), None);
        stars.resynchronise(pair[1], StarHead { sequence: 3, head: Default::default() }, 5);
        assert_eq!(stars.take(pair, AMOUNT), Some(pair));
        assert!(prepared.take(0, &stars).is_none());
        assert!(prepared.take(1, &stars).is_some());
    }
}
