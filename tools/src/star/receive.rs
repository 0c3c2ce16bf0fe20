//! Being paid: offers in the mailbox, countersigned when they fit, and seen through until they are final.

use super::chain_file::{Entry, Outcome, Place, Signed};
use super::door::Door;
use super::light::{Light, RESEND, StarError, pause};
use constellation_chain::{Hash, Offer, PublicKey};
use constellation_node::api::Admission;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Which offers to countersign.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// Only this star's.
    pub from: Option<PublicKey>,
    /// Only up to this amount, in 10^-8 noos.
    pub max_amount: Option<u64>,
}

/// Something to tell the user meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An offer is left alone, and why.
    Skipped(Offer, &'static str),
    /// An offer is being countersigned.
    Countersigning(Offer),
    /// An open half is in the way: it is sent again first.
    Resending(u64),
    /// The countersigned half with this number was censored, and why; its number is free again.
    Censored(u64, String),
}

/// A payment received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its number on this star's chain.
    pub sequence: u64,
    /// Who paid.
    pub from: PublicKey,
    /// How much, in 10^-8 noos.
    pub amount: u64,
    /// What the payer says.
    pub payload: Vec<u8>,
    /// Where it stands.
    pub place: Place,
}

/// What to do with an offer.
enum Verdict {
    Countersign,
    /// Its initiator's last transaction is not final yet, or the node is behind.
    Later,
    Skip(&'static str),
}

impl<D: Door> Light<D> {
    /// Countersigns up to `count` offers that fit, until `wait` is over. An error when an open half is still in the way at the end.
    pub fn receive(
        &mut self,
        filter: &Filter,
        count: usize,
        wait: Duration,
        tell: &mut dyn FnMut(Notice),
    ) -> Result<Vec<Received>, StarError> {
        let deadline = Instant::now() + wait;
        let mut received = Vec::new();
        let mut skipped = HashSet::new();
        received.extend(self.clear_the_way(deadline, tell)?);
        while received.len() < count {
            match self.next_offer(filter, &mut skipped, tell)? {
                Some(offer) => {
                    let transaction = offer.countersign(&self.key, self.chain().head())?;
                    tell(Notice::Countersigning(offer));
                    self.chain_file.countersigned(&transaction)?;
                    received.extend(self.see_through(deadline, tell)?);
                }
                None if pause(self.poll, deadline) => {}
                None => break,
            }
        }
        Ok(received)
    }

    /// An open half takes the number that the next offer needs.
    fn clear_the_way(
        &mut self,
        deadline: Instant,
        tell: &mut dyn FnMut(Notice),
    ) -> Result<Option<Received>, StarError> {
        let Some(open) = self.chain().open().cloned() else {
            self.settle()?;
            return Ok(None);
        };
        tell(Notice::Resending(open.sequence));
        match &open.signed {
            Signed::Transaction(_) => self.see_through(deadline, tell),
            Signed::Offer(offer) => {
                let mut send_at = Instant::now();
                while let Some(open) = self.settle()? {
                    if Instant::now() >= send_at {
                        self.door.submit_offer(offer)?;
                        send_at = Instant::now() + RESEND;
                    }
                    if !pause(self.poll, deadline) && self.settle()?.is_some() {
                        return Err(StarError::open(&open));
                    }
                }
                Ok(None)
            }
        }
    }

    /// The first offer in the mailbox that can be countersigned now.
    fn next_offer(
        &mut self,
        filter: &Filter,
        skipped: &mut HashSet<Hash>,
        tell: &mut dyn FnMut(Notice),
    ) -> Result<Option<Offer>, StarError> {
        for offer in self.door.offers(&self.star())? {
            if skipped.contains(&offer.id()) {
                continue;
            }
            match self.judge(&offer, filter)? {
                Verdict::Countersign => return Ok(Some(offer)),
                Verdict::Later => {}
                Verdict::Skip(why) => {
                    skipped.insert(offer.id());
                    tell(Notice::Skipped(offer, why));
                }
            }
        }
        Ok(None)
    }

    /// What is countersigned takes a number for good, so only an offer that can still apply is.
    fn judge(&mut self, offer: &Offer, filter: &Filter) -> Result<Verdict, StarError> {
        if offer.counterparty() != self.star() || !self.door.is_signed(offer) {
            return Ok(Verdict::Skip("it is not signed for this star: the node is at fault"));
        }
        if filter.from.is_some_and(|from| from != offer.initiator()) {
            return Ok(Verdict::Skip("it is from another star than asked for"));
        }
        if filter.max_amount.is_some_and(|max| offer.amount() > max) {
            return Ok(Verdict::Skip("its amount is above the one asked for"));
        }
        let (account, half) = (self.door.account(&offer.initiator())?, offer.initiator_half());
        let next = account.head.sequence.saturating_add(1);
        if half.sequence() > next {
            return Ok(Verdict::Later);
        }
        if (half.sequence(), half.previous) != (next, account.head.head) {
            // The mailbox forgets it when the transaction that answered it is settled.
            return Ok(if half.sequence() < next {
                Verdict::Later
            } else {
                Verdict::Skip("it does not follow its star's last transaction")
            });
        }
        if account.balance < offer.amount() {
            return Ok(Verdict::Later);
        }
        Ok(Verdict::Countersign)
    }

    /// Sends the open transaction, again if need be, until it is final or censored.
    fn see_through(&mut self, deadline: Instant, tell: &mut dyn FnMut(Notice)) -> Result<Option<Received>, StarError> {
        let mut send_at = Instant::now();
        let Some(open) = self.chain().open().cloned() else { return Ok(None) };
        let Signed::Transaction(transaction) = &open.signed else { return Err(StarError::open(&open)) };
        while self.settle()?.is_some() {
            if Instant::now() >= send_at {
                send_at = Instant::now() + RESEND;
                match self.door.submit(transaction)? {
                    Admission::Admitted | Admission::Known | Admission::Final => {}
                    Admission::Busy { retry_after_ms } => {
                        send_at = Instant::now() + Duration::from_millis(u64::from(retry_after_ms)).min(RESEND);
                    }
                    Admission::Censored { .. } if self.settle()?.is_none() => break,
                    // A refusal at the door is no black hole's: the half may still be used against this star.
                    Admission::Censored { reason } => {
                        return Err(StarError::Refused { sequence: open.sequence, reason });
                    }
                }
            }
            if !pause(self.poll, deadline) && self.settle()?.is_some() {
                return Err(StarError::open(&open));
            }
        }
        Ok(self.outcome_of(&open, tell))
    }

    fn outcome_of(&self, open: &Entry, tell: &mut dyn FnMut(Notice)) -> Option<Received> {
        let last = self.chain().entries.last()?;
        match &last.outcome {
            Outcome::Final(place) => Some(Received {
                sequence: open.sequence,
                from: open.signed.counterparty(),
                amount: open.signed.amount(),
                payload: open.signed.payload().to_vec(),
                place: *place,
            }),
            Outcome::Void(reason) => {
                tell(Notice::Censored(open.sequence, reason.clone()));
                None
            }
            Outcome::Open => None,
        }
    }
}
