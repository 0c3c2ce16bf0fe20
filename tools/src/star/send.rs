//! Paying: an offer that follows the star's own head, left in the mailbox until the other star countersigns it.

use super::chain_file::{Entry, Outcome, Place, Signed};
use super::door::Door;
use super::light::{Light, RESEND, StarError, pause};
use constellation_chain::{Kind, Offer, PublicKey};
use constellation_node::api::Admission;
use std::time::{Duration, Instant};

/// How long a busy node is asked to take an offer, even by who does not wait for the answer to it.
const SEND_PATIENCE: Duration = Duration::from_secs(10);

/// What became of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its number on this star's chain.
    pub sequence: u64,
    /// Where it stands; none while the offer waits for its counterparty.
    pub place: Option<Place>,
    /// Whether an earlier command signed it, and this one finished its work.
    pub resumed: bool,
}

impl<D: Door> Light<D> {
    /// Offers `amount` to `to`, and waits up to `wait` until the transaction is final.
    ///
    /// An offer that an earlier call left open is finished before anything else: the same payment asked for again is that offer, any
    /// other is an error, because a second half with its number would be a fork.
    pub fn send(&mut self, to: PublicKey, amount: u64, payload: &[u8], wait: Duration) -> Result<Sent, StarError> {
        let deadline = Instant::now() + wait;
        let is_same = |entry: &Entry| match &entry.signed {
            Signed::Offer(offer) => (offer.counterparty(), offer.amount(), offer.payload()) == (to, amount, payload),
            Signed::Transaction(_) => false,
        };
        let before = self.chain().open().filter(|entry| is_same(entry)).map(|entry| entry.sequence);
        let open = self.settle()?;
        let (sequence, resumed) = match (&open, before) {
            (Some(entry), None) => return Err(StarError::open(entry)),
            (_, Some(sequence)) => (sequence, true),
            (None, None) => (self.sign_offer(to, amount, payload)?, false),
        };
        let place = self.deliver(sequence, deadline)?;
        Ok(Sent { sequence, place, resumed })
    }

    fn sign_offer(&mut self, to: PublicKey, amount: u64, payload: &[u8]) -> Result<u64, StarError> {
        let head = self.chain().head();
        let offer = Offer::new(Kind::Transfer, self.network, &self.key, head, to, amount, payload)?;
        let balance = self.door.account(&self.star())?.balance;
        if balance < amount {
            return Err(StarError::Balance { balance, amount });
        }
        self.chain_file.offered(&offer)?;
        Ok(offer.initiator_half().sequence())
    }

    /// Sends the open offer, again and again, until it is answered and final; `None` when it is not before `deadline`.
    fn deliver(&mut self, sequence: u64, deadline: Instant) -> Result<Option<Place>, StarError> {
        let mut send_at = Instant::now();
        let sent_by = deadline.max(send_at + SEND_PATIENCE);
        let mut is_sent = false;
        while let Some(Entry { signed: Signed::Offer(offer), .. }) = self.chain().open().cloned() {
            if Instant::now() >= send_at {
                send_at = Instant::now() + RESEND;
                match self.door.submit_offer(&offer)? {
                    Admission::Admitted | Admission::Known | Admission::Final => is_sent = true,
                    Admission::Busy { retry_after_ms } => {
                        send_at = Instant::now() + Duration::from_millis(u64::from(retry_after_ms)).min(RESEND);
                    }
                    // Answered meanwhile, or its fate says why.
                    Admission::Censored { reason } if self.settle()?.is_some() => {
                        return Err(StarError::Refused { sequence, reason });
                    }
                    Admission::Censored { .. } => break,
                }
            }
            let is_late = !pause(self.poll, if is_sent { deadline } else { sent_by });
            if self.settle()?.is_some() && is_late {
                return Ok(None);
            }
        }
        let entry = self.chain().entries.iter().rev().find(|entry| entry.sequence == sequence);
        Ok(entry.and_then(|entry| match &entry.outcome {
            Outcome::Final(place) => Some(*place),
            Outcome::Open | Outcome::Void(_) => None,
        }))
    }
}
