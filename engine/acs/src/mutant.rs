//! The guards of the protocol, each of which can be taken out, to see that a simulation then finds what was guarded against. Only in
//! builds with `--cfg acs_mutants`; one guard at a time, for all machines of a thread.

use std::cell::Cell;

use crate::message::Step;

macro_rules! guards {
    ($($(#[doc = $what:literal])+ $name:ident,)+) => {
        /// What a node must not do without.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Guard {
            $($(#[doc = $what])+ $name,)+
        }

        impl Guard {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

guards! {
    // Broadcast.
    /// Only the proposer's own message, under its seal, makes a node vouch for a payload; either would do for agreement.
    ProposerAlone,
    /// Nobody echoes what it does not hold.
    EchoHeld,
    /// One ECHO a broadcast.
    EchoOnce,
    /// READY on n−f ECHO, not f+1.
    EchoQuorum,
    /// READY on f+1 READY, not one.
    ReadyHonest,
    /// Delivery on n−f READY, not f+1.
    ReadyQuorum,
    /// A fragment's branch leads to its root.
    Branch,
    /// What was decoded makes the same root when it is encoded again.
    Reencoded,
    // Binary agreement, first part of a round.
    /// A bit is echoed on f+1 echoes, not one.
    EchoHonest,
    /// A bit is approved on n−f echoes, not f+1.
    Approval,
    /// echo3 of a bit on n−f echo2, not f+1.
    Echo2Quorum,
    /// echo3 of ⊥ with both bits approved, not one.
    BothApprovedForEcho3,
    /// y is a bit on n−f echo3, not f+1.
    Echo3Quorum,
    /// y is ⊥ with both bits approved, not on any n−f echo3.
    BothApprovedForBottom,
    /// y is ⊥ on n−f echo3, not f+1.
    BottomQuorum,
    /// One echo2, echo3, echo5 a round.
    OneVote,
    // Later rounds.
    /// A share leaves when the round's value is bound, not before.
    ShareAfterBinding,
    /// Shares are verified.
    ShareVerified,
    /// The smallest share is looked for among n−f, not in one's own alone.
    ShareQuorum,
    /// The coin waits for n−f smallest shares, not for one.
    CoinQuorum,
    /// Something is approved on n−f echo4, not f+1.
    Echo4Quorum,
    /// An output of n−f echo5, not f+1.
    Echo5Quorum,
    /// At grade 1 the approved bit is the estimate, not the coin.
    GradeOne,
    // Across rounds.
    /// A round with a fixed coin decides the coin's bit only.
    DecideCoin,
    /// A round's rules are obeyed once it is entered, not before.
    RoundOrder,
    /// f+1 DECIDED decide, not one.
    DecidedHonest,
    /// Who has decided helps until n−f have.
    HelpAfterDeciding,
    /// Votes for rounds far ahead are refused.
    RoundsAhead,
    /// A second vote in a step does not count.
    FirstVoteCounts,
    // The frame.
    /// Input 1 on delivery, not when the payload is obtained.
    InputAfterDelivery,
    /// Input 0 once n−f agreements have decided 1, not before.
    InputZeroLate,
    /// Votes are taken back from the journal after a crash.
    VotesRestored,
    /// Payloads are taken back from the journal after a crash.
    PayloadsRestored,
}

thread_local! {
    static OUT: Cell<Option<Guard>> = const { Cell::new(None) };
}

/// Takes a guard out of all machines of this thread, or puts the last one back.
pub fn take_out(guard: Option<Guard>) {
    OUT.set(guard);
}

pub(crate) fn is_out(guard: Guard) -> bool {
    OUT.get() == Some(guard)
}

/// Whether the step's quorum is f+1 instead of n−f.
pub(crate) fn is_quorum_out(step: Step) -> bool {
    match step {
        Step::Echo => is_out(Guard::Approval),
        Step::Echo2 => is_out(Guard::Echo2Quorum),
        Step::Echo3 => is_out(Guard::Echo3Quorum),
        Step::Echo4 => is_out(Guard::Echo4Quorum),
        Step::Echo5 => is_out(Guard::Echo5Quorum),
    }
}

/// Whether all guards are in place.
pub(crate) fn is_whole() -> bool {
    OUT.get().is_none()
}
