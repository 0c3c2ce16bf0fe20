//! Two stars trading through a door to a ledger in memory.

use super::chain_file::{Chain, ChainFile, Outcome};
use super::door::{Door, Fate};
use super::light::{Light, StarError};
use super::receive::{Filter, Notice};
use constellation_chain::{
    CheckSignatures, Genesis, GenesisNode, GenesisStar, Hash, Ledger, NetworkId, Offer, PublicKey, Reason, SecretKey,
    StarHead, Transaction,
};
use constellation_node::VerifyEngine;
use constellation_node::api::ClientError;
use constellation_node::api::{Admission, StarAnswer};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

const ANY: Filter = Filter { from: None, max_amount: None };
const NOW: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_secs(20);

/// A network that decides at once.
#[derive(Clone)]
struct World(Rc<RefCell<State>>);

struct State {
    ledger: Ledger,
    height: u64,
    offers: Vec<Offer>,
    fates: HashMap<Hash, Fate>,
    submitted: Vec<Hash>,
    /// Before the next transaction, this one gets in.
    first: Option<Transaction>,
}

impl World {
    fn new() -> Self {
        let node = GenesisNode::new(key(9).public_key(), "127.0.0.1:1".parse().unwrap());
        let stars = (1..=3).map(|byte| GenesisStar { public_key: key(byte).public_key(), balance: 100 }).collect();
        let ledger = Ledger::new(&Genesis::new("test", 1, vec![node], stars).unwrap());
        let (offers, fates, submitted) = (Vec::new(), HashMap::new(), Vec::new());
        World(Rc::new(RefCell::new(State { ledger, height: 0, offers, fates, submitted, first: None })))
    }

    fn balance(&self, byte: u8) -> u64 {
        self.0.borrow().ledger.account(&key(byte).public_key()).map_or(0, |account| account.balance)
    }
}

impl State {
    fn apply(&mut self, transaction: &Transaction) {
        self.height += 1;
        let application = self.ledger.apply([transaction]);
        let black_hole = Hash([self.height as u8; 32]);
        let fate = match application.censored.first() {
            None => Fate::Final { height: self.height, black_hole },
            Some(censored) => Fate::Censored(censored.reason),
        };
        self.fates.insert(transaction.id(), fate);
        let sequence = transaction.initiator_half().sequence();
        self.offers.retain(|offer| {
            offer.initiator() != transaction.initiator() || offer.initiator_half().sequence() > sequence
        });
    }
}

impl Door for World {
    fn network(&self) -> NetworkId {
        NetworkId([5; 8])
    }

    fn account(&mut self, star: &PublicKey) -> Result<StarAnswer, ClientError> {
        let state = self.0.borrow();
        let account = state.ledger.account(star).cloned().unwrap_or_default();
        Ok(StarAnswer { balance: account.balance, head: account.head, forks: account.forks, height: state.height })
    }

    fn fate(&mut self, id: &Hash) -> Result<Fate, ClientError> {
        Ok(self.0.borrow().fates.get(id).copied().unwrap_or(Fate::Unknown))
    }

    fn offers(&mut self, star: &PublicKey) -> Result<Vec<Offer>, ClientError> {
        Ok(self.0.borrow().offers.iter().filter(|offer| offer.counterparty() == *star).cloned().collect())
    }

    fn submit_offer(&mut self, offer: &Offer) -> Result<Admission, ClientError> {
        let offers = &mut self.0.borrow_mut().offers;
        if offers.contains(offer) {
            return Ok(Admission::Known);
        }
        offers.push(offer.clone());
        Ok(Admission::Admitted)
    }

    fn submit(&mut self, transaction: &Transaction) -> Result<Admission, ClientError> {
        let mut state = self.0.borrow_mut();
        state.submitted.push(transaction.id());
        if let Some(first) = state.first.take() {
            state.apply(&first);
        }
        state.apply(transaction);
        Ok(Admission::Admitted)
    }

    fn is_signed(&self, offer: &Offer) -> bool {
        let message = offer.message();
        VerifyEngine::detect().check(&[offer.signature(&message)]) == [true]
    }
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_seed([byte; 32])
}

/// A star with a chain file that outlives each of its clients.
struct Star {
    byte: u8,
    dir: tempfile::TempDir,
    world: World,
}

impl Star {
    fn new(world: &World, byte: u8) -> Self {
        Star { byte, dir: tempfile::tempdir().unwrap(), world: world.clone() }
    }

    fn key_file(&self) -> PathBuf {
        self.dir.path().join("star.key")
    }

    fn light(&self) -> Light<World> {
        let mut light = Light::open(&self.key_file(), key(self.byte), self.world.clone()).unwrap();
        light.poll = Duration::from_millis(1);
        light
    }

    fn chain(&self) -> Chain {
        Chain::read(&ChainFile::path_beside(&self.key_file())).unwrap()
    }

    fn receive(&self, filter: &Filter) -> (Vec<u64>, Vec<Notice>) {
        let mut notices = Vec::new();
        let received = self.light().receive(filter, 1, NOW, &mut |notice| notices.push(notice)).unwrap();
        (received.into_iter().map(|received| received.amount).collect(), notices)
    }
}

#[test]
fn a_payment_goes_through_once_however_often_it_is_asked_for() {
    let world = World::new();
    let (alice, bob) = (Star::new(&world, 1), Star::new(&world, 2));
    let pay = || alice.light().send(key(2).public_key(), 30, b"tea", NOW).unwrap();
    let first = pay();
    assert_eq!((first.sequence, first.place, first.resumed), (1, None, false));
    assert_eq!((pay().place, world.0.borrow().offers.len()), (None, 1));

    assert_eq!(bob.receive(&ANY).0, [30]);
    let finished = pay();
    assert!(finished.resumed && finished.place.is_some_and(|place| place.height == Some(1)));
    assert_eq!((world.balance(1), world.balance(2)), (70, 130));
    let chains = [alice.chain(), bob.chain()].map(|chain| chain.entries[0].outcome.clone());
    assert_eq!(chains[0], chains[1]);

    assert_eq!(pay().sequence, 2);
}

#[test]
fn an_open_offer_keeps_everything_else_waiting() {
    let world = World::new();
    let (alice, bob) = (Star::new(&world, 1), Star::new(&world, 2));
    alice.light().send(key(2).public_key(), 30, b"", NOW).unwrap();
    for (to, amount) in [(3, 30), (2, 31)] {
        let error = alice.light().send(key(to).public_key(), amount, b"", NOW).unwrap_err();
        assert!(matches!(error, StarError::OpenOffer { sequence: 1, amount: 30, .. }), "{error}");
    }
    Star::new(&world, 3).light().send(key(1).public_key(), 5, b"", NOW).unwrap();
    let error = alice.light().receive(&ANY, 1, NOW, &mut |_| {}).unwrap_err();
    assert!(matches!(error, StarError::OpenOffer { .. }), "{error}");

    bob.receive(&ANY);
    assert_eq!(alice.receive(&ANY).0, [5]);
    assert_eq!((world.balance(1), world.balance(2), world.balance(3)), (75, 130, 95));
}

#[test]
fn what_a_killed_client_had_written_down_is_what_the_next_one_sends() {
    let world = World::new();
    let (alice, bob) = (Star::new(&world, 1), Star::new(&world, 2));
    let network = world.network();
    let offer = Offer::transfer(network, &key(1), StarHead::default(), key(2).public_key(), 30);
    alice.light().chain_file.offered(&offer).unwrap();
    alice.light().send(key(2).public_key(), 30, b"", NOW).unwrap();
    assert!(world.0.borrow().offers.iter().eq([&offer]));

    let transaction = offer.countersign(&key(2), StarHead::default()).unwrap();
    bob.light().chain_file.countersigned(&transaction).unwrap();
    let (received, notices) = bob.receive(&ANY);
    assert_eq!((received, notices), (vec![30], vec![Notice::Resending(1)]));
    assert_eq!(world.0.borrow().submitted, [transaction.id()]);
}

#[test]
fn only_offers_that_fit_and_can_apply_are_countersigned() {
    let world = World::new();
    let bob = Star::new(&world, 2);
    let (network, to) = (world.network(), key(2).public_key());
    let later = StarHead { sequence: 4, head: Hash([1; 32]) };
    let elsewhere = StarHead { sequence: 0, head: Hash([1; 32]) };
    let mut forged = Offer::transfer(network, &key(1), StarHead::default(), to, 10).to_bytes();
    forged[16] ^= 1;
    world.0.borrow_mut().offers = vec![
        Offer::decode(&forged, network).unwrap(),
        Offer::transfer(network, &key(3), StarHead::default(), to, 10),
        Offer::transfer(network, &key(1), StarHead::default(), to, 21),
        Offer::transfer(network, &key(1), elsewhere, to, 10),
        Offer::transfer(network, &key(1), later, to, 10),
    ];
    let filter = Filter { from: Some(key(1).public_key()), max_amount: Some(20) };
    let (received, notices) = bob.receive(&filter);
    assert_eq!((received, notices.len()), (vec![], 4));
    assert!(notices.iter().all(|notice| matches!(notice, Notice::Skipped(..))), "{notices:?}");
    assert_eq!(bob.chain().entries, []);

    let poor = Offer::transfer(network, &key(1), StarHead::default(), to, 101);
    let good = Offer::transfer(network, &key(1), StarHead::default(), to, 20);
    world.0.borrow_mut().offers = vec![poor, good];
    assert_eq!(bob.receive(&Filter { max_amount: None, ..filter }).0, [20]);
}

#[test]
fn a_number_is_free_again_when_the_other_star_forked() {
    let world = World::new();
    let bob = Star::new(&world, 2);
    let network = world.network();
    let to_bob = Offer::transfer(network, &key(1), StarHead::default(), key(2).public_key(), 10);
    let to_third = Offer::transfer(network, &key(1), StarHead::default(), key(3).public_key(), 10);
    world.0.borrow_mut().offers = vec![to_bob];
    world.0.borrow_mut().first = Some(to_third.countersign(&key(3), StarHead::default()).unwrap());
    let (received, notices) = bob.receive(&ANY);
    assert!(received.is_empty());
    assert!(notices.contains(&Notice::Censored(1, Reason::Fork.name().into())), "{notices:?}");
    assert!(matches!(bob.chain().entries[0].outcome, Outcome::Void(_)));

    let sent = bob.light().send(key(3).public_key(), 1, b"", NOW).unwrap();
    assert_eq!(sent.sequence, 1);
    assert_eq!(world.0.borrow().ledger.account(&key(2).public_key()).unwrap().forks, 0);
}

#[test]
fn a_chain_that_is_not_the_networks_is_noticed() {
    let world = World::new();
    let (alice, bob) = (Star::new(&world, 1), Star::new(&world, 2));
    alice.light();
    let copy = Star::new(&world, 1);
    copy.light().send(key(2).public_key(), 30, b"", NOW).unwrap();
    bob.receive(&ANY);
    let error = alice.light().send(key(2).public_key(), 1, b"", NOW).unwrap_err();
    assert!(matches!(error, StarError::Ahead { network: 1, own: 0 }), "{error}");

    copy.light().settle().unwrap();
    world.0.borrow_mut().ledger = World::new().0.borrow().ledger.clone();
    let error = copy.light().send(key(2).public_key(), 1, b"", NOW).unwrap_err();
    assert!(matches!(error, StarError::Behind { network: 0, own: 1 }), "{error}");
}

#[test]
fn what_cannot_be_paid_is_not_signed() {
    let world = World::new();
    let alice = Star::new(&world, 1);
    let error = alice.light().send(key(2).public_key(), 101, b"", SOON).unwrap_err();
    assert!(matches!(error, StarError::Balance { balance: 100, amount: 101 }), "{error}");
    let error = alice.light().send(key(1).public_key(), 1, b"", SOON).unwrap_err();
    assert!(matches!(error, StarError::Offer(_)), "{error}");
    assert_eq!(alice.chain().entries, []);
}

#[test]
fn a_place_that_was_forgotten_is_found_later() {
    let world = World::new();
    let (alice, bob) = (Star::new(&world, 1), Star::new(&world, 2));
    alice.light().send(key(2).public_key(), 30, b"", NOW).unwrap();
    bob.receive(&ANY);
    let fates = std::mem::take(&mut world.0.borrow_mut().fates);
    let sent = alice.light().send(key(2).public_key(), 30, b"", NOW).unwrap();
    assert!(sent.place.is_some_and(|place| place.height.is_none()));
    world.0.borrow_mut().fates = fates;
    alice.light().find_places().unwrap();
    assert_eq!(alice.chain().entries[0].outcome, bob.chain().entries[0].outcome);
}
