//! Who takes part: which of the genesis' nodes are validators, and which of those can be drawn as facilitators. Both change at the ends of epochs
//! alone, by what black holes hold, so that everybody computes the same.
//!
//! **Joining and leaving.** A listed node asks with a one-sided transaction, [`Kind::Join`] or [`Kind::Leave`]; what it asked for last counts, from
//! the next epoch on. There are never fewer validators than the genesis says: who leaves then stays until somebody joins.
//!
//! **Sleep.** A validator that had [`SEATS_MIN`] seats or more in an epoch, and whose proposal is in no LSH block of it, is not drawn for an epoch; after
//! the second such epoch in a row for two, then four, up to [`ASLEEP_MAX`]. It stays a validator: an adversary that holds honest nodes' messages
//! back could otherwise shrink the galaxy until the faulty ones are too many. For the same reason no more than the fault bound sleep, and no
//! committee goes short of members for it.

use crate::committee::{Committee, Members};
use crate::genesis::Genesis;
use crate::hash::{Hash, Hasher};
use crate::keys::PublicKey;
use crate::transaction::{Kind, Transaction};
use std::cmp::Reverse;

/// Seats in an epoch from which silence in all of them is absence.
const SEATS_MIN: u32 = 4;
/// Epochs that an absent validator is not drawn, at most.
const ASLEEP_MAX: u32 = 16;

/// The genesis' nodes, and what each of them is at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// In the order of the genesis.
    nodes: Vec<Member>,
    validators_min: usize,
    /// Seats of a cluster, if there are so many validators.
    facilitators: usize,
    validators: Committee,
    candidates: Vec<PublicKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    key: PublicKey,
    /// Whether it asked to be a validator.
    wants: bool,
    /// Seats in this epoch, and LSH blocks that hold its proposal.
    seats: u32,
    delivered: u32,
    /// Epochs in a row in which it was absent, and for how many more it is not drawn.
    absences: u32,
    asleep: u32,
}

impl Roster {
    /// The roster of the first epoch.
    pub fn new(genesis: &Genesis) -> Self {
        let member = |key, wants| Member { key, wants, seats: 0, delivered: 0, absences: 0, asleep: 0 };
        let validators = genesis.validators();
        Roster {
            nodes: genesis.nodes().iter().map(|node| member(node.public_key, !node.standby)).collect(),
            // A galaxy that begins smaller may stay so.
            validators_min: genesis.growth().validators_min.min(validators.len()),
            facilitators: genesis.cluster_facilitators(),
            candidates: validators.members().to_vec(),
            validators,
        }
    }

    /// The galaxy's committee.
    pub fn validators(&self) -> &Committee {
        &self.validators
    }

    /// Who can be drawn as facilitator: no fewer than a cluster has seats, or all validators.
    pub fn candidates(&self) -> &[PublicKey] {
        &self.candidates
    }

    /// Takes note of a transaction that applied.
    pub fn note(&mut self, transaction: &Transaction) {
        let wants = match transaction.kind() {
            Kind::Join => true,
            Kind::Leave => false,
            Kind::Transfer | Kind::Register | Kind::Evidence | Kind::BlackHole => return,
        };
        let star = transaction.initiator();
        if let Some(member) = self.nodes.iter_mut().find(|member| member.key == star) {
            member.wants = wants;
            // Who comes back is there.
            (member.absences, member.asleep) = (0, 0);
        }
    }

    /// Takes note of an accepted LSH block: who had a seat, and whose proposals are in it.
    pub fn note_block(&mut self, committee: &Committee, proposers: Members) {
        for (index, key) in committee.members().iter().enumerate() {
            if let Some(member) = self.nodes.iter_mut().find(|member| member.key == *key) {
                member.seats = member.seats.saturating_add(1);
                member.delivered = member.delivered.saturating_add(u32::from(proposers.contains(index)));
            }
        }
    }

    /// Whether the validators will be others at the end of this epoch.
    pub fn is_changing(&self) -> bool {
        self.next_validators() != self.validators.members()
    }

    /// Ends the epoch: those who asked for it come and go, the absent fall asleep.
    pub fn end_epoch(&mut self) {
        self.validators = Committee::new(self.next_validators());
        for member in &mut self.nodes {
            let is_absent = member.seats >= SEATS_MIN && member.delivered == 0;
            if is_absent {
                member.absences = member.absences.saturating_add(1);
                member.asleep = 1u32.checked_shl(member.absences - 1).unwrap_or(ASLEEP_MAX).min(ASLEEP_MAX);
            } else {
                member.asleep = member.asleep.saturating_sub(1);
                if member.delivered > 0 {
                    member.absences = 0;
                }
            }
            (member.seats, member.delivered) = (0, 0);
        }
        self.candidates = self.next_candidates();
    }

    /// Those who want to be; and of those who leave, as many as are still needed.
    fn next_validators(&self) -> Vec<PublicKey> {
        let wanting = self.nodes.iter().filter(|member| member.wants).count();
        let mut missing = self.validators_min.saturating_sub(wanting);
        let is_validator = |key: &PublicKey| self.validators.index_of(key).is_some();
        let stays = |member: &&Member| {
            let needed = !member.wants && missing > 0 && is_validator(&member.key);
            missing -= usize::from(needed);
            member.wants || needed
        };
        self.nodes.iter().filter(stays).map(|member| member.key).collect()
    }

    /// The validators but those that sleep: the longest absent first, as many as may.
    fn next_candidates(&self) -> Vec<PublicKey> {
        let validators = &self.validators;
        let mut asleep: Vec<&Member> = self.nodes.iter().filter(|member| member.asleep > 0).collect();
        asleep.retain(|member| validators.index_of(&member.key).is_some());
        asleep.sort_by_key(|member| Reverse(member.absences));
        asleep.truncate(validators.fault_bound().min(validators.len() - self.facilitators.min(validators.len())));
        let is_awake = |key: &&PublicKey| asleep.iter().all(|member| member.key != **key);
        validators.members().iter().filter(is_awake).copied().collect()
    }

    /// A commitment to the validators and the candidates.
    pub fn hash(&self) -> Hash {
        let mut hasher = Hasher::new(b"cst.rost");
        hasher.update(&self.validators.hash().0);
        self.candidates.iter().for_each(|key| {
            hasher.update(&key.0);
        });
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GenesisNode, NetworkId, SecretKey, StarHead};

    fn key(node: u8) -> SecretKey {
        SecretKey::from_seed([node; 32])
    }

    /// Nodes of which the last stand by, three of them validators at least.
    fn roster(nodes: u8, standby: u8, seats: usize) -> Roster {
        let address = "127.0.0.1:1".parse().unwrap();
        let node = |node| GenesisNode {
            standby: node >= nodes - standby,
            ..GenesisNode::new(key(node).public_key(), address)
        };
        let growth = crate::Growth { validators_min: 3, ..Default::default() };
        let genesis = Genesis::new("a", seats, (0..nodes).map(node).collect(), vec![]).unwrap();
        Roster::new(&genesis.with_growth(growth).unwrap())
    }

    fn asks(roster: &mut Roster, node: u8, kind: Kind) {
        roster.note(&Transaction::one_sided(kind, NetworkId::default(), &key(node), StarHead::default(), b"").unwrap());
    }

    fn validators(roster: &Roster) -> Vec<u8> {
        (0..u8::MAX).filter(|node| roster.validators().index_of(&key(*node).public_key()).is_some()).collect()
    }

    #[test]
    fn who_asks_comes_and_goes_at_the_end_of_the_epoch() {
        let mut roster = roster(5, 1, 2);
        assert_eq!(validators(&roster), [0, 1, 2, 3]);
        asks(&mut roster, 4, Kind::Join);
        asks(&mut roster, 1, Kind::Leave);
        asks(&mut roster, 2, Kind::Leave);
        asks(&mut roster, 2, Kind::Join);
        asks(&mut roster, 77, Kind::Join);
        assert!(roster.is_changing() && validators(&roster) == [0, 1, 2, 3]);
        let before = roster.hash();
        roster.end_epoch();
        assert!(!roster.is_changing() && roster.hash() != before);
        assert_eq!(validators(&roster), [0, 2, 3, 4]);
    }

    #[test]
    fn the_last_ones_stay_until_others_come() {
        let mut roster = roster(5, 1, 3);
        (0..4).for_each(|node| asks(&mut roster, node, Kind::Leave));
        roster.end_epoch();
        assert_eq!(validators(&roster), [0, 1, 2]);
        assert!(!roster.is_changing(), "nobody can go");
        asks(&mut roster, 4, Kind::Join);
        roster.end_epoch();
        assert_eq!(validators(&roster), [0, 1, 4]);
    }

    #[test]
    fn the_absent_are_not_drawn_for_longer_and_longer_and_come_back() {
        let mut roster = roster(7, 0, 4);
        let everybody = roster.validators().clone();
        let present = Members(0b0111_1110);
        let is_drawn = |roster: &Roster| roster.candidates().contains(&everybody.members()[0]);
        let mut drawn = Vec::new();
        for _ in 0..12 {
            // A seat only where it is drawn.
            let (committee, proposers) = match is_drawn(&roster) {
                true => (everybody.clone(), present),
                false => (Committee::new(everybody.members()[1..].to_vec()), Members(0b11_1111)),
            };
            (0..SEATS_MIN).for_each(|_| roster.note_block(&committee, proposers));
            roster.end_epoch();
            drawn.push(is_drawn(&roster));
        }
        assert_eq!(drawn, [false, true, false, false, true, false, false, false, false, true, false, false]);
        assert_eq!(validators(&roster).len(), 7, "it stays a validator");
        asks(&mut roster, 0, Kind::Join);
        roster.end_epoch();
        assert!(is_drawn(&roster));
    }

    #[test]
    fn no_more_sleep_than_may_be_faulty_and_no_committee_goes_short() {
        for (seats, awake) in [(4, 5), (6, 6), (7, 7)] {
            let mut roster = roster(7, 0, seats);
            let everybody = roster.validators().clone();
            (0..SEATS_MIN).for_each(|_| roster.note_block(&everybody, Members(0b1)));
            roster.end_epoch();
            assert_eq!(roster.candidates().len(), awake, "{seats} seats");
        }
    }
}
