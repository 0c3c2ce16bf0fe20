//! Three tiers: star clusters, galaxies over them, and a parent galaxy whose transactions are the black holes of those. The parent is the same
//! node as the children, with a genesis that lists them; between them are the envoys, one beside each child's validator.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use common::{assert_sound, engine};
use constellation_chain::{
    Application, BlackHole, BlackHoleHeader, BlackHolePlace, Certificate, CertifiedHeader, GalaxyHead, Genesis,
    GenesisGalaxy, GenesisNode, GenesisStar, Hash, Kind, NetworkId, Reason, SecretKey, Share, StarHead, Transaction,
};
use constellation_protocol::{Admission, Answer, Envoy, EnvoyAction, Query};
use constellation_simulator::node::{Network, Stars, star_key};
use std::sync::Arc;

const VALIDATORS: usize = 4;
const STARS: usize = 30;
const STEP_US: u64 = 20_000;
const SECOND_US: u64 = 1_000_000;

fn keys(network: u8) -> Vec<SecretKey> {
    (0..VALIDATORS as u8).map(|index| SecretKey::from_seed([100 + 10 * network + index; 32])).collect()
}

fn genesis(name: &str, keys: &[SecretKey], stars: usize) -> Genesis {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 7000));
    let nodes = keys.iter().map(|key| GenesisNode::new(key.public_key(), address)).collect();
    let star = |star| GenesisStar { public_key: star_key(star).public_key(), balance: 1_000_000 };
    let genesis = Genesis::new(name, VALIDATORS, nodes, (0..stars).map(star).collect()).unwrap();
    genesis.with_clusters(2).unwrap()
}

/// A galaxy below, and beside each of its validators an envoy.
struct Child {
    network: Network,
    genesis: Genesis,
    keys: Vec<SecretKey>,
    stars: Stars,
    envoys: Vec<Option<Envoy>>,
    /// What each envoy submitted: survives a kill.
    kept: Vec<Vec<Arc<Transaction>>>,
    /// Black holes of its validator's log that each envoy was given.
    given: Vec<usize>,
}

struct Tiers {
    parent: Network,
    parent_id: NetworkId,
    children: Vec<Child>,
}

impl Tiers {
    fn new(seed: u64, children: u8) -> Self {
        let children: Vec<_> = (1..=children)
            .map(|index| (genesis(&format!("child {index}"), &keys(index), STARS), keys(index)))
            .collect();
        let listed = |(genesis, _): &(Genesis, Vec<SecretKey>)| GenesisGalaxy {
            genesis: genesis.hash(),
            validators: genesis.validators().members().to_vec(),
        };
        let above = genesis("parent", &keys(0), 0).with_galaxies(children.iter().map(listed).collect()).unwrap();
        let parent_id = above.network_id();
        let parent = Network::of(seed, above, keys(0), engine());
        let child = |(genesis, keys): (Genesis, Vec<SecretKey>)| Child {
            network: Network::of(seed + 1000, genesis.clone(), keys.clone(), engine()),
            stars: Stars::new(STARS),
            envoys: (0..VALIDATORS).map(|index| Some(envoy(&genesis, &keys[index], parent_id))).collect(),
            kept: vec![Vec::new(); VALIDATORS],
            given: vec![0; VALIDATORS],
            genesis,
            keys,
        };
        Tiers { parent, parent_id, children: children.into_iter().map(child).collect() }
    }

    /// Lets all networks run side by side.
    fn run(&mut self, duration_us: u64) {
        for _ in 0..duration_us / STEP_US {
            self.parent.run(STEP_US);
            for child in &mut self.children {
                child.network.run(STEP_US);
                (0..VALIDATORS).for_each(|index| child.move_envoy(index, &mut self.parent));
            }
        }
    }

    /// One transfer in every child, so many times.
    fn load(&mut self, transfers: usize) {
        for _ in 0..transfers {
            self.children.iter_mut().for_each(|child| child.stars.send_one(&mut child.network));
            self.run(2 * STEP_US);
        }
    }

    /// Where a child stands at each of the parent's nodes that is up.
    fn heads(&mut self, child: usize) -> Vec<GalaxyHead> {
        let id = self.children[child].genesis.network_id();
        self.parent.up().into_iter().map(|index| galaxy_head(&mut self.parent, index, id)).collect()
    }

    /// A validator of a child carries something up as its star's first transaction there.
    fn first_carried(&self, child: usize, validator: usize, carried: &CertifiedHeader) -> Arc<Transaction> {
        let key = &self.children[child].keys[validator];
        let payload = carried.to_bytes();
        let made = Transaction::one_sided(Kind::BlackHole, self.parent_id, key, StarHead::default(), &payload);
        Arc::new(made.unwrap())
    }
}

fn envoy(genesis: &Genesis, key: &SecretKey, parent: NetworkId) -> Envoy {
    Envoy::new(key.clone(), parent, genesis.validators()).unwrap()
}

fn galaxy_head(parent: &mut Network, node: usize, galaxy: NetworkId) -> GalaxyHead {
    let Some(Answer::Galaxy(Some(head))) = parent.ask(node, Query::Galaxy(galaxy)) else { panic!("it is listed") };
    head
}

impl Child {
    fn move_envoy(&mut self, index: usize, parent: &mut Network) {
        let Some(envoy) = &mut self.envoys[index] else { return };
        let (log, now_us) = (&self.network.disks[index].log, parent.now_us());
        for (black_hole, certificate) in &log[self.given[index]..] {
            envoy.appended(now_us, &black_hole.header, certificate);
        }
        self.given[index] = log.len();
        // Its own door, or the next one that is up.
        let up = parent.up();
        let door = *up.iter().find(|node| **node >= index).unwrap_or(&up[0]);
        for action in envoy.poll(now_us) {
            match action {
                EnvoyAction::Ask => {
                    let star = self.keys[index].public_key();
                    let Some(Answer::Star(star)) = parent.ask(door, Query::Star(star)) else { continue };
                    envoy.hear(now_us, star.head, galaxy_head(parent, door, self.genesis.network_id()));
                }
                EnvoyAction::Read { height } => {
                    let (black_hole, certificate) = &log[height as usize - 1];
                    envoy.appended(now_us, &black_hole.header, certificate);
                }
                EnvoyAction::Submit(transaction) => {
                    parent.submit(door, &transaction);
                    if !self.kept[index].contains(&transaction) {
                        self.kept[index].push(transaction);
                    }
                }
            }
        }
    }

    fn kill(&mut self, index: usize) {
        self.network.kill(index);
        self.envoys[index] = None;
    }

    fn start(&mut self, index: usize, parent: NetworkId) {
        self.network.start(index);
        let mut envoy = envoy(&self.genesis, &self.keys[index], parent);
        envoy.restore(self.kept[index].iter().cloned());
        (self.envoys[index], self.given[index]) = (Some(envoy), 0);
    }

    /// A black hole of the child's that never was: another one for each salt.
    fn invented(&self, height: u64, previous: Hash, salt: u8) -> BlackHoleHeader {
        let (network, beacon, facilitators) = (self.genesis.network_id(), Hash::ZERO, Hash::ZERO);
        let (state, reelected) = (Hash([salt; 32]), Vec::new());
        let place = BlackHolePlace { network, height, previous, state, beacon, facilitators, reelected };
        BlackHole::fold(place, Vec::new(), Application::default()).header
    }

    fn certified(&self, header: BlackHoleHeader, signers: &[usize]) -> CertifiedHeader {
        let share =
            |&index: &usize| (index, Share::sign(&header.round_id(), header.hash(), &self.keys[index]).signature);
        CertifiedHeader { header, certificate: Certificate::from_shares(&signers.iter().map(share).collect()) }
    }
}

/// Every child's whole chain is final in the parent, on every node alike, and with it every transfer in the children.
fn assert_all_carried(tiers: &mut Tiers, seed: u64) {
    for index in 0..tiers.children.len() {
        let heads = tiers.heads(index);
        let child = &tiers.children[index];
        let log = &child.network.disks[1].log;
        let tip = log.last().unwrap().0.header;
        let expected = GalaxyHead { height: tip.height(), head: tip.hash(), forked_at: None };
        assert_eq!(heads, [expected; VALIDATORS], "seed {seed}, child {index}");
        assert!(child.stars.all_applied(&child.network, 1), "seed {seed}, child {index}");
        assert_sound(&child.network);
    }
    assert_sound(&tiers.parent);
    let forks = tiers.parent.disks[0].log.iter().map(|(black_hole, _)| black_hole.evidence.len());
    assert_eq!(forks.sum::<usize>(), 0, "seed {seed}: no envoy contradicted itself");
}

#[test]
fn transfers_of_three_galaxies_become_final_in_their_parent_alike_everywhere() {
    for seed in 0..2 {
        let mut tiers = Tiers::new(seed, 3);
        tiers.load(60);
        tiers.run(2 * SECOND_US);
        assert_all_carried(&mut tiers, seed);
        assert_eq!(tiers.parent.faults, [], "nobody was faulty");
        let carried = tiers.parent.disks[0].log.iter().flat_map(|(black_hole, _)| black_hole.outcomes());
        assert!(carried.map(|(_, reason)| reason).all(|reason| reason.is_none()), "seed {seed}: nothing was censored");
        for child in &tiers.children {
            assert!(child.kept.iter().filter(|own| !own.is_empty()).count() > 1, "seed {seed}: they took turns");
        }
    }
}

#[test]
fn nothing_is_lost_when_validators_of_a_child_and_of_the_parent_are_killed() {
    for seed in 10..14 {
        let mut tiers = Tiers::new(seed, 2);
        tiers.load(10);
        // The first run is validator 0's to carry.
        tiers.children[0].kill(0);
        tiers.load(10);
        tiers.parent.kill(seed as usize % VALIDATORS);
        tiers.load(20);
        let parent_id = tiers.parent_id;
        tiers.children[0].start(0, parent_id);
        tiers.load(10);
        tiers.children[1].kill(3);
        tiers.parent.start(seed as usize % VALIDATORS);
        tiers.load(30);
        tiers.children[1].start(3, parent_id);
        for _ in 0..4 {
            tiers.run(2 * SECOND_US);
            tiers.children.iter_mut().for_each(|child| child.stars.resend(&mut child.network));
        }
        tiers.run(3 * SECOND_US);
        assert_all_carried(&mut tiers, seed);
        assert!(tiers.children[0].kept[1..].iter().any(|own| !own.is_empty()), "seed {seed}: somebody stood in");
    }
}

#[test]
fn forged_black_holes_are_refused_everywhere() {
    let mut tiers = Tiers::new(20, 2);
    tiers.run(SECOND_US);
    let (child, other) = (&tiers.children[0], &tiers.children[1]);
    let first = child.invented(1, child.genesis.hash(), 1);
    let unknown = {
        let place = BlackHolePlace {
            network: NetworkId([7; 8]),
            height: 1,
            previous: Hash::ZERO,
            state: Hash::ZERO,
            beacon: Hash::ZERO,
            facilitators: Hash::ZERO,
            reelected: Vec::new(),
        };
        BlackHole::fold(place, Vec::new(), Application::default()).header
    };
    let censored = [
        (child.certified(first, &[0, 1]), Reason::Uncertified),
        (child.certified(unknown, &[0, 1, 2, 3]), Reason::Uncertified),
        (child.certified(child.invented(1, Hash([8; 32]), 1), &[0, 1, 2]), Reason::Orphan),
        (child.certified(child.invented(2, first.hash(), 1), &[0, 1, 2]), Reason::Orphan),
    ];
    // A quorum is named, but the signatures are another galaxy's validators', or are under something else.
    let mut exchanged = child.certified(first, &[0, 1, 2]);
    exchanged.header = child.invented(1, child.genesis.hash(), 2);
    let unsigned = [other.certified(first, &[0, 1, 2]), exchanged];
    let unsigned = unsigned.map(|carried| tiers.first_carried(0, 0, &carried));
    let censored = censored.map(|(carried, reason)| (tiers.first_carried(0, 0, &carried), reason));
    for node in 0..VALIDATORS {
        for (transaction, reason) in &censored {
            let ticket = tiers.parent.submit(node, transaction);
            tiers.parent.run(1_000);
            assert_eq!(tiers.parent.admissions[&ticket], [Admission::Censored { reason: *reason }], "node {node}");
        }
        for transaction in &unsigned {
            let ticket = tiers.parent.submit(node, transaction);
            tiers.parent.run(1_000);
            assert!(!tiers.parent.admissions.contains_key(&ticket), "it does not verify");
        }
    }
    tiers.parent.run(SECOND_US);
    let nothing = GalaxyHead { height: 0, head: tiers.children[0].genesis.hash(), forked_at: None };
    assert_eq!(tiers.heads(0), [nothing; VALIDATORS]);
    assert_eq!(tiers.parent.height(0), 0);
}

#[test]
fn of_two_certified_black_holes_of_one_height_exactly_one_stands_and_the_fork_is_on_record() {
    for seed in 30..40 {
        let mut tiers = Tiers::new(seed, 2);
        tiers.children.iter_mut().flat_map(|child| &mut child.envoys).for_each(|envoy| *envoy = None);
        tiers.run(50_000);
        let child = &tiers.children[0];
        let rivals = [1, 2].map(|salt| child.invented(1, child.genesis.hash(), salt));
        let carried = [0, 1].map(|rival| child.certified(rivals[rival], &[0, 1, 2]));
        let transactions = [0, 1].map(|rival| tiers.first_carried(0, rival, &carried[rival]));
        tiers.parent.submit(0, &transactions[0]);
        // At once, or when the first one is final already.
        tiers.parent.run(if seed % 2 == 0 { 1_000 } else { 2 * SECOND_US });
        tiers.parent.submit(2, &transactions[1]);
        tiers.parent.run(3 * SECOND_US);
        assert_sound(&tiers.parent);
        let heads = tiers.heads(0);
        assert!(heads.iter().all(|head| *head == heads[0]), "seed {seed}");
        assert_eq!((heads[0].height, heads[0].forked_at), (1, Some(1)), "seed {seed}");
        assert_eq!(rivals.iter().filter(|rival| rival.hash() == heads[0].head).count(), 1, "seed {seed}");
        let reasons: Vec<_> = tiers.parent.disks[3].log.iter().flat_map(|(hole, _)| hole.outcomes()).collect();
        let reasons: Vec<_> = reasons.into_iter().map(|(_, reason)| reason).collect();
        assert_eq!(reasons, [None, Some(Reason::Fork)], "seed {seed}");
        // A third one proves nothing new: it is refused at the door.
        let child = &tiers.children[0];
        let third = child.certified(child.invented(1, child.genesis.hash(), 3), &[0, 1, 2]);
        let third = tiers.first_carried(0, 2, &third);
        let ticket = tiers.parent.submit(1, &third);
        tiers.parent.run(1_000);
        assert_eq!(tiers.parent.admissions[&ticket], [Admission::Censored { reason: Reason::Fork }]);
    }
}
