//! Every rule of the ledger, case by case and as properties.

use super::*;
use crate::account::{RECENT_MAX, RELEASED_MAX};
use crate::{GenesisNode, GenesisStar, NetworkId, Offer, SecretKey};
use proptest::prelude::*;

const NETWORK: NetworkId = NetworkId([3; 8]);

fn key(byte: u8) -> SecretKey {
    SecretKey::from_seed([byte; 32])
}

fn star(byte: u8) -> PublicKey {
    key(byte).public_key()
}

fn ledger() -> Ledger {
    let stars = (0..6).map(|i| GenesisStar { public_key: star(i), balance: 1000 }).collect();
    let nodes = vec![GenesisNode::new(star(200), "127.0.0.1:1".parse().unwrap())];
    Ledger::new(&Genesis::new("test", 1, nodes, stars).unwrap())
}

fn send_from(from: u8, at: StarHead, to: u8, to_at: StarHead, amount: u64) -> Transaction {
    Offer::transfer(NETWORK, &key(from), at, star(to), amount).countersign(&key(to), to_at).unwrap()
}

fn send(ledger: &Ledger, from: u8, to: u8, amount: u64) -> Transaction {
    send_from(from, ledger.head(&star(from)), to, ledger.head(&star(to)), amount)
}

fn after(transaction: &Transaction, star: PublicKey) -> StarHead {
    let (_, half) = transaction.halves().find(|(key, _)| **key == star).unwrap();
    StarHead { sequence: half.sequence(), head: transaction.id() }
}

fn reasons(application: &Application) -> Vec<(u32, Reason)> {
    application.censored.iter().map(|censored| (censored.index, censored.reason)).collect()
}

#[test]
fn a_transfer_moves_money_and_both_heads() {
    let mut ledger = ledger();
    let transfer = send(&ledger, 0, 1, 300);
    let application = ledger.apply([&transfer]);
    assert_eq!(application, Application { applied: 1, ..Application::default() });
    assert_eq!(ledger.account(&star(0)).unwrap().balance, 700);
    assert_eq!(ledger.account(&star(1)).unwrap().balance, 1300);
    for i in [0, 1] {
        assert_eq!(ledger.head(&star(i)), StarHead { sequence: 1, head: transfer.id() });
    }
}

#[test]
fn a_new_star_can_receive_but_not_pay() {
    let mut ledger = ledger();
    let (pay, receive) = (send(&ledger, 50, 0, 1), send(&ledger, 1, 51, 5));
    assert_eq!(reasons(&ledger.apply([&pay, &receive])), [(0, Reason::Balance)]);
    assert_eq!(ledger.account(&star(51)).unwrap().balance, 5);
    assert!(ledger.account(&star(50)).is_none());
}

#[test]
fn chains_apply_within_one_list_and_gaps_may_come_again() {
    let mut ledger = ledger();
    let first = send(&ledger, 0, 1, 10);
    let second = send_from(1, after(&first, star(1)), 2, StarHead::default(), 10);
    assert_eq!(reasons(&ledger.clone().apply([&first, &second])), []);
    assert_eq!(reasons(&ledger.apply([&second, &first])), [(0, Reason::Gap)]);
    assert_eq!(reasons(&ledger.apply([&second])), []);
}

#[test]
fn resending_changes_nothing() {
    let mut ledger = ledger();
    let transfer = send(&ledger, 0, 1, 10);
    ledger.apply([&transfer]);
    let state = ledger.state();
    let again = ledger.apply([&transfer]);
    assert_eq!((reasons(&again), again.evidence), (vec![(0, Reason::Duplicate)], vec![]));
    assert_eq!(ledger.state(), state);
}

#[test]
fn the_first_of_a_fork_stands_and_the_pair_is_evidence_once() {
    let mut ledger = ledger();
    let (first, rival) = (send(&ledger, 0, 1, 10), send(&ledger, 0, 2, 10));
    let application = ledger.apply([&first, &rival, &rival]);
    assert_eq!(reasons(&application), [(1, Reason::Fork), (2, Reason::Fork)]);
    assert_eq!(application.evidence, [Evidence::new(star(0), 1, first.id(), rival.id())]);
    assert_eq!(ledger.account(&star(0)).unwrap().forks, 1);
    assert!(!ledger.would_prove_fork(&rival));
}

#[test]
fn a_fork_is_found_across_lists() {
    let mut ledger = ledger();
    let (first, rival) = (send(&ledger, 0, 1, 10), send(&ledger, 0, 2, 10));
    ledger.apply([&first]);
    assert!(ledger.would_prove_fork(&rival));
    assert_eq!(ledger.apply([&rival]).evidence.len(), 1);
}

#[test]
fn a_counterparty_that_forks_does_not_harm_the_initiator() {
    let mut ledger = ledger();
    // Star 2 countersigns two transactions with one number; star 1's is the one that loses.
    let (stands, loses) = (send(&ledger, 0, 2, 10), send(&ledger, 1, 2, 10));
    let application = ledger.apply([&stands, &loses]);
    assert_eq!(application.evidence, [Evidence::new(star(2), 1, stands.id(), loses.id())]);
    // Star 1 signs its number 1 anew, and somebody replays the old one: no evidence against star 1.
    let anew = send(&ledger, 1, 3, 10);
    assert_eq!(reasons(&ledger.apply([&anew])), []);
    let replay = ledger.apply([&loses]);
    assert!(replay.evidence.is_empty(), "{replay:?}");
    assert_eq!(ledger.account(&star(1)).unwrap().forks, 0);
}

#[test]
fn what_followed_a_censored_transaction_is_no_fork_either() {
    let mut ledger = ledger();
    let overdraft = send(&ledger, 0, 1, 5000);
    let follower = send_from(0, after(&overdraft, star(0)), 2, StarHead::default(), 1);
    assert_eq!(reasons(&ledger.apply([&overdraft, &follower])), [(0, Reason::Balance), (1, Reason::Gap)]);
    let first = send(&ledger, 0, 3, 1);
    ledger.apply([&first]);
    assert_eq!(reasons(&ledger.apply([&follower])), [(0, Reason::Orphan)]);
    let second = send(&ledger, 0, 3, 1);
    ledger.apply([&second]);
    let replay = ledger.apply([&follower, &overdraft]);
    assert_eq!((reasons(&replay), replay.evidence), (vec![(0, Reason::Stale), (1, Reason::Stale)], vec![]));
}

#[test]
fn one_sided_kinds_extend_one_chain() {
    let mut ledger = ledger();
    let join = Transaction::one_sided(crate::Kind::Join, NETWORK, &key(0), StarHead::default(), b"").unwrap();
    assert_eq!(ledger.apply([&join]).applied, 1);
    assert_eq!(ledger.head(&star(0)), StarHead { sequence: 1, head: join.id() });
    assert_eq!(ledger.account(&star(0)).unwrap().balance, 1000);
}

#[test]
fn the_memory_of_a_star_is_bounded() {
    let mut ledger = ledger();
    let first = send(&ledger, 0, 1, 1);
    let rival = send(&ledger, 0, 2, 1);
    ledger.apply([&first]);
    for _ in 0..RECENT_MAX {
        let next = send(&ledger, 0, 1, 1);
        ledger.apply([&next]);
    }
    assert_eq!(ledger.judge(&rival), Some(Reason::Stale));
    let overdrafts: Vec<_> = (0..=RELEASED_MAX as u64).map(|i| send(&ledger, 0, 1, 5000 + i)).collect();
    ledger.apply(&overdrafts);
    let next = send(&ledger, 0, 1, 1);
    ledger.apply([&next]);
    // The last one's release found no room any more: that it follows what another follows looks like a fork.
    let (last, remembered) = overdrafts.split_last().unwrap();
    assert!(remembered.iter().all(|overdraft| ledger.judge(overdraft) == Some(Reason::Stale)));
    assert_eq!(ledger.judge(last), Some(Reason::Fork));
}

/// One step of a random history: who pays whom, how much, and what is wrong with it.
#[derive(Clone, Debug)]
struct Step {
    from: u8,
    to: u8,
    amount: u64,
    fault: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..6, 1u8..6, 0u64..700, 0u8..8).prop_map(|(from, hop, amount, fault)| Step {
        from,
        to: (from + hop) % 6,
        amount,
        fault,
    });
    prop::collection::vec(step, 1..60)
}

/// Plays a history with resends, forks and gaps, in lists of the given length.
fn play(steps: &[Step], list_len: usize) -> (Ledger, Vec<Application>) {
    let mut ledger = ledger();
    let mut sent: Vec<Transaction> = Vec::new();
    let mut applications = Vec::new();
    for steps in steps.chunks(list_len) {
        let list: Vec<Transaction> = steps
            .iter()
            .map(|step| match step.fault {
                0 if !sent.is_empty() => sent[step.amount as usize % sent.len()].clone(),
                1 => {
                    let ahead = StarHead { sequence: ledger.head(&star(step.from)).sequence + 3, head: Hash([9; 32]) };
                    send_from(step.from, ahead, step.to, ledger.head(&star(step.to)), step.amount)
                }
                _ => send(&ledger, step.from, step.to, step.amount),
            })
            .collect();
        applications.push(ledger.apply(&list));
        sent.extend(list);
    }
    (ledger, applications)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn money_is_neither_made_nor_lost_and_heads_only_grow(steps in steps(), list_len in 1usize..8) {
        let (ledger, applications) = play(&steps, list_len);
        prop_assert_eq!(ledger.total_supply(), 6000);
        let applied: usize = applications.iter().map(|application| application.applied).sum();
        let sequences: u64 = (0..6).map(|i| ledger.head(&star(i)).sequence).sum();
        prop_assert_eq!(sequences, 2 * applied as u64);
    }

    #[test]
    fn the_commitment_follows_the_accounts_whatever_the_path(steps in steps(), list_len in 1usize..8) {
        let (ledger, _) = play(&steps, list_len);
        let mut afresh = StateCommitment::default();
        for (star, account) in &ledger.accounts {
            afresh.add(&account.hash(star));
        }
        prop_assert_eq!(afresh.hash(), ledger.state());
    }

    #[test]
    fn judging_foretells_applying(steps in steps()) {
        let (ledger, _) = play(&steps, 3);
        for step in &steps {
            let next = send(&ledger, step.from, step.to, step.amount);
            let mut copy = ledger.clone();
            let application = copy.apply([&next]);
            prop_assert_eq!(ledger.judge(&next), application.censored.first().map(|censored| censored.reason));
        }
    }
}
