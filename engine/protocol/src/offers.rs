//! The light clients' mailbox: signed halves that wait for their counterparty. Bounded in all, and per star on both sides, so that
//! nobody can fill another's mailbox alone.

use crate::config::Config;
use crate::event::Admission;
use constellation_chain::{Hash, Ledger, Offer, PublicKey, Reason, Transaction};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Offers of one initiator that wait at once.
const INITIATOR_MAX: usize = 16;
/// Deadlines remembered, in multiples of the offers that can wait: settled offers keep theirs until it passes.
const DEADLINES_PER_OFFER: usize = 4;

#[derive(Default)]
pub(crate) struct Offers {
    by_counterparty: HashMap<PublicKey, Vec<Arc<Offer>>>,
    by_initiator: HashMap<PublicKey, usize>,
    arrivals: VecDeque<(u64, PublicKey, Hash)>,
}

impl Offers {
    /// Takes an offer whose signature holds.
    pub fn admit(&mut self, offer: Arc<Offer>, ledger: &Ledger, config: &Config, now_us: u64) -> Admission {
        let waiting = self.by_counterparty.get(&offer.counterparty()).map_or(&[][..], Vec::as_slice);
        if waiting.iter().any(|other| other.id() == offer.id()) {
            return Admission::Known;
        }
        if offer.initiator_half().sequence() <= ledger.head(&offer.initiator()).sequence {
            return Admission::Censored { reason: Reason::Stale };
        }
        let balance = ledger.account(&offer.initiator()).map_or(0, |account| account.balance);
        if balance < offer.amount() || ledger.account(&offer.initiator()).is_none() {
            return Admission::Censored { reason: Reason::Balance };
        }
        let from_initiator = self.by_initiator.get(&offer.initiator()).copied().unwrap_or(0);
        let full = self.len() >= config.offers_max || self.arrivals.len() >= DEADLINES_PER_OFFER * config.offers_max;
        if full || waiting.len() >= config.offers_star_max || from_initiator >= INITIATOR_MAX {
            return Admission::Busy { retry_after_ms: 1000 };
        }
        self.arrivals.push_back((now_us + config.offer_ttl_us, offer.counterparty(), offer.id()));
        *self.by_initiator.entry(offer.initiator()).or_default() += 1;
        self.by_counterparty.entry(offer.counterparty()).or_default().push(offer);
        Admission::Admitted
    }

    /// What waits for `star`, oldest first.
    pub fn waiting_for(&self, star: &PublicKey) -> Vec<Arc<Offer>> {
        self.by_counterparty.get(star).cloned().unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.by_initiator.values().sum()
    }

    /// Forgets the offers that a final transaction has answered or overtaken: both name the initiator's sequence number.
    pub fn settle(&mut self, transaction: &Transaction) {
        let (initiator, sequence) = (transaction.initiator(), transaction.initiator_half().sequence());
        if !self.by_initiator.contains_key(&initiator) {
            return;
        }
        if let Some(counterparty) = transaction.counterparty() {
            self.remove_where(&counterparty, |offer| {
                offer.initiator() == initiator && offer.initiator_half().sequence() <= sequence
            });
        }
    }

    /// Forgets what has waited too long.
    pub fn expire(&mut self, now_us: u64) {
        while let Some(&(until_us, counterparty, id)) = self.arrivals.front()
            && until_us <= now_us
        {
            self.arrivals.pop_front();
            self.remove_where(&counterparty, |offer| offer.id() == id);
        }
    }

    fn remove_where(&mut self, counterparty: &PublicKey, gone: impl Fn(&Offer) -> bool) {
        let Some(waiting) = self.by_counterparty.get_mut(counterparty) else { return };
        waiting.retain(|offer| {
            let gone = gone(offer);
            if gone && let Some(count) = self.by_initiator.get_mut(&offer.initiator()) {
                *count -= 1;
                if *count == 0 {
                    self.by_initiator.remove(&offer.initiator());
                }
            }
            !gone
        });
        if waiting.is_empty() {
            self.by_counterparty.remove(counterparty);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use constellation_chain::{Genesis, GenesisNode, GenesisStar, NetworkId, SecretKey, StarHead};

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_seed([byte; 32])
    }

    fn fixture() -> (Config, Ledger) {
        let node = GenesisNode::new(key(200).public_key(), "127.0.0.1:1".parse().unwrap());
        let stars = (0..3).map(|i| GenesisStar { public_key: key(i).public_key(), balance: 100 }).collect();
        let config = Config::new(Genesis::new("test", 1, vec![node], stars).unwrap(), key(200));
        let ledger = Ledger::new(&config.genesis);
        (config, ledger)
    }

    fn offer(from: u8, to: u8, amount: u64, sequence: u64) -> Arc<Offer> {
        let head = StarHead { sequence, head: Hash::ZERO };
        Arc::new(Offer::transfer(NetworkId::default(), &key(from), head, key(to).public_key(), amount))
    }

    #[test]
    fn offers_wait_settle_and_expire() {
        let (config, ledger) = fixture();
        let mut offers = Offers::default();
        let first = offer(0, 1, 10, 0);
        assert_eq!(offers.admit(first.clone(), &ledger, &config, 0), Admission::Admitted);
        assert_eq!(offers.admit(first.clone(), &ledger, &config, 0), Admission::Known);
        assert_eq!(offers.waiting_for(&key(1).public_key()), std::slice::from_ref(&first));
        offers.settle(&first.countersign(&key(1), StarHead::default()).unwrap());
        assert_eq!(offers.len(), 0);
        assert_eq!(offers.admit(offer(0, 2, 10, 1), &ledger, &config, 0), Admission::Admitted);
        offers.expire(config.offer_ttl_us - 1);
        assert_eq!(offers.len(), 1);
        offers.expire(config.offer_ttl_us);
        assert_eq!(offers.len(), 0);
    }

    #[test]
    fn who_cannot_pay_or_floods_is_refused() {
        let (config, ledger) = fixture();
        let mut offers = Offers::default();
        let mut admit = |offer| offers.admit(offer, &ledger, &config, 0);
        assert_eq!(admit(offer(0, 1, 101, 0)), Admission::Censored { reason: Reason::Balance });
        assert_eq!(admit(offer(9, 1, 0, 0)), Admission::Censored { reason: Reason::Balance });
        for i in 0..INITIATOR_MAX as u64 {
            assert_eq!(admit(offer(0, 1, 1, i)), Admission::Admitted);
        }
        assert!(matches!(admit(offer(0, 1, 1, 99)), Admission::Busy { .. }));
        assert_eq!(admit(offer(2, 1, 1, 0)), Admission::Admitted);
    }
}
