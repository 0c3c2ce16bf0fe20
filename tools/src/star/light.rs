//! The light client itself: key, chain file and a door to the network, and how it finds out what became of its open half.

use super::chain_file::{Chain, ChainFile, ChainFileError, Entry, Outcome, Place, Signed};
use super::door::{Door, Fate};
use crate::amount::Amount;
use constellation_chain::{Hash, NetworkId, OfferError, PublicKey, Reason, SecretKey, StarHead};
use constellation_node::api::ClientError;
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two looks at what a node knows.
pub(super) const POLL: Duration = Duration::from_millis(100);
/// Between two sendings of the same half: nodes keep it, unless they were restarted.
pub(super) const RESEND: Duration = Duration::from_secs(5);
/// How often a node is asked for the place of a transaction that stands, before it counts as forgotten.
const PLACE_TRIES: usize = 20;

/// Why the light client did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StarError {
    /// The chain file.
    #[error(transparent)]
    ChainFile(#[from] ChainFileError),
    /// The node.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The offer cannot be made.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// The node knows more of this star's chain than the chain file.
    #[error(
        "the network is at number {network} of this star's chain, its chain file at {own}: the key is in use elsewhere; use the chain file \
         from there, or, if no other copy of the key is in use and nothing it signed is on its way, delete this chain file to start from the node's"
    )]
    Ahead {
        /// The node's number.
        network: u64,
        /// The chain file's number.
        own: u64,
    },
    /// The node's chain of this star is another one.
    #[error(
        "at number {sequence} the node has another transaction of this star ({found}) than its chain file ({expected}): is it of another network?"
    )]
    Diverged {
        /// The number.
        sequence: u64,
        /// The node's.
        found: Hash,
        /// The chain file's.
        expected: Hash,
    },
    /// The node has not got as far as the chain file.
    #[error(
        "the node is at number {network} of this star's chain, its chain file at {own}: the node is catching up; try again, or use another node"
    )]
    Behind {
        /// The node's number.
        network: u64,
        /// The chain file's number.
        own: u64,
    },
    /// An offer of this star waits for its counterparty.
    #[error(
        "offer {sequence} of {} noos to {counterparty} is not answered yet, and a second half with number {sequence} would be a fork: \
         have that star run `star receive`; the same `star send` as before sends the offer again and waits", Amount(*amount)
    )]
    OpenOffer {
        /// Its number.
        sequence: u64,
        /// Who is to countersign it.
        counterparty: PublicKey,
        /// The amount offered, in 10^-8 noos.
        amount: u64,
    },
    /// A countersigned transaction is not final yet.
    #[error(
        "transaction {id}, number {sequence} of this star, is not final yet, and a second half with that number would be a fork: run \
         `star receive` to send it again and wait"
    )]
    OpenTransaction {
        /// Its number.
        sequence: u64,
        /// Its id.
        id: Hash,
    },
    /// The balance does not cover the amount.
    #[error("the balance of {} noos does not cover {}", Amount(*balance), Amount(*amount))]
    Balance {
        /// The balance, in 10^-8 noos.
        balance: u64,
        /// The amount, in 10^-8 noos.
        amount: u64,
    },
    /// The node will not take what was signed.
    #[error(
        "the node refuses number {sequence} of this star ({reason}); it stays open, and is sent again by the next command"
    )]
    Refused {
        /// The number.
        sequence: u64,
        /// Why.
        reason: Reason,
    },
}

/// A star, its chain, and a node to talk to.
pub struct Light<D> {
    pub(super) key: SecretKey,
    pub(super) network: NetworkId,
    pub(super) chain_file: ChainFile,
    pub(super) door: D,
    pub(super) poll: Duration,
}

impl<D: Door> Light<D> {
    /// Opens the chain file beside `key_file`, or starts one at the head that the node knows.
    pub fn open(key_file: &Path, key: SecretKey, mut door: D) -> Result<Self, StarError> {
        let (star, network) = (key.public_key(), door.network());
        let path = ChainFile::path_beside(key_file);
        let chain_file = ChainFile::open(&path, star, network, || Ok::<_, StarError>(door.account(&star)?.head))?;
        Ok(Light { key, network, chain_file, door, poll: POLL })
    }

    /// The star.
    pub fn star(&self) -> PublicKey {
        self.key.public_key()
    }

    /// The star's own chain.
    pub fn chain(&self) -> &Chain {
        self.chain_file.chain()
    }

    /// Finds out what became of the open half, writes it down, and gives the half when it is still open.
    pub fn settle(&mut self) -> Result<Option<Entry>, StarError> {
        let head = self.door.account(&self.star())?.head;
        let Some(open) = self.chain().open().cloned() else {
            self.check_head(head)?;
            return Ok(None);
        };
        match &open.signed {
            Signed::Offer(_) if head.sequence == open.sequence => {
                let Some(place) = self.place_of(head.head)? else { return Ok(Some(open)) };
                self.chain_file.finished(open.sequence, place)?;
            }
            Signed::Offer(_) => {
                self.check_head(head)?;
                return Ok(Some(open));
            }
            Signed::Transaction(transaction) => match self.door.fate(&transaction.id())? {
                Fate::Censored(reason) if !matches!(reason, Reason::Gap | Reason::Duplicate) => {
                    self.chain_file.voided(open.sequence, reason.name())?;
                }
                _ if head == (StarHead { sequence: open.sequence, head: transaction.id() }) => {
                    let Some(place) = self.place_of(transaction.id())? else { return Ok(Some(open)) };
                    self.chain_file.finished(open.sequence, place)?;
                }
                Fate::Censored(_) | Fate::Unknown | Fate::Pending | Fate::Final { .. } => {
                    self.check_head(head)?;
                    return Ok(Some(open));
                }
            },
        }
        Ok(None)
    }

    /// Fills in the places of final transactions that no node remembered when they became final.
    pub fn find_places(&mut self) -> Result<(), StarError> {
        for entry in self.chain().entries.clone() {
            if let Outcome::Final(Place { id, height: None, .. }) = entry.outcome
                && let Fate::Final { height, black_hole } = self.door.fate(&id)?
            {
                let place = Place { id, height: Some(height), black_hole: Some(black_hole) };
                self.chain_file.finished(entry.sequence, place)?;
            }
        }
        Ok(())
    }

    /// Where a transaction that heads this star's chain stands; `None` while its black hole is on its way to the disk.
    fn place_of(&mut self, id: Hash) -> Result<Option<Place>, StarError> {
        for _ in 0..PLACE_TRIES {
            match self.door.fate(&id)? {
                Fate::Final { height, black_hole } => {
                    return Ok(Some(Place { id, height: Some(height), black_hole: Some(black_hole) }));
                }
                Fate::Pending => return Ok(None),
                // Sent again after it stood: the node remembers the later outcome.
                Fate::Censored(_) => break,
                Fate::Unknown => std::thread::sleep(self.poll),
            }
        }
        Ok(Some(Place { id, height: None, black_hole: None }))
    }

    fn check_head(&self, node: StarHead) -> Result<(), StarError> {
        let own = self.chain().head();
        let (network, expected) = (node.sequence, own.head);
        match network.cmp(&own.sequence) {
            std::cmp::Ordering::Less => Err(StarError::Behind { network, own: own.sequence }),
            std::cmp::Ordering::Greater => Err(StarError::Ahead { network, own: own.sequence }),
            std::cmp::Ordering::Equal if node.head == expected => Ok(()),
            std::cmp::Ordering::Equal => Err(StarError::Diverged { sequence: network, found: node.head, expected }),
        }
    }
}

impl StarError {
    /// The error that an open half is to whoever wants to sign the next one.
    pub(super) fn open(entry: &Entry) -> Self {
        let sequence = entry.sequence;
        match &entry.signed {
            Signed::Offer(offer) => {
                StarError::OpenOffer { sequence, counterparty: offer.counterparty(), amount: offer.amount() }
            }
            Signed::Transaction(transaction) => StarError::OpenTransaction { sequence, id: transaction.id() },
        }
    }
}

/// Whether there is time for another look before `deadline`; sleeps until then.
pub(super) fn pause(poll: Duration, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    std::thread::sleep(poll.min(left));
    !left.is_zero()
}
