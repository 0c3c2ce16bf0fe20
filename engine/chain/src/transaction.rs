//! The double-signed transaction and its bytes.
//!
//! A transaction stitches two stars' personal chains together: each half carries its star's own sequence number and
//! the id of that star's previous transaction, and each star signs its half. 328 bytes, all little endian, then the payload:
//!
//! ```text
//! offset len
//!      0   1  version = 1
//!      1   1  kind
//!      2   2  payload length in bytes, at most 1024
//!      4   4  zero
//!      8   8  network id
//!     16   8  amount, in 10^-8 noos
//!     24  32  initiator's public key
//!     56  32  counterparty's public key (zero in one-sided kinds)
//!     88  32  BLAKE3 of the payload
//!    120   8  initiator's sequence number, from 1        ┐
//!    128  32  id of the initiator's previous transaction │ initiator's half
//!    160  64  initiator's signature                      ┘
//!    224   8  counterparty's sequence number             ┐ counterparty's half
//!    232  32  id of the counterparty's previous one      │ (all zero in one-sided
//!    264  64  counterparty's signature                   ┘ kinds)
//!    328   …  payload
//! ```
//!
//! The initiator signs `"cst.init"` ‖ bytes 0..160, 168 bytes; the counterparty signs `"cst.coun"` ‖ BLAKE3(what the
//! initiator signed) ‖ bytes 224..264, 80 bytes. Both stay below 175 bytes, so R ‖ A ‖ M fills two SHA-512 blocks and
//! one fixed-size kernel verifies every signature. The id is BLAKE3 of the two signed messages, one after the other, without the
//! signatures: those are not unique.

use crate::certified_header::CertifiedHeader;
use crate::galaxies::{CarriedShares, GenesisGalaxy};
use crate::hash::Hash;
use crate::keys::{PublicKey, Signature, SignedMessage};
use crate::wire::{Reader, WireError};
use bytemuck::{Pod, Zeroable};
use std::fmt;
use std::sync::Arc;

/// Bytes of a transaction before its payload.
pub const FIXED_LEN_BYTES: usize = 328;
/// The largest payload.
pub const PAYLOAD_MAX_BYTES: usize = 1024;
/// Bytes the initiator signs.
pub const INITIATOR_MESSAGE_LEN_BYTES: usize = 168;
/// Bytes the counterparty signs.
pub const COUNTERPARTY_MESSAGE_LEN_BYTES: usize = 80;

const VERSION: u8 = 1;
/// The payload hash of most transactions.
const HASH_OF_NOTHING: Hash = Hash([
    0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9, 0x49, 0x9b, 0xcb, 0x25,
    0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca, 0xe4, 0x1f, 0x32, 0x62,
]);
const INITIATOR_DOMAIN: &[u8; 8] = b"cst.init";
const COUNTERPARTY_DOMAIN: &[u8; 8] = b"cst.coun";

/// Names a network: the first 8 bytes of its genesis hash. Signed in every transaction, so none can be replayed elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct NetworkId(pub [u8; 8]);

impl NetworkId {
    /// The id of the network with this genesis hash: the first 8 bytes.
    pub fn of_genesis(genesis: &Hash) -> Self {
        let (id, _) = genesis.0.split_first_chunk().expect("a hash has 32 bytes");
        NetworkId(*id)
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a transaction does. All but `Transfer` are one-sided: the second half is empty, the amount zero, and the
/// payload says the rest; the ledger records them on the star's chain and leaves their meaning to the layers above, but for
/// `BlackHole`, which is the ledger's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Moves `amount` from the initiator to the counterparty; both sign.
    Transfer = 1,
    /// The star asks to take part.
    Join = 2,
    /// The star stops taking part.
    Leave = 3,
    /// The star registers a service.
    Register = 4,
    /// The star submits evidence of a fault.
    Evidence = 5,
    /// The star carries up a black hole of a galaxy that this network's genesis lists; the payload is a [`CertifiedHeader`]. Any star may
    /// carry it: its certificate speaks for it.
    BlackHole = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        [Kind::Transfer, Kind::Join, Kind::Leave, Kind::Register, Kind::Evidence, Kind::BlackHole]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }

    /// Whether a counterparty signs.
    pub fn is_two_sided(self) -> bool {
        self == Kind::Transfer
    }
}

/// Bytes 0..120: what both halves agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Body {
    version: u8,
    kind: u8,
    payload_len: [u8; 2],
    zero: [u8; 4],
    network: NetworkId,
    amount: [u8; 8],
    initiator: PublicKey,
    counterparty: PublicKey,
    payload_hash: Hash,
}

/// One star's half: where its personal chain stands, and its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Half {
    sequence: [u8; 8],
    /// Id of the star's previous transaction; zero before the first.
    pub previous: Hash,
    /// The star's signature over its half.
    pub signature: Signature,
}

impl Half {
    pub(crate) fn unsigned(sequence: u64, previous: Hash) -> Self {
        Half { sequence: sequence.to_le_bytes(), previous, signature: Signature([0; 64]) }
    }

    /// The star's sequence number: 1 for its first transaction.
    pub fn sequence(&self) -> u64 {
        u64::from_le_bytes(self.sequence)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Fixed {
    body: Body,
    pub(crate) initiator_half: Half,
    pub(crate) counterparty_half: Half,
}

const _: () = assert!(size_of::<Fixed>() == FIXED_LEN_BYTES && align_of::<Fixed>() == 1);

/// Why bytes are not a transaction of this network. Always the fault of who sent them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// Not the right number of bytes.
    #[error("transaction: {0}")]
    Wire(#[from] WireError),
    /// Another version of the format.
    #[error("transaction version {0} is not known; this build reads version {VERSION}")]
    Version(u8),
    /// A kind this build does not know.
    #[error("transaction kind {0} is not known")]
    Kind(u8),
    /// Reserved bytes are not zero.
    #[error("transaction bytes 4..8 must be zero")]
    Reserved,
    /// Signed for another network.
    #[error("transaction is for network {found}, not {expected}: sign it again with this network's genesis")]
    Network {
        /// The network it names.
        found: NetworkId,
        /// The network of this ledger.
        expected: NetworkId,
    },
    /// The payload is too long.
    #[error("payload of {0} bytes is above the {PAYLOAD_MAX_BYTES} allowed")]
    PayloadTooLong(usize),
    /// The payload is not the one that was signed.
    #[error("payload does not match its hash in the body")]
    PayloadHash,
    /// What should be a black hole with its certificate is none.
    #[error("the payload is no certified black hole: {0}")]
    BlackHole(WireError),
    /// A two-sided transaction needs two stars.
    #[error("initiator and counterparty are the same star; a transfer needs two")]
    SelfTransfer,
    /// A one-sided kind with something in its second half, or with an amount.
    #[error("a one-sided transaction has no counterparty, no second half and no amount")]
    NotOneSided,
    /// Sequence numbers start at 1.
    #[error("sequence number 0: a star's first transaction has number 1")]
    SequenceZero,
}

/// A well-formed transaction of one network. Its signatures are not checked yet: [`Transaction::signed_messages`] gives
/// what the verification engine needs for that.
#[derive(Clone)]
pub struct Transaction {
    /// [`Fixed`], then the payload: what arrived is what is kept, passed on and written.
    record: Arc<[u8]>,
    record_hash: Hash,
    id: Hash,
    initiator_message_hash: Hash,
}

impl PartialEq for Transaction {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
    }
}

impl Eq for Transaction {}

impl Transaction {
    /// Reads a transaction that fills `bytes`.
    pub fn decode(bytes: &[u8], network: NetworkId) -> Result<Self, TransactionError> {
        Self::from_record(bytes.into(), network)
    }

    /// Reads the transaction at the front of `reader`.
    pub fn read(reader: &mut Reader<'_>, network: NetworkId) -> Result<Self, TransactionError> {
        Self::from_record(record_at(reader)?.into(), network)
    }

    /// Takes over a record, without copying it.
    pub fn from_record(record: Arc<[u8]>, network: NetworkId) -> Result<Self, TransactionError> {
        let (fixed, payload) = split(&record)?;
        check_parts(fixed, payload, network)?;
        let kind = kind_of(fixed);
        if kind.is_two_sided() {
            if fixed.counterparty_half.sequence() == 0 {
                return Err(TransactionError::SequenceZero);
            }
        } else if fixed.counterparty_half != Half::zeroed() {
            return Err(TransactionError::NotOneSided);
        }
        Ok(Self::from_checked(record))
    }

    /// Puts together what was signed here.
    pub(crate) fn from_parts(fixed: &Fixed, payload: &[u8]) -> Self {
        Self::from_checked([bytemuck::bytes_of(fixed), payload].concat().into())
    }

    fn from_checked(record: Arc<[u8]>) -> Self {
        let fixed = fixed_of(&record);
        let mut messages = [0; INITIATOR_MESSAGE_LEN_BYTES + COUNTERPARTY_MESSAGE_LEN_BYTES];
        let (first, second) = messages.split_at_mut(INITIATOR_MESSAGE_LEN_BYTES);
        first.copy_from_slice(&initiator_message(fixed));
        let initiator_message_hash = Hash::bare(first);
        second.copy_from_slice(&counterparty_message(&initiator_message_hash, &fixed.counterparty_half));
        let (id, record_hash) = (Hash::bare(&messages), record_hash(&record));
        Transaction { record, record_hash, id, initiator_message_hash }
    }

    fn fixed(&self) -> &Fixed {
        fixed_of(&self.record)
    }

    /// BLAKE3 of the two signed messages.
    pub fn id(&self) -> Hash {
        self.id
    }

    /// What it does.
    pub fn kind(&self) -> Kind {
        kind_of(self.fixed())
    }

    /// The amount moved, in 10^-8 noos.
    pub fn amount(&self) -> u64 {
        u64::from_le_bytes(self.fixed().body.amount)
    }

    /// The star that started it, and pays.
    pub fn initiator(&self) -> PublicKey {
        self.fixed().body.initiator
    }

    /// The other star; none in one-sided kinds.
    pub fn counterparty(&self) -> Option<PublicKey> {
        self.kind().is_two_sided().then_some(self.fixed().body.counterparty)
    }

    /// The initiator's half.
    pub fn initiator_half(&self) -> &Half {
        &self.fixed().initiator_half
    }

    /// The counterparty's half; none in one-sided kinds.
    pub fn counterparty_half(&self) -> Option<&Half> {
        self.kind().is_two_sided().then_some(&self.fixed().counterparty_half)
    }

    /// The stars it touches, each with its half, the initiator first.
    pub fn halves(&self) -> impl Iterator<Item = (&PublicKey, &Half)> {
        let Fixed { body, initiator_half, counterparty_half } = self.fixed();
        let halves = [(&body.initiator, initiator_half), (&body.counterparty, counterparty_half)];
        halves.into_iter().take(1 + usize::from(self.kind().is_two_sided()))
    }

    /// What the stars say to each other; opaque here.
    pub fn payload(&self) -> &[u8] {
        &self.record[FIXED_LEN_BYTES..]
    }

    /// The black hole of a galaxy below that it carries up, if that is its kind.
    pub fn black_hole(&self) -> Option<CertifiedHeader> {
        // The payload of this kind was checked when the transaction was read or made.
        (self.kind() == Kind::BlackHole).then(|| CertifiedHeader::decode(self.payload()).ok()).flatten()
    }

    /// Length of the record.
    pub fn len_bytes(&self) -> usize {
        self.record.len()
    }

    /// The transaction's bytes.
    pub fn record(&self) -> &Arc<[u8]> {
        &self.record
    }

    /// Appends the transaction's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.record);
    }

    /// The transaction's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.record.to_vec()
    }

    /// BLAKE3 of the record, signatures included: the Merkle leaf of this transaction, and its name in gossip.
    pub fn record_hash(&self) -> Hash {
        self.record_hash
    }

    /// What each star signed, rebuilt for checking; and what the validators of a galaxy below signed, if it carries up a black hole of one of
    /// `galaxies`, those of this network's genesis.
    pub fn signed_messages(&self, galaxies: &[GenesisGalaxy]) -> SignedMessages {
        SignedMessages {
            initiator: initiator_message(self.fixed()),
            counterparty: counterparty_message(&self.initiator_message_hash, &self.fixed().counterparty_half),
            carried: self.black_hole().map(|carried| Box::new(CarriedShares::new(&carried, galaxies))),
        }
    }

    /// The signatures to check, over the messages of [`Transaction::signed_messages`]: the transaction holds if all of them do.
    pub fn signatures<'a>(&self, messages: &'a SignedMessages) -> impl Iterator<Item = SignedMessage<'a>> + use<'a> {
        let signed =
            |public_key, half: &Half, message| SignedMessage { public_key, signature: half.signature, message };
        let first = signed(self.initiator(), &self.fixed().initiator_half, &messages.initiator[..]);
        let second =
            self.counterparty().map(|star| signed(star, &self.fixed().counterparty_half, &messages.counterparty[..]));
        std::iter::once(first).chain(second).chain(messages.carried.iter().flat_map(|carried| carried.signatures()))
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("id", &self.id)
            .field("kind", &self.kind())
            .field("amount", &self.amount())
            .field("initiator", &(self.initiator(), self.initiator_half().sequence()))
            .field("counterparty", &self.counterparty().zip(self.counterparty_half().map(Half::sequence)))
            .finish()
    }
}

/// The messages that a transaction's stars signed, and what the certificate in it is over.
#[derive(Clone, Debug)]
pub struct SignedMessages {
    /// What the initiator signed.
    pub initiator: [u8; INITIATOR_MESSAGE_LEN_BYTES],
    /// What the counterparty signed.
    pub counterparty: [u8; COUNTERPARTY_MESSAGE_LEN_BYTES],
    /// Hardly ever there, and so not in place: every transaction's messages are moved about.
    carried: Option<Box<CarriedShares>>,
}

pub(crate) fn new_body(
    kind: Kind,
    network: NetworkId,
    amount: u64,
    initiator: PublicKey,
    counterparty: PublicKey,
    payload: &[u8],
) -> Body {
    Body {
        version: VERSION,
        kind: kind as u8,
        payload_len: (payload.len() as u16).to_le_bytes(),
        zero: [0; 4],
        network,
        amount: amount.to_le_bytes(),
        initiator,
        counterparty,
        payload_hash: payload_hash(payload),
    }
}

pub(crate) fn new_fixed(body: Body, initiator_half: Half) -> Fixed {
    Fixed { body, initiator_half, counterparty_half: Half::zeroed() }
}

pub(crate) fn kind_of(fixed: &Fixed) -> Kind {
    Kind::from_byte(fixed.body.kind).expect("the kind was checked when the transaction was read or made")
}

pub(crate) fn body_parties(fixed: &Fixed) -> (PublicKey, PublicKey, u64) {
    (fixed.body.initiator, fixed.body.counterparty, u64::from_le_bytes(fixed.body.amount))
}

/// The record at the front of `reader`, a transaction's or an offer's, by its length alone: nothing else in it is checked.
pub fn record_at<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], TransactionError> {
    let mut ahead = *reader;
    let fixed: &Fixed = ahead.view()?;
    let payload_len = usize::from(u16::from_le_bytes(fixed.body.payload_len));
    if payload_len > PAYLOAD_MAX_BYTES {
        return Err(TransactionError::PayloadTooLong(payload_len));
    }
    Ok(reader.bytes(FIXED_LEN_BYTES + payload_len)?)
}

/// The initiator that a record names, and its number: enough to look the record up where it may be known already. Nothing of it is checked.
pub fn record_claim(record: &[u8]) -> Option<(&PublicKey, u64)> {
    let fixed: &Fixed = Reader::new(record).view().ok()?;
    Some((&fixed.body.initiator, fixed.initiator_half.sequence()))
}

/// Whether a record is an offer's: of a kind that two stars sign, and its second half still empty. Nothing else of it is checked.
pub fn is_offer(record: &[u8]) -> bool {
    let fixed: Result<&Fixed, _> = Reader::new(record).view();
    let is_two_sided = |fixed: &Fixed| Kind::from_byte(fixed.body.kind).is_some_and(Kind::is_two_sided);
    fixed.is_ok_and(|fixed| is_two_sided(fixed) && fixed.counterparty_half == Half::zeroed())
}

/// BLAKE3 of a record, a transaction's or an offer's.
pub fn record_hash(record: &[u8]) -> Hash {
    Hash::bare(record)
}

/// Splits a record that `bytes` hold, and nothing else.
pub(crate) fn split(bytes: &[u8]) -> Result<(&Fixed, &[u8]), TransactionError> {
    let mut reader = Reader::new(bytes);
    let record = record_at(&mut reader)?;
    reader.finish()?;
    Ok((fixed_of(record), &record[FIXED_LEN_BYTES..]))
}

fn fixed_of(record: &[u8]) -> &Fixed {
    bytemuck::from_bytes(&record[..FIXED_LEN_BYTES])
}

/// Checks all that a transaction and an offer have in common.
pub(crate) fn check_parts(fixed: &Fixed, payload: &[u8], network: NetworkId) -> Result<(), TransactionError> {
    let body = &fixed.body;
    if body.version != VERSION {
        return Err(TransactionError::Version(body.version));
    }
    let kind = Kind::from_byte(body.kind).ok_or(TransactionError::Kind(body.kind))?;
    if body.zero != [0; 4] {
        return Err(TransactionError::Reserved);
    }
    if body.network != network {
        return Err(TransactionError::Network { found: body.network, expected: network });
    }
    if kind.is_two_sided() {
        if body.initiator == body.counterparty {
            return Err(TransactionError::SelfTransfer);
        }
    } else if body.counterparty != PublicKey::zeroed() || body.amount != [0; 8] {
        return Err(TransactionError::NotOneSided);
    }
    if fixed.initiator_half.sequence() == 0 {
        return Err(TransactionError::SequenceZero);
    }
    if payload_hash(payload) != body.payload_hash {
        return Err(TransactionError::PayloadHash);
    }
    check_payload(kind, payload)
}

/// Checks a payload that the ledger will read.
pub(crate) fn check_payload(kind: Kind, payload: &[u8]) -> Result<(), TransactionError> {
    match kind {
        Kind::BlackHole => CertifiedHeader::decode(payload).map(|_| ()).map_err(TransactionError::BlackHole),
        _ => Ok(()),
    }
}

fn payload_hash(payload: &[u8]) -> Hash {
    match payload {
        [] => HASH_OF_NOTHING,
        payload => Hash::bare(payload),
    }
}

/// `"cst.init"` ‖ body ‖ sequence ‖ previous.
pub(crate) fn initiator_message(fixed: &Fixed) -> [u8; INITIATOR_MESSAGE_LEN_BYTES] {
    let mut message = [0; INITIATOR_MESSAGE_LEN_BYTES];
    message[..8].copy_from_slice(INITIATOR_DOMAIN);
    message[8..].copy_from_slice(&bytemuck::bytes_of(fixed)[..INITIATOR_MESSAGE_LEN_BYTES - 8]);
    message
}

/// `"cst.coun"` ‖ BLAKE3(initiator's message) ‖ sequence ‖ previous.
pub(crate) fn counterparty_message(initiator_message_hash: &Hash, half: &Half) -> [u8; COUNTERPARTY_MESSAGE_LEN_BYTES] {
    let mut message = [0; COUNTERPARTY_MESSAGE_LEN_BYTES];
    message[..8].copy_from_slice(COUNTERPARTY_DOMAIN);
    message[8..40].copy_from_slice(&initiator_message_hash.0);
    message[40..].copy_from_slice(&bytemuck::bytes_of(half)[..40]);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Offer, SecretKey, StarHead};
    use proptest::prelude::*;

    const NETWORK: NetworkId = NetworkId([3; 8]);

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_seed([byte; 32])
    }

    fn transfer(amount: u64, sequence: u64, payload: &[u8]) -> Transaction {
        let head = |byte| StarHead { sequence, head: Hash([byte; 32]) };
        Offer::new(Kind::Transfer, NETWORK, &key(1), head(5), key(2).public_key(), amount, payload)
            .unwrap()
            .countersign(&key(2), head(6))
            .unwrap()
    }

    #[test]
    fn the_fields_sit_where_the_drawing_says() {
        let bytes = transfer(0x1122, 9, b"hello").to_bytes();
        assert_eq!(bytes.len(), FIXED_LEN_BYTES + 5);
        assert_eq!(&bytes[..8], &[1, 1, 5, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[8..16], &NETWORK.0);
        assert_eq!(&bytes[16..24], &0x1122u64.to_le_bytes());
        assert_eq!(&bytes[24..56], &key(1).public_key().0);
        assert_eq!(&bytes[56..88], &key(2).public_key().0);
        assert_eq!(&bytes[88..120], blake3::hash(b"hello").as_bytes());
        assert_eq!((&bytes[120..128], &bytes[128..160]), (&10u64.to_le_bytes()[..], &[5; 32][..]));
        assert_eq!((&bytes[224..232], &bytes[232..264]), (&10u64.to_le_bytes()[..], &[6; 32][..]));
        assert_eq!(&bytes[328..], b"hello");
        assert_eq!(&transfer(1, 9, b"").to_bytes()[88..120], blake3::hash(b"").as_bytes());
    }

    #[test]
    fn both_signatures_verify_over_the_rebuilt_messages() {
        let transaction = transfer(5, 0, b"");
        let messages = transaction.signed_messages(&[]);
        let mut checked = 0;
        for item in transaction.signatures(&messages) {
            let key = ed25519_dalek::VerifyingKey::from_bytes(&item.public_key.0).unwrap();
            key.verify_strict(item.message, &ed25519_dalek::Signature::from_bytes(&item.signature.0)).unwrap();
            checked += 1;
        }
        assert_eq!(checked, 2);
    }

    #[test]
    fn the_id_leaves_signatures_out_and_the_record_hash_does_not() {
        let one = transfer(5, 0, b"");
        let mut bytes = one.to_bytes();
        bytes[170] ^= 1;
        let other = Transaction::decode(&bytes, NETWORK).unwrap();
        assert_eq!(one.id(), other.id());
        assert_ne!(one.record_hash(), other.record_hash());
    }

    #[test]
    fn each_malformation_has_its_error() {
        let good = transfer(5, 0, b"xy").to_bytes();
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            Transaction::decode(&bytes, NETWORK).unwrap_err()
        };
        assert_eq!(with(0, 2), TransactionError::Version(2));
        assert_eq!(with(1, 9), TransactionError::Kind(9));
        assert_eq!(with(5, 1), TransactionError::Reserved);
        assert!(matches!(with(8, 9), TransactionError::Network { .. }));
        assert_eq!(with(3, 0xff), TransactionError::PayloadTooLong(0xff02));
        assert_eq!(with(329, 0), TransactionError::PayloadHash);
        assert_eq!(with(1, Kind::Join as u8), TransactionError::NotOneSided);
        assert_eq!(with(120, 0), TransactionError::SequenceZero);
        assert_eq!(with(224, 0), TransactionError::SequenceZero);
        let mut same = good.clone();
        same.copy_within(24..56, 56);
        assert_eq!(Transaction::decode(&same, NETWORK), Err(TransactionError::SelfTransfer));
        let mut longer = good.clone();
        longer.push(0);
        assert_eq!(Transaction::decode(&longer, NETWORK), Err(WireError::LeftOver(1).into()));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(amount: u64, sequence in 0..u64::MAX, payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let transaction = transfer(amount, sequence, &payload);
            let bytes = transaction.to_bytes();
            prop_assert_eq!(&Transaction::decode(&bytes, NETWORK).unwrap(), &transaction);
            for cut in [0, 1, 119, 327, bytes.len() - 1] {
                prop_assert!(Transaction::decode(&bytes[..cut], NETWORK).is_err());
            }
        }

        #[test]
        fn any_signed_byte_changes_the_id(at in 0usize..160, bit in 0u8..8) {
            let transaction = transfer(77, 3, b"p");
            let mut bytes = transaction.to_bytes();
            bytes[at] ^= 1 << bit;
            if let Ok(other) = Transaction::decode(&bytes, NETWORK) {
                prop_assert_ne!(other.id(), transaction.id());
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            let read = Transaction::decode(&bytes, NETWORK);
            prop_assert!(read.is_err());
        }
    }
}
