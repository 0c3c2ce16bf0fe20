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

/// How many batches without a bad signature clear a sender.
const GOOD_BATCHES: u32 = 64;

/// Senders under suspicion, each with the good batches it still has to send. There are at most as many as the network has nodes, and one.
#[derive(Default)]
pub(crate) struct Suspects(HashMap<Sender, u32>);

impl Suspects {
    pub fn contains(&self, sender: Sender) -> bool {
        self.0.contains_key(&sender)
    }

    /// Takes in whether all signatures of a batch from `sender` verified.
    pub fn observe(&mut self, sender: Sender, all_verified: bool) {
        if !all_verified {
            self.0.insert(sender, GOOD_BATCHES);
        } else if let Some(left) = self.0.get_mut(&sender) {
            *left -= 1;
            if *left == 0 {
                self.0.remove(&sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_batch_makes_a_suspect_and_good_ones_clear_it() {
        let mut suspects = Suspects::default();
        suspects.observe(Sender::Clients, true);
        assert!(!suspects.contains(Sender::Clients));
        suspects.observe(Sender::Clients, false);
        for _ in 0..GOOD_BATCHES {
            assert!(suspects.contains(Sender::Clients));
            suspects.observe(Sender::Clients, true);
        }
        assert!(!suspects.contains(Sender::Clients));
    }

    #[test]
    fn one_sender_is_not_another() {
        let mut suspects = Suspects::default();
        suspects.observe(Sender::Peer(PeerId(1)), false);
        suspects.observe(Sender::Peer(PeerId(2)), true);
        assert!(suspects.contains(Sender::Peer(PeerId(1))));
        assert!(!suspects.contains(Sender::Peer(PeerId(2))) && !suspects.contains(Sender::Clients));
    }
}
