//! A star's own chain on disk, beside its key: every half it ever signed, and what became of it.
//!
//! The file is append-only JSON lines, each synced before the call that wrote it returns. What is signed is written here first and
//! sent afterwards, so a client that is killed at any moment finds, when it starts again, every half that may be on its way, and sends
//! that one again instead of signing another with the same number. The first line names star, network and where the chain starts;
//! then `signed` lines in the order of their numbers, each followed in time by one `closed` line: `final` or `void`.

use constellation_chain::{Half, Hash, NetworkId, Offer, PublicKey, StarHead, Transaction};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why a chain file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChainFileError {
    /// The file cannot be read or written.
    #[error("chain file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("chain file {} is in use: another `star` command is at work with this key; wait for it or stop it", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A line in the middle of the file is damaged.
    #[error(
        "chain file {}, line {line}: {what}; restore it from a copy: without it this star may sign a number twice", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// It belongs to another star or network.
    #[error(
        "chain file {} is of star {star} on network {network}, not of this key on network {expected}: is the node of another network?",
        path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// The star it names.
        star: PublicKey,
        /// The network it names.
        network: String,
        /// The network of the node.
        expected: NetworkId,
    },
    /// Writing this down would contradict what is there: it must not be signed.
    #[error("chain file {}: refused to write: {what}", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// What it contradicts.
        what: String,
    },
    /// There is none yet.
    #[error("chain file {} does not exist: this key has signed nothing here", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
}

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case", deny_unknown_fields)]
enum Record {
    Chain { version: u32, star: PublicKey, network: String, sequence: u64, head: Hash },
    Offered { sequence: u64, offer: String },
    Countersigned { sequence: u64, transaction: String },
    Final { sequence: u64, id: Hash, height: Option<u64>, black_hole: Option<Hash> },
    Void { sequence: u64, reason: String },
}

/// What this star signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// Its own offer; the transaction's id is not known before the counterparty has signed.
    Offer(Box<Offer>),
    /// Another star's offer, countersigned: a whole transaction.
    Transaction(Transaction),
}

impl Signed {
    /// The other star.
    pub fn counterparty(&self) -> PublicKey {
        match self {
            Signed::Offer(offer) => offer.counterparty(),
            Signed::Transaction(transaction) => transaction.initiator(),
        }
    }

    /// The amount, in 10^-8 noos: paid in an offer, received in a countersigned transaction.
    pub fn amount(&self) -> u64 {
        match self {
            Signed::Offer(offer) => offer.amount(),
            Signed::Transaction(transaction) => transaction.amount(),
        }
    }

    /// What the initiator says.
    pub fn payload(&self) -> &[u8] {
        match self {
            Signed::Offer(offer) => offer.payload(),
            Signed::Transaction(transaction) => transaction.payload(),
        }
    }
}

/// Where a final transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its id.
    pub id: Hash,
    /// Height of the black hole that holds it; none when no node that was asked remembered.
    pub height: Option<u64>,
    /// That black hole.
    pub black_hole: Option<Hash>,
}

/// What became of a signed half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet: it may be on its way, so its number must not be signed again.
    Open,
    /// Its transaction stands.
    Final(Place),
    /// A black hole censored its transaction: the number is free again.
    Void(String),
}

/// One half this star signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number on this star's chain.
    pub sequence: u64,
    /// What was signed.
    pub signed: Signed,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a chain file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The star.
    pub star: PublicKey,
    /// The network.
    pub network: NetworkId,
    /// Where the star's chain stood when the file was made.
    pub base: StarHead,
    /// Every half signed since, in order.
    pub entries: Vec<Entry>,
}

impl Chain {
    /// The star's head: its last final transaction.
    pub fn head(&self) -> StarHead {
        let last = self.entries.iter().rev().find_map(|entry| match &entry.outcome {
            Outcome::Final(place) => Some(StarHead { sequence: entry.sequence, head: place.id }),
            Outcome::Open | Outcome::Void(_) => None,
        });
        last.unwrap_or(self.base)
    }

    /// The half whose fate is not known yet. There is one at most, and it is the last.
    pub fn open(&self) -> Option<&Entry> {
        self.entries.last().filter(|entry| entry.outcome == Outcome::Open)
    }

    /// Reads a chain file without locking or changing it; a line that a writer has not finished is left out.
    pub fn read(path: &Path) -> Result<Chain, ChainFileError> {
        let mut bytes = Vec::new();
        File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ChainFileError::Missing { path: path.to_owned() },
            _ => ChainFileError::Io { path: path.to_owned(), source },
        })?;
        parse(path, &bytes)?.0.ok_or_else(|| ChainFileError::Missing { path: path.to_owned() })
    }

    /// Takes the next record; the text says what is wrong with it.
    fn take(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Chain { .. } => Err("a second first line".into()),
            Record::Offered { sequence, offer } => {
                let bytes = hex::decode(offer).map_err(|error| error.to_string())?;
                let offer = Offer::decode(&bytes, self.network).map_err(|error| error.to_string())?;
                let half = (self.star == offer.initiator()).then(|| *offer.initiator_half());
                self.sign(sequence, half, Signed::Offer(Box::new(offer)))
            }
            Record::Countersigned { sequence, transaction } => {
                let bytes = hex::decode(transaction).map_err(|error| error.to_string())?;
                let transaction = Transaction::decode(&bytes, self.network).map_err(|error| error.to_string())?;
                let mine = transaction.counterparty() == Some(self.star);
                let half = transaction.counterparty_half().copied().filter(|_| mine);
                self.sign(sequence, half, Signed::Transaction(transaction))
            }
            Record::Final { sequence, id, height, black_hole } => {
                let place = Place { id, height, black_hole };
                let entry = self.entries.iter_mut().rev().find(|entry| entry.sequence == sequence);
                // A second line may tell the place of what was final already, never another transaction.
                let fits = |entry: &&mut Entry| match &entry.outcome {
                    Outcome::Open => true,
                    Outcome::Final(before) => before.id == id,
                    Outcome::Void(_) => false,
                };
                match entry.filter(fits) {
                    Some(entry) => entry.outcome = Outcome::Final(place),
                    None => return Err(format!("number {sequence} is final but is not open")),
                }
                Ok(())
            }
            Record::Void { sequence, reason } => {
                let entry = self.entries.last_mut();
                match entry.filter(|entry| entry.sequence == sequence && entry.outcome == Outcome::Open) {
                    Some(entry) => entry.outcome = Outcome::Void(reason),
                    None => return Err(format!("number {sequence} is void but is not open")),
                }
                Ok(())
            }
        }
    }

    fn sign(&mut self, sequence: u64, half: Option<Half>, signed: Signed) -> Result<(), String> {
        let head = self.head();
        if self.open().is_some() {
            return Err(format!("number {sequence} is signed while another is open"));
        }
        let extends = |half: &Half| {
            half.sequence() == sequence && sequence == head.sequence.saturating_add(1) && half.previous == head.head
        };
        if !half.as_ref().is_some_and(extends) {
            return Err(format!("number {sequence} does not follow number {} of this star", head.sequence));
        }
        self.entries.push(Entry { sequence, signed, outcome: Outcome::Open });
        Ok(())
    }
}

/// A chain file that this process alone may write.
#[derive(Debug)]
pub struct ChainFile {
    path: PathBuf,
    file: File,
    chain: Chain,
}

impl ChainFile {
    /// The chain file that belongs to a key file.
    pub fn path_beside(key_file: &Path) -> PathBuf {
        let mut name = key_file.as_os_str().to_owned();
        name.push(".chain");
        PathBuf::from(name)
    }

    /// Opens and locks a chain file. When there is none, one is made that starts at the head `first_head` gives.
    pub fn open<E: From<ChainFileError>>(
        path: &Path,
        star: PublicKey,
        network: NetworkId,
        first_head: impl FnOnce() -> Result<StarHead, E>,
    ) -> Result<ChainFile, E> {
        let (mut file, bytes) = lock(path)?;
        let (chain, whole_len) = parse(path, &bytes)?;
        if whole_len < bytes.len() {
            // Never synced, so what it tells of was never sent.
            file.set_len(whole_len as u64).and_then(|()| file.sync_all()).map_err(|error| io(path, error))?;
        }
        file.seek(SeekFrom::End(0)).map_err(|error| io(path, error))?;
        if let Some(chain) = chain {
            if chain.star != star || chain.network != network {
                let (star, network_found) = (chain.star, chain.network.to_string());
                let path = path.to_owned();
                return Err(ChainFileError::Other { path, star, network: network_found, expected: network }.into());
            }
            return Ok(ChainFile { path: path.to_owned(), file, chain });
        }
        let base = first_head()?;
        let chain = Chain { star, network, base, entries: Vec::new() };
        let mut chain_file = ChainFile { path: path.to_owned(), file, chain };
        let StarHead { sequence, head } = base;
        chain_file.append(&Record::Chain { version: 1, star, network: network.to_string(), sequence, head })?;
        sync_parent(path)?;
        Ok(chain_file)
    }

    /// What it says.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Writes down an offer of this star. Only then may it be sent.
    pub fn offered(&mut self, offer: &Offer) -> Result<(), ChainFileError> {
        let sequence = offer.initiator_half().sequence();
        self.record(Record::Offered { sequence, offer: hex::encode(offer.to_bytes()) })
    }

    /// Writes down a transaction this star has countersigned. Only then may it be sent.
    pub fn countersigned(&mut self, transaction: &Transaction) -> Result<(), ChainFileError> {
        let sequence = transaction.counterparty_half().map_or(0, Half::sequence);
        self.record(Record::Countersigned { sequence, transaction: hex::encode(transaction.to_bytes()) })
    }

    /// Writes down that the half with this number stands.
    pub fn finished(&mut self, sequence: u64, place: Place) -> Result<(), ChainFileError> {
        let Place { id, height, black_hole } = place;
        self.record(Record::Final { sequence, id, height, black_hole })
    }

    /// Writes down that the open half was censored in a black hole: its number is free.
    pub fn voided(&mut self, sequence: u64, reason: &str) -> Result<(), ChainFileError> {
        self.record(Record::Void { sequence, reason: reason.to_owned() })
    }

    fn record(&mut self, record: Record) -> Result<(), ChainFileError> {
        let mut after = self.chain.clone();
        let contradiction = |what| ChainFileError::Contradiction { path: self.path.clone(), what };
        after.take(record.clone()).map_err(contradiction)?;
        self.append(&record)?;
        self.chain = after;
        Ok(())
    }

    fn append(&mut self, record: &Record) -> Result<(), ChainFileError> {
        let mut line = serde_json::to_vec(record).map_err(|error| io(&self.path, error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_all()).map_err(|error| io(&self.path, error))
    }
}

fn io(path: &Path, source: std::io::Error) -> ChainFileError {
    ChainFileError::Io { path: path.to_owned(), source }
}

fn lock(path: &Path) -> Result<(File, Vec<u8>), ChainFileError> {
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| io(path, error))?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => ChainFileError::InUse { path: path.to_owned() },
        TryLockError::Error(error) => io(path, error),
    })?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| io(path, error))?;
    Ok((file, bytes))
}

fn sync_parent(path: &Path) -> Result<(), ChainFileError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| io(path, error))
}

/// Reads the whole lines of a file, and says how many bytes they are. The last line may be torn; none before it may.
fn parse(path: &Path, bytes: &[u8]) -> Result<(Option<Chain>, usize), ChainFileError> {
    let mut chain: Option<Chain> = None;
    let mut whole_len = 0;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let is_last = whole_len + line.len() == bytes.len();
        let damaged = |what: String| ChainFileError::Damaged { path: path.to_owned(), line: index + 1, what };
        if !line.ends_with(b"\n") {
            break;
        }
        let record: Record = match serde_json::from_slice(line) {
            Ok(record) => record,
            Err(_) if is_last => break,
            Err(error) => return Err(damaged(error.to_string())),
        };
        match &mut chain {
            Some(chain) => chain.take(record).map_err(damaged)?,
            None => chain = Some(first_line(record).map_err(damaged)?),
        }
        whole_len += line.len();
    }
    Ok((chain, whole_len))
}

fn first_line(record: Record) -> Result<Chain, String> {
    let Record::Chain { version: 1, star, network, sequence, head } = record else {
        return Err("the first line must name version 1, star and network".into());
    };
    let mut id = NetworkId::default();
    hex::decode_to_slice(&network, &mut id.0).map_err(|error| format!("network {network:?}: {error}"))?;
    Ok(Chain { star, network: id, base: StarHead { sequence, head }, entries: Vec::new() })
}

#[cfg(test)]
#[path = "chain_file_tests.rs"]
mod tests;
