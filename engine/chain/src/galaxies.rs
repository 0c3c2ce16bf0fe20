//! The galaxies below: networks whose black holes are transactions of this one. The genesis lists them; the ledger keeps where each one's
//! chain stands, and judges what is carried up.
//!
//! A black hole extends its galaxy's head as a star's half extends its star's: height + 1, and the head as its predecessor. One that stands
//! already applies and changes nothing, so that two validators may carry the same one and neither's personal chain breaks.
//! Another one of a height that stands proves that the galaxy forked: the first stands, the fork is recorded once, and the transaction that
//! brought it stays in the log, censored, with both headers' signatures to be looked up.

use crate::certificate::share_message;
use crate::certified_header::CertifiedHeader;
use crate::commitment::StateCommitment;
use crate::committee::Committee;
use crate::hash::{Hash, Hasher};
use crate::keys::{PublicKey, Signature, SignedMessage};
use crate::ledger::Reason;
use crate::transaction::NetworkId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Galaxies below one network, at most.
pub const GALAXIES_MAX: usize = 256;
/// Black holes of each galaxy that can still be told from forks.
const RECENT_MAX: usize = 64;

const DOMAIN: &[u8; 8] = b"cst.glxy";

/// A galaxy named in the genesis of the network above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisGalaxy {
    /// Hash of the galaxy's own genesis: what its first black hole follows, and what its network id is the front of.
    pub genesis: Hash,
    /// Its validators, in the order of its genesis; at most [`GALAXY_VALIDATORS_MAX`](crate::GALAXY_VALIDATORS_MAX).
    pub validators: Vec<PublicKey>,
}

impl GenesisGalaxy {
    /// The galaxy's network id.
    pub fn network_id(&self) -> NetworkId {
        NetworkId::of_genesis(&self.genesis)
    }
}

/// Where a galaxy's chain stands in the ledger of the network above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GalaxyHead {
    /// Height of its last black hole that was carried up; 0 before the first.
    pub height: u64,
    /// Hash of that black hole; of the galaxy's genesis before the first.
    pub head: Hash,
    /// Height of the first fork of its chain that was proven: more of its validators are faulty than it bears.
    pub forked_at: Option<u64>,
}

/// What the validators named in a carried certificate signed, to be checked with the transaction's own signatures.
#[derive(Clone, Debug)]
pub(crate) struct CarriedShares {
    message: [u8; 61],
    shares: Vec<(PublicKey, Signature)>,
}

impl CarriedShares {
    /// Those of the listed galaxy; none of one that is not listed, which the ledger will not apply.
    pub fn new(carried: &CertifiedHeader, galaxies: &[GenesisGalaxy]) -> Self {
        let CertifiedHeader { header, certificate } = carried;
        let galaxy = galaxies.iter().find(|galaxy| galaxy.network_id() == header.network);
        let validators = galaxy.map_or(&[][..], |galaxy| &galaxy.validators);
        let signed = |(index, signature)| Some((*validators.get(index)?, signature));
        CarriedShares {
            message: share_message(&header.round_id(), &header.hash()),
            shares: certificate.shares().filter_map(signed).collect(),
        }
    }

    /// The signatures to check.
    pub fn signatures(&self) -> impl Iterator<Item = SignedMessage<'_>> {
        let signed = |&(public_key, signature)| SignedMessage { public_key, signature, message: &self.message };
        self.shares.iter().map(signed)
    }
}

/// What the ledger keeps of one galaxy.
#[derive(Clone, Debug)]
struct Galaxy {
    genesis: Hash,
    validators: Committee,
    head: GalaxyHead,
    /// Hashes of the last black holes, the head's at the back.
    recent: VecDeque<Hash>,
}

/// All galaxies below.
#[derive(Clone, Debug, Default)]
pub(crate) struct Galaxies(BTreeMap<NetworkId, Galaxy>);

impl Galaxies {
    /// Those of a checked genesis, before their first black holes; each is added to the commitment.
    pub fn new(listed: &[GenesisGalaxy], commitment: &mut StateCommitment) -> Self {
        let galaxy = |galaxy: &GenesisGalaxy| Galaxy {
            genesis: galaxy.genesis,
            validators: Committee::new(galaxy.validators.clone()),
            head: GalaxyHead { height: 0, head: galaxy.genesis, forked_at: None },
            recent: VecDeque::new(),
        };
        let galaxies: BTreeMap<_, _> = listed.iter().map(|one| (one.network_id(), galaxy(one))).collect();
        galaxies.values().for_each(|galaxy| commitment.add(&galaxy.hash()));
        Galaxies(galaxies)
    }

    /// Where a galaxy stands, if it is listed.
    pub fn head(&self, network: &NetworkId) -> Option<GalaxyHead> {
        self.0.get(network).map(|galaxy| galaxy.head)
    }

    /// Why a black hole would not apply. Signatures were checked before, of those validators that the certificate names; here they are
    /// counted.
    pub fn judge(&self, carried: &CertifiedHeader) -> Result<(), Reason> {
        let galaxy = self.0.get(&carried.header.network).ok_or(Reason::Uncertified)?;
        carried.certificate.check_signers(&galaxy.validators).map_err(|_| Reason::Uncertified)?;
        galaxy.judge(carried)
    }

    /// Whether a black hole proves the first known fork of its galaxy.
    pub fn would_prove_fork(&self, carried: &CertifiedHeader) -> bool {
        self.judge(carried) == Err(Reason::Fork)
            && self.head(&carried.header.network).is_some_and(|head| head.forked_at.is_none())
    }

    /// Takes a black hole that applies: the head, unless it stands already.
    pub fn advance(&mut self, carried: &CertifiedHeader, commitment: &mut StateCommitment) {
        self.change(&carried.header.network, commitment, |galaxy| {
            let (height, head) = (carried.header.height(), carried.header.hash());
            if height > galaxy.head.height {
                galaxy.head = GalaxyHead { height, head, ..galaxy.head };
                galaxy.recent.push_back(head);
                if galaxy.recent.len() > RECENT_MAX {
                    galaxy.recent.pop_front();
                }
            }
        });
    }

    /// Records the fork that a censored black hole proves, if it does.
    pub fn record_fork(&mut self, carried: &CertifiedHeader, commitment: &mut StateCommitment) {
        if self.would_prove_fork(carried) {
            self.change(&carried.header.network, commitment, |galaxy| {
                galaxy.head.forked_at = Some(carried.header.height());
            });
        }
    }

    fn change(&mut self, network: &NetworkId, commitment: &mut StateCommitment, change: impl FnOnce(&mut Galaxy)) {
        if let Some(galaxy) = self.0.get_mut(network) {
            let old = galaxy.hash();
            change(galaxy);
            commitment.replace(&old, &galaxy.hash());
        }
    }
}

impl Galaxy {
    fn judge(&self, carried: &CertifiedHeader) -> Result<(), Reason> {
        let (header, head) = (&carried.header, &self.head);
        if header.height() > head.height {
            let extends = header.height() - head.height == 1 && header.previous == head.head;
            return if extends { Ok(()) } else { Err(Reason::Orphan) };
        }
        // What is too old to be remembered changes nothing either.
        match self.recall(header.height()) {
            Some(standing) if *standing != header.hash() => Err(Reason::Fork),
            _ => Ok(()),
        }
    }

    /// The black hole that stands at a height, if it is remembered.
    fn recall(&self, height: u64) -> Option<&Hash> {
        let age = usize::try_from(self.head.height.checked_sub(height)?).ok()?;
        self.recent.iter().rev().nth(age)
    }

    /// What the state commitment is over: hashes name their predecessors, so the head stands for all that is remembered.
    fn hash(&self) -> Hash {
        let GalaxyHead { height, head, forked_at } = self.head;
        Hasher::new(DOMAIN)
            .update(&self.genesis.0)
            .update(&height.to_le_bytes())
            .update(&head.0)
            .update(&[u8::from(forked_at.is_some())])
            .update(&forked_at.unwrap_or_default().to_le_bytes())
            .finish()
    }
}

#[cfg(test)]
#[path = "galaxies_tests.rs"]
pub(crate) mod tests;
