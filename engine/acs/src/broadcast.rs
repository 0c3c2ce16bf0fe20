//! Reliable broadcast of one proposer's payload, in two forms behind one interface. Both name the payload by a root and
//! vote on roots (Bracha 1987, with votes that carry a root instead of the payload); they differ in how a node comes to
//! hold the payload. The proposer picks the form, receivers know both.
//!
//! - *Digest*: the proposer sends its payload to all; the root is its BLAKE3 hash (`digest`).
//! - *Coded* (Cachin and Tessaro 2005): the proposer cuts it into n fragments of which any k = n−2f give it back, and sends
//!   each node its own; the root commits to all of them (`fragment`). The holders of the first k, which are the payload
//!   itself, pass theirs on to everybody; the other fragments are for who asks.
//!
//! 1. On the proposer's first message, if its seal holds, a node stores the payload, or its fragment, and votes ECHO(root);
//!    nobody echoes what it does not hold. A payload from its proposer, and a fragment from its holder, is an ECHO too.
//! 2. Of a root that n−f ECHO, or n−f are READY for, a node obtains the payload: the one it stored; one that was pulled,
//!    if it hashes to the root; or k fragments, decoded, **if encoded again they make the same root**.
//! 3. On n−f ECHO(root), holding the payload, or on f+1 READY(root), a node votes READY(root), once. If that is the root
//!    it echoed, it says no more than that, as a root is most of a vote; who has not heard the ECHO waits for it.
//! 4. On n−f READY(root), holding the payload, it delivers.
//! 5. Who lacks the payload of rule 2 asks echoers, in turn, for what is missing: a whole tick later, as it may still be
//!    on its way; for fragments also at once, as they are small. An echoer answers with what it stored.
//!
//! **One root, one payload.** A root is either the hash of one payload or the commitment to one payload's fragments, by
//! the hash's collision resistance; that the two kinds are hashed in different domains makes it one form's. So votes need
//! not tell the form. A root that commits to fragments of no payload fails the comparison of rule 2 at every node, with
//! whatever fragments (`gathered`); no honest node holds a payload of it, so none is the first to be READY for it, so
//! nobody delivers it. k > f of its fragments came from their holders, so an honest one had its from the proposer:
//! the proposer is to blame.
//!
//! **Agreement.** Let the first honest READY for `a`, and the first for `b`, both stem from n−f ECHOs (an honest READY
//! that stems from f+1 READYs has an honest one before it). The two quorums share n−2f ≥ f+1 nodes, so an honest one,
//! which echoed once: `a = b`. Delivery needs n−f ≥ f+1 READYs, so one honest, so nobody delivers another root.
//! **Totality.** If an honest node sees n−f READY(root), at least n−2f ≥ f+1 honest ones sent it to all, so every
//! honest node becomes READY, so every honest node sees n−f. The first honest READY stood on n−f ECHOs, k of them
//! from honest nodes, which hold the payload or k different fragments of it. Their ECHOs reach everybody, so whoever
//! lacks the payload comes to ask all of them; and by the same READY the root is a payload's.
//! **Validity.** An honest proposer's payload is echoed by all honest nodes, and nothing else of it is. So every honest
//! node sees n−f ECHOs, k from honest holders, obtains the payload by asking if need be, and is READY.
//!
//! **Proof.** Two honest nodes that the proposer told two roots echo both, to everybody. Who hears an ECHO for another root
//! than its own shows its sender the proposer's seal of its own; so both come to hold two seals, which prove the proposer
//! guilty to anybody (`seal`). Nothing else depends on seals: a payload that was asked for is known by its root. A node has
//! one seal checked for each proposal, and where there are two roots at most one more of each peer, until it has the proof.
//!
//! **Bounds.** Lengths are looked at before anything is hashed or copied. First vote wins in ECHO and in READY, so at
//! most 2n roots are counted; one fragment of each node is held, until the payload is; at most two payloads are held (the
//! one echoed, and the one obtained if that is another), and one is decoded, as only one root can have a quorum. A peer
//! gets two answers to its pulls at once, and then the k-th not before tick 2^k: few in all, yet a node that crashed after
//! it had been answered can ask again.

use std::sync::Arc;

use crate::committee::{Committee, InstanceSet, NodeSet};
use crate::digest::digest_root;
use crate::erasure::Code;
use crate::fault::FaultKind;
use crate::fragment::{Commitment, Fragment};
use crate::gathered::{Gathered, NoPayload};
use crate::message::{Message, Root, Vote};
use crate::outbox::Outbox;
use crate::seal::{Seal, SealedRoot, Seals};
use crate::tally::{Contradiction, Kind, Tally};

/// A good [`Config::coded_from_bytes`](crate::Config::coded_from_bytes): above what proposers send when all have much to
/// send. A proposer sends its payload n−1 times in the digest form and about three times in the coded one, which is for the
/// payload that stands out. Where all payloads are large, every uplink is as busy with the fragments of others as it would be
/// with its own payload, and the coded form costs four to ten times the CPU time.
pub const CODED_FROM_BYTES: usize = 1 << 20;

/// Answers to one peer's pulls of one payload that are given without waiting.
const FREE_PULL_ANSWERS: u8 = 2;

/// How a proposer sends its payload out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Digest,
    Coded,
}

/// What I have of the proposer's broadcast from itself, and echo: the payload in the digest form, my fragment in the
/// coded form, and both if the coded proposal is mine.
#[derive(Debug)]
struct Vouched {
    root: Root,
    seal: Seal,
    payload: Option<Arc<[u8]>>,
    fragment: Option<Fragment>,
}

/// One proposer's broadcast, as one node sees it.
#[derive(Debug)]
pub(crate) struct Broadcast {
    committee: Committee,
    proposer: usize,
    payload_max_bytes: usize,
    code: Code,
    tally: Tally,
    vouched: Option<Vouched>,
    gathered: Gathered,
    /// The payload of the root with a quorum, once obtained, whether delivered or not.
    obtained: Option<(Root, Arc<[u8]>)>,
    delivered: bool,
    /// The root with a quorum commits to no payload.
    refused: bool,
    /// Fragments were asked for as soon as they were found lacking.
    asked: bool,
    /// A tick has passed since a payload was found lacking.
    overdue: bool,
    next_source: usize,
    /// Answers given to each peer's pulls; empty before the first.
    answers: Vec<u8>,
    /// Who was shown the seal that I vouch for.
    shown: NodeSet,
    /// Who sent a seal that was wrong, or another than I vouch for: one of each is looked at.
    contradicting: NodeSet,
    /// The proposer is proven guilty.
    convicted: bool,
}

impl Broadcast {
    pub fn new(committee: Committee, proposer: usize, payload_max_bytes: usize) -> Self {
        Self {
            committee,
            proposer,
            payload_max_bytes,
            code: Code::of(&committee),
            tally: Tally::default(),
            vouched: None,
            gathered: Gathered::default(),
            obtained: None,
            delivered: false,
            refused: false,
            asked: false,
            overdue: false,
            // Nodes that lack the same payload begin with different echoers.
            next_source: committee.me + 1,
            answers: Vec::new(),
            shown: NodeSet::default(),
            contradicting: NodeSet::default(),
            convicted: false,
        }
    }

    pub fn payload_max_bytes(&self) -> usize {
        self.payload_max_bytes
    }

    pub fn delivered(&self) -> Option<&Arc<[u8]>> {
        self.obtained.as_ref().filter(|_| self.delivered).map(|(_, payload)| payload)
    }

    #[cfg(acs_mutants)]
    pub fn has_payload(&self) -> bool {
        self.obtained.is_some() || self.vouched.as_ref().is_some_and(|vouched| vouched.payload.is_some())
    }

    /// My own payload; ignored if I already have one.
    pub fn propose(&mut self, payload: Arc<[u8]>, form: Form, seals: &impl Seals, out: &mut Outbox) {
        if self.vouched.is_some() {
            return;
        }
        match form {
            Form::Digest => {
                let root = digest_root(&payload);
                let seal = seals.seal(&root);
                out.propose(self.proposer, seal, payload.clone());
                self.restore_whole(root, seal, payload);
            }
            Form::Coded => {
                let commitment = Commitment::to(&payload, &self.code);
                let seal = seals.seal(&commitment.root());
                out.hold(self.proposer, seal, payload.clone());
                self.distribute(&commitment, seal, payload, out);
            }
        }
        self.resume(out);
    }

    pub fn on_payload(&mut self, from: usize, payload: Arc<[u8]>, seal: &Seal, seals: &impl Seals, out: &mut Outbox) {
        if payload.len() > self.payload_max_bytes {
            let proposer = self.proposer;
            return out.blame(from, FaultKind::PayloadTooLarge { proposer });
        }
        if let Some(vouched) = &self.vouched {
            if vouched.payload.as_ref() == Some(&payload) {
                let root = vouched.root;
                return self.on_payload_again(from, root, out);
            }
            if from == self.proposer {
                out.blame(from, FaultKind::TwoPayloads);
                if !self.contradicting.contains(from) {
                    self.on_seal(from, digest_root(&payload), seal, seals, out);
                }
            }
        }
        let first = self.is_first_from(from);
        let wanted = self.root_with_quorum().filter(|_| self.obtained.is_none());
        if !first && wanted.is_none() {
            return;
        }
        let root = digest_root(&payload);
        if wanted == Some(root) {
            self.take(root, payload.clone());
        }
        if first && self.accepts(from, &root, seal, seals, out) {
            out.hold(self.proposer, *seal, payload.clone());
            self.vouched = Some(Vouched { root, seal: *seal, payload: Some(payload), fragment: None });
            self.show_seals(out);
            self.on_vote(from, Kind::Echo, root, out);
            self.vote(Kind::Echo, root, out);
        }
        self.step(root, out);
    }

    /// The payload I vouch for. After a crash its proposer's ECHO is still news.
    fn on_payload_again(&mut self, from: usize, root: Root, out: &mut Outbox) {
        if from == self.proposer {
            self.on_vote(from, Kind::Echo, root, out);
        }
    }

    pub fn on_fragment(&mut self, from: usize, root: Root, fragment: Fragment, seals: &impl Seals, out: &mut Outbox) {
        let proposer = self.proposer;
        if fragment.payload_len_bytes > self.payload_max_bytes {
            return out.blame(from, FaultKind::PayloadTooLarge { proposer });
        }
        let mine = from == proposer && fragment.index == self.index_of(self.committee.me);
        if !mine && fragment.index != self.index_of(from) {
            return out.blame(from, FaultKind::Invalid);
        }
        if from == proposer && self.vouched.as_ref().is_some_and(|vouched| vouched.root != root) {
            out.blame(from, FaultKind::TwoPayloads);
            return self.on_seal(from, root, &fragment.seal, seals, out);
        }
        let needless = if mine { !self.is_first_from(from) } else { !self.lacks_fragments(&root) };
        if needless {
            return;
        }
        if !guard!(Branch, fragment.is_of(&root, &self.code, self.committee.n), true) {
            return out.blame(from, FaultKind::BadBranch { proposer });
        }
        if mine {
            if !self.accepts(from, &root, &fragment.seal, seals, out) {
                return;
            }
            out.hold_fragment(proposer, root, fragment.clone());
            self.vouch_for_fragment(root, fragment.clone());
            self.show_seals(out);
            self.pass_on(root, fragment, out);
            self.vote(Kind::Echo, root, out);
        } else if let Err(Contradiction) = self.tally.count(from, Kind::Echo, root) {
            return out.blame(from, FaultKind::TwoEchoes { proposer });
        } else {
            self.gathered.insert(from, root, fragment);
            self.on_echo_counted(from, root, out);
        }
        self.step(root, out);
    }

    pub fn on_vote(&mut self, from: usize, kind: Kind, root: Root, out: &mut Outbox) {
        let proposer = self.proposer;
        match (self.tally.count(from, kind, root), kind) {
            #[cfg(acs_mutants)]
            (Ok(Some(_)), Kind::Echo) if crate::mutant::is_out(crate::mutant::Guard::EchoHeld) => {
                self.vote(Kind::Echo, root, out);
                self.step(root, out);
            }
            #[cfg(acs_mutants)]
            (Ok(Some(_)), _) if !crate::mutant::is_whole() => self.step(root, out),
            // Rules wait for f+1 or n−f votes.
            (Ok(Some(count)), _) if self.committee.is_threshold(count) => self.step(root, out),
            (Ok(_), _) => {}
            (Err(Contradiction), Kind::Echo) => out.blame(from, FaultKind::TwoEchoes { proposer }),
            (Err(Contradiction), Kind::Ready) => out.blame(from, FaultKind::TwoReadies { proposer }),
        }
        if kind == Kind::Echo {
            self.on_echo_counted(from, root, out);
        }
    }

    /// READY for what the sender echoed, or will have echoed when that arrives.
    pub fn on_ready_as_echoed(&mut self, from: usize, out: &mut Outbox) {
        match self.tally.echo_of(from) {
            Some(root) => self.on_vote(from, Kind::Ready, root, out),
            None => self.tally.note_ready_early(from),
        }
    }

    fn on_echo_counted(&mut self, from: usize, root: Root, out: &mut Outbox) {
        if self.vouched.as_ref().is_some_and(|vouched| vouched.root != root) {
            self.show_seal(from, out);
        }
        if self.tally.take_ready_early(from) {
            self.on_vote(from, Kind::Ready, root, out);
        }
    }

    /// A seal of the proposer for another root than I vouch for is proof against it.
    pub fn on_seal(&mut self, from: usize, root: Root, seal: &Seal, seals: &impl Seals, out: &mut Outbox) {
        let proposer = self.proposer;
        let Some(Vouched { root: own, seal: own_seal, .. }) = &self.vouched else {
            return;
        };
        if *own == root || self.convicted || self.contradicting.contains(from) {
            return;
        }
        self.contradicting.insert(from);
        if !seals.is_sealed(proposer, &root, seal) {
            return out.blame(from, FaultKind::BadSeal { proposer });
        }
        self.convicted = true;
        let two = [SealedRoot { root: *own, seal: *own_seal }, SealedRoot { root, seal: *seal }];
        out.blame(proposer, FaultKind::TwoProposals(Box::new(two)));
    }

    /// `ticks` is how many ticks this node has seen.
    pub fn on_pull(&mut self, from: usize, root: Root, ticks: u64, out: &mut Outbox) {
        let proposer = self.proposer;
        let message = match &self.vouched {
            Some(Vouched { root: held, fragment: Some(fragment), .. }) if *held == root => {
                Message::Fragment { proposer, root, fragment: fragment.clone() }
            }
            Some(Vouched { root: held, seal, payload: Some(payload), .. }) if *held == root => {
                Message::Payload { proposer, seal: *seal, payload: payload.clone() }
            }
            _ => return,
        };
        self.answers.resize(self.committee.n, 0);
        let answers = &mut self.answers[from];
        if *answers < FREE_PULL_ANSWERS || ticks.checked_shr(u32::from(*answers)).unwrap_or(0) > 0 {
            *answers += 1;
            out.send(from, message);
        }
    }

    pub fn tick(&mut self, out: &mut Outbox) {
        if self.obtained.is_some() || self.refused {
            return;
        }
        let Some(root) = self.root_with_quorum() else {
            return;
        };
        if std::mem::replace(&mut self.overdue, true) {
            self.pull(root, out);
        }
    }

    /// Takes back a payload that the journal holds, mine or another's, in the digest form.
    pub fn restore_payload(&mut self, seal: Seal, payload: Arc<[u8]>) {
        self.restore_whole(digest_root(&payload), seal, payload);
    }

    fn restore_whole(&mut self, root: Root, seal: Seal, payload: Arc<[u8]>) {
        self.vouched = Some(Vouched { root, seal, payload: Some(payload), fragment: None });
        if self.proposer == self.committee.me {
            // It was my ECHO.
            self.restore_vote(Kind::Echo, root);
        }
    }

    /// Takes back a fragment of mine that the journal holds.
    pub fn restore_fragment(&mut self, root: Root, fragment: Fragment) {
        let mine = fragment.index == self.index_of(self.committee.me);
        // A journal never holds another's fragment or a wrong one; if it did, it would not count.
        if mine && fragment.is_of(&root, &self.code, self.committee.n) {
            self.vouch_for_fragment(root, fragment);
        }
    }

    /// Takes back my own proposal in the coded form, and sends its fragments again.
    pub fn restore_proposal(&mut self, seal: Seal, payload: Arc<[u8]>, out: &mut Outbox) {
        self.distribute(&Commitment::to(&payload, &self.code), seal, payload, out);
    }

    /// Sends the fragments of my own proposal.
    fn distribute(&mut self, commitment: &Commitment, seal: Seal, payload: Arc<[u8]>, out: &mut Outbox) {
        let (proposer, me) = (self.proposer, self.committee.me);
        let root = commitment.root();
        for fragment in commitment.fragments(seal) {
            let holder = self.holder_of(fragment.index);
            if holder != me {
                out.send(holder, Message::Fragment { proposer, root, fragment });
            } else {
                self.vouch_for_fragment(root, fragment.clone());
                self.pass_on(root, fragment, out);
            }
        }
        if let Some(vouched) = &mut self.vouched {
            vouched.payload = Some(payload);
        }
    }

    /// Takes back a vote of mine that the journal holds.
    pub fn restore_vote(&mut self, kind: Kind, root: Root) {
        // A journal never holds two votes of one kind; if it did, the first would stand.
        self.tally.count(self.committee.me, kind, root).ok();
    }

    /// Takes back that I was READY for what I had echoed; the journal has the ECHO before it.
    pub fn restore_ready_as_echoed(&mut self) {
        if let Some(root) = self.tally.echo_of(self.committee.me) {
            self.restore_vote(Kind::Ready, root);
        }
    }

    /// Does what the state calls for: what a crash may have cut off.
    pub fn resume(&mut self, out: &mut Outbox) {
        if let Some(root) = self.vouched.as_ref().map(|vouched| vouched.root) {
            self.vote(Kind::Echo, root, out);
            self.step(root, out);
        }
    }

    /// The rules that a new vote or fragment for `root` can set off.
    fn step(&mut self, root: Root, out: &mut Outbox) {
        let echoes = self.tally.votes(Kind::Echo, &root).len();
        let echoed = guard!(EchoQuorum, self.committee.is_quorum(echoes), self.committee.has_honest(echoes));
        let ready = self.tally.votes(Kind::Ready, &root).len();
        let deliverable = guard!(ReadyQuorum, self.committee.is_quorum(ready), self.committee.has_honest(ready));
        if self.obtained.is_none() && !self.refused && (echoed || deliverable) {
            self.obtain(root, out);
        }
        let held = self.obtained.as_ref().is_some_and(|(held, _)| *held == root);
        let relayed = guard!(ReadyHonest, self.committee.has_honest(ready), ready > 0);
        if (echoed && held) || relayed {
            self.vote(Kind::Ready, root, out);
        }
        if deliverable && held && !self.delivered {
            self.delivered = true;
            out.note_result();
        }
    }

    /// Gets hold of the payload of the root with a quorum, or at once asks for fragments that are missing.
    fn obtain(&mut self, root: Root, out: &mut Outbox) {
        let vouched = self.vouched.as_ref().filter(|vouched| vouched.root == root);
        if let Some(payload) = vouched.and_then(|vouched| vouched.payload.clone()) {
            return self.take(root, payload);
        }
        match self.gathered.payload(&root, &self.code) {
            Some(Ok(payload)) => self.take(root, payload.into()),
            Some(Err(NoPayload)) => {
                self.refused = true;
                self.gathered.clear();
                out.blame(self.proposer, FaultKind::BadEncoding { root });
            }
            None => {
                let coded = self.gathered.holders(&root).len() > 0;
                if coded && !std::mem::replace(&mut self.asked, true) {
                    self.pull(root, out);
                }
            }
        }
    }

    fn take(&mut self, root: Root, payload: Arc<[u8]>) {
        self.obtained = Some((root, payload));
        self.gathered.clear();
    }

    /// Asks as many echoers as payloads or fragments are missing.
    fn pull(&mut self, root: Root, out: &mut Outbox) {
        let mut known = self.gathered.holders(&root);
        let missing = if known.len() == 0 { 1 } else { self.code.data_pieces().saturating_sub(known.len() as usize) };
        for _ in 0..missing {
            let sources = self.tally.votes(Kind::Echo, &root).without(&known);
            let Some(source) = sources.next_member(self.next_source, self.committee.me) else {
                return;
            };
            known.insert(source);
            self.next_source = source + 1;
            out.send(source, Message::Pull { proposer: self.proposer, root });
        }
    }

    /// Casts my vote, unless I have cast one of this kind.
    fn vote(&mut self, kind: Kind, root: Root, out: &mut Outbox) {
        if guard!(EchoOnce, self.tally.has_voted(self.committee.me, kind), false) {
            return;
        }
        let (proposer, me) = (self.proposer, self.committee.me);
        out.vote(match kind {
            Kind::Echo => Vote::Echo { proposer, root },
            Kind::Ready if self.tally.echo_of(me) == Some(root) => {
                Vote::ReadyAsEchoed { proposers: InstanceSet::one(proposer as u16) }
            }
            Kind::Ready => Vote::Ready { proposer, root },
        });
        self.on_vote(me, kind, root, out);
    }

    /// Whether the proposer itself is heard for the first time.
    fn is_first_from(&self, from: usize) -> bool {
        guard!(ProposerAlone, from == self.proposer, true)
            && guard!(EchoOnce, self.vouched.is_none() && !self.contradicting.contains(from), true)
    }

    /// Whether the proposer made the seal that it sent; if not, nothing more is taken from it.
    fn accepts(&mut self, from: usize, root: &Root, seal: &Seal, seals: &impl Seals, out: &mut Outbox) -> bool {
        let proposer = self.proposer;
        let is_sealed = guard!(ProposerAlone, seals.is_sealed(proposer, root, seal), true);
        if !is_sealed {
            self.contradicting.insert(from);
            out.blame(from, FaultKind::BadSeal { proposer });
        }
        is_sealed
    }

    fn vouch_for_fragment(&mut self, root: Root, fragment: Fragment) {
        self.gathered.insert(self.committee.me, root, fragment.clone());
        self.vouched = Some(Vouched { root, seal: fragment.seal, payload: None, fragment: Some(fragment) });
    }

    /// Shows those who have echoed another root than I vouch for what its proposer sealed for me.
    fn show_seals(&mut self, out: &mut Outbox) {
        let Some(root) = self.vouched.as_ref().map(|vouched| vouched.root) else {
            return;
        };
        for node in self.tally.echoed_others(&root).iter() {
            self.show_seal(node, out);
        }
    }

    fn show_seal(&mut self, to: usize, out: &mut Outbox) {
        let Some(Vouched { root, seal, .. }) = &self.vouched else {
            return;
        };
        if to != self.proposer && !self.shown.contains(to) {
            self.shown.insert(to);
            out.send(to, Message::Seal { proposer: self.proposer, root: *root, seal: *seal });
        }
    }

    /// Sends my fragment to everybody if it is a part of the payload itself.
    fn pass_on(&self, root: Root, fragment: Fragment, out: &mut Outbox) {
        if fragment.index < self.code.data_pieces() {
            out.send_all(Message::Fragment { proposer: self.proposer, root, fragment });
        }
    }

    /// Whether more fragments of a root are of use.
    fn lacks_fragments(&self, root: &Root) -> bool {
        let enough = self.gathered.holders(root).len() as usize >= self.code.data_pieces();
        self.obtained.is_none() && !self.refused && !enough
    }

    /// The root that n−f are READY for, or n−f ECHO: never two different ones, as two quorums share an honest node.
    fn root_with_quorum(&self) -> Option<Root> {
        let quorum = |kind| self.tally.root_with(kind, |count| self.committee.is_quorum(count));
        quorum(Kind::Ready).or_else(|| quorum(Kind::Echo))
    }

    /// The fragment that a node keeps: counted from the proposer on, which is last and keeps none of the first k.
    fn index_of(&self, node: usize) -> usize {
        (node + self.committee.n - self.proposer - 1) % self.committee.n
    }

    fn holder_of(&self, index: usize) -> usize {
        (self.proposer + 1 + index) % self.committee.n
    }
}

#[cfg(test)]
#[path = "broadcast_tests.rs"]
mod tests;
