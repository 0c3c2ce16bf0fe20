//! The envoy: carries a galaxy's black holes up to the network above it, as transactions of a star there. One beside each validator, whose key
//! is the star's; a pure state machine like the node.
//!
//! Validators take turns: a run of [`RUN_LEN`] heights is one validator's, who signs them one after the other on its star's chain and need not
//! wait for each to be final. The next in order stands in when nothing has moved for a patience, and so on around the committee: who is
//! absent delays, and loses nothing. Two that carry the same black hole do no harm, for it applies again and changes nothing.
//!
//! The caller's contract: what [`EnvoyAction::Submit`] holds is kept, durably, before it is sent, and given back after a restart
//! ([`Envoy::restore`]; the last [`RUN_LEN`] suffice), for another transaction of the same number would be a fork of the star. What the parent
//! tells is taken at its word, so ask a node that is trusted.

use constellation_chain::{
    BlackHoleHeader, Certificate, CertifiedHeader, Committee, GALAXY_VALIDATORS_MAX, GalaxyHead, Kind, NetworkId,
    PublicKey, SecretKey, StarHead, Transaction,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Heights that one validator carries in a row; half of what a pool holds of one star.
pub const RUN_LEN: u64 = 32;
/// Without progress for this long, the next validator in order carries too.
const PATIENCE_US: u64 = 1_000_000;
/// Between two questions to the parent while there is something to carry.
const ASK_US: u64 = 100_000;
/// What is not final after this long is submitted again.
const RESEND_US: u64 = 1_000_000;

/// Why there can be no envoy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvoyError {
    /// The key is not a validator's.
    #[error("key {0} is not among the galaxy's validators")]
    NotAValidator(PublicKey),
    /// The signatures of a quorum do not fit a transaction.
    #[error("a galaxy of {0} validators cannot be carried up: at most {GALAXY_VALIDATORS_MAX} fit a transaction")]
    TooManyValidators(usize),
}

/// Something the envoy asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvoyAction {
    /// Ask a node of the parent where the star and the galaxy stand; the answer goes to [`Envoy::hear`].
    Ask,
    /// Give it this black hole of the galaxy's own log, by [`Envoy::appended`].
    Read {
        /// Its height.
        height: u64,
    },
    /// Keep this, then send it to nodes of the parent.
    Submit(Arc<Transaction>),
}

/// One validator's envoy to the network above.
pub struct Envoy {
    key: SecretKey,
    parent: NetworkId,
    validators: Committee,
    me: u64,
    /// Height of the galaxy's last black hole.
    tip: u64,
    /// Black holes that come next, no more than a run ahead of what the parent has.
    held: BTreeMap<u64, CertifiedHeader>,
    /// What the parent told last: where the star and the galaxy stand.
    told: Option<(StarHead, GalaxyHead)>,
    /// Since when the next black hole waits to be carried.
    waiting_since_us: u64,
    /// Signed, and not known to be final; each with its black hole's height, in the order of the star's chain. A run at most.
    unsettled: VecDeque<(u64, Arc<Transaction>)>,
    next_ask_us: u64,
    next_resend_us: u64,
    out: Vec<EnvoyAction>,
}

impl Envoy {
    /// The envoy of the validator with this key, to the network `parent`.
    ///
    /// # Errors
    /// A key that is no validator's, or more validators than can be carried.
    pub fn new(key: SecretKey, parent: NetworkId, validators: Committee) -> Result<Self, EnvoyError> {
        let star = key.public_key();
        let me = validators.index_of(&star).ok_or(EnvoyError::NotAValidator(star))? as u64;
        if validators.len() > GALAXY_VALIDATORS_MAX {
            return Err(EnvoyError::TooManyValidators(validators.len()));
        }
        Ok(Envoy {
            key,
            parent,
            validators,
            me,
            tip: 0,
            held: BTreeMap::new(),
            told: None,
            waiting_since_us: 0,
            unsettled: VecDeque::new(),
            next_ask_us: 0,
            next_resend_us: 0,
            out: Vec::new(),
        })
    }

    /// Takes back, after a restart and before anything else, what it had submitted last, in order.
    pub fn restore(&mut self, submitted: impl IntoIterator<Item = Arc<Transaction>>) {
        let carried = |one: Arc<Transaction>| Some((one.black_hole()?.header.height(), one));
        self.unsettled = submitted.into_iter().filter_map(carried).collect();
    }

    /// The galaxy's log holds this black hole: a new one, or one that was asked for.
    pub fn appended(&mut self, now_us: u64, header: &BlackHoleHeader, certificate: &Certificate) {
        let height = header.height();
        let Some((_, galaxy)) = self.told else { return self.tip = height.max(self.tip) };
        if self.tip <= galaxy.height {
            self.waiting_since_us = now_us;
        }
        self.tip = height.max(self.tip);
        if (galaxy.height + 1..=galaxy.height + RUN_LEN).contains(&height) {
            self.held.insert(height, CertifiedHeader::new(*header, certificate, self.validators.quorum()));
        }
    }

    /// The parent tells where the star and the galaxy stand, final. What is older than what it told before is dropped.
    pub fn hear(&mut self, now_us: u64, star: StarHead, galaxy: GalaxyHead) {
        let (known_star, known_galaxy) = self.told.unwrap_or((star, galaxy));
        if self.told.is_none() || galaxy.height > known_galaxy.height {
            self.waiting_since_us = now_us;
        }
        let star = if star.sequence > known_star.sequence { star } else { known_star };
        let galaxy = if galaxy.height > known_galaxy.height { galaxy } else { known_galaxy };
        self.told = Some((star, galaxy));
        self.held = self.held.split_off(&(galaxy.height + 1));
        self.unsettled.retain(|(_, one)| one.initiator_half().sequence() > star.sequence);
        let follows = |(_, one): &(u64, Arc<Transaction>)| one.initiator_half().previous == star.head;
        if !self.unsettled.front().is_none_or(follows) {
            // The star's chain went another way: these can never apply.
            self.unsettled.clear();
        }
    }

    /// What has to be done now, in order.
    pub fn poll(&mut self, now_us: u64) -> Vec<EnvoyAction> {
        let is_due = now_us >= self.next_ask_us;
        match self.told {
            None if is_due => self.out.push(EnvoyAction::Ask),
            Some((star, galaxy)) if self.tip > galaxy.height || !self.unsettled.is_empty() => {
                if is_due {
                    self.out.push(EnvoyAction::Ask);
                }
                self.resend(now_us);
                if self.is_my_turn(now_us, galaxy.height + 1) {
                    self.carry(star, galaxy.height, is_due);
                }
            }
            _ => {}
        }
        if is_due {
            self.next_ask_us = now_us + ASK_US;
        }
        std::mem::take(&mut self.out)
    }

    /// Whether this validator may carry a height by now: the first in order at once, each further one after another patience.
    fn is_my_turn(&self, now_us: u64, height: u64) -> bool {
        let count = self.validators.len() as u64;
        let first = run_of(height) % count;
        let places_behind = (self.me + count - first) % count;
        now_us >= self.waiting_since_us + places_behind * PATIENCE_US
    }

    /// Signs what comes next, to the end of the run.
    fn carry(&mut self, star: StarHead, galaxy_height: u64, may_ask: bool) {
        let signed = self.unsettled.back().map_or(0, |(height, _)| *height).max(galaxy_height);
        let run_end = RUN_LEN * (run_of(galaxy_height + 1) + 1);
        for height in signed + 1..=self.tip.min(run_end) {
            if self.unsettled.len() as u64 >= RUN_LEN {
                break;
            }
            let Some(carried) = self.held.get(&height) else {
                if may_ask {
                    self.out.extend((height..=self.tip.min(run_end)).map(|height| EnvoyAction::Read { height }));
                }
                break;
            };
            let head = self
                .unsettled
                .back()
                .map_or(star, |(_, last)| StarHead { sequence: last.initiator_half().sequence(), head: last.id() });
            let payload = carried.to_bytes();
            let signed = Transaction::one_sided(Kind::BlackHole, self.parent, &self.key, head, &payload);
            let transaction = Arc::new(signed.expect("a quorum of so few validators fits a payload"));
            self.out.push(EnvoyAction::Submit(transaction.clone()));
            self.unsettled.push_back((height, transaction));
        }
    }

    fn resend(&mut self, now_us: u64) {
        if now_us >= self.next_resend_us {
            self.next_resend_us = now_us + RESEND_US;
            self.out.extend(self.unsettled.iter().map(|(_, one)| EnvoyAction::Submit(one.clone())));
        }
    }
}

/// The run that a height, from 1, belongs to.
fn run_of(height: u64) -> u64 {
    height.saturating_sub(1) / RUN_LEN
}

#[cfg(test)]
#[path = "envoy_tests.rs"]
mod tests;
