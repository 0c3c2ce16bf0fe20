//! A transaction on its way: the initiator's signed half, offered to the counterparty, who countersigns it.
//!
//! On the wire an offer is a [`Transaction`](crate::Transaction) whose second half is still zero: the same 328 bytes and payload.

use crate::account::StarHead;
use crate::hash::Hash;
use crate::keys::{PublicKey, SecretKey, SignedMessage};
use crate::transaction::{
    self, Fixed, Half, INITIATOR_MESSAGE_LEN_BYTES, Kind, NetworkId, PAYLOAD_MAX_BYTES, Transaction, TransactionError,
};
use bytemuck::Zeroable;

/// The initiator's half of a transaction, signed, waiting for the counterparty's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    fixed: Fixed,
    payload: Box<[u8]>,
}

/// Why an offer cannot be made or countersigned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// The offer is made to another star.
    #[error("this offer is for star {0}; only that star can countersign it")]
    NotMine(PublicKey),
    /// A one-sided kind has no counterparty.
    #[error("{0:?} is one-sided: it needs no counterparty")]
    OneSided(Kind),
    /// A transfer to oneself.
    #[error("a star cannot trade with itself; name another star")]
    SelfTransfer,
    /// The payload is too long.
    #[error("payload of {0} bytes is above the {PAYLOAD_MAX_BYTES} allowed")]
    PayloadTooLong(usize),
    /// The second half is not empty.
    #[error("the offer is countersigned already: send it as a transaction")]
    Countersigned,
    /// Not the bytes of an offer of this network.
    #[error(transparent)]
    Malformed(#[from] TransactionError),
}

impl Offer {
    /// Signs the initiator's half of a two-sided transaction that follows the initiator's `head`.
    pub fn new(
        kind: Kind,
        network: NetworkId,
        initiator: &SecretKey,
        head: StarHead,
        counterparty: PublicKey,
        amount: u64,
        payload: &[u8],
    ) -> Result<Self, OfferError> {
        if !kind.is_two_sided() {
            return Err(OfferError::OneSided(kind));
        }
        if initiator.public_key() == counterparty {
            return Err(OfferError::SelfTransfer);
        }
        if payload.len() > PAYLOAD_MAX_BYTES {
            return Err(OfferError::PayloadTooLong(payload.len()));
        }
        let body = transaction::new_body(kind, network, amount, initiator.public_key(), counterparty, payload);
        Ok(Offer { fixed: sign_initiator(body, initiator, head), payload: payload.into() })
    }

    /// A plain transfer of `amount` 10^-8 noos, without a payload.
    ///
    /// # Panics
    /// When the two stars are the same: use [`Offer::new`] for keys from outside.
    pub fn transfer(
        network: NetworkId,
        initiator: &SecretKey,
        head: StarHead,
        counterparty: PublicKey,
        amount: u64,
    ) -> Self {
        Offer::new(Kind::Transfer, network, initiator, head, counterparty, amount, &[])
            .expect("a transfer without payload between two stars")
    }

    /// Signs the counterparty's half, following the counterparty's `head`: the transaction is whole.
    pub fn countersign(&self, counterparty: &SecretKey, head: StarHead) -> Result<Transaction, OfferError> {
        if self.counterparty() != counterparty.public_key() {
            return Err(OfferError::NotMine(self.counterparty()));
        }
        let mut fixed = self.fixed;
        let first = Hash(*blake3::hash(&transaction::initiator_message(&fixed)).as_bytes());
        let mut half = Half::unsigned(head.sequence.saturating_add(1), head.head);
        half.signature = counterparty.sign(&transaction::counterparty_message(&first, &half));
        fixed.counterparty_half = half;
        Ok(Transaction::from_parts(&fixed, &self.payload))
    }

    /// Reads an offer that fills `bytes`.
    pub fn decode(bytes: &[u8], network: NetworkId) -> Result<Self, OfferError> {
        let (fixed, payload) = transaction::split(bytes)?;
        transaction::check_parts(fixed, payload, network)?;
        let kind = transaction::kind_of(fixed);
        if !kind.is_two_sided() {
            return Err(OfferError::OneSided(kind));
        }
        if fixed.counterparty_half != Half::zeroed() {
            return Err(OfferError::Countersigned);
        }
        Ok(Offer { fixed: *fixed, payload: payload.into() })
    }

    /// The offer's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        [bytemuck::bytes_of(&self.fixed), &self.payload].concat()
    }

    /// Names the offer: BLAKE3 of what the initiator signed.
    pub fn id(&self) -> Hash {
        Hash(*blake3::hash(&self.message()).as_bytes())
    }

    /// What the initiator signed.
    pub fn message(&self) -> [u8; INITIATOR_MESSAGE_LEN_BYTES] {
        transaction::initiator_message(&self.fixed)
    }

    /// The signature to check, over [`Offer::message`].
    pub fn signature<'a>(&self, message: &'a [u8; INITIATOR_MESSAGE_LEN_BYTES]) -> SignedMessage<'a> {
        SignedMessage { public_key: self.initiator(), signature: self.initiator_half().signature, message }
    }

    /// Who offers, and pays.
    pub fn initiator(&self) -> PublicKey {
        transaction::body_parties(&self.fixed).0
    }

    /// Who is asked to countersign.
    pub fn counterparty(&self) -> PublicKey {
        transaction::body_parties(&self.fixed).1
    }

    /// The amount offered, in 10^-8 noos.
    pub fn amount(&self) -> u64 {
        transaction::body_parties(&self.fixed).2
    }

    /// The initiator's half.
    pub fn initiator_half(&self) -> &Half {
        &self.fixed.initiator_half
    }

    /// What the initiator says; opaque here.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl Transaction {
    /// Signs a one-sided transaction that follows the star's `head`.
    pub fn one_sided(
        kind: Kind,
        network: NetworkId,
        star: &SecretKey,
        head: StarHead,
        payload: &[u8],
    ) -> Result<Self, TransactionError> {
        if kind.is_two_sided() {
            return Err(TransactionError::NotOneSided);
        }
        if payload.len() > PAYLOAD_MAX_BYTES {
            return Err(TransactionError::PayloadTooLong(payload.len()));
        }
        transaction::check_payload(kind, payload)?;
        let body = transaction::new_body(kind, network, 0, star.public_key(), PublicKey::zeroed(), payload);
        Ok(Transaction::from_parts(&sign_initiator(body, star, head), payload))
    }
}

fn sign_initiator(body: transaction::Body, initiator: &SecretKey, head: StarHead) -> Fixed {
    let mut fixed = transaction::new_fixed(body, Half::unsigned(head.sequence.saturating_add(1), head.head));
    fixed.initiator_half.signature = initiator.sign(&transaction::initiator_message(&fixed));
    fixed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NETWORK: NetworkId = NetworkId([3; 8]);

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_seed([byte; 32])
    }

    #[test]
    fn only_the_named_counterparty_can_countersign() {
        let offer = Offer::transfer(NETWORK, &key(1), StarHead::default(), key(2).public_key(), 1);
        assert_eq!(offer.countersign(&key(3), StarHead::default()), Err(OfferError::NotMine(key(2).public_key())));
    }

    #[test]
    fn impossible_offers_are_refused() {
        let make = |kind, to: &SecretKey, payload: &[u8]| {
            Offer::new(kind, NETWORK, &key(1), StarHead::default(), to.public_key(), 1, payload).unwrap_err()
        };
        assert_eq!(make(Kind::Join, &key(2), b""), OfferError::OneSided(Kind::Join));
        assert_eq!(make(Kind::Transfer, &key(1), b""), OfferError::SelfTransfer);
        assert_eq!(make(Kind::Transfer, &key(2), &[0; 1025]), OfferError::PayloadTooLong(1025));
    }

    #[test]
    fn a_transaction_is_not_an_offer_and_an_offer_not_a_transaction() {
        let offer = Offer::transfer(NETWORK, &key(1), StarHead::default(), key(2).public_key(), 1);
        assert_eq!(Transaction::decode(&offer.to_bytes(), NETWORK), Err(TransactionError::SequenceZero));
        let whole = offer.countersign(&key(2), StarHead::default()).unwrap();
        assert_eq!(Offer::decode(&whole.to_bytes(), NETWORK), Err(OfferError::Countersigned));
    }

    #[test]
    fn one_sided_transactions_have_one_signature() {
        let join = Transaction::one_sided(Kind::Join, NETWORK, &key(1), StarHead::default(), b"here").unwrap();
        assert_eq!(Transaction::decode(&join.to_bytes(), NETWORK).unwrap(), join);
        assert_eq!(join.signatures(&join.signed_messages(&[])).count(), 1);
        assert_eq!(join.counterparty(), None);
        assert!(Transaction::one_sided(Kind::Transfer, NETWORK, &key(1), StarHead::default(), b"").is_err());
    }

    proptest! {
        #[test]
        fn offers_read_back(amount: u64, sequence in 0..u64::MAX, payload in prop::collection::vec(any::<u8>(), 0..100)) {
            let head = StarHead { sequence, head: Hash([8; 32]) };
            let offer = Offer::new(Kind::Transfer, NETWORK, &key(1), head, key(2).public_key(), amount, &payload).unwrap();
            prop_assert_eq!(Offer::decode(&offer.to_bytes(), NETWORK).unwrap(), offer);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            prop_assert!(Offer::decode(&bytes, NETWORK).is_err());
        }
    }
}
