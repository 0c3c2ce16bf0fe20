//! The envoy against a parent that is a bare ledger.

use super::*;
use constellation_chain::{
    Application, BlackHole, BlackHolePlace, Genesis, GenesisGalaxy, GenesisNode, Hash, Ledger, Share,
};

const CHILD: Hash = Hash([3; 32]);
const SECOND_US: u64 = 1_000_000;

fn key(index: usize) -> SecretKey {
    SecretKey::from_seed([50 + index as u8; 32])
}

fn committee(count: usize) -> Committee {
    Committee::new((0..count).map(|index| key(index).public_key()).collect())
}

/// The child's black holes, certified by all four of its validators.
fn chain(count: u64) -> Vec<(BlackHoleHeader, Certificate)> {
    let mut previous = CHILD;
    let next = |height| {
        let network = NetworkId::of_genesis(&CHILD);
        let (state, beacon, facilitators) = (Hash::ZERO, Hash::ZERO, Hash::ZERO);
        let reelected = Vec::new();
        let place = BlackHolePlace { network, height, previous, state, beacon, facilitators, reelected };
        let header = BlackHole::fold(place, Vec::new(), Application::default()).header;
        previous = header.hash();
        let share = |index| (index, Share::sign(&header.round_id(), header.hash(), &key(index)).signature);
        (header, Certificate::from_shares(&(0..4).map(share).collect()))
    };
    (1..=count).map(next).collect()
}

/// Four envoys with the child's log, before the parent's ledger.
struct Rig {
    ledger: Ledger,
    parent: NetworkId,
    chain: Vec<(BlackHoleHeader, Certificate)>,
    envoys: Vec<Envoy>,
    is_up: [bool; 4],
    submitted: [Vec<Arc<Transaction>>; 4],
    now_us: u64,
}

impl Rig {
    fn new(count: u64) -> Self {
        let node = GenesisNode::new(key(100).public_key(), "127.0.0.1:1".parse().unwrap());
        let galaxy = GenesisGalaxy { genesis: CHILD, validators: committee(4).members().to_vec() };
        let genesis = Genesis::new("above", 1, vec![node], Vec::new()).unwrap().with_galaxies(vec![galaxy]).unwrap();
        let parent = genesis.network_id();
        Rig {
            ledger: Ledger::new(&genesis),
            parent,
            chain: chain(count),
            envoys: (0..4).map(|index| Envoy::new(key(index), parent, committee(4)).unwrap()).collect(),
            is_up: [true; 4],
            submitted: Default::default(),
            now_us: 0,
        }
    }

    fn append(&mut self, heights: std::ops::RangeInclusive<usize>) {
        for height in heights {
            let (header, certificate) = &self.chain[height - 1];
            self.envoys.iter_mut().for_each(|envoy| envoy.appended(self.now_us, header, certificate));
        }
    }

    fn height(&self) -> u64 {
        self.ledger.galaxy(&NetworkId::of_genesis(&CHILD)).unwrap().height
    }

    /// Until `end_us`: what is submitted applies when `delivers` says so.
    fn run(&mut self, end_us: u64, delivers: impl Fn(usize) -> bool) {
        while self.now_us < end_us {
            self.now_us += 50_000;
            let is_up = self.is_up;
            for index in (0..4).filter(|index| is_up[*index]) {
                for action in self.envoys[index].poll(self.now_us) {
                    self.carry_out(index, action, &delivers);
                }
            }
        }
    }

    fn carry_out(&mut self, index: usize, action: EnvoyAction, delivers: &impl Fn(usize) -> bool) {
        match action {
            EnvoyAction::Ask => {
                let star = self.ledger.head(&key(index).public_key());
                let galaxy = self.ledger.galaxy(&NetworkId::of_genesis(&CHILD)).unwrap();
                self.envoys[index].hear(self.now_us, star, galaxy);
            }
            EnvoyAction::Read { height } => {
                let (header, certificate) = &self.chain[height as usize - 1];
                self.envoys[index].appended(self.now_us, header, certificate);
            }
            EnvoyAction::Submit(transaction) => {
                self.submitted[index].push(transaction.clone());
                if delivers(index) {
                    self.ledger.apply([&*transaction]);
                }
            }
        }
    }

    fn submitters(&self) -> Vec<usize> {
        (0..4).filter(|index| !self.submitted[*index].is_empty()).collect()
    }
}

#[test]
fn a_run_is_one_validator_s_and_needs_no_word_from_the_parent_in_between() {
    let mut rig = Rig::new(RUN_LEN);
    rig.run(SECOND_US, |_| true);
    rig.append(1..=RUN_LEN as usize);
    rig.run(rig.now_us + 50_000, |_| true);
    assert_eq!((rig.height(), rig.submitters()), (RUN_LEN, vec![0]));
    assert_eq!(rig.submitted[0].len() as u64, RUN_LEN);
}

#[test]
fn validators_take_turns() {
    let mut rig = Rig::new(4 * RUN_LEN);
    rig.append(1..=4 * RUN_LEN as usize);
    rig.run(5 * SECOND_US, |_| true);
    assert_eq!(rig.height(), 4 * RUN_LEN);
    assert!(rig.submitted.iter().all(|own| own.len() as u64 == RUN_LEN), "a run each, and nothing twice");
}

#[test]
fn who_is_absent_is_stood_in_for_after_a_patience() {
    let mut rig = Rig::new(3);
    rig.is_up = [false, false, true, true];
    rig.append(1..=3);
    rig.run(2 * PATIENCE_US - 100_000, |_| true);
    assert_eq!(rig.height(), 0, "it is the turn of those who are absent");
    rig.run(2 * PATIENCE_US + 400_000, |_| true);
    assert_eq!((rig.height(), rig.submitters()), (3, vec![2]));
}

#[test]
fn what_is_lost_on_the_way_is_sent_again_as_it_was() {
    let mut rig = Rig::new(4);
    rig.is_up = [true, false, false, false];
    rig.append(1..=4);
    rig.run(3 * SECOND_US, |_| false);
    rig.run(5 * SECOND_US, |_| true);
    assert_eq!(rig.height(), 4);
    let mut ids: Vec<Hash> = rig.submitted[0].iter().map(|one| one.id()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4, "four transactions, however often");
}

#[test]
fn after_a_restart_it_says_the_same_again() {
    let mut rig = Rig::new(6);
    rig.append(1..=4);
    rig.run(500_000, |_| false);
    let kept = rig.submitted[0].clone();
    assert_eq!(kept.len(), 4);
    rig.envoys[0] = Envoy::new(key(0), rig.parent, committee(4)).unwrap();
    rig.envoys[0].restore(kept);
    // Another one carries all of it meanwhile; the first one's own apply again, and its chain goes on.
    rig.is_up[0] = false;
    rig.run(3 * SECOND_US, |index| index == 1);
    assert_eq!(rig.height(), 4);
    rig.is_up = [true, false, false, false];
    rig.append(5..=6);
    rig.run(6 * SECOND_US, |_| true);
    assert_eq!(rig.height(), 6);
    let star = key(0).public_key();
    assert_eq!((rig.ledger.head(&star).sequence, rig.ledger.account(&star).unwrap().forks), (6, 0));
}

#[test]
fn an_old_answer_changes_nothing() {
    let mut rig = Rig::new(2);
    rig.append(1..=2);
    let before = (StarHead::default(), rig.ledger.galaxy(&NetworkId::of_genesis(&CHILD)).unwrap());
    rig.run(SECOND_US, |_| true);
    assert_eq!(rig.height(), 2);
    let told = rig.envoys[0].told;
    rig.envoys[0].hear(rig.now_us, before.0, before.1);
    assert_eq!(rig.envoys[0].told, told);
}

#[test]
fn strangers_and_galaxies_too_large_have_none() {
    let make = |index, count| Envoy::new(key(index), NetworkId([1; 8]), committee(count)).err();
    assert_eq!(make(4, 4), Some(EnvoyError::NotAValidator(key(4).public_key())));
    assert_eq!(make(0, 17), Some(EnvoyError::TooManyValidators(17)));
    assert_eq!(make(0, 16), None);
}
