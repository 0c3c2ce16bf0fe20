//! The ledger: every star's head and balance, and the rules by which agreed transactions apply or are censored.
//!
//! A transaction applies iff each half extends its star's head exactly and the initiator's balance covers the amount.
//! What does not apply is censored with a [`Reason`]; nothing is dropped in silence. A second half that follows the same
//! transaction as one that stands is a fork: the first in canonical order stands, the pair becomes [`Evidence`].
//!
//! An honest star whose transaction was censored through no fault of its own (its counterparty forked, its balance came late)
//! must sign another half with the same number. The ledger therefore remembers such *released* ids beside those that stand, so that replaying
//! a released transaction never makes evidence against its signer.

use crate::commitment::StateCommitment;
use crate::evidence::Evidence;
use crate::genesis::Genesis;
use crate::hash::Hash;
use crate::keys::PublicKey;
use crate::transaction::{Half, Transaction};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet, VecDeque};

/// Sequence numbers of each star for which forks can still be told from resends.
const RECENT_MAX: usize = 8;
/// Released ids remembered per sequence number: whoever has more transactions censored at one number loses the protection.
const RELEASED_MAX: usize = 4;

/// Where a star's personal chain stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StarHead {
    /// Number of the star's last transaction; 0 before the first.
    pub sequence: u64,
    /// Id of that transaction; zero before the first.
    pub head: Hash,
}

/// Why a transaction did not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Reason {
    /// It stands already; sending it again changes nothing.
    Duplicate = 1,
    /// Another transaction of one of its stars stands with the same number and predecessor.
    Fork = 2,
    /// One of its numbers is behind that star's head.
    Stale = 3,
    /// It follows a transaction that does not stand.
    Orphan = 4,
    /// It follows a transaction that has not arrived: send it again after that one.
    Gap = 5,
    /// The initiator's balance does not cover the amount.
    Balance = 6,
}

impl Reason {
    /// All reasons, in the order of their bytes.
    pub const ALL: [Reason; 6] =
        [Reason::Duplicate, Reason::Fork, Reason::Stale, Reason::Orphan, Reason::Gap, Reason::Balance];

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

/// One recent number of a star: what stands there, and what was released.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Recent {
    sequence: u64,
    previous: Hash,
    standing: Option<Hash>,
    released: Vec<Hash>,
    evidenced: bool,
}

/// One star's account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Balance in 10^-8 noos.
    pub balance: u64,
    /// Where the star's chain stands.
    pub head: StarHead,
    /// Forks proven against the star.
    pub forks: u32,
    recent: VecDeque<Recent>,
    /// Hash of the account's encoding when it was last committed to.
    digest: Hash,
}

/// How one half relates to its star's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Extends,
    Not(Reason),
    /// A fork that is not in the evidence yet.
    NewFork(Hash),
}

impl Account {
    fn standing(&self, half: &Half, id: Hash) -> Standing {
        let sequence = half.sequence();
        let next = self.head.sequence.saturating_add(1);
        if sequence > next {
            return Standing::Not(Reason::Gap);
        }
        if sequence == next {
            let extends = half.previous == self.head.head;
            return if extends { Standing::Extends } else { Standing::Not(Reason::Orphan) };
        }
        let Some(recent) = self.recent.iter().find(|recent| recent.sequence == sequence) else {
            return Standing::Not(Reason::Stale);
        };
        match recent.standing {
            Some(standing) if standing == id => Standing::Not(Reason::Duplicate),
            Some(standing) if half.previous == recent.previous && !recent.released.contains(&id) => {
                if recent.evidenced { Standing::Not(Reason::Fork) } else { Standing::NewFork(standing) }
            }
            _ => Standing::Not(Reason::Stale),
        }
    }

    fn recent_mut(&mut self, sequence: u64, previous: Hash) -> &mut Recent {
        if self.recent.back().is_none_or(|last| last.sequence != sequence) {
            if self.recent.len() == RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(Recent {
                sequence,
                previous,
                standing: None,
                released: Vec::new(),
                evidenced: false,
            });
        }
        self.recent.back_mut().expect("an entry was pushed if there was none")
    }

    fn advance(&mut self, half: &Half, id: Hash) {
        self.recent_mut(half.sequence(), half.previous).standing = Some(id);
        self.head = StarHead { sequence: half.sequence(), head: id };
    }

    fn release(&mut self, half: &Half, id: Hash) {
        let released = &mut self.recent_mut(half.sequence(), half.previous).released;
        if released.len() < RELEASED_MAX && !released.contains(&id) {
            released.push(id);
        }
    }

    fn record_fork(&mut self, sequence: u64) {
        if let Some(recent) = self.recent.iter_mut().find(|recent| recent.sequence == sequence) {
            recent.evidenced = true;
            self.forks = self.forks.saturating_add(1);
        }
    }

    /// What the state commitment is over: every field, so that two nodes that would ever judge differently differ here.
    fn hash(&self, star: &PublicKey, buffer: &mut Vec<u8>) -> Hash {
        let out = buffer;
        out.clear();
        out.extend_from_slice(&star.0);
        out.extend_from_slice(&self.balance.to_le_bytes());
        out.extend_from_slice(&self.head.sequence.to_le_bytes());
        out.extend_from_slice(&self.head.head.0);
        out.extend_from_slice(&self.forks.to_le_bytes());
        for recent in &self.recent {
            out.extend_from_slice(&recent.sequence.to_le_bytes());
            out.extend_from_slice(&recent.previous.0);
            out.extend_from_slice(&recent.standing.unwrap_or(Hash::ZERO).0);
            out.push(recent.released.len() as u8);
            out.extend_from_slice(bytemuck::cast_slice(&recent.released));
            out.push(u8::from(recent.evidenced));
        }
        Hash::of(b"cst.acct", out)
    }
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

/// The accounts of all stars.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    accounts: HashMap<PublicKey, Account>,
    commitment: StateCommitment,
}

impl Ledger {
    /// The ledger before the first black hole.
    pub fn new(genesis: &Genesis) -> Self {
        let mut ledger = Ledger::default();
        let mut buffer = Vec::new();
        for star in genesis.stars() {
            let mut account = Account { balance: star.balance, ..Account::default() };
            account.digest = account.hash(&star.public_key, &mut buffer);
            ledger.commitment.add(&account.digest);
            ledger.accounts.insert(star.public_key, account);
        }
        ledger
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

    /// The commitment over all accounts.
    pub fn state(&self) -> Hash {
        self.commitment.hash()
    }

    /// Why `transaction` would not apply to the ledger as it is; `None` when it would.
    pub fn judge(&self, transaction: &Transaction) -> Option<Reason> {
        self.verdict(transaction).err().map(|(reason, _)| reason)
    }

    /// Whether applying `transaction` would put a fork into the evidence.
    pub fn would_prove_fork(&self, transaction: &Transaction) -> bool {
        matches!(self.verdict(transaction), Err((_, forks)) if !forks.is_empty())
    }

    /// Applies agreed transactions in their canonical order. Signatures were checked before.
    pub fn apply<'a>(&mut self, transactions: impl IntoIterator<Item = &'a Transaction>) -> Application {
        let mut application = Application::default();
        let mut touched: HashSet<PublicKey> = HashSet::new();
        for (index, transaction) in transactions.into_iter().enumerate() {
            touched.extend(transaction.halves().map(|(star, _)| star));
            match self.verdict(transaction) {
                Ok(()) => {
                    self.move_heads(transaction);
                    application.applied += 1;
                }
                Err((reason, forks)) => {
                    self.censor(transaction, reason, &forks);
                    application.evidence.extend(forks);
                    application.censored.push(Censored { index: index as u32, reason });
                }
            }
        }
        self.recommit(&touched);
        application
    }

    fn verdict(&self, transaction: &Transaction) -> Result<(), (Reason, Vec<Evidence>)> {
        let nobody = Account::default();
        let mut worst: Option<Reason> = None;
        let mut forks = Vec::new();
        for (star, half) in transaction.halves() {
            let account = self.accounts.get(&star).unwrap_or(&nobody);
            let reason = match account.standing(half, transaction.id()) {
                Standing::Extends => continue,
                Standing::Not(reason) => reason,
                Standing::NewFork(standing) => {
                    forks.push(Evidence::new(star, half.sequence(), standing, transaction.id()));
                    Reason::Fork
                }
            };
            worst = Some(worst.map_or(reason, |worst| worst.min(reason)));
        }
        // An account is made by a transfer to it; a key that has none has nothing to start one with, not even a transfer of nothing.
        let covered = || {
            self.accounts.get(&transaction.initiator()).is_some_and(|account| account.balance >= transaction.amount())
        };
        match worst {
            Some(reason) => Err((reason, forks)),
            None if !covered() => Err((Reason::Balance, forks)),
            None => Ok(()),
        }
    }

    fn move_heads(&mut self, transaction: &Transaction) {
        for (star, half) in transaction.halves() {
            self.accounts.entry(star).or_default().advance(half, transaction.id());
        }
        let Some(counterparty) = transaction.counterparty() else { return };
        let amount = transaction.amount();
        if let Some(payer) = self.accounts.get_mut(&transaction.initiator()) {
            payer.balance -= amount;
        }
        if let Some(payee) = self.accounts.get_mut(&counterparty) {
            payee.balance += amount;
        }
    }

    /// Marks the forks, and releases the numbers of the stars that did nothing wrong. A gap keeps its claim: it may still apply.
    fn censor(&mut self, transaction: &Transaction, reason: Reason, forks: &[Evidence]) {
        for fork in forks {
            if let Some(account) = self.accounts.get_mut(&fork.star) {
                account.record_fork(fork.sequence());
            }
        }
        if matches!(reason, Reason::Gap | Reason::Duplicate) {
            return;
        }
        for (star, half) in transaction.halves() {
            let extends = |account: &Account| account.standing(half, transaction.id()) == Standing::Extends;
            if let Some(account) = self.accounts.get_mut(&star)
                && extends(account)
            {
                account.release(half, transaction.id());
            }
        }
    }

    /// Exchanges the touched accounts' old digests for their new ones. The sum does not know in which order.
    fn recommit(&mut self, touched: &HashSet<PublicKey>) {
        let mut buffer = Vec::new();
        for star in touched {
            let Some(account) = self.accounts.get_mut(star) else { continue };
            let digest = account.hash(star, &mut buffer);
            if digest == account.digest {
                continue;
            }
            // A star that was never committed to has no digest yet.
            if account.digest != Hash::ZERO {
                self.commitment.remove(&account.digest);
            }
            self.commitment.add(&digest);
            account.digest = digest;
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
