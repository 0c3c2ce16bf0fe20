//! What things cost: every constant of the planner's model, each with where it was measured. The tables are those of
//! benches/RESULTS.md, of two shared cores of a Zen 4 server: an operator whose machines differ gives flags.

use constellation_chain::{COMMITTEE_MAX, FIXED_LEN_BYTES, LshHeader};
use constellation_node::{PROPOSAL_MAX_BYTES, ROUND_INTERVAL_US, ROUND_MAX_BYTES, ROUNDS_AHEAD_OF_GALAXY};

/// Default round trip, in milliseconds: between the continents' data centres some 80 to 150. A choice, not measured.
pub const ROUND_TRIP_MS: f64 = 100.0;

/// Default signatures a second and core: "Verification on the CPU", avx512, new keys, batch 4096.
pub const VERIFY_PER_S: f64 = 475_200.0;

/// Default record of a transaction: a transfer without payload.
pub const TRANSACTION_BYTES: u32 = FIXED_LEN_BYTES as u32;

/// Default cores of a node. A choice, not measured.
pub const CORES: u32 = 16;

/// Default link, in megabits a second. A choice, not measured.
pub const UPLINK_MBIT: f64 = 1000.0;

/// The part of a core or a link that a plan uses at most: what is left takes bursts, restarts and faulty peers. A choice.
pub const LOAD_MAX: f64 = 0.8;

/// Signatures of a transaction: one of each party.
pub const SIGNATURES: f64 = 2.0;

/// Processor time of a transaction in the core's stage, in seconds, at each node: "Networks", 40 µs for four nodes.
///
/// The nodes measured were facilitators and validators at once, so that this and the next constant are above what one of
/// the roles takes.
pub const CORE_S: f64 = 40e-6 / 4.0;

/// Processor time of a transaction in the other stages but for its signatures: "Networks", of four nodes net 11 µs, log 4,
/// and of verify's 25 those 8 that are not the 17 of signatures.
pub const HANDLING_S: f64 = (11e-6 + 4e-6 + 8e-6) / 4.0;

/// One-way delays of a reliable broadcast, of the agreement on what it brought, and of the signatures that certify a block:
/// "Simulated attacks", six in the common case, and one exchange of shares.
pub const BROADCAST_DELAYS: f64 = 3.0;
/// See [`BROADCAST_DELAYS`].
pub const AGREEMENT_DELAYS: f64 = 3.0;
/// See [`BROADCAST_DELAYS`].
pub const CERTIFICATE_DELAYS: f64 = 1.0;

/// Bytes of all nodes' votes in an epoch of n nodes ÷ n³: "The common subset", bytes less the n − 1 copies of the payload,
/// are 38.5, 36.0, 35.4, 35.0 and 34.8 at n = 4, 16, 31, 64 and 128.
const VOTE_BYTES: f64 = 36.0;

/// Processor time of all n nodes for an epoch, in milliseconds: "The common subset".
const ACS_CPU_MS: [(f64, f64); 5] = [(4.0, 0.31), (16.0, 1.52), (31.0, 6.18), (64.0, 34.35), (128.0, 207.84)];

/// Processor time of a facilitator for a cluster's round, for each other member, in seconds, certificates aside: "Scale", devnets of 4, 8 and 16
/// nodes. It is most of what a round costs: journal, sockets, wake-ups and encryption, of which [`acs_cpu_s`] has nothing.
pub const CLUSTER_PEER_S: f64 = 0.24e-3;
/// The part of it in the core's stage.
pub const CLUSTER_PEER_CORE_S: f64 = 0.145e-3;
/// Processor time of a validator for a galaxy's round, in seconds, however many others there are, and for each other one: "Scale".
pub const GALAXY_ROUND_S: f64 = 2.4e-3;
/// See [`GALAXY_ROUND_S`].
pub const GALAXY_PEER_S: f64 = 0.28e-3;
/// The parts of them in the core's stage.
pub const GALAXY_ROUND_CORE_S: f64 = 0.7e-3;
/// See [`GALAXY_ROUND_CORE_S`].
pub const GALAXY_PEER_CORE_S: f64 = 0.25e-3;

/// What a transaction costs a node more where transactions come one by one and nothing is done in bulk, in seconds: "Scale", 45 µs
/// instead of some 20.
pub const IDLE_TRANSACTION_S: f64 = 25e-6;

/// Signatures a second where a certificate is checked by itself, which the core's stage does: "Other batch sizes", avx512, batch 8.
pub const CERTIFICATE_VERIFY_PER_S: f64 = 136_000.0;

/// One-way delays more of a galaxy's round that follows another without a pause, when some propose late and may be voted out with the second coin: "Scale",
/// 2.7 with 4 nodes and 1.6 with 8.
pub const LATE_PROPOSAL_DELAYS: f64 = 2.0;

/// Bytes that a vote message has besides its votes, and of a certificate share: "Scale".
pub const MESSAGE_BYTES: f64 = 20.0;
/// See [`MESSAGE_BYTES`].
pub const SHARE_BYTES: f64 = 96.0;

/// Rounds of a cluster that may be under way before the galaxy has settled the first.
pub const ROUNDS_AHEAD: f64 = ROUNDS_AHEAD_OF_GALAXY as f64;
/// The least time between the starts of a cluster's rounds, in seconds.
pub const ROUND_INTERVAL_MIN_S: f64 = ROUND_INTERVAL_US as f64 / 1e6;

/// Seconds of a Julian year.
pub const YEAR_S: f64 = 365.25 * 86_400.0;

/// Bytes of votes that one of `seats` members sends, and receives, in a round.
pub fn vote_bytes(seats: f64) -> f64 {
    VOTE_BYTES * seats * seats
}

/// Processor time of one of `seats` members for a round of the common subset, in seconds: the measured table, by straight
/// lines between its rows on logarithmic axes; below its first row as there.
pub fn acs_cpu_s(seats: f64) -> f64 {
    let seats = seats.clamp(ACS_CPU_MS[0].0, COMMITTEE_MAX as f64);
    let upper = ACS_CPU_MS.iter().skip(1).position(|row| seats <= row.0).unwrap_or(ACS_CPU_MS.len() - 2);
    let ((low, low_ms), (high, high_ms)) = (ACS_CPU_MS[upper], ACS_CPU_MS[upper + 1]);
    let place = (seats / low).ln() / (high / low).ln();
    let all_ms = low_ms * (high_ms / low_ms).powf(place);
    all_ms / 1e3 / seats
}

/// Bytes that a round of a cluster with `seats` facilitators can hold, if it need not share them with other clusters.
pub fn round_max_bytes(seats: f64) -> f64 {
    (ROUND_MAX_BYTES as f64).min(seats * PROPOSAL_MAX_BYTES as f64)
}

/// Bytes of a certified LSH block's header, as validators propose it: a signature of 64 bytes of each of the quorum.
pub fn block_bytes(quorum: f64) -> f64 {
    size_of::<LshHeader>() as f64 + 16.0 + 64.0 * quorum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_subsets_cost_is_the_tables_and_rises_between() {
        for (seats, all_ms) in ACS_CPU_MS {
            assert!((acs_cpu_s(seats) * seats * 1e3 / all_ms - 1.0).abs() < 1e-9, "{seats}");
        }
        for seats in 4..COMMITTEE_MAX {
            let (here, next) = (acs_cpu_s(seats as f64), acs_cpu_s(seats as f64 + 1.0));
            assert!(next > here && next < 1.1 * here, "{seats}: {here} {next}");
        }
    }

    #[test]
    fn votes_are_within_a_tenth_of_what_was_measured() {
        for (seats, bytes, copies) in [(4.0, 752_463.0, 3.0), (31.0, 8_553_450.0, 30.0), (128.0, 104_746_933.0, 127.0)]
        {
            let measured: f64 = bytes - copies * 250_000.0;
            assert!((vote_bytes(seats) * seats / measured - 1.0).abs() < 0.1, "{seats}");
        }
    }
}
