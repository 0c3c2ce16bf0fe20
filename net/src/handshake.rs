//! From the first byte to an authenticated session, as a state machine over bytes.
//!
//! ```text
//! preamble     "CSTL-NET" | version u16 LE | network id (8 bytes)        each side, in clear; prologue of Noise
//! then Noise_XX_25519_AESGCM_SHA256, each message preceded by its length, u16 LE
//! message 1    dialler -> listener, no payload
//! message 2    listener -> dialler, payload: identity
//! message 3    dialler -> listener, payload: identity
//! identity     Ed25519 public key (32) | signature (64) over
//!              domain | role u8 | network id | Noise handshake hash before the message | Noise static key of the signer
//! ```
//!
//! The dialler names itself only after it knows that it reached who it dialled.

use std::collections::HashMap;

use ed25519_dalek::{Signature, VerifyingKey};
use snow::{Builder, HandshakeState, TransportState};
use zeroize::Zeroizing;

use crate::close::CloseReason;
use crate::config::{Identity, NetError, Peer, PeerId};

const MAGIC: [u8; 8] = *b"CSTL-NET";
/// Of all that nodes say to each other, from the handshake on: builds of another version are told so, instead of failing somewhere in it.
const VERSION: u16 = 2;
const PREAMBLE_LEN: usize = MAGIC.len() + 2 + 8;
const NOISE_PARAMS: &str = "Noise_XX_25519_AESGCM_SHA256";
const SIGNATURE_DOMAIN: &[u8] = b"constellation net identity v1";
const IDENTITY_LEN: usize = 32 + 64;
/// Key, key with tag, payload with tag: what the three messages of XX are made of.
const NOISE_LENS: [usize; 3] = [32, 32 + 48 + IDENTITY_LEN + 16, 48 + IDENTITY_LEN + 16];
/// No handshake step needs more unread bytes than this.
pub(crate) const MAX_STEP_LEN: usize = 2 + NOISE_LENS[1];

/// What a node brings to its handshakes: its own keys and those of its peers.
#[derive(Debug)]
pub(crate) struct Local {
    identity: Identity,
    /// Made anew by each process; the identity vouches for it in the handshake.
    noise_private: Zeroizing<Vec<u8>>,
    noise_public: Vec<u8>,
    network_id: [u8; 8],
    preamble: [u8; PREAMBLE_LEN],
    keys: Vec<VerifyingKey>,
    ids: HashMap<[u8; 32], PeerId>,
}

impl Local {
    pub(crate) fn new(identity: Identity, network_id: [u8; 8], peers: &[Peer]) -> Result<Self, NetError> {
        if peers.len() > usize::from(u16::MAX) {
            return Err(NetError::TooManyPeers { count: peers.len() });
        }
        let (mut keys, mut ids) = (Vec::with_capacity(peers.len()), HashMap::new());
        for (index, peer) in peers.iter().enumerate() {
            let key = VerifyingKey::from_bytes(&peer.public_key).map_err(|_| NetError::PeerKey { index })?;
            if key.is_weak() {
                return Err(NetError::PeerKey { index });
            }
            if ids.insert(peer.public_key, PeerId(index as u16)).is_some() {
                return Err(NetError::DuplicatePeer { index });
            }
            keys.push(key);
        }
        let pair = Builder::new(NOISE_PARAMS.parse()?).generate_keypair()?;
        let mut preamble = [0; PREAMBLE_LEN];
        preamble[..8].copy_from_slice(&MAGIC);
        preamble[8..10].copy_from_slice(&VERSION.to_le_bytes());
        preamble[10..].copy_from_slice(&network_id);
        Ok(Self {
            identity,
            noise_private: Zeroizing::new(pair.private),
            noise_public: pair.public,
            network_id,
            preamble,
            keys,
            ids,
        })
    }

    pub(crate) fn public_key(&self) -> [u8; 32] {
        self.identity.public_key()
    }

    fn noise(&self, role: Role) -> Result<HandshakeState, snow::Error> {
        let builder =
            Builder::new(NOISE_PARAMS.parse()?).local_private_key(&self.noise_private)?.prologue(&self.preamble)?;
        match role {
            Role::Dialler => builder.build_initiator(),
            Role::Listener => builder.build_responder(),
        }
    }

    /// What the node in `role` signs to bind its identity to this handshake.
    fn signed_bytes(&self, role: Role, handshake_hash: &[u8], noise_static: &[u8]) -> Vec<u8> {
        [SIGNATURE_DOMAIN, &[role as u8], &self.network_id, handshake_hash, noise_static].concat()
    }

    fn identity_payload(&self, role: Role, handshake_hash: &[u8]) -> Vec<u8> {
        let signature = self.identity.sign(&self.signed_bytes(role, handshake_hash, &self.noise_public));
        [&self.identity.public_key()[..], &signature].concat()
    }

    /// Who signed the payload of the node in `role`.
    fn check_identity(
        &self,
        role: Role,
        payload: &[u8],
        handshake_hash: &[u8],
        noise_static: &[u8],
    ) -> Result<PeerId, CloseReason> {
        let (key, signature) = payload.split_first_chunk::<32>().ok_or(CloseReason::HandshakeFailed)?;
        let peer = *self.ids.get(key).ok_or(CloseReason::UnknownPeer)?;
        let signature = Signature::from_slice(signature).map_err(|_| CloseReason::HandshakeFailed)?;
        self.keys[peer.index()]
            .verify_strict(&self.signed_bytes(role, handshake_hash, noise_static), &signature)
            .map_err(|_| CloseReason::HandshakeFailed)?;
        Ok(peer)
    }
}

/// Which side of the connection signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    Dialler = 1,
    Listener = 2,
}

/// A connection that is not authenticated yet.
pub(crate) struct Handshake {
    role: Role,
    /// Who was dialled.
    expected: Option<PeerId>,
    noise: Box<HandshakeState>,
    preamble_seen: bool,
    /// Index of the next Noise message to arrive.
    next_message: usize,
}

/// What a handshake made of its input.
pub(crate) enum Progress {
    /// It waits for more bytes.
    Waiting(Handshake),
    /// The peer proved who it is.
    Done(PeerId, Box<TransportState>),
}

impl Handshake {
    /// Starts a handshake; the first bytes to send are appended to `out`. Only whoever dials knows whom to expect.
    pub(crate) fn start(local: &Local, expected: Option<PeerId>, out: &mut Vec<u8>) -> Result<Self, CloseReason> {
        let role = if expected.is_some() { Role::Dialler } else { Role::Listener };
        let noise = local.noise(role).map_err(|_| CloseReason::HandshakeFailed)?;
        let first_expected = usize::from(role == Role::Dialler);
        let mut handshake =
            Self { role, expected, noise: Box::new(noise), preamble_seen: false, next_message: first_expected };
        out.extend_from_slice(&local.preamble);
        if role == Role::Dialler {
            handshake.write(&[], out)?;
        }
        Ok(handshake)
    }

    /// Takes what has arrived; returns how many bytes of it are used up. Bytes to send are appended to `out`.
    pub(crate) fn advance(
        mut self,
        local: &Local,
        mut input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, Progress), CloseReason> {
        let available = input.len();
        if !self.preamble_seen {
            check_preamble(input, &local.preamble)?;
            if input.len() < PREAMBLE_LEN {
                return Ok((0, Progress::Waiting(self)));
            }
            self.preamble_seen = true;
            input = &input[PREAMBLE_LEN..];
        }
        while let Some((len, rest)) = input.split_first_chunk::<2>() {
            let len = usize::from(u16::from_le_bytes(*len));
            if len != NOISE_LENS[self.next_message] {
                return Err(CloseReason::HandshakeFailed);
            }
            let Some((message, rest)) = rest.split_at_checked(len) else { break };
            input = rest;
            if let Some(peer) = self.read(local, message, out)? {
                let transport = self.noise.into_transport_mode().map_err(|_| CloseReason::HandshakeFailed)?;
                return Ok((available - input.len(), Progress::Done(peer, Box::new(transport))));
            }
        }
        Ok((available - input.len(), Progress::Waiting(self)))
    }

    /// Reads one Noise message and answers it; the peer, once it is known and nothing more is awaited.
    fn read(&mut self, local: &Local, message: &[u8], out: &mut Vec<u8>) -> Result<Option<PeerId>, CloseReason> {
        let hash_before = self.noise.get_handshake_hash().to_vec();
        let mut payload = [0; NOISE_LENS[1]];
        let len = self.noise.read_message(message, &mut payload).map_err(|_| CloseReason::HandshakeFailed)?;
        if self.next_message == 0 {
            self.next_message = 2;
            self.write(&local.identity_payload(self.role, self.noise.get_handshake_hash()), out)?;
            return Ok(None);
        }
        let other = if self.role == Role::Dialler { Role::Listener } else { Role::Dialler };
        let noise_static = self.noise.get_remote_static().ok_or(CloseReason::HandshakeFailed)?;
        let peer = local.check_identity(other, &payload[..len], &hash_before, noise_static);
        if self.role == Role::Dialler {
            match (peer, self.expected) {
                (Ok(peer), Some(expected)) if peer == expected => {}
                (Ok(_) | Err(CloseReason::UnknownPeer), _) => return Err(CloseReason::WrongIdentity),
                (Err(reason), _) => return Err(reason),
            }
            self.write(&local.identity_payload(self.role, self.noise.get_handshake_hash()), out)?;
        }
        peer.map(Some)
    }

    fn write(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CloseReason> {
        let mut message = [0; NOISE_LENS[1]];
        let len = self.noise.write_message(payload, &mut message).map_err(|_| CloseReason::HandshakeFailed)?;
        out.extend_from_slice(&(len as u16).to_le_bytes());
        out.extend_from_slice(&message[..len]);
        Ok(())
    }
}

/// Compares what has arrived of a preamble, however little.
fn check_preamble(input: &[u8], own: &[u8; PREAMBLE_LEN]) -> Result<(), CloseReason> {
    let differs = |range: std::ops::Range<usize>| {
        let end = range.end.min(input.len());
        range.start < end && input[range.start..end] != own[range.start..end]
    };
    if differs(0..8) {
        return Err(CloseReason::BadPreamble);
    }
    if differs(8..10) {
        return Err(CloseReason::WrongVersion);
    }
    if differs(10..PREAMBLE_LEN) {
        return Err(CloseReason::WrongNetwork);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity(n: u8) -> Identity {
        Identity::from_seed(Zeroizing::new([n; 32]))
    }

    fn local(own: u8, known: &[u8], network: u8) -> Local {
        let address = "127.0.0.1:1".parse().unwrap();
        let peers: Vec<_> = known.iter().map(|n| Peer { public_key: identity(*n).public_key(), address }).collect();
        Local::new(identity(own), [network; 8], &peers).unwrap()
    }

    type Outcome = Result<PeerId, CloseReason>;

    /// Runs both sides against each other, `piece` bytes at a time; `tamper` may change what the listener sends.
    fn run(
        dialler: &Local,
        listener: &Local,
        expected: u16,
        piece: usize,
        tamper: impl Fn(&mut Vec<u8>),
    ) -> (Outcome, Outcome) {
        let (mut to_listener, mut to_dialler) = (Vec::new(), Vec::new());
        let mut a = Some(Handshake::start(dialler, Some(PeerId(expected)), &mut to_listener).unwrap());
        let mut b = Some(Handshake::start(listener, None, &mut to_dialler).unwrap());
        let (mut a_out, mut b_out) = (Err(CloseReason::Eof), Err(CloseReason::Eof));
        let (mut a_in, mut b_in) = (Vec::new(), Vec::new());
        for _ in 0..10_000 {
            let take = to_listener.len().min(piece);
            b_in.extend(to_listener.drain(..take));
            step(&mut b, listener, &mut b_in, &mut to_dialler, &mut b_out);
            tamper(&mut to_dialler);
            let take = to_dialler.len().min(piece);
            a_in.extend(to_dialler.drain(..take));
            step(&mut a, dialler, &mut a_in, &mut to_listener, &mut a_out);
        }
        (a_out, b_out)
    }

    fn step(
        slot: &mut Option<Handshake>,
        local: &Local,
        input: &mut Vec<u8>,
        out: &mut Vec<u8>,
        outcome: &mut Outcome,
    ) {
        let Some(handshake) = slot.take() else { return };
        match handshake.advance(local, input, out) {
            Ok((used, progress)) => {
                input.drain(..used);
                match progress {
                    Progress::Waiting(handshake) => *slot = Some(handshake),
                    Progress::Done(peer, _) => *outcome = Ok(peer),
                }
            }
            Err(reason) => *outcome = Err(reason),
        }
    }

    #[test]
    fn both_sides_learn_who_the_other_is_in_any_pieces() {
        for piece in [1, 7, 1_000] {
            let (a, b) = (local(1, &[1, 2], 0), local(2, &[1, 2], 0));
            assert_eq!(run(&a, &b, 1, piece, |_| ()), (Ok(PeerId(1)), Ok(PeerId(0))));
        }
    }

    #[test]
    fn strangers_and_impostors_are_refused() {
        let (known, stranger) = (local(2, &[1, 2], 0), local(3, &[2, 3], 0));
        assert_eq!(run(&stranger, &known, 0, 99, |_| ()), (Ok(PeerId(0)), Err(CloseReason::UnknownPeer)));
        let dialler = local(1, &[1, 2, 4], 0);
        assert_eq!(run(&dialler, &known, 2, 99, |_| ()).0, Err(CloseReason::WrongIdentity));
        let unknown = local(9, &[1, 9], 0);
        assert_eq!(run(&dialler, &unknown, 1, 99, |_| ()).0, Err(CloseReason::WrongIdentity));
    }

    #[test]
    fn other_networks_are_refused_by_both() {
        let (a, b) = (local(1, &[1, 2], 0), local(2, &[1, 2], 7));
        assert_eq!(run(&a, &b, 1, 99, |_| ()), (Err(CloseReason::WrongNetwork), Err(CloseReason::WrongNetwork)));
    }

    #[test]
    fn tampered_bytes_fail() {
        let (a, b) = (local(1, &[1, 2], 0), local(2, &[1, 2], 0));
        let flip = |bytes: &mut Vec<u8>| {
            if bytes.len() >= NOISE_LENS[1] {
                let middle_of_message = bytes.len() - NOISE_LENS[1] / 2;
                bytes[middle_of_message] ^= 1;
            }
        };
        assert_eq!(run(&a, &b, 1, 1_000, flip).0, Err(CloseReason::HandshakeFailed));
    }

    #[test]
    fn identity_is_bound_to_role_hash_and_static_key() {
        let (a, b) = (local(1, &[1, 2], 0), local(2, &[1, 2], 0));
        let payload = a.identity_payload(Role::Dialler, b"hash");
        let check = |role, hash: &[u8], key: &[u8]| b.check_identity(role, &payload, hash, key);
        assert_eq!(check(Role::Dialler, b"hash", &a.noise_public), Ok(PeerId(0)));
        assert_eq!(check(Role::Listener, b"hash", &a.noise_public), Err(CloseReason::HandshakeFailed));
        assert_eq!(check(Role::Dialler, b"hush", &a.noise_public), Err(CloseReason::HandshakeFailed));
        assert_eq!(check(Role::Dialler, b"hash", &b.noise_public), Err(CloseReason::HandshakeFailed));
    }

    #[test]
    fn preamble_is_refused_at_the_first_wrong_byte() {
        let own = local(1, &[1], 0).preamble;
        assert_eq!(check_preamble(b"C", &own), Ok(()));
        assert_eq!(check_preamble(b"G", &own), Err(CloseReason::BadPreamble));
        assert_eq!(check_preamble(b"CSTL-NET\x01", &own), Err(CloseReason::WrongVersion));
    }

    #[test]
    fn bad_peer_lists_are_refused() {
        let address = "127.0.0.1:1".parse().unwrap();
        let peer = |public_key| Peer { public_key, address };
        let new = |peers: &[Peer]| Local::new(identity(1), [0; 8], peers).map(|_| ());
        let key = identity(1).public_key();
        assert!(matches!(new(&[peer(key), peer(key)]), Err(NetError::DuplicatePeer { index: 1 })));
        // The neutral element is a point of order one, under which anyone can sign.
        let mut weak = [0; 32];
        weak[0] = 1;
        assert!(matches!(new(&[peer(weak)]), Err(NetError::PeerKey { index: 0 })));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_bytes_never_panic_nor_authenticate(
            junk in prop::collection::vec(any::<u8>(), 0..600), with_preamble in any::<bool>(), dials in any::<bool>()
        ) {
            let local = local(1, &[1, 2], 0);
            let mut out = Vec::new();
            let handshake = Handshake::start(&local, dials.then_some(PeerId(1)), &mut out).unwrap();
            let mut input = if with_preamble { local.preamble.to_vec() } else { vec![] };
            input.extend(junk);
            if let Ok((_, progress)) = handshake.advance(&local, &input, &mut out) {
                prop_assert!(matches!(progress, Progress::Waiting(_)));
            }
        }
    }
}
