//! One star's account, and what it remembers of the star's last transactions: enough to tell a fork from a resend.

use crate::hash::Hash;
use crate::keys::PublicKey;
use crate::ledger::Reason;
use crate::transaction::Half;
use serde::{Deserialize, Serialize};

/// Sequence numbers of each star for which forks can still be told from resends.
pub(crate) const RECENT_MAX: usize = 8;
/// Released ids remembered per sequence number: whoever has more transactions censored at one number loses the protection.
pub(crate) const RELEASED_MAX: usize = 4;

const DOMAIN: &[u8; 8] = b"cst.acct";

/// Where a star's personal chain stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StarHead {
    /// Number of the star's last transaction; 0 before the first.
    pub sequence: u64,
    /// Id of that transaction; zero before the first.
    pub head: Hash,
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
    recent: Recent,
    /// Hash of the account's encoding when it was last committed to; zero before the first time.
    pub(crate) digest: Hash,
    /// Whether it has changed since, or may have.
    pub(crate) is_touched: bool,
}

/// The star's last numbers, [`RECENT_MAX`] at most: the last `count` that stand, and beside them the next one if something was released at it.
/// There is no gap between them, so each follows what stands at the number before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Recent {
    count: u8,
    /// What the first of them follows.
    before: Hash,
    /// Ids that stand: that of number n at n modulo [`RECENT_MAX`]. Kept apart, and only once there are any: hardly anybody asks for them, and
    /// accounts are found faster when they are small.
    standing: Vec<Hash>,
    /// Numbers of which there is more to say, in rising order. Hardly ever any.
    notes: Vec<Note>,
}

/// What there is to say of a number besides what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    sequence: u64,
    released: Vec<Hash>,
    evidenced: bool,
}

/// How one half relates to its star's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Extends,
    Not(Reason),
    /// A fork that is not in the evidence yet.
    NewFork(Hash),
}

impl Account {
    /// The account of a star that has done nothing yet.
    pub(crate) fn new(balance: u64) -> Self {
        Account { balance, ..Account::default() }
    }

    pub(crate) fn standing(&self, half: &Half, id: Hash) -> Standing {
        let sequence = half.sequence();
        let next = self.head.sequence.saturating_add(1);
        if sequence > next {
            return Standing::Not(Reason::Gap);
        }
        if sequence == next {
            let extends = half.previous == self.head.head;
            return if extends { Standing::Extends } else { Standing::Not(Reason::Orphan) };
        }
        let Some((previous, standing)) = self.recall(sequence) else { return Standing::Not(Reason::Stale) };
        let note = self.recent.note(sequence);
        if standing == id {
            Standing::Not(Reason::Duplicate)
        } else if half.previous != previous || note.is_some_and(|note| note.released.contains(&id)) {
            Standing::Not(Reason::Stale)
        } else if note.is_some_and(|note| note.evidenced) {
            Standing::Not(Reason::Fork)
        } else {
            Standing::NewFork(standing)
        }
    }

    /// The half that extends the chain, of transaction `id`, stands.
    pub(crate) fn advance(&mut self, half: &Half, id: Hash) {
        self.make_room(half.sequence());
        let Recent { count, before, standing, .. } = &mut self.recent;
        if *count == 0 {
            *before = half.previous;
        }
        standing.resize(RECENT_MAX, Hash::ZERO);
        standing[place(half.sequence())] = id;
        *count += 1;
        self.head = StarHead { sequence: half.sequence(), head: id };
    }

    /// Transaction `id`, whose half extends the chain, was censored through no fault of this star.
    pub(crate) fn release(&mut self, half: &Half, id: Hash) {
        self.make_room(half.sequence());
        let released = &mut self.recent.note_mut(half.sequence()).released;
        if released.len() < RELEASED_MAX && !released.contains(&id) {
            released.push(id);
        }
    }

    /// The star's fork at `sequence` is in the evidence.
    pub(crate) fn record_fork(&mut self, sequence: u64) {
        if self.recall(sequence).is_some() {
            self.recent.note_mut(sequence).evidenced = true;
            self.forks = self.forks.saturating_add(1);
        }
    }

    /// What the state commitment is over. Two accounts for which it is the same judge alike for ever: ids name their predecessors, so the head
    /// stands for all that is remembered as standing, and the rest is spelt out.
    pub(crate) fn hash(&self, star: &PublicKey) -> Hash {
        const LEN_BYTES: usize = 32 + 8 + 8 + 32 + 4;
        let mut bytes = [0; LEN_BYTES];
        bytes[..32].copy_from_slice(&star.0);
        bytes[32..40].copy_from_slice(&self.balance.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.head.sequence.to_le_bytes());
        bytes[48..80].copy_from_slice(&self.head.head.0);
        bytes[80..].copy_from_slice(&self.forks.to_le_bytes());
        if self.recent.notes.is_empty() {
            return Hash::of(DOMAIN, &bytes);
        }
        let mut out = bytes.to_vec();
        for note in &self.recent.notes {
            out.extend_from_slice(&note.sequence.to_le_bytes());
            out.push(note.released.len() as u8);
            out.extend_from_slice(bytemuck::cast_slice(&note.released));
            out.push(u8::from(note.evidenced));
        }
        Hash::of(DOMAIN, &out)
    }

    /// What stands at a number that is remembered, and what that follows.
    fn recall(&self, sequence: u64) -> Option<(Hash, Hash)> {
        let Recent { count, before, standing, .. } = &self.recent;
        let age = self.head.sequence.checked_sub(sequence).filter(|age| *age < u64::from(*count))?;
        let is_first = age + 1 == u64::from(*count);
        let previous = if is_first { *before } else { standing[place(sequence.wrapping_sub(1))] };
        Some((previous, standing[place(sequence)]))
    }

    /// Forgets the oldest number if `next`, the one after the head, needs its place.
    fn make_room(&mut self, next: u64) {
        let recent = &mut self.recent;
        if recent.note(next).is_some() || usize::from(recent.count) < RECENT_MAX {
            return;
        }
        let oldest = next - u64::from(recent.count);
        recent.before = recent.standing[place(oldest)];
        recent.count -= 1;
        recent.notes.retain(|note| note.sequence != oldest);
    }
}

impl Recent {
    fn note(&self, sequence: u64) -> Option<&Note> {
        self.notes.iter().find(|note| note.sequence == sequence)
    }

    fn note_mut(&mut self, sequence: u64) -> &mut Note {
        let at = self.notes.partition_point(|note| note.sequence < sequence);
        if self.notes.get(at).is_none_or(|note| note.sequence != sequence) {
            self.notes.insert(at, Note { sequence, released: Vec::new(), evidenced: false });
        }
        &mut self.notes[at]
    }
}

fn place(sequence: u64) -> usize {
    (sequence % RECENT_MAX as u64) as usize
}
