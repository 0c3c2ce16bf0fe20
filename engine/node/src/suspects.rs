//! Which senders sent signatures that do not verify: theirs are verified apart for a while, so that they make nobody else's dearer.

use constellation_net::PeerId;
use std::collections::HashMap;

/// Whose signatures stand or fall together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sender {
    /// All clients of the API, which have no names.
    Clients,
    Peer(PeerId),
}

/// How many good transactions clear a sender.
const GOOD_TRANSACTIONS: usize = 4096;

/// Senders under suspicion, each with the good transactions it still has to send. There are at most as many as the network has nodes,
/// and one.
#[derive(Default)]
pub(crate) struct Suspects(HashMap<Sender, usize>);

impl Suspects {
    pub fn contains(&self, sender: Sender) -> bool {
        self.0.contains_key(&sender)
    }

    /// Takes in the verdicts on a batch's transactions, each input's with its sender. One bad transaction outweighs all good ones of the batch.
    pub fn observe<'a>(&mut self, verdicts: impl Iterator<Item = (Sender, &'a [bool])>) {
        let mut by_sender: HashMap<Sender, (usize, bool)> = HashMap::new();
        for (sender, verdicts) in verdicts {
            let (good, any_bad) = by_sender.entry(sender).or_default();
            *good += verdicts.iter().filter(|valid| **valid).count();
            *any_bad |= verdicts.contains(&false);
        }
        for (sender, (good, any_bad)) in by_sender {
            if any_bad {
                self.0.insert(sender, GOOD_TRANSACTIONS);
            } else if let Some(left) = self.0.get_mut(&sender) {
                *left = left.saturating_sub(good);
                if *left == 0 {
                    self.0.remove(&sender);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_batch_makes_a_suspect_and_good_transactions_clear_it() {
        let mut suspects = Suspects::default();
        suspects.observe([(Sender::Clients, &[true][..])].into_iter());
        assert!(!suspects.contains(Sender::Clients));
        let good = [true; GOOD_TRANSACTIONS];
        // However many good ones come with the bad one.
        suspects.observe([(Sender::Clients, &[true, false][..]), (Sender::Clients, &good[..])].into_iter());
        assert!(suspects.contains(Sender::Clients));
        // Nothing is no good sign.
        (0..10_000).for_each(|_| suspects.observe([(Sender::Clients, &[][..])].into_iter()));
        suspects.observe([(Sender::Clients, &good[1..])].into_iter());
        assert!(suspects.contains(Sender::Clients));
        suspects.observe([(Sender::Clients, &good[..1])].into_iter());
        assert!(!suspects.contains(Sender::Clients));
    }

    #[test]
    fn one_sender_is_not_another() {
        let mut suspects = Suspects::default();
        let [first, second] = [1, 2].map(|peer| Sender::Peer(PeerId(peer)));
        suspects.observe([(first, &[false][..]), (second, &[true][..])].into_iter());
        assert!(suspects.contains(first));
        assert!(!suspects.contains(second) && !suspects.contains(Sender::Clients));
    }
}
