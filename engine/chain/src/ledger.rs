//! The ledger: every star's head and balance, and the rules by which agreed transactions apply or are censored.
//!
//! A transaction applies iff each half extends its star's head exactly and the initiator's balance covers the amount.
//! What does not apply is censored with a [`Reason`]; nothing is dropped in silence. A second half that follows the same
//! transaction as one that stands is a fork: the first in canonical order stands, the pair becomes [`Evidence`].
//!
//! An honest star whose transaction was censored through no fault of its own (its counterparty forked, its balance came late)
//! must sign another half with the same number. The ledger therefore remembers such *released* ids beside those that stand, so that replaying
//! a released transaction never makes evidence against its signer.
//!
//! A transaction that carries up a black hole of a galaxy below applies iff, besides, that extends the galaxy's head or stands already.

use crate::account::{Account, Standing, StarHead};
use crate::commitment::StateCommitment;
use crate::evidence::Evidence;
use crate::galaxies::{Galaxies, GalaxyHead};
use crate::genesis::Genesis;
use crate::hash::Hash;
use crate::keys::PublicKey;
use crate::map::KeyState;
use crate::transaction::{NetworkId, Transaction};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::hint::black_box;

/// Transactions, or accounts, that are looked up together before the first is worked on: they must fit a cache.
const AHEAD_MAX: usize = 128;

/// Why a transaction did not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Reason {
    /// It stands already; sending it again changes nothing.
    Duplicate = 1,
    /// Another transaction of one of its stars stands with the same number and predecessor, or another black hole of its galaxy with the same
    /// height.
    Fork = 2,
    /// One of its numbers is behind that star's head.
    Stale = 3,
    /// It follows a transaction that does not stand, or carries a black hole that follows one that does not.
    Orphan = 4,
    /// It follows a transaction that has not arrived: send it again after that one.
    Gap = 5,
    /// The initiator's balance does not cover the amount.
    Balance = 6,
    /// It carries a black hole of a galaxy that is not listed, or that too few of its validators signed.
    Uncertified = 7,
}

impl Reason {
    /// All reasons, in the order of their bytes.
    pub const ALL: [Reason; 7] = [
        Reason::Duplicate,
        Reason::Fork,
        Reason::Stale,
        Reason::Orphan,
        Reason::Gap,
        Reason::Balance,
        Reason::Uncertified,
    ];

    /// The reason written as `byte`.
    pub fn from_byte(byte: u8) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| *reason as u8 == byte)
    }

    /// The stable name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Duplicate => "duplicate",
            Reason::Fork => "fork",
            Reason::Stale => "stale",
            Reason::Orphan => "orphan",
            Reason::Gap => "gap",
            Reason::Balance => "balance",
            Reason::Uncertified => "uncertified",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A transaction that did not apply: its place in the black hole, counted over all its LSH blocks, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Censored {
    /// Place among all transactions of the black hole.
    pub index: u32,
    /// Why.
    pub reason: Reason,
}

/// What a list of agreed transactions did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Application {
    /// Those that did not apply, in order.
    pub censored: Vec<Censored>,
    /// Forks proven, in order.
    pub evidence: Vec<Evidence>,
    /// Those that applied.
    pub applied: usize,
}

/// The accounts of all stars, and the heads of the galaxies below.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// An account is never taken out, so its place is as good as its key.
    accounts: IndexMap<PublicKey, Account, KeyState>,
    galaxies: Galaxies,
    commitment: StateCommitment,
}

impl Ledger {
    /// The ledger before the first black hole.
    pub fn new(genesis: &Genesis) -> Self {
        let mut ledger = Ledger::default();
        let stars = genesis.stars().iter().map(|star| (star.public_key, star.balance));
        // A node has an account from the start, or it could not ask to join or leave: only who has one can start a transaction. So have the
        // validators of the galaxies below, to carry their black holes up.
        let nodes = genesis.nodes().iter().map(|node| (node.public_key, 0));
        let carriers = genesis.galaxies().iter().flat_map(|galaxy| &galaxy.validators).map(|key| (*key, 0));
        for (key, balance) in stars.chain(nodes).chain(carriers) {
            if !ledger.accounts.contains_key(&key) {
                let mut account = Account::new(balance);
                account.digest = account.hash(&key);
                ledger.commitment.add(&account.digest);
                ledger.accounts.insert(key, account);
            }
        }
        ledger.galaxies = Galaxies::new(genesis.galaxies(), &mut ledger.commitment);
        ledger
    }

    /// Where the chain of a galaxy below stands, if the genesis lists it.
    pub fn galaxy(&self, network: &NetworkId) -> Option<GalaxyHead> {
        self.galaxies.head(network)
    }

    /// A star's account, if it was ever touched.
    pub fn account(&self, star: &PublicKey) -> Option<&Account> {
        self.accounts.get(star)
    }

    /// Where a star's chain stands; the default for a star that was never touched.
    pub fn head(&self, star: &PublicKey) -> StarHead {
        self.accounts.get(star).map(|account| account.head).unwrap_or_default()
    }

    /// Accounts there are.
    pub fn account_count(&self) -> usize {
        self.accounts.len()
    }

    /// The sum of all balances. Transfers never change it.
    pub fn total_supply(&self) -> u128 {
        self.accounts.values().map(|account| u128::from(account.balance)).sum()
    }

    /// The commitment over all accounts and galaxies.
    pub fn state(&self) -> Hash {
        self.commitment.hash()
    }

    /// Why `transaction` would not apply to the ledger as it is; `None` when it would.
    pub fn judge(&self, transaction: &Transaction) -> Option<Reason> {
        self.verdict(transaction).err().map(|(reason, _)| reason)
    }

    /// Whether applying `transaction` would record a fork, of a star or of a galaxy below.
    pub fn would_prove_fork(&self, transaction: &Transaction) -> bool {
        matches!(self.verdict(transaction), Err((_, forks)) if !forks.is_empty())
            || transaction.black_hole().is_some_and(|carried| self.galaxies.would_prove_fork(&carried))
    }

    /// Applies agreed transactions in their canonical order. Signatures were checked before.
    pub fn apply<'a>(&mut self, transactions: impl IntoIterator<Item = &'a Transaction>) -> Application {
        let mut application = Application::default();
        let mut touched = Vec::new();
        let transactions: Vec<&Transaction> = transactions.into_iter().collect();
        let mut indices = 0..;
        for group in transactions.chunks(AHEAD_MAX) {
            for ((transaction, mut places), index) in
                self.look_ahead(group.iter().copied()).into_iter().zip(&mut indices)
            {
                if places.contains(&None) {
                    places = self.places(transaction);
                }
                match self.verdict_at(transaction, places) {
                    Ok(()) => {
                        self.move_heads(transaction, places, &mut touched);
                        if let Some(carried) = transaction.black_hole() {
                            self.galaxies.advance(&carried, &mut self.commitment);
                        }
                        application.applied += 1;
                    }
                    Err((reason, forks)) => {
                        self.censor(transaction, reason, &forks, &mut touched);
                        application.evidence.extend(forks);
                        application.censored.push(Censored { index, reason });
                    }
                }
            }
        }
        self.recommit(&touched);
        application
    }

    /// Finds the accounts of many transactions, step by step for all of them: look-ups that need nothing of each other wait for memory together.
    pub fn look_ahead<'a>(
        &self,
        transactions: impl IntoIterator<Item = &'a Transaction>,
    ) -> Vec<(&'a Transaction, [Option<usize>; 2])> {
        let found: Vec<_> =
            transactions.into_iter().map(|transaction| (transaction, self.places(transaction))).collect();
        let accounts = found.iter().flat_map(|(_, places)| places).filter_map(|place| self.at(*place));
        black_box(accounts.fold(0, |sum, account| sum ^ account.head.sequence ^ account.balance));
        found
    }

    fn verdict(&self, transaction: &Transaction) -> Result<(), (Reason, Vec<Evidence>)> {
        self.verdict_at(transaction, self.places(transaction))
    }

    /// Where the accounts of initiator and counterparty are, if there are any.
    fn places(&self, transaction: &Transaction) -> Places {
        let place = |star: PublicKey| self.accounts.get_index_of(&star);
        [place(transaction.initiator()), transaction.counterparty().and_then(place)]
    }

    fn at(&self, place: Option<usize>) -> Option<&Account> {
        self.accounts.get_index(place?).map(|(_, account)| account)
    }

    fn verdict_at(&self, transaction: &Transaction, places: Places) -> Result<(), (Reason, Vec<Evidence>)> {
        let mut worst: Option<Reason> = None;
        let mut forks = Vec::new();
        for ((star, half), place) in transaction.halves().zip(places) {
            let standing = match self.at(place) {
                Some(account) => account.standing(half, transaction.id()),
                None => Account::default().standing(half, transaction.id()),
            };
            let reason = match standing {
                Standing::Extends => continue,
                Standing::Not(reason) => reason,
                Standing::NewFork(standing) => {
                    forks.push(Evidence::new(*star, half.sequence(), standing, transaction.id()));
                    Reason::Fork
                }
            };
            worst = Some(worst.map_or(reason, |worst| worst.min(reason)));
        }
        // An account is made by a transfer to it; a key that has none has nothing to start one with, not even a transfer of nothing.
        let covered = || self.at(places[0]).is_some_and(|account| account.balance >= transaction.amount());
        match worst {
            Some(reason) => Err((reason, forks)),
            None if !covered() => Err((Reason::Balance, forks)),
            None => match transaction.black_hole() {
                Some(carried) => self.galaxies.judge(&carried).map_err(|reason| (reason, forks)),
                None => Ok(()),
            },
        }
    }

    fn move_heads(&mut self, transaction: &Transaction, places: Places, touched: &mut Vec<usize>) {
        let (initiator, amount) = (transaction.initiator(), transaction.amount());
        for ((star, half), place) in transaction.halves().zip(places) {
            let place = place.unwrap_or_else(|| self.accounts.insert_full(*star, Account::default()).0);
            let Some(account) = self.touch(place, touched) else { continue };
            account.advance(half, transaction.id());
            account.balance = if *star == initiator { account.balance - amount } else { account.balance + amount };
        }
    }

    /// Marks the forks, and releases the numbers of the stars that did nothing wrong. A gap keeps its claim: it may still apply.
    fn censor(&mut self, transaction: &Transaction, reason: Reason, forks: &[Evidence], touched: &mut Vec<usize>) {
        for fork in forks {
            let place = self.accounts.get_index_of(&fork.star);
            if let Some(account) = place.and_then(|place| self.touch(place, touched)) {
                account.record_fork(fork.sequence());
            }
        }
        // Whatever is wrong with the carrier's own chain, what it carries proves what it proves.
        if let Some(carried) = transaction.black_hole() {
            self.galaxies.record_fork(&carried, &mut self.commitment);
        }
        if matches!(reason, Reason::Gap | Reason::Duplicate) {
            return;
        }
        for ((_, half), place) in transaction.halves().zip(self.places(transaction)) {
            let extends = |account: &Account| account.standing(half, transaction.id()) == Standing::Extends;
            if self.at(place).is_some_and(extends)
                && let Some(account) = place.and_then(|place| self.touch(place, touched))
            {
                account.release(half, transaction.id());
            }
        }
    }

    /// The account at a place, which is noted as touched.
    fn touch(&mut self, place: usize, touched: &mut Vec<usize>) -> Option<&mut Account> {
        let (_, account) = self.accounts.get_index_mut(place)?;
        if !std::mem::replace(&mut account.is_touched, true) {
            touched.push(place);
        }
        Some(account)
    }

    /// Exchanges the touched accounts' old digests for their new ones. The sum does not know in which order.
    fn recommit(&mut self, touched: &[usize]) {
        for group in touched.chunks(AHEAD_MAX) {
            let accounts = group.iter().filter_map(|place| self.accounts.get_index(*place));
            black_box(accounts.fold(0, |sum, (star, account)| sum ^ star.0[0] ^ account.digest.0[0]));
            for place in group {
                let Some((star, account)) = self.accounts.get_index_mut(*place) else { continue };
                account.is_touched = false;
                let digest = account.hash(star);
                // A star that was never committed to has no digest yet.
                match std::mem::replace(&mut account.digest, digest) {
                    Hash::ZERO => self.commitment.add(&digest),
                    old => self.commitment.replace(&old, &digest),
                }
            }
        }
    }
}

/// Where the accounts of a transaction's stars are in the ledger.
type Places = [Option<usize>; 2];

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
