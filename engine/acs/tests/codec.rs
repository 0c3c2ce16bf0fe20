//! Messages and journal entries survive their bytes, and no bytes panic.

use constellation_acs::{
    COIN_PROOF_MAX_BYTES, Coin, Config, DecodeError, Fragment, InstanceSet, JournalEntry, MAX_NODES, Message, Root,
    Seal, Seals, Step, Subset, Value, Vote,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const N: usize = 7;

fn instances() -> impl Strategy<Value = InstanceSet> {
    (1u128..1 << N).prop_map(InstanceSet::from_bits)
}

fn vote() -> impl Strategy<Value = Vote> {
    let slot = || (0..N as u16, any::<u32>());
    let proof = || vec(any::<u8>(), 0..=COIN_PROOF_MAX_BYTES);
    prop_oneof![
        (0..N, any::<[u8; 32]>()).prop_map(|(proposer, root)| Vote::Echo { proposer, root }),
        (0..N, any::<[u8; 32]>()).prop_map(|(proposer, root)| Vote::Ready { proposer, root }),
        instances().prop_map(|proposers| Vote::ReadyAsEchoed { proposers }),
        (instances(), any::<u32>(), select(&Step::ALL[..]), select(&Value::ALL[..]))
            .prop_map(|(instances, round, step, value)| Vote::Agree { instances, round, step, value }),
        (slot(), proof()).prop_map(|((instance, round), proof)| Vote::Coin { instance, round, proof }),
        (slot(), 0..N, proof()).prop_map(|((instance, round), owner, proof)| Vote::CoinMin {
            instance,
            round,
            owner,
            proof
        }),
        (instances(), any::<bool>()).prop_map(|(instances, value)| Vote::Decided { instances, value }),
    ]
}

/// Of seven, every piece has a branch of three hashes, except the last with two.
fn fragment() -> impl Strategy<Value = Fragment> {
    let parts = (0..N, any::<u32>(), vec(any::<[u8; 32]>(), 3), vec(any::<u8>(), 0..100));
    parts.prop_map(|(index, payload_len, mut branch, bytes)| {
        branch.truncate(if index == N - 1 { 2 } else { 3 });
        Fragment {
            index,
            seal: [index as u8; 64],
            payload_len_bytes: payload_len as usize,
            branch,
            bytes: bytes.into(),
        }
    })
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (0..N, seal(), vec(any::<u8>(), 0..100)).prop_map(|(proposer, seal, payload)| Message::Payload {
            proposer,
            seal,
            payload: payload.into()
        }),
        vec(vote(), 0..20).prop_map(Message::Votes),
        (0..N, any::<[u8; 32]>()).prop_map(|(proposer, root)| Message::Pull { proposer, root }),
        (0..N, any::<[u8; 32]>(), fragment()).prop_map(|(proposer, root, fragment)| Message::Fragment {
            proposer,
            root,
            fragment
        }),
        (0..N, any::<[u8; 32]>(), seal()).prop_map(|(proposer, root, seal)| Message::Seal { proposer, root, seal }),
    ]
}

fn seal() -> impl Strategy<Value = Seal> {
    any::<[[u8; 32]; 2]>().prop_map(|halves| std::array::from_fn(|at| halves.as_flattened()[at]))
}

fn entry() -> impl Strategy<Value = JournalEntry> {
    prop_oneof![
        message().prop_map(JournalEntry::Sent),
        (0..N, seal(), vec(any::<u8>(), 0..100)).prop_map(|(proposer, seal, payload)| JournalEntry::Held {
            proposer,
            seal,
            payload: payload.into()
        }),
        (0..N, any::<[u8; 32]>(), fragment()).prop_map(|(proposer, root, fragment)| JournalEntry::HeldFragment {
            proposer,
            root,
            fragment
        }),
    ]
}

struct NoCoin;

impl Coin for NoCoin {
    fn share(&self, _: u16, _: u32) -> Vec<u8> {
        Vec::new()
    }

    fn check(&self, _: usize, _: u16, _: u32, proof: &[u8]) -> Option<[u8; 32]> {
        proof.len().is_multiple_of(2).then_some([proof.len() as u8; 32])
    }
}

impl Seals for NoCoin {
    fn seal(&self, _: &Root) -> Seal {
        [0; 64]
    }

    fn is_sealed(&self, _: usize, _: &Root, _: &Seal) -> bool {
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn messages_round_trip(message in message()) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        prop_assert_eq!(Message::decode(&bytes, N), Ok(message));
    }

    #[test]
    fn entries_round_trip(entry in entry()) {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        prop_assert_eq!(JournalEntry::decode(&bytes, N), Ok(entry));
    }

    /// What decodes encodes to the same bytes: there is one form of a message.
    #[test]
    fn arbitrary_bytes_decode_to_one_form_or_not(kind in 0u8..6, rest in vec(any::<u8>(), 0..180)) {
        let mut bytes = vec![kind];
        bytes.extend(rest);
        if let Ok(message) = Message::decode(&bytes, N) {
            let mut again = Vec::new();
            message.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }

    /// The same, from bytes that are nearly right.
    #[test]
    fn a_changed_message_decodes_to_one_form_or_not(message in message(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(message) = Message::decode(&bytes, N) {
            let mut again = Vec::new();
            message.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }

    /// Messages that no honest node sends, in any order, never panic.
    #[test]
    fn a_machine_survives_anything(messages in vec((0..N + 2, message()), 0..60)) {
        let config = Config { me: 0, n: 4, payload_max_bytes: 50, coded_from_bytes: 20 };
        let mut subset = Subset::new(config, NoCoin);
        for (from, message) in messages {
            subset.handle(from, message);
            subset.tick();
        }
        let journal = subset.take_outgoing().journal;
        Subset::restore(config, NoCoin, journal);
    }
}

/// Rounds are entered one after the other: room is not made for all those that a damaged journal leaps over.
#[test]
fn a_journal_that_leaps_is_not_followed() {
    let round = u32::MAX;
    let votes = vec![
        Vote::Agree { instances: InstanceSet::one(1), round, step: Step::Echo, value: Value::One },
        Vote::Coin { instance: 2, round, proof: vec![1] },
        Vote::CoinMin { instance: 3, round, owner: 1, proof: vec![1] },
    ];
    let config = Config { me: 0, n: 4, payload_max_bytes: 50, coded_from_bytes: 20 };
    let mut subset = Subset::restore(config, NoCoin, [JournalEntry::Sent(Message::Votes(votes))]);
    assert_eq!(subset.take_outgoing().journal, []);
}

#[test]
fn damaged_messages_are_refused() {
    let decode = |bytes: &[u8]| Message::decode(bytes, N).err();
    assert_eq!(decode(&[]), Some(DecodeError::Truncated));
    assert_eq!(decode(&[9]), Some(DecodeError::UnknownKind(9)));
    assert_eq!(decode(&[1, 7]), Some(DecodeError::NoSuchNode(7)));
    assert_eq!(decode(&[2, 0x30]), Some(DecodeError::Truncated));
    for unknown in [0x10, 0x20, 0x32, 0x3f, 0x43, 0x54] {
        assert_eq!(decode(&[2, unknown, 0]), Some(DecodeError::UnknownKind(unknown)));
    }
    let long_proof = [2, 0x03, 0, 2, 0, 0, 0, 129];
    assert_eq!(decode(&long_proof), Some(DecodeError::ProofTooLong(129)));
    let pull = [[3, 0].as_slice(), &[5; 32]].concat();
    assert_eq!(decode(&pull), None);
    assert_eq!(decode(&[&pull[..], &[1]].concat()), Some(DecodeError::Trailing(1)));
    let seal = [[5, 0].as_slice(), &[5; 32], &[6; 64]].concat();
    assert_eq!(decode(&seal), None);
    assert_eq!(decode(&[&seal[..], &[1]].concat()), Some(DecodeError::Trailing(1)));
    assert_eq!(decode(&[[1, 0].as_slice(), &[6; 63]].concat()), Some(DecodeError::Truncated));
    // Proposer, index, root, seal, length, and two hashes for the last piece of seven.
    let fragment = [[4, 0, 6].as_slice(), &[5; 32], &[7; 64], &[9, 0, 0, 0], &[6; 64]].concat();
    assert_eq!(decode(&fragment), None);
    assert_eq!(decode(&fragment[..fragment.len() - 1]), Some(DecodeError::Truncated));
    assert_eq!(decode(&[4, 0, 7]), Some(DecodeError::NoSuchNode(7)));
}

/// Sets of agreements have one form: their length is that of the last member's byte, and there is a last member.
#[test]
fn sets_of_agreements_are_as_long_as_they_must_be() {
    let decode = |n: usize, len: u8, bits: &[u8]| Message::decode(&[&[2, 0x31, len], bits].concat(), n);
    let decided = |bits| {
        let instances = InstanceSet::from_bits(bits);
        Ok(Message::Votes(vec![Vote::Decided { instances, value: true }]))
    };
    assert_eq!(decode(N, 1, &[0x41]), decided(0x41));
    assert_eq!(decode(N, 1, &[0x81]), Err(DecodeError::NoSuchNode(7)));
    assert_eq!(decode(N, 2, &[0x01, 0x01]), Err(DecodeError::NoSuchNode(8)));
    assert_eq!(decode(9, 2, &[0x01, 0x01]), decided(0x101));
    for (len, bits) in [(0, &[][..]), (1, &[0]), (2, &[1, 0]), (16, &[0; 16]), (17, &[1; 17]), (255, &[1; 17])] {
        assert_eq!(decode(MAX_NODES, len, bits), Err(DecodeError::InstancesMalformed), "{len} {bits:?}");
    }
    assert_eq!(decode(MAX_NODES, 2, &[1]), Err(DecodeError::Truncated));
    assert_eq!(decode(MAX_NODES, 16, &[0xff; 16]), decided(u128::MAX));
}
