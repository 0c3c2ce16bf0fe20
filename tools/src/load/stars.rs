//! The stars that a load test plays: their keys, their chains, and whose turn it is.
//!
//! A star's next half follows its last transaction, so one that is used again at once chains its transactions up and waits on itself.
//! The next pair is therefore drawn from the stars that have rested longest: those with nothing in flight first. A star whose last
//! transaction no node has admitted yet is never used, because a successor that arrives first only fills the nodes' pools.

use constellation_chain::{Hash, PublicKey, SecretKey, StarHead};
use std::collections::BTreeSet;

/// A counterparty is drawn from this many that have rested longest.
const DRAW_FROM: u64 = 16;
/// How far down the list to look for a star that can pay.
const PAYER_SEARCH: usize = 64;
/// Transactions of one star in flight, at most: well below what a node's pool takes of one star.
const IN_FLIGHT_MAX: u32 = 16;

/// The keys of the first `count` stars of `seed`; whoever writes the genesis derives the same.
pub fn star_keys(seed: [u8; 32], count: usize) -> Vec<SecretKey> {
    let key = |index: u64| Hash::of(b"cst.lkey", &[&seed[..], &index.to_le_bytes()].concat());
    (0..count as u64).map(|index| SecretKey::from_seed(key(index).0)).collect()
}

/// A star's place in the list.
pub type StarIndex = u32;

struct Star {
    key: SecretKey,
    public_key: PublicKey,
    head: StarHead,
    balance: u64,
    used: u64,
    in_flight: u32,
    is_unadmitted: bool,
    is_parked: bool,
}

impl Star {
    /// Where it stands in the order of use; none when it must not be used.
    fn turn(&self, index: StarIndex) -> Option<(bool, u64, StarIndex)> {
        let is_free = !self.is_unadmitted && !self.is_parked && self.in_flight < IN_FLIGHT_MAX;
        is_free.then_some((self.in_flight > 0, self.used, index))
    }
}

/// All stars of a load test, and the order in which they are used.
pub struct Stars {
    stars: Vec<Star>,
    /// Those that may be used, in their order; made by the first draw, because who never draws need not keep it.
    ready: Option<BTreeSet<(bool, u64, StarIndex)>>,
    clock: u64,
    random: SplitMix,
}

impl Stars {
    /// Stars with their accounts, in an order drawn from `seed`.
    pub fn new(keys: Vec<SecretKey>, accounts: &[(StarHead, u64)], seed: u64) -> Self {
        let mut random = SplitMix(seed);
        let mut order: Vec<u64> = (0..keys.len() as u64).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last as u64 + 1) as usize);
        }
        let stars: Vec<Star> = keys
            .into_iter()
            .zip(accounts)
            .zip(order)
            .map(|((key, &(head, balance)), used)| Star {
                public_key: key.public_key(),
                key,
                head,
                balance,
                used,
                in_flight: 0,
                is_unadmitted: false,
                is_parked: false,
            })
            .collect();
        Stars { clock: stars.len() as u64, stars, ready: None, random }
    }

    /// Draws initiator and counterparty and takes them out until the transaction is admitted; `None` while no pair is free.
    pub fn draw(&mut self, amount: u64) -> Option<[StarIndex; 2]> {
        let turns = || (0..).zip(&self.stars).filter_map(|(index, star)| star.turn(index)).collect();
        let ready = self.ready.get_or_insert_with(turns);
        let pays = |index: &StarIndex| self.stars[*index as usize].balance >= amount;
        let initiator = ready.iter().map(|turn| turn.2).take(PAYER_SEARCH).find(pays)?;
        let others = (ready.len() as u64 - 1).min(DRAW_FROM);
        if others == 0 {
            return None;
        }
        let nth = self.random.below(others) as usize;
        let counterparty = ready.iter().map(|turn| turn.2).filter(|index| *index != initiator).nth(nth)?;
        self.take([initiator, counterparty], amount)
    }

    /// Takes initiator and counterparty out until their transaction is admitted; `None` while one of them is not free, or cannot pay.
    pub fn take(&mut self, pair: [StarIndex; 2], amount: u64) -> Option<[StarIndex; 2]> {
        let star = |index: StarIndex| &self.stars[index as usize];
        let is_free = pair.iter().all(|index| star(*index).turn(*index).is_some());
        if !is_free || star(pair[0]).balance < amount {
            return None;
        }
        for (index, paid) in [(pair[0], true), (pair[1], false)] {
            self.clock += 1;
            let clock = self.clock;
            self.change(index, |star| {
                star.used = clock;
                star.in_flight += 1;
                star.is_unadmitted = true;
                star.balance = if paid { star.balance - amount } else { star.balance.saturating_add(amount) };
            });
        }
        Some(pair)
    }

    /// Whether a pair needs nothing but admissions to trade: neither is parked, and the initiator can pay.
    pub fn may_trade(&self, pair: [StarIndex; 2], amount: u64) -> bool {
        let [initiator, counterparty] = pair.map(|index| &self.stars[index as usize]);
        !initiator.is_parked && !counterparty.is_parked && initiator.balance >= amount
    }

    /// A star's key and head, for signing.
    pub fn signer(&self, index: StarIndex) -> (&SecretKey, StarHead) {
        let star = &self.stars[index as usize];
        (&star.key, star.head)
    }

    /// A star's public key.
    pub fn public_key(&self, index: StarIndex) -> PublicKey {
        self.stars[index as usize].public_key
    }

    /// The pair has signed transaction `id`.
    pub fn advance(&mut self, pair: [StarIndex; 2], id: Hash) {
        for index in pair {
            let head = &mut self.stars[index as usize].head;
            *head = StarHead { sequence: head.sequence + 1, head: id };
        }
    }

    /// A node has admitted the pair's last transaction.
    pub fn admitted(&mut self, pair: [StarIndex; 2]) {
        pair.into_iter().for_each(|index| self.change(index, |star| star.is_unadmitted = false));
    }

    /// A transaction of the pair has ended; `was_admitted` tells whether [`Stars::admitted`] was called for it.
    pub fn ended(&mut self, pair: [StarIndex; 2], was_admitted: bool) {
        for index in pair {
            self.change(index, |star| {
                star.in_flight -= 1;
                star.is_unadmitted &= was_admitted;
            });
        }
    }

    /// The star's chain did not come to stand as signed: it is not used before [`Stars::resynchronise`].
    pub fn park(&mut self, index: StarIndex) {
        self.change(index, |star| star.is_parked = true);
    }

    /// Whether a parked star has nothing in flight any more, so that its head on the nodes is its last word.
    pub fn is_settled(&self, index: StarIndex) -> bool {
        self.stars[index as usize].in_flight == 0
    }

    /// The star goes on from what a node says of it.
    pub fn resynchronise(&mut self, index: StarIndex, head: StarHead, balance: u64) {
        self.change(index, |star| {
            (star.head, star.balance) = (head, balance);
            star.is_parked = false;
        });
    }

    fn change(&mut self, index: StarIndex, change: impl FnOnce(&mut Star)) {
        let star = &mut self.stars[index as usize];
        let before = star.turn(index);
        change(star);
        let after = star.turn(index);
        if let Some(ready) = &mut self.ready
            && before != after
        {
            before.map(|turn| ready.remove(&turn));
            ready.extend(after);
        }
    }
}

/// SplitMix64: enough to mix pairs, the same on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn stars(count: usize, balance: u64) -> Stars {
        Stars::new(star_keys([1; 32], count), &vec![(StarHead::default(), balance); count], 5)
    }

    fn finish(stars: &mut Stars, pair: [StarIndex; 2]) {
        stars.advance(pair, Hash([7; 32]));
        stars.admitted(pair);
        stars.ended(pair, true);
    }

    #[test]
    fn keys_are_those_of_the_seed() {
        let public = |keys: Vec<SecretKey>| keys.iter().map(SecretKey::public_key).collect::<Vec<_>>();
        let four = public(star_keys([1; 32], 4));
        assert_eq!(four[..2], public(star_keys([1; 32], 2)));
        assert_eq!(four.iter().collect::<HashSet<_>>().len(), 4);
        assert_ne!(four[0], public(star_keys([2; 32], 1))[0]);
    }

    #[test]
    fn everybody_rests_as_long_as_possible_and_partners_change() {
        let mut stars = stars(64, 1000);
        let mut pairs = HashSet::new();
        let mut last_use = [0i64; 64];
        for turn in 1..=640 {
            let pair = stars.draw(1).unwrap();
            assert_ne!(pair[0], pair[1]);
            for index in pair {
                let rested = turn - std::mem::replace(&mut last_use[index as usize], turn);
                assert!(rested >= 16 || turn <= 32, "star {index} used again after {rested}");
            }
            pairs.insert(pair);
            finish(&mut stars, pair);
        }
        assert!(pairs.len() > 500, "{}", pairs.len());
    }

    #[test]
    fn what_is_not_admitted_is_not_built_on() {
        let mut stars = stars(4, 10);
        let (first, second) = (stars.draw(1).unwrap(), stars.draw(1).unwrap());
        assert_eq!(stars.draw(1), None);
        stars.admitted(second);
        let third = stars.draw(1).unwrap();
        assert_eq!(third.iter().collect::<HashSet<_>>(), second.iter().collect());
        stars.ended(first, false);
        assert!(stars.draw(1).is_some_and(|pair| pair.iter().all(|index| first.contains(index))));
    }

    #[test]
    fn idle_stars_come_before_those_in_flight() {
        let mut stars = stars(4, 10);
        let first = stars.draw(1).unwrap();
        stars.admitted(first);
        let second = stars.draw(1).unwrap();
        assert!(second.iter().any(|index| !first.contains(index)), "{first:?} {second:?}");
    }

    #[test]
    fn who_cannot_pay_is_paid() {
        let accounts: Vec<_> = (0..8).map(|index| (StarHead::default(), u64::from(index == 3))).collect();
        let mut stars = Stars::new(star_keys([1; 32], 8), &accounts, 5);
        for _ in 0..20 {
            let pair = stars.draw(1).unwrap();
            finish(&mut stars, pair);
        }
        assert_eq!(stars.stars.iter().map(|star| star.balance).sum::<u64>(), 1);
        assert_eq!(stars.draw(2), None);
    }

    #[test]
    fn a_parked_star_waits_for_its_head() {
        let mut stars = stars(2, 10);
        let pair = stars.draw(1).unwrap();
        stars.advance(pair, Hash([7; 32]));
        stars.admitted(pair);
        stars.park(pair[0]);
        assert!(!stars.is_settled(pair[0]));
        stars.ended(pair, true);
        assert!(stars.is_settled(pair[0]));
        assert_eq!(stars.draw(1), None);
        let head = StarHead { sequence: 9, head: Hash([9; 32]) };
        stars.resynchronise(pair[0], head, 3);
        assert_eq!(stars.signer(pair[0]).1, head);
        assert!(stars.draw(1).is_some());
    }
}
