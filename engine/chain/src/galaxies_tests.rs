//! What carries up and what does not, case by case, through the ledger.

use super::*;
use crate::certificate::{Share, StrictCheck};
use crate::ledger::Application;
use crate::{
    BlackHole, BlackHoleHeader, BlackHolePlace, Certificate, CheckSignatures, Genesis, GenesisNode, Kind, Ledger,
    SecretKey, StarHead, Transaction,
};
use proptest::prelude::*;

const PARENT: NetworkId = NetworkId([9; 8]);
const CHILD: Hash = Hash([3; 32]);

/// A validator of the child.
fn key(index: usize) -> SecretKey {
    SecretKey::from_seed([50 + index as u8; 32])
}

/// A header of the child's, following what `previous` says; another one for each salt.
fn header_after(height: u64, previous: Hash, salt: u8) -> BlackHoleHeader {
    let network = NetworkId::of_genesis(&CHILD);
    let (state, beacon, facilitators) = (Hash([salt; 32]), Hash::ZERO, Hash::ZERO);
    let reelected = Vec::new();
    let place = BlackHolePlace { network, height, previous, state, beacon, facilitators, reelected };
    BlackHole::fold(place, Vec::new(), Application::default()).header
}

pub(crate) fn header(height: u64, salt: u8) -> BlackHoleHeader {
    header_after(height, CHILD, salt)
}

/// Any header, signed by these validators.
pub(crate) fn certified(header: BlackHoleHeader, signers: &[usize]) -> CertifiedHeader {
    let share = |&index: &usize| (index, Share::sign(&header.round_id(), header.hash(), &key(index)).signature);
    CertifiedHeader { header, certificate: Certificate::from_shares(&signers.iter().map(share).collect()) }
}

fn listed() -> Vec<GenesisGalaxy> {
    vec![GenesisGalaxy { genesis: CHILD, validators: (0..4).map(|index| key(index).public_key()).collect() }]
}

fn ledger() -> Ledger {
    let node = GenesisNode::new(key(100).public_key(), "127.0.0.1:1".parse().unwrap());
    Ledger::new(&Genesis::new("above", 1, vec![node], Vec::new()).unwrap().with_galaxies(listed()).unwrap())
}

fn head(ledger: &Ledger) -> GalaxyHead {
    ledger.galaxy(&NetworkId::of_genesis(&CHILD)).unwrap()
}

/// A validator carries a black hole up, after what it carried before.
fn carry_after(star: usize, at: StarHead, carried: &CertifiedHeader) -> Transaction {
    Transaction::one_sided(Kind::BlackHole, PARENT, &key(star), at, &carried.to_bytes()).unwrap()
}

fn carry(ledger: &Ledger, star: usize, carried: &CertifiedHeader) -> Transaction {
    carry_after(star, ledger.head(&key(star).public_key()), carried)
}

/// Black holes 1 to `count`, each after the one before.
fn chain(count: u64) -> Vec<CertifiedHeader> {
    let mut previous = CHILD;
    let next = |height| {
        let header = header_after(height, previous, 0);
        previous = header.hash();
        certified(header, &[0, 1, 3])
    };
    (1..=count).map(next).collect()
}

fn verifies(transaction: &Transaction, galaxies: &[GenesisGalaxy]) -> bool {
    let messages = transaction.signed_messages(galaxies);
    let signatures: Vec<_> = transaction.signatures(&messages).collect();
    StrictCheck.check(&signatures).into_iter().all(|valid| valid)
}

#[test]
fn a_chain_is_carried_up_in_one_list_by_one_star() {
    let mut ledger = ledger();
    let mut at = StarHead::default();
    let mut list = Vec::new();
    for carried in chain(5) {
        let transaction = carry_after(2, at, &carried);
        at = StarHead { sequence: at.sequence + 1, head: transaction.id() };
        list.push(transaction);
    }
    assert_eq!(ledger.apply(&list).applied, 5);
    assert_eq!(head(&ledger), GalaxyHead { height: 5, head: chain(5)[4].header.hash(), forked_at: None });
    assert_eq!(ledger.head(&key(2).public_key()), at);
}

#[test]
fn what_stands_already_applies_and_changes_nothing() {
    let mut ledger = ledger();
    let first = &chain(1)[0];
    ledger.apply(&[carry(&ledger, 0, first)]);
    let before = head(&ledger);
    // By another star, and with other signatures under it.
    let again = carry(&ledger, 1, &certified(first.header, &[1, 2, 3]));
    assert_eq!(ledger.apply(&[again]).applied, 1);
    assert_eq!((head(&ledger), ledger.head(&key(1).public_key()).sequence), (before, 1));
    assert_eq!(ledger.apply(&[carry(&ledger, 1, &certified(header(0, 0), &[0, 1, 2]))]).applied, 1);
    assert_eq!(head(&ledger), before);
}

#[test]
fn what_does_not_follow_is_an_orphan_and_may_come_again() {
    let mut ledger = ledger();
    let chain = chain(3);
    let (first, third) = (&chain[0], &chain[2]);
    let ahead = carry(&ledger, 0, third);
    let stranger = carry(&ledger, 1, &certified(header_after(1, Hash([7; 32]), 0), &[0, 1, 2]));
    let reasons = |application: &Application| application.censored.iter().map(|one| one.reason).collect::<Vec<_>>();
    assert_eq!(reasons(&ledger.apply([&ahead, &stranger])), [Reason::Orphan; 2]);
    assert_eq!(head(&ledger).height, 0);
    for (star, carried) in [(1, first), (2, &chain[1])] {
        ledger.apply(&[carry(&ledger, star, carried)]);
    }
    assert_eq!(ledger.apply([&ahead]).applied, 1);
    assert_eq!(head(&ledger).height, 3);
}

#[test]
fn too_few_signers_strangers_and_unlisted_galaxies_are_uncertified() {
    let ledger = ledger();
    let unlisted = {
        let place = BlackHolePlace {
            network: NetworkId([77; 8]),
            height: 1,
            previous: CHILD,
            state: Hash::ZERO,
            beacon: Hash::ZERO,
            facilitators: Hash::ZERO,
            reelected: Vec::new(),
        };
        BlackHole::fold(place, Vec::new(), Application::default()).header
    };
    for carried in
        [certified(header(1, 0), &[0, 1]), certified(header(1, 0), &[0, 1, 2, 4]), certified(unlisted, &[0, 1, 2, 3])]
    {
        let transaction = carry(&ledger, 0, &carried);
        assert_eq!(ledger.judge(&transaction), Some(Reason::Uncertified));
        assert!(!ledger.would_prove_fork(&transaction));
    }
}

#[test]
fn signatures_of_the_certificate_are_checked_with_the_star_s_own() {
    let ledger = ledger();
    let good = carry(&ledger, 0, &chain(1)[0]);
    assert_eq!(good.signatures(&good.signed_messages(&listed())).count(), 1 + 3);
    assert!(verifies(&good, &listed()));
    let mut forged = chain(1)[0].clone();
    forged.header = header(1, 5);
    assert!(!verifies(&carry(&ledger, 0, &forged), &listed()));
}

#[test]
fn of_two_black_holes_of_one_height_the_first_stands_and_the_fork_is_recorded_once() {
    let mut ledger = ledger();
    let rival = certified(header(1, 1), &[1, 2, 3]);
    ledger.apply(&[carry(&ledger, 0, &chain(1)[0])]);
    let transaction = carry(&ledger, 1, &rival);
    assert!(ledger.would_prove_fork(&transaction));
    let application = ledger.apply([&transaction]);
    assert_eq!(application.censored[0].reason, Reason::Fork);
    assert_eq!(application.evidence, [], "no star forked");
    assert_eq!(head(&ledger), GalaxyHead { height: 1, head: chain(1)[0].header.hash(), forked_at: Some(1) });
    let another = carry(&ledger, 2, &certified(header(1, 2), &[0, 1, 2]));
    assert_eq!((ledger.judge(&another), ledger.would_prove_fork(&another)), (Some(Reason::Fork), false));
    // The carrier did nothing wrong: it signs its number anew, and a replay of the censored one makes no evidence.
    let anew = carry(&ledger, 1, &chain(1)[0]);
    assert_eq!(ledger.apply(&[anew]).applied, 1);
    assert_eq!(ledger.apply(&[transaction]).evidence, []);
    assert_eq!(ledger.account(&key(1).public_key()).unwrap().forks, 0);
}

#[test]
fn the_memory_of_a_galaxy_is_bounded() {
    let mut ledger = ledger();
    let chain = chain(RECENT_MAX as u64 + 1);
    for carried in &chain {
        ledger.apply(&[carry(&ledger, 0, carried)]);
    }
    let rival = |height: u64| carry(&ledger, 1, &certified(header(height, 9), &[0, 1, 2]));
    assert_eq!(ledger.judge(&rival(2)), Some(Reason::Fork));
    assert_eq!(ledger.judge(&rival(1)), None, "too old to be told from what stands: it changes nothing");
}

#[test]
fn the_commitment_covers_heads_and_forks() {
    let mut ledger = ledger();
    let mut states = vec![ledger.state()];
    let mut same_accounts = ledger.clone();
    for carried in [&chain(1)[0], &certified(header(1, 1), &[0, 1, 2])] {
        ledger.apply(&[carry(&ledger, 0, carried)]);
        states.push(ledger.state());
    }
    let join = Transaction::one_sided(Kind::Join, PARENT, &key(0), StarHead::default(), b"").unwrap();
    same_accounts.apply(&[join]);
    states.push(same_accounts.state());
    for (place, state) in states.iter().enumerate() {
        assert!(!states[..place].contains(state), "state {place}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever carries what, in whatever order and lists: the head is that of the longest run carried, and its path leaves no trace.
    #[test]
    fn the_head_follows_whatever_the_path(steps in prop::collection::vec((0usize..4, 0usize..6), 1..40), list_len in 1usize..5) {
        let chain = chain(6);
        let mut ledger = ledger();
        let mut height = 0;
        for list in steps.chunks(list_len) {
            let mut heads: Vec<StarHead> = (0..4).map(|star| ledger.head(&key(star).public_key())).collect();
            let mut transactions = Vec::new();
            for &(star, place) in list {
                let transaction = carry_after(star, heads[star], &chain[place]);
                heads[star] = StarHead { sequence: heads[star].sequence + 1, head: transaction.id() };
                transactions.push(transaction);
            }
            let applied = ledger.apply(&transactions);
            let outcome = |index| !applied.censored.iter().any(|one| one.index as usize == index);
            for (index, (_, place)) in list.iter().enumerate() {
                if outcome(index) {
                    prop_assert!(*place <= height);
                    height = height.max(place + 1);
                }
            }
        }
        prop_assert_eq!(head(&ledger).height as usize, height);
        let (mut afresh, mut elsewhere) = (StateCommitment::default(), StateCommitment::default());
        let mut galaxies = Galaxies::new(&listed(), &mut elsewhere);
        for carried in &chain[..height] {
            galaxies.advance(carried, &mut elsewhere);
        }
        galaxies.0.values().for_each(|galaxy| afresh.add(&galaxy.hash()));
        for star in [0, 1, 2, 3, 100].map(|index| key(index).public_key()) {
            afresh.add(&ledger.account(&star).unwrap().hash(&star));
        }
        prop_assert_eq!(afresh.hash(), ledger.state());
    }
}
