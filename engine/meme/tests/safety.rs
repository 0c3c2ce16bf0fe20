//! The safety gate against published numbers, against enumeration of every committee, and against itself.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

use constellation_meme::{
    Bucket, Committees, Ratio, SEATS_MAX, SafetyError, failure_probability, fault_bound, smallest_committee,
};
use proptest::prelude::*;

fn bucket(members: u32, faulty: u32, seats: u32) -> Bucket {
    Bucket { members, faulty, seats }
}

fn failure(buckets: &[Bucket]) -> Ratio {
    failure_probability(buckets).unwrap()
}

fn ratio(text: &str) -> Ratio {
    text.parse().unwrap()
}

#[test]
fn reference_probabilities_of_a_uniform_draw() {
    for (faulty, expected) in [(200, "1.28e-11"), (333, "1.06e-5"), (500, "2.45e-2")] {
        assert_eq!(failure(&[bucket(2000, faulty, 100)]).to_string(), expected, "{faulty} of 2000");
    }
}

#[test]
fn reference_committee_sizes() {
    let bound = ratio("1e-6");
    for (faulty, expected) in [(200, 52), (333, 124), (400, 202), (500, 481)] {
        let (seats, found) = smallest_committee(2000, faulty, &bound, SEATS_MAX).unwrap().unwrap();
        assert_eq!(seats, expected, "{faulty} of 2000");
        assert!(found <= bound && failure(&[bucket(2000, faulty, seats - 3)]) > bound);
        assert_eq!(found, failure(&[bucket(2000, faulty, seats)]));
        assert_eq!(smallest_committee(2000, faulty, &bound, seats - 1), Ok(None));
    }
}

#[test]
fn five_buckets_with_most_faults_at_the_bottom_are_safer_than_a_uniform_draw() {
    let rows = [(20, 40), (60, 25), (120, 20), (240, 10), (380, 5)];
    let buckets = rows.map(|(faulty, seats)| bucket(400, faulty, seats));
    assert_eq!(failure(&buckets).scientific(2), "8.1e-4");
    assert_eq!(failure(&[bucket(2000, 820, 100)]).scientific(2), "9.4e-1");
}

#[test]
fn a_large_population_is_as_quick_as_a_small_one() {
    let (seats, found) = smallest_committee(1_000_000, 100_000, &ratio("1e-9"), 128).unwrap().unwrap();
    assert_eq!(found, failure(&[bucket(1_000_000, 100_000, seats)]));
    assert!(failure(&[bucket(u32::MAX, u32::MAX / 4, SEATS_MAX)]) < ratio("1e-6"));
}

#[test]
fn certain_ends_are_exactly_0_and_1() {
    for (buckets, expected) in [
        (vec![bucket(100, 0, 100)], 0),
        (vec![bucket(100, 33, 100)], 0),
        (vec![bucket(100, 34, 100)], 1),
        (vec![bucket(100, 100, 1)], 1),
        (vec![bucket(100, 1, 4)], 0),
        (vec![bucket(10, 9, 7), bucket(10, 0, 3)], 1),
        (vec![bucket(10, 10, 3), bucket(10, 0, 7)], 0),
    ] {
        assert_eq!(failure(&buckets), Ratio::from(expected), "{buckets:?}");
    }
    assert_eq!(failure(&[bucket(3, 1, 1)]), ratio("1/3"));
}

#[test]
fn what_is_no_committee_is_refused() {
    let refused = |buckets: &[Bucket]| failure_probability(buckets).unwrap_err();
    assert_eq!(refused(&[bucket(5, 6, 1)]), SafetyError::Faulty { faulty: 6, members: 5 });
    assert_eq!(refused(&[bucket(5, 1, 6)]), SafetyError::Seats { seats: 6, members: 5 });
    assert_eq!(refused(&[]), SafetyError::Committee(0));
    assert_eq!(refused(&[bucket(5, 1, 0)]), SafetyError::Committee(0));
    assert_eq!(
        refused(&[bucket(9999, 1, SEATS_MAX), bucket(5, 1, 1)]),
        SafetyError::Committee(u64::from(SEATS_MAX) + 1)
    );
    assert_eq!(refused(&[bucket(u32::MAX, 1, u32::MAX); 3]), SafetyError::Committee(3 * u64::from(u32::MAX)));
    assert_eq!(Committees::new(5, 6).unwrap_err(), SafetyError::Faulty { faulty: 6, members: 5 });
    assert_eq!(smallest_committee(0, 0, &ratio("1"), 128), Ok(None));
}

/// Every committee there is, counted: members of a bucket are the bits of a number, the faulty ones the lowest.
fn by_enumeration(buckets: &[Bucket]) -> Ratio {
    let mut by_faulty = vec![1u64];
    for bucket in buckets {
        let mut with_bucket = vec![0; by_faulty.len() + bucket.seats as usize];
        let committees = (0u32..1 << bucket.members).filter(|drawn| drawn.count_ones() == bucket.seats);
        for drawn in committees {
            let faulty = (drawn & ((1 << bucket.faulty) - 1)).count_ones() as usize;
            for (before, count) in by_faulty.iter().enumerate() {
                with_bucket[before + faulty] += count;
            }
        }
        by_faulty = with_bucket;
    }
    let seats: u32 = buckets.iter().map(|bucket| bucket.seats).sum();
    let failing: u64 = by_faulty.iter().skip(fault_bound(seats) as usize + 1).sum();
    ratio(&format!("{failing}/{}", by_faulty.iter().sum::<u64>()))
}

/// A bucket of at most `members_max` members with seats for some of them.
fn any_bucket(members_max: u32) -> impl Strategy<Value = Bucket> {
    (1..=members_max).prop_flat_map(|members| {
        (0..=members, 0..=members).prop_map(move |(faulty, seats)| bucket(members, faulty, seats))
    })
}

proptest! {
    #[test]
    fn every_committee_is_counted_once(buckets in prop::collection::vec(any_bucket(9), 1..4)) {
        prop_assume!(buckets.iter().any(|bucket| bucket.seats > 0));
        prop_assert_eq!(failure(&buckets), by_enumeration(&buckets));
    }

    #[test]
    fn one_more_faulty_member_makes_no_committee_safer(one in any_bucket(300), other in any_bucket(300)) {
        prop_assume!(one.faulty < one.members && one.seats > 0);
        let more = Bucket { faulty: one.faulty + 1, ..one };
        prop_assert!(failure(&[one]) <= failure(&[more]));
        prop_assert!(failure(&[one, other]) <= failure(&[more, other]));
    }

    #[test]
    fn the_order_of_buckets_and_those_without_seats_do_not_matter(one in any_bucket(200), other in any_bucket(200)) {
        prop_assume!(one.seats > 0);
        prop_assert_eq!(failure(&[one, other]), failure(&[other, one]));
        prop_assert_eq!(failure(&[one, Bucket { seats: 0, ..other }]), failure(&[one]));
    }

    /// The recurrence and the convolution are two ways to one number.
    #[test]
    fn growing_committees_are_those_of_one_bucket(members in 1u32..400, share in 0u32..=100) {
        let faulty = members * share / 100;
        let sizes: Vec<_> = Committees::new(members, faulty).unwrap().collect();
        for (seats, found) in &sizes {
            prop_assert_eq!(found, &failure(&[bucket(members, faulty, *seats)]), "{} seats", seats);
        }
        // It ends for want of members, or where honest ones cannot fill a quorum.
        let next = 3 * sizes.len() as u32 + 1;
        let is_certain = || failure(&[bucket(members, faulty, next)]) == Ratio::from(1);
        prop_assert!(next > members || is_certain());
    }
}
