//! The pool by itself: admission, order, rivals, bounds.

use super::*;
use std::collections::BTreeSet;

use constellation_chain::{Genesis, GenesisNode, GenesisStar, NetworkId, Offer, SecretKey};

const ALL: Share = Share { salt: 0, seats: 1, me: 0 };

fn key(byte: u8) -> SecretKey {
    SecretKey::from_seed([byte; 32])
}

fn fixture() -> (Limits, Ledger, Pool) {
    let node = GenesisNode::new(key(200).public_key(), "127.0.0.1:1".parse().unwrap());
    let stars = (0..100).map(|i| GenesisStar { public_key: key(i).public_key(), balance: 100 }).collect();
    let config = Config::new(Genesis::new("test", 1, vec![node], stars).unwrap(), key(200));
    let ledger = Ledger::new(&config.genesis);
    (Limits::new(&config, 1), ledger, Pool::default())
}

fn send(from: u8, at: StarHead, to: u8, to_at: StarHead, amount: u64) -> Arc<Transaction> {
    let offer = Offer::transfer(NetworkId::default(), &key(from), at, key(to).public_key(), amount);
    Arc::new(offer.countersign(&key(to), to_at).unwrap())
}

fn first(from: u8, to: u8, amount: u64) -> Arc<Transaction> {
    send(from, StarHead::default(), to, StarHead::default(), amount)
}

fn after(transaction: &Transaction) -> StarHead {
    StarHead { sequence: transaction.initiator_half().sequence(), head: transaction.id() }
}

/// Bounds that leave out what is in flight alone.
fn but(in_flight: &KeySet<Hash>) -> Bounds<'_> {
    Bounds { in_flight, serves: &|_| true, max_bytes: usize::MAX }
}

fn compose(pool: &mut Pool, ledger: &Ledger) -> Vec<Hash> {
    let composed = pool.compose(&ALL, &but(&KeySet::default()), ledger, &mut Vec::new());
    composed.picked.iter().map(|transaction| transaction.id()).collect()
}

#[test]
fn a_chain_is_proposed_in_order_however_it_arrived() {
    let (limits, ledger, mut pool) = fixture();
    let one = first(0, 1, 1);
    let two = send(0, after(&one), 2, StarHead::default(), 1);
    for transaction in [&two, &one] {
        assert_eq!(pool.admit(transaction.clone(), &ledger, &limits, 0), Admission::Admitted);
    }
    assert_eq!(pool.admit(one.clone(), &ledger, &limits, 0), Admission::Known);
    assert_eq!(compose(&mut pool, &ledger), [one.id(), two.id()]);
    assert_eq!(compose(&mut pool, &ledger).len(), 2, "composing takes nothing out");
}

#[test]
fn sealed_heads_carry_the_next_round() {
    let (limits, mut ledger, mut pool) = fixture();
    let one = first(0, 1, 1);
    let two = send(0, after(&one), 2, StarHead::default(), 1);
    pool.seal(1, std::slice::from_ref(&one));
    pool.admit(two.clone(), &ledger, &limits, 0);
    assert_eq!(compose(&mut pool, &ledger), [two.id()]);
    ledger.apply([&*one]);
    pool.settle([(&one, None)].into_iter(), 1);
    assert_eq!(compose(&mut pool, &ledger), [two.id()]);
}

#[test]
fn rivals_are_proposed_for_the_record_and_then_refused() {
    let (limits, mut ledger, mut pool) = fixture();
    let (one, rival, third) = (first(0, 1, 1), first(0, 2, 1), first(0, 3, 1));
    let admit = |pool: &mut Pool, ledger: &Ledger, transaction: &Arc<Transaction>| {
        pool.admit(transaction.clone(), ledger, &limits, 0)
    };
    assert_eq!(admit(&mut pool, &ledger, &one), Admission::Admitted);
    assert_eq!(admit(&mut pool, &ledger, &rival), Admission::Admitted);
    assert_eq!(admit(&mut pool, &ledger, &third), Admission::Censored { reason: Reason::Fork });
    let stands = compose(&mut pool, &ledger);
    assert_eq!(stands.len(), 1);
    let (stands, loses) = if stands[0] == one.id() { (one, rival) } else { (rival, one) };
    pool.seal(1, std::slice::from_ref(&stands));
    assert!(compose(&mut pool, &ledger).is_empty(), "not while the head is moving");
    ledger.apply([&*stands]);
    pool.settle([(&stands, None)].into_iter(), 1);
    assert_eq!(compose(&mut pool, &ledger), [loses.id()]);
    pool.seal(2, std::slice::from_ref(&loses));
    let application = ledger.apply([&*loses]);
    assert_eq!(application.evidence.len(), 1);
    pool.settle([(&loses, Some(Reason::Fork))].into_iter(), 2);
    assert_eq!(
        admit(&mut pool, &ledger, &third),
        Admission::Censored { reason: Reason::Fork },
        "one pair is proof enough"
    );
    assert_eq!(admit(&mut pool, &ledger, &stands), Admission::Final);
}

#[test]
fn what_can_never_apply_is_dropped_with_its_reason() {
    let (limits, mut ledger, mut pool) = fixture();
    let one = first(0, 1, 1);
    let strange = send(5, StarHead { sequence: 1, head: Hash([9; 32]) }, 6, StarHead::default(), 1);
    assert_eq!(pool.admit(strange.clone(), &ledger, &limits, 0), Admission::Admitted);
    assert!(compose(&mut pool, &ledger).is_empty());
    ledger.apply([&*first(5, 7, 1), &*one]);
    let mut dropped = Vec::new();
    assert!(pool.compose(&ALL, &but(&KeySet::default()), &ledger, &mut dropped).picked.is_empty());
    assert_eq!(dropped, [(strange.id(), Some(Reason::Orphan))]);
    assert_eq!(pool.waiting_count(), 0);
}

#[test]
fn a_gap_goes_back_to_waiting() {
    let (limits, mut ledger, mut pool) = fixture();
    let one = first(0, 1, 1);
    let two = send(0, after(&one), 2, StarHead::default(), 1);
    pool.admit(two.clone(), &ledger, &limits, 0);
    pool.seal(1, std::slice::from_ref(&two));
    pool.settle([(&two, Some(Reason::Gap))].into_iter(), 1);
    assert_eq!(pool.state_of(&two.id()), TransactionState::Admitted);
    ledger.apply([&*one]);
    assert_eq!(compose(&mut pool, &ledger), [two.id()]);
}

#[test]
fn everything_is_bounded_and_expires() {
    let (mut limits, ledger, mut pool) = fixture();
    (limits.waiting_max, limits.star_max) = (3, 2);
    let mut head = StarHead::default();
    for expected in [true, true, false] {
        let next = send(0, head, 1, StarHead::default(), 1);
        head = after(&next);
        assert_eq!(pool.admit(next, &ledger, &limits, 5) == Admission::Admitted, expected);
    }
    assert_eq!(pool.admit(first(2, 3, 1), &ledger, &limits, 6), Admission::Admitted);
    assert!(matches!(pool.admit(first(4, 5, 1), &ledger, &limits, 7), Admission::Busy { .. }));
    let mut dropped = Vec::new();
    pool.expire(6, &mut dropped);
    assert_eq!((dropped.len(), pool.waiting_count()), (2, 1));
}

#[test]
fn every_initiator_has_one_seat_and_the_seats_share_evenly() {
    let mut counts = [0; 4];
    for star in 0..=255u8 {
        let initiator = key(star).public_key();
        let mine: Vec<usize> = (0..4).filter(|&me| Share { salt: 7, seats: 4, me }.is_mine(&initiator)).collect();
        assert_eq!(mine.len(), 1);
        counts[mine[0]] += 1;
    }
    assert!(counts.iter().all(|&count| count > 40), "{counts:?}");
}

#[test]
fn a_proposal_keeps_to_its_size() {
    let (limits, ledger, mut pool) = fixture();
    for i in 0..50 {
        pool.admit(first(2 * i, 2 * i + 1, 1), &ledger, &limits, 0);
    }
    let one = constellation_chain::FIXED_LEN_BYTES;
    let nothing = KeySet::default();
    let bounds = Bounds { max_bytes: 10 * one + 5, ..but(&nothing) };
    let turn = |pool: &mut Pool| pool.compose(&ALL, &bounds, &ledger, &mut Vec::new()).picked;
    let (now, then) = (turn(&mut pool), turn(&mut pool));
    assert_eq!((now.len(), then.len()), (10, 10));
    assert!(then.iter().all(|transaction| !now.contains(transaction)), "the next turn goes to others");
}

#[test]
fn what_falls_to_others_is_seen_to_be_ready() {
    let (limits, ledger, mut pool) = fixture();
    let transaction = first(0, 1, 1);
    pool.admit(transaction.clone(), &ledger, &limits, 0);
    for me in 0..4 {
        let composed =
            pool.compose(&Share { salt: 3, seats: 4, me }, &but(&KeySet::default()), &ledger, &mut Vec::new());
        assert!(composed.is_any_ready);
    }
    pool.seal(1, std::slice::from_ref(&transaction));
    assert!(!pool.compose(&ALL, &but(&KeySet::default()), &ledger, &mut Vec::new()).is_any_ready);
}

#[test]
fn what_the_round_before_may_hold_waits_and_so_does_what_follows_it() {
    let (limits, ledger, mut pool) = fixture();
    let one = first(1, 2, 5);
    let two = send(1, after(&one), 3, StarHead::default(), 5);
    let other = first(4, 5, 5);
    for transaction in [&one, &two, &other] {
        assert_eq!(pool.admit(transaction.clone(), &ledger, &limits, 0), Admission::Admitted);
    }
    let mut picked = |in_flight: &[Hash]| {
        let in_flight = in_flight.iter().copied().collect();
        let composed = pool.compose(&ALL, &but(&in_flight), &ledger, &mut Vec::new());
        composed.picked.iter().map(|transaction| transaction.id()).collect::<BTreeSet<_>>()
    };
    assert_eq!(picked(&[one.id()]), [other.id()].into());
    assert!(picked(&[one.id(), other.id()]).is_empty());
    assert_eq!(picked(&[]).len(), 3);
}

#[test]
fn who_is_on_the_way_is_not_proposed_and_is_reason_for_a_round() {
    let (limits, ledger, mut pool) = fixture();
    let (one, other) = (first(1, 2, 5), first(3, 4, 5));
    for transaction in [&one, &other] {
        pool.admit(transaction.clone(), &ledger, &limits, 0);
    }
    let nothing = KeySet::default();
    let picked = |pool: &mut Pool, serves: &dyn Fn(&PublicKey) -> bool| {
        let composed = pool.compose(&ALL, &Bounds { serves, ..but(&nothing) }, &ledger, &mut Vec::new());
        assert!(composed.is_any_ready);
        composed.picked.iter().map(|transaction| transaction.id()).collect::<Vec<_>>()
    };
    assert_eq!(picked(&mut pool, &|star| *star == other.initiator()), [other.id()]);
    assert!(picked(&mut pool, &|_| false).is_empty());
}

#[test]
fn what_waits_goes_along_with_its_star() {
    let (limits, ledger, mut pool) = fixture();
    let (one, other) = (first(1, 2, 5), first(3, 4, 5));
    for transaction in [&one, &other] {
        pool.admit(transaction.clone(), &ledger, &limits, 7);
    }
    let mut next = Pool::default();
    for (transaction, admitted_us) in pool.take_out(|star| *star == one.initiator()) {
        assert_eq!(admitted_us, 7);
        next.take_in(transaction, admitted_us);
    }
    assert_eq!((compose(&mut pool, &ledger), compose(&mut next, &ledger)), (vec![other.id()], vec![one.id()]));
    assert!(next.has_verified(&one) && !pool.has_verified(&one));
    next.settle_elsewhere(&one.id(), Some(Reason::Gap));
    assert_eq!(next.waiting_count(), 1);
    next.settle_elsewhere(&one.id(), None);
    assert_eq!(next.waiting_count(), 0);
}

#[test]
fn what_a_void_block_held_waits_again() {
    let (limits, ledger, mut pool) = fixture();
    let one = first(1, 2, 5);
    pool.admit(one.clone(), &ledger, &limits, 0);
    pool.seal(1, std::slice::from_ref(&one));
    assert!(!pool.has_any_ready(&ledger));
    pool.reopen();
    assert!(pool.has_any_ready(&ledger));
    assert_eq!(compose(&mut pool, &ledger), [one.id()]);
}
