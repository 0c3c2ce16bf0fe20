//! One node in one broadcast, message by message.

use super::*;
use crate::message::{JournalEntry, Target};

fn payload(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

fn root(text: &str) -> Root {
    digest_root(text.as_bytes())
}

/// Everybody can make these, as there is one proposer in a test.
struct Open;

impl Seals for Open {
    fn seal(&self, root: &Root) -> Seal {
        seal(root)
    }

    fn is_sealed(&self, _: usize, root: &Root, proposed: &Seal) -> bool {
        *proposed == seal(root)
    }
}

fn seal(root: &Root) -> Seal {
    let mut seal = [7; 64];
    seal[..32].copy_from_slice(root);
    seal
}

/// Node 0 of four, in the broadcast of node 3.
fn broadcast() -> (Broadcast, Outbox) {
    let broadcast = Broadcast::new(Committee::new(0, 4), 3, 16);
    (broadcast, Outbox::default())
}

/// For what was echoed, in the broadcast of node 3.
const READY: Vote = Vote::ReadyAsEchoed { proposers: InstanceSet::one(3) };

fn votes(out: &mut Outbox) -> Vec<Vote> {
    match out.take_outgoing().messages.pop() {
        Some((Target::All, Message::Votes(votes))) => votes,
        None => Vec::new(),
        other => panic!("{other:?}"),
    }
}

fn faults(out: &mut Outbox) -> Vec<(usize, FaultKind)> {
    out.take_faults().into_iter().map(|fault| (fault.node, fault.kind)).collect()
}

#[test]
fn holds_before_it_echoes_and_delivers_on_a_quorum() {
    let (mut broadcast, mut out) = broadcast();
    broadcast.on_payload(3, payload("a"), &seal(&root("a")), &Open, &mut out);
    let outgoing = out.take_outgoing();
    let echo = Message::Votes(vec![Vote::Echo { proposer: 3, root: root("a") }]);
    let held = JournalEntry::Held { proposer: 3, seal: seal(&root("a")), payload: payload("a") };
    assert_eq!(outgoing.journal, [held, JournalEntry::Sent(echo.clone())]);
    assert_eq!(outgoing.messages, [(Target::All, echo)]);
    // The proposer's payload was an echo.
    broadcast.on_vote(1, Kind::Echo, root("a"), &mut out);
    assert_eq!(votes(&mut out), [READY]);
    broadcast.on_vote(1, Kind::Ready, root("a"), &mut out);
    assert!(broadcast.delivered().is_none());
    broadcast.on_vote(3, Kind::Ready, root("a"), &mut out);
    assert_eq!(broadcast.delivered(), Some(&payload("a")));
    assert_eq!(out.take_faults(), []);
}

/// READY without a root counts for the root of the sender's ECHO, whichever comes first, and contradicts READY for another.
#[test]
fn ready_as_echoed_counts_for_the_echo() {
    let (mut broadcast, mut out) = broadcast();
    broadcast.on_payload(3, payload("a"), &seal(&root("a")), &Open, &mut out);
    broadcast.on_ready_as_echoed(1, &mut out);
    broadcast.on_ready_as_echoed(1, &mut out);
    broadcast.on_vote(2, Kind::Echo, root("a"), &mut out);
    broadcast.on_ready_as_echoed(2, &mut out);
    assert!(broadcast.delivered().is_none(), "node 1 may have echoed another root");
    broadcast.on_vote(1, Kind::Echo, root("a"), &mut out);
    assert_eq!(broadcast.delivered(), Some(&payload("a")));
    broadcast.on_vote(1, Kind::Ready, root("a"), &mut out);
    broadcast.on_ready_as_echoed(1, &mut out);
    assert_eq!(faults(&mut out), []);
    // Node 3 echoed with its payload.
    broadcast.on_vote(1, Kind::Ready, root("b"), &mut out);
    broadcast.on_vote(3, Kind::Ready, root("b"), &mut out);
    broadcast.on_ready_as_echoed(3, &mut out);
    assert_eq!(faults(&mut out), [1, 3].map(|node| (node, FaultKind::TwoReadies { proposer: 3 })));
}

/// Who is READY on f+1 READYs for a root it did not echo has to name it.
#[test]
fn ready_for_another_root_than_the_echoed_names_it() {
    let (mut broadcast, mut out) = broadcast();
    broadcast.on_payload(3, payload("a"), &seal(&root("a")), &Open, &mut out);
    out.take_outgoing();
    for node in [1, 2] {
        broadcast.on_vote(node, Kind::Ready, root("b"), &mut out);
    }
    assert_eq!(votes(&mut out), [Vote::Ready { proposer: 3, root: root("b") }]);
}

/// A proposer's payload is its echo: it says nothing besides, and says it again with the payload to who has crashed.
#[test]
fn a_proposers_payload_is_its_echo() {
    let mut proposer = Broadcast::new(Committee::new(3, 4), 3, 16);
    let mut out = Outbox::default();
    proposer.propose(payload("a"), Form::Digest, &Open, &mut out);
    let message = Message::Payload { proposer: 3, seal: seal(&root("a")), payload: payload("a") };
    let expected = (vec![JournalEntry::Sent(message.clone())], vec![(Target::All, message)]);
    let outgoing = out.take_outgoing();
    assert_eq!((outgoing.journal, outgoing.messages), expected);
    for node in [1, 2] {
        proposer.on_vote(node, Kind::Echo, root("a"), &mut out);
    }
    assert_eq!(votes(&mut out), [READY]);

    let mut restored = Broadcast::new(Committee::new(3, 4), 3, 16);
    restored.restore_payload(seal(&root("a")), payload("a"));
    restored.restore_ready_as_echoed();
    restored.resume(&mut out);
    assert_eq!(out.take_outgoing(), Default::default());
    restored.on_vote(1, Kind::Ready, root("a"), &mut out);
    assert!(restored.delivered().is_none());
    restored.on_vote(2, Kind::Ready, root("a"), &mut out);
    assert_eq!(restored.delivered(), Some(&payload("a")), "its own READY was the third");

    let (mut listener, mut out) = broadcast();
    listener.restore_payload(seal(&root("a")), payload("a"));
    listener.restore_vote(Kind::Echo, root("a"));
    listener.on_payload(2, payload("a"), &seal(&root("a")), &Open, &mut out);
    listener.on_vote(1, Kind::Echo, root("a"), &mut out);
    assert_eq!(votes(&mut out), []);
    listener.on_payload(3, payload("a"), &seal(&root("a")), &Open, &mut out);
    assert_eq!(votes(&mut out), [READY]);
}

/// Nobody echoes what its proposer has not sealed, nor anything else of it from then on; asked for, it is known by its root.
#[test]
fn a_wrong_seal_is_the_proposers_fault() {
    let (mut broadcast, mut out) = broadcast();
    for text in ["a", "b"] {
        broadcast.on_payload(3, payload(text), &seal(&root("b")), &Open, &mut out);
    }
    assert_eq!(out.take_outgoing(), Default::default());
    assert_eq!(faults(&mut out), [(3, FaultKind::BadSeal { proposer: 3 })]);
    for node in 1..4 {
        broadcast.on_vote(node, Kind::Echo, root("a"), &mut out);
    }
    broadcast.on_payload(1, payload("a"), &[0; 64], &Open, &mut out);
    assert_eq!(votes(&mut out), [Vote::Ready { proposer: 3, root: root("a") }]);

    let coded = Coded::new("a payload that is cut up");
    let (mut broadcast, mut out) = coded_broadcast(4);
    let unsealed = Fragment { seal: [0; 64], ..coded.of(4) };
    broadcast.on_fragment(PROPOSER, coded.root, unsealed, &Open, &mut out);
    broadcast.on_fragment(PROPOSER, coded.root, coded.of(4), &Open, &mut out);
    assert_eq!(out.take_outgoing(), Default::default());
    assert_eq!(faults(&mut out), [(PROPOSER, FaultKind::BadSeal { proposer: PROPOSER })]);
}

fn two_proposals(own: Root, other: Root) -> FaultKind {
    FaultKind::TwoProposals(Box::new([own, other].map(|root| SealedRoot { root, seal: seal(&root) })))
}

/// Whichever comes first, the payload or the other echo: its sender is shown the seal once, and shows its own.
#[test]
fn who_was_told_another_root_is_shown_the_seal_and_both_have_proof() {
    let shown = vec![(Target::One(1), Message::Seal { proposer: 3, root: root("a"), seal: seal(&root("a")) })];
    let seals = |out: &mut Outbox| -> Vec<_> {
        let messages = out.take_outgoing().messages.into_iter();
        messages.filter(|(_, message)| matches!(message, Message::Seal { .. })).collect()
    };
    for echo_is_first in [true, false] {
        let (mut broadcast, mut out) = broadcast();
        if echo_is_first {
            broadcast.on_vote(1, Kind::Echo, root("b"), &mut out);
        }
        broadcast.on_payload(3, payload("a"), &seal(&root("a")), &Open, &mut out);
        broadcast.on_vote(1, Kind::Echo, root("b"), &mut out);
        broadcast.on_vote(2, Kind::Echo, root("a"), &mut out);
        assert_eq!(seals(&mut out), shown);
        broadcast.on_vote(1, Kind::Echo, root("b"), &mut out);
        assert_eq!(seals(&mut out), []);
        broadcast.on_seal(2, root("a"), &seal(&root("a")), &Open, &mut out);
        broadcast.on_seal(2, root("b"), &seal(&root("a")), &Open, &mut out);
        broadcast.on_seal(2, root("b"), &seal(&root("b")), &Open, &mut out);
        assert_eq!(faults(&mut out), [(2, FaultKind::BadSeal { proposer: 3 })], "a liar is heard once");
        for node in [1, 1, 3] {
            broadcast.on_seal(node, root("b"), &seal(&root("b")), &Open, &mut out);
        }
        assert_eq!(faults(&mut out), [(3, two_proposals(root("a"), root("b")))], "proven once");
    }
}

/// Also to who comes back from a crash.
#[test]
fn two_payloads_from_the_proposer_are_proof() {
    let (mut broadcast, mut out) = broadcast();
    broadcast.restore_payload(seal(&root("a")), payload("a"));
    for text in ["b", "c"] {
        broadcast.on_payload(3, payload(text), &seal(&root(text)), &Open, &mut out);
    }
    assert_eq!(faults(&mut out), [(3, FaultKind::TwoPayloads), (3, two_proposals(root("a"), root("b")))]);
}

#[test]
fn only_the_proposer_makes_it_echo() {
    let (mut broadcast, mut out) = broadcast();
    broadcast.on_payload(2, payload("a"), &seal(&root("a")), &Open, &mut out);
    assert_eq!(votes(&mut out), []);
}

#[test]
fn pulls_what_it_lacks_and_takes_only_the_ready_root() {
    let (mut broadcast, mut out) = broadcast();
    for node in [1, 2, 3] {
        broadcast.on_vote(node, Kind::Echo, root("a"), &mut out);
    }
    assert_eq!(votes(&mut out), [], "it cannot tell that the root is a payload's");
    for node in [1, 2, 3] {
        broadcast.on_vote(node, Kind::Ready, root("a"), &mut out);
    }
    assert!(matches!(votes(&mut out)[..], [Vote::Ready { .. }]));
    let mut asked = Vec::new();
    for _ in 0..5 {
        broadcast.tick(&mut out);
        asked.extend(out.take_outgoing().messages.into_iter().map(|(to, _)| to));
    }
    assert_eq!(asked, [1, 2, 3, 1].map(Target::One), "not on the first tick");
    broadcast.on_payload(2, payload("b"), &seal(&root("b")), &Open, &mut out);
    assert!(broadcast.delivered().is_none());
    broadcast.on_payload(2, payload("a"), &seal(&root("a")), &Open, &mut out);
    assert_eq!(broadcast.delivered(), Some(&payload("a")));
    broadcast.tick(&mut out);
    assert_eq!(out.take_outgoing(), Default::default());
}

#[test]
fn answers_few_pulls() {
    let (mut broadcast, mut out) = broadcast();
    broadcast.on_payload(3, payload("a"), &seal(&root("a")), &Open, &mut out);
    out.take_outgoing();
    let mut answers = |ticks, wanted| {
        for _ in 0..10 {
            broadcast.on_pull(1, root(wanted), ticks, &mut out);
        }
        out.take_outgoing().messages.len()
    };
    let given = [(0, "b"), (0, "a"), (3, "a"), (4, "a"), (7, "a"), (u64::MAX, "a")];
    let given = given.map(|(ticks, wanted)| answers(ticks, wanted));
    assert_eq!(given, [0, 2, 0, 1, 0, 10]);
}

#[test]
fn contradictions_are_faults_and_repeats_are_not() {
    let (mut broadcast, mut out) = broadcast();
    for text in ["a", "a", "b"] {
        broadcast.on_payload(3, payload(text), &seal(&root(text)), &Open, &mut out);
        broadcast.on_vote(1, Kind::Echo, root(text), &mut out);
        broadcast.on_vote(1, Kind::Ready, root(text), &mut out);
    }
    broadcast.on_payload(2, payload("longer than sixteen"), &seal(&root("longer than sixteen")), &Open, &mut out);
    assert_eq!(
        faults(&mut out),
        [
            (3, FaultKind::TwoPayloads),
            (3, two_proposals(root("a"), root("b"))),
            (1, FaultKind::TwoEchoes { proposer: 3 }),
            (1, FaultKind::TwoReadies { proposer: 3 }),
            (2, FaultKind::PayloadTooLarge { proposer: 3 }),
        ]
    );
}

/// A coded payload of node 3 of seven, in whose broadcast node 0 keeps fragment 3, the first that is not payload.
struct Coded {
    root: Root,
    fragments: Vec<Fragment>,
    payload: Arc<[u8]>,
}

const N: usize = 7;
const PROPOSER: usize = 3;

impl Coded {
    fn new(text: &str) -> Self {
        let code = Code::of(&Committee::new(0, N));
        let commitment = Commitment::to(text.as_bytes(), &code);
        Self::sealed(&commitment, payload(text))
    }

    fn sealed(commitment: &Commitment, payload: Arc<[u8]>) -> Self {
        let root = commitment.root();
        Self { root, fragments: commitment.fragments(seal(&root)).collect(), payload }
    }

    fn of(&self, node: usize) -> Fragment {
        self.fragments[(node + N - PROPOSER - 1) % N].clone()
    }

    fn message(&self, node: usize) -> Message {
        Message::Fragment { proposer: PROPOSER, root: self.root, fragment: self.of(node) }
    }
}

fn coded_broadcast(me: usize) -> (Broadcast, Outbox) {
    (Broadcast::new(Committee::new(me, N), PROPOSER, 40), Outbox::default())
}

#[test]
fn a_coded_proposal_goes_to_each_its_own_and_comes_back_after_a_crash() {
    let coded = Coded::new("a payload that is cut up");
    let (mut broadcast, mut out) = coded_broadcast(PROPOSER);
    broadcast.propose(coded.payload.clone(), Form::Coded, &Open, &mut out);
    let outgoing = out.take_outgoing();
    let echo = Message::Votes(vec![Vote::Echo { proposer: PROPOSER, root: coded.root }]);
    let held = JournalEntry::Held { proposer: PROPOSER, seal: seal(&coded.root), payload: coded.payload.clone() };
    assert_eq!(outgoing.journal, [held, JournalEntry::Sent(echo.clone())]);
    let mut sent: Vec<_> = [4, 5, 6, 0, 1, 2].map(|node| (Target::One(node), coded.message(node))).into();
    sent.push((Target::All, echo));
    assert_eq!(outgoing.messages, sent);

    let (mut restored, mut out) = coded_broadcast(PROPOSER);
    restored.restore_proposal(seal(&coded.root), coded.payload.clone(), &mut out);
    restored.restore_vote(Kind::Echo, coded.root);
    restored.resume(&mut out);
    sent.pop();
    assert_eq!(out.take_outgoing().messages, sent);
    restored.propose(payload("another"), Form::Digest, &Open, &mut out);
    assert_eq!(out.take_outgoing(), Default::default());
    for node in [0, 1, 2, 4] {
        restored.on_vote(node, Kind::Echo, coded.root, &mut out);
    }
    assert_eq!(votes(&mut out), [READY], "it has no need of fragments");
}

#[test]
fn a_fragment_is_journalled_echoed_and_passed_on_if_it_is_payload() {
    let coded = Coded::new("a payload that is cut up");
    let echo = Message::Votes(vec![Vote::Echo { proposer: PROPOSER, root: coded.root }]);
    for (me, passes_on) in [(4, true), (6, true), (0, false), (2, false)] {
        let (mut broadcast, mut out) = coded_broadcast(me);
        broadcast.on_fragment(PROPOSER, coded.root, coded.of(me), &Open, &mut out);
        broadcast.on_fragment(PROPOSER, coded.root, coded.of(me), &Open, &mut out);
        let outgoing = out.take_outgoing();
        let (root, fragment) = (coded.root, coded.of(me));
        let held = JournalEntry::HeldFragment { proposer: PROPOSER, root, fragment };
        assert_eq!(outgoing.journal, [held, JournalEntry::Sent(echo.clone())]);
        let passed_on = passes_on.then(|| (Target::All, coded.message(me)));
        assert!(outgoing.messages.into_iter().eq(passed_on.into_iter().chain([(Target::All, echo.clone())])));

        let (mut restored, mut out) = coded_broadcast(me);
        restored.restore_fragment(coded.root, coded.of(me));
        restored.resume(&mut out);
        assert_eq!(votes(&mut out).len(), 1);
        restored.on_pull(1, coded.root, 0, &mut out);
        assert_eq!(out.take_outgoing().messages, [(Target::One(1), coded.message(me))]);
    }
}

/// Fragments of any three holders will do. Nothing but echoes comes with those of the first three; others are asked for.
#[test]
fn three_fragments_of_seven_make_the_payload() {
    let coded = Coded::new("a payload that is cut up");
    for holders in [[4, 5, 6], [4, 5, 2], [1, 2, 3], [0, 1, 2]] {
        let (mut broadcast, mut out) = coded_broadcast(0);
        broadcast.on_fragment(PROPOSER, coded.root, coded.of(0), &Open, &mut out);
        out.take_outgoing();
        for node in holders.into_iter().filter(|node| *node != 0) {
            broadcast.on_fragment(node, coded.root, coded.of(node), &Open, &mut out);
        }
        assert_eq!(out.take_outgoing(), Default::default(), "no quorum yet");
        for node in 1..N {
            broadcast.on_vote(node, Kind::Echo, coded.root, &mut out);
        }
        assert_eq!(votes(&mut out), [READY]);
        for node in 1..=3 {
            broadcast.on_vote(node, Kind::Ready, coded.root, &mut out);
        }
        assert!(broadcast.delivered().is_none());
        broadcast.on_vote(4, Kind::Ready, coded.root, &mut out);
        assert_eq!(broadcast.delivered(), Some(&coded.payload));
        assert_eq!(faults(&mut out), []);
    }
}

#[test]
fn a_fragment_counts_as_its_holders_echo() {
    let coded = Coded::new("a payload that is cut up");
    let (mut broadcast, mut out) = coded_broadcast(0);
    broadcast.on_fragment(PROPOSER, coded.root, coded.of(0), &Open, &mut out);
    broadcast.on_vote(1, Kind::Echo, coded.root, &mut out);
    broadcast.on_vote(2, Kind::Echo, coded.root, &mut out);
    broadcast.on_fragment(4, coded.root, coded.of(4), &Open, &mut out);
    out.take_outgoing();
    broadcast.on_ready_as_echoed(5, &mut out);
    broadcast.on_fragment(5, coded.root, coded.of(5), &Open, &mut out);
    assert_eq!(votes(&mut out), [READY]);
    assert!(broadcast.tally.votes(Kind::Ready, &coded.root).contains(5), "its READY was waiting for its ECHO");
}

#[test]
fn fragments_that_are_missing_are_asked_for_at_once_and_then_by_the_tick() {
    let coded = Coded::new("a payload that is cut up");
    let (mut broadcast, mut out) = coded_broadcast(0);
    broadcast.on_fragment(4, coded.root, coded.of(4), &Open, &mut out);
    let pulled = |out: &mut Outbox| -> Vec<usize> {
        let messages = out.take_outgoing().messages;
        let pulls = messages.into_iter().map(|message| match message {
            (Target::One(node), Message::Pull { proposer: PROPOSER, root }) if root == coded.root => node,
            other => panic!("{other:?}"),
        });
        pulls.collect()
    };
    for node in [1, 2, 3, 5] {
        assert_eq!(pulled(&mut out), [], "no quorum yet");
        broadcast.on_vote(node, Kind::Echo, coded.root, &mut out);
    }
    assert_eq!(pulled(&mut out), [1, 2], "two are missing, and node 4's is here");
    broadcast.on_vote(6, Kind::Echo, coded.root, &mut out);
    broadcast.tick(&mut out);
    assert_eq!(pulled(&mut out), [], "asked already");
    broadcast.on_fragment(1, coded.root, coded.of(1), &Open, &mut out);
    for asked in [3, 5, 6, 2, 3] {
        broadcast.tick(&mut out);
        assert_eq!(pulled(&mut out), [asked]);
    }
    broadcast.on_fragment(6, coded.root, coded.of(6), &Open, &mut out);
    assert!(matches!(votes(&mut out)[..], [Vote::Ready { .. }]));
    broadcast.tick(&mut out);
    assert_eq!(out.take_outgoing(), Default::default());
}

/// Fragments that are not of one codeword, rightly hashed up to a root.
fn badly_encoded() -> Coded {
    let code = Code::of(&Committee::new(0, N));
    let mut pieces: Vec<Arc<[u8]>> = Vec::new();
    code.encode(b"a payload that is cut up", |piece| pieces.push(piece.into()));
    Arc::make_mut(&mut pieces[6])[0] ^= 1;
    let commitment = Commitment::to_pieces(24, pieces);
    Coded::sealed(&commitment, payload(""))
}

#[test]
fn a_root_of_no_payload_is_never_delivered_and_is_the_proposers_fault() {
    let coded = badly_encoded();
    // The wrong fragment is node 3's. With it, what is decoded is wrong; without it, what is encoded again.
    for holders in [[4, 5, 6], [3, 4, 5], [1, 2, 3]] {
        let (mut broadcast, mut out) = coded_broadcast(0);
        broadcast.on_fragment(PROPOSER, coded.root, coded.of(0), &Open, &mut out);
        for node in holders {
            broadcast.on_fragment(node, coded.root, coded.of(node), &Open, &mut out);
        }
        out.take_outgoing();
        for node in 1..N {
            broadcast.on_vote(node, Kind::Echo, coded.root, &mut out);
        }
        assert_eq!(votes(&mut out), [], "not ready");
        assert_eq!(faults(&mut out), [(PROPOSER, FaultKind::BadEncoding { root: coded.root })]);
        for _ in 0..3 {
            broadcast.tick(&mut out);
        }
        broadcast.on_fragment(5, coded.root, coded.of(5), &Open, &mut out);
        assert_eq!((out.take_outgoing(), faults(&mut out)), (Default::default(), vec![]), "nor looked at again");
        assert!(broadcast.delivered().is_none());
    }
}

#[test]
fn wrong_fragments_are_faults_of_who_sent_them() {
    let (coded, other) = (Coded::new("a payload that is cut up"), Coded::new("another one of the same size"));
    let (mut broadcast, mut out) = coded_broadcast(0);
    broadcast.on_fragment(1, coded.root, other.of(1), &Open, &mut out);
    assert_eq!(faults(&mut out), [(1, FaultKind::BadBranch { proposer: PROPOSER })]);
    broadcast.on_fragment(1, coded.root, coded.of(2), &Open, &mut out);
    assert_eq!(faults(&mut out), [(1, FaultKind::Invalid)]);
    broadcast.on_fragment(PROPOSER, coded.root, other.of(0), &Open, &mut out);
    assert_eq!(faults(&mut out), [(PROPOSER, FaultKind::BadBranch { proposer: PROPOSER })]);
    let too_large = Coded::new("a payload with more than the forty bytes allowed");
    broadcast.on_fragment(2, too_large.root, too_large.of(2), &Open, &mut out);
    assert_eq!(faults(&mut out), [(2, FaultKind::PayloadTooLarge { proposer: PROPOSER })]);
    assert_eq!(out.take_outgoing(), Default::default(), "nothing of this was taken");

    for (text, fault) in [(&coded, None), (&coded, None), (&other, Some(FaultKind::TwoEchoes { proposer: PROPOSER }))] {
        broadcast.on_fragment(1, text.root, text.of(1), &Open, &mut out);
        assert_eq!(faults(&mut out), fault.map(|kind| (1, kind)).into_iter().collect::<Vec<_>>());
    }
    broadcast.on_vote(1, Kind::Echo, other.root, &mut out);
    assert_eq!(faults(&mut out), [(1, FaultKind::TwoEchoes { proposer: PROPOSER })]);
}

#[test]
fn a_proposer_has_one_root_in_one_form() {
    let (coded, other) = (Coded::new("one"), Coded::new("two"));
    let digest = digest_root(&coded.payload);
    let two_payloads = || (PROPOSER, FaultKind::TwoPayloads);
    let (mut broadcast, mut out) = coded_broadcast(0);
    broadcast.on_fragment(PROPOSER, coded.root, coded.of(0), &Open, &mut out);
    assert_eq!(votes(&mut out).len(), 1);
    broadcast.on_fragment(PROPOSER, other.root, other.of(0), &Open, &mut out);
    assert_eq!(faults(&mut out), [two_payloads(), (PROPOSER, two_proposals(coded.root, other.root))]);
    broadcast.on_payload(PROPOSER, coded.payload.clone(), &seal(&digest), &Open, &mut out);
    assert_eq!(faults(&mut out), [two_payloads()]);
    broadcast.on_fragment(PROPOSER, other.root, other.of(PROPOSER), &Open, &mut out);
    assert_eq!(faults(&mut out), [two_payloads()]);
    assert_eq!(out.take_outgoing(), Default::default());

    let (mut broadcast, mut out) = coded_broadcast(0);
    broadcast.on_payload(PROPOSER, coded.payload.clone(), &seal(&digest), &Open, &mut out);
    assert_eq!(votes(&mut out).len(), 1);
    broadcast.on_fragment(PROPOSER, coded.root, coded.of(0), &Open, &mut out);
    assert_eq!(faults(&mut out), [two_payloads(), (PROPOSER, two_proposals(digest, coded.root))]);
    assert_eq!(out.take_outgoing(), Default::default());
}

/// READY for the root of one form makes nobody deliver a payload that came in the other.
#[test]
fn votes_for_one_form_do_not_deliver_the_other() {
    let coded = Coded::new("one");
    let (mut broadcast, mut out) = coded_broadcast(0);
    broadcast.on_payload(PROPOSER, coded.payload.clone(), &seal(&digest_root(&coded.payload)), &Open, &mut out);
    for node in 1..N {
        broadcast.on_vote(node, Kind::Ready, coded.root, &mut out);
    }
    broadcast.on_payload(4, coded.payload.clone(), &seal(&digest_root(&coded.payload)), &Open, &mut out);
    assert!(broadcast.delivered().is_none(), "the coded root");
    for node in [4, 5, 6] {
        broadcast.on_fragment(node, coded.root, coded.of(node), &Open, &mut out);
    }
    assert_eq!(broadcast.delivered(), Some(&coded.payload));
}
