use proptest::prelude::*;

use super::graph::Star;
use super::*;
use crate::Hash;

const NO_LIMITS: MoveLimits = MoveLimits { moves: usize::MAX, overload_percent: 25, sweeps: u32::MAX };

/// A star at home in cluster `number % clusters` of any number of clusters that divides 256.
fn star(number: u16) -> PublicKey {
    let mut key = [0; 32];
    key[..2].copy_from_slice(&number.to_le_bytes());
    PublicKey(key)
}

/// One epoch of transfers, each given so many times.
fn traffic(transfers: impl IntoIterator<Item = (u16, u16, u32)>) -> Traffic {
    let mut traffic = Traffic::new(TrafficLimits::default(), Hash::ZERO);
    for (a, b, count) in transfers {
        (0..count).for_each(|_| traffic.record(star(a), star(b)));
    }
    traffic.end_epoch(Hash::ZERO);
    traffic
}

/// Every two of these stars, once.
fn clique(stars: &[u16]) -> Vec<(u16, u16, u32)> {
    stars.iter().enumerate().flat_map(|(index, a)| stars[..index].iter().map(move |b| (*a, *b, 1))).collect()
}

fn loads(placement: &Placement, traffic: &Traffic) -> Vec<u64> {
    let mut loads = vec![0; placement.clusters() as usize];
    for edge in traffic.edges() {
        for star in &edge.stars {
            loads[placement.cluster_of(star) as usize] += u64::from(edge.weight);
        }
    }
    loads
}

/// What the search makes small: (sum of overloads, cut).
fn objective(placement: &Placement, traffic: &Traffic) -> (u64, u64) {
    let loads = loads(placement, traffic);
    let ceiling = search::ceiling(&loads, NO_LIMITS.overload_percent);
    let is_cut = |edge: &&traffic::Edge| placement.cluster_of(&edge.stars[0]) != placement.cluster_of(&edge.stars[1]);
    let cut = traffic.edges().iter().filter(is_cut).map(|edge| u64::from(edge.weight)).sum();
    (loads.iter().map(|load| load.saturating_sub(ceiling)).sum(), cut)
}

#[test]
fn stars_spread_over_the_clusters() {
    let mut counts = [0; 4];
    for byte in 0..=255u8 {
        counts[home_cluster(&crate::SecretKey::from_seed([byte; 32]).public_key(), 4) as usize] += 1;
    }
    assert!(counts.iter().all(|count| *count > 40), "{counts:?}");
}

#[test]
fn two_communities_are_separated_exactly() {
    // Both are spread over both clusters: 5 and 3 stars of one, 3 and 5 of the other. One edge joins them.
    let (one, other) = ([0, 2, 4, 6, 8, 1, 3, 5], [10, 12, 14, 7, 9, 11, 13, 15]);
    let traffic = traffic([clique(&one), clique(&other), vec![(0, 10, 1)]].concat());
    let mut placement = Placement::new(2);
    let moves = placement.moves(&traffic, NO_LIMITS);
    let expected = [(1, 1, 0), (3, 1, 0), (5, 1, 0), (10, 0, 1), (12, 0, 1), (14, 0, 1)];
    assert_eq!(moves, expected.map(|(number, from, to)| Move { star: star(number), from, to }));

    placement.apply(&moves);
    assert_eq!(placement.away(), 6);
    assert_eq!(objective(&placement, &traffic), (0, u64::from(TRANSFER_WEIGHT)));
    assert_eq!(placement.moves(&traffic, NO_LIMITS), []);
}

#[test]
fn a_star_that_moves_home_is_no_longer_away() {
    let mut placement = Placement::new(2);
    let away = Move { star: star(4), from: 0, to: 1 };
    placement.apply(&[away]);
    assert_eq!((placement.cluster_of(&star(4)), placement.away()), (1, 1));
    placement.apply(&[Move { from: 1, to: 0, ..away }]);
    assert_eq!((placement.cluster_of(&star(4)), placement.away()), (0, 0));
}

#[test]
fn when_few_may_move_those_that_gain_most_do() {
    // Stars 1 and 3 trade with cluster 0, the second more; enough goes on in both clusters that there is room.
    let traffic = traffic([(0, 1, 2), (2, 3, 3), (0, 2, 30), (5, 7, 30)]);
    let limits = MoveLimits { moves: 1, ..NO_LIMITS };
    let moves = Placement::new(2).moves(&traffic, limits);
    assert_eq!(moves, [Move { star: star(3), from: 1, to: 0 }]);
    assert_eq!(Placement::new(2).moves(&traffic, MoveLimits { moves: 0, ..limits }), []);
}

#[test]
fn an_overloaded_cluster_sheds_stars_even_to_where_they_have_no_traffic() {
    // Pairs that all live in cluster 0 of 4; the other clusters are empty.
    let traffic = traffic((0..16).map(|pair| (8 * pair, 8 * pair + 4, 1)));
    let mut placement = Placement::new(4);
    assert_eq!(loads(&placement, &traffic), [512, 0, 0, 0]);
    placement.apply(&placement.moves(&traffic, NO_LIMITS));
    let (overload, cut) = objective(&placement, &traffic);
    assert_eq!(overload, 0, "{:?}", loads(&placement, &traffic));
    assert_eq!(cut, 0, "a pair follows its first star");
}

#[test]
fn a_star_too_heavy_for_any_cluster_stays_and_the_others_make_room() {
    // Star 0 has half of all load, and the ceiling is 5/16; those it trades with stay at home.
    let traffic = traffic((1..=16).map(|other| (0, other, 1)));
    let mut placement = Placement::new(4);
    placement.apply(&placement.moves(&traffic, NO_LIMITS));
    assert_eq!(placement.cluster_of(&star(0)), 0);
    assert_eq!(loads(&placement, &traffic)[0], 16 * u64::from(TRANSFER_WEIGHT));
}

proptest! {
    #[test]
    fn moves_keep_the_limits_and_serve_the_objective(
        transfers in prop::collection::vec((0u16..40, 0u16..40, 1u32..4), 1..200),
        clusters in prop::sample::select(vec![1u32, 2, 4, 16]),
        moves_max in 0usize..40,
        sweeps in 1u32..4,
    ) {
        let traffic = traffic(transfers);
        let mut placement = Placement::new(clusters);
        let before = loads(&placement, &traffic);
        let ceiling = search::ceiling(&before, 25);
        let mut last = objective(&placement, &traffic);
        for limits in [MoveLimits { moves: moves_max, sweeps, ..NO_LIMITS }, NO_LIMITS] {
            let moves = placement.moves(&traffic, limits);
            prop_assert!(moves.len() <= limits.moves);
            prop_assert!(moves.is_sorted_by(|one, next| one.star < next.star));
            for Move { star, from, to } in &moves {
                prop_assert!(placement.cluster_of(star) == *from && from != to && *to < clusters);
            }
            placement.apply(&moves);
            let now = objective(&placement, &traffic);
            prop_assert!(now < last || (now == last && moves.is_empty()));
            last = now;
        }
        for (now, before) in loads(&placement, &traffic).into_iter().zip(before) {
            prop_assert!(now <= ceiling.max(before));
        }
        // Nothing is left to do, and every cluster that is still overloaded has only stars for which no other has room.
        prop_assert_eq!(placement.moves(&traffic, NO_LIMITS), []);
    }

    #[test]
    fn a_star_goes_where_it_trades_unless_its_cluster_is_overloaded(
        transfers in prop::collection::vec((0u16..40, 0u16..40, 1u32..4), 1..100),
        clusters in prop::sample::select(vec![2u32, 4, 16]),
    ) {
        let traffic = traffic(transfers);
        let graph = Graph::new(traffic.edges());
        let placement = Placement::new(clusters);
        let places: Vec<u32> = graph.stars.iter().map(|star| placement.cluster_of(star)).collect();
        let loads = loads(&placement, &traffic);
        let ceiling = search::ceiling(&loads, 25);
        let mut search = Search::new(&graph, places.clone(), clusters, NO_LIMITS);
        for star in 0..graph.stars.len() as Star {
            let is_overloaded = loads[places[star as usize] as usize] > ceiling;
            let Some(choice) = search.choose(star) else { continue };
            prop_assert_eq!(choice.is_relief, is_overloaded);
            let trades = graph.neighbours(star).iter().any(|(other, _)| places[*other as usize] == choice.to);
            prop_assert!(trades || is_overloaded);
            prop_assert!(choice.gain >= i64::from(TRANSFER_WEIGHT) || is_overloaded);
        }
    }
}

#[test]
fn a_split_and_a_merge_move_the_stars_of_their_cluster_alone() {
    let mut placement = Placement::new(3);
    let stars: Vec<PublicKey> = (0..3000).map(star).collect();
    let homes = |placement: &Placement| stars.iter().map(|star| placement.cluster_of(star)).collect::<Vec<_>>();
    let before = homes(&placement);
    assert_eq!(placement.split(1), Some(3));
    let after = homes(&placement);
    let went = before.iter().zip(&after).filter(|(from, to)| from != to);
    let went: Vec<_> = went.inspect(|(from, to)| assert_eq!((**from, **to), (1, 3))).collect();
    assert!((400..600).contains(&went.len()), "{} of a thousand went", went.len());
    placement.merge(3, 1);
    assert_eq!(homes(&placement), before);
    assert_eq!((placement.live(), placement.clusters()), (vec![0, 1, 2], 4));
    assert_eq!(placement.split(0), Some(3), "an id that is free is taken again");
    assert_eq!(placement.split(7), None, "there is no such cluster");
}

#[test]
fn clusters_split_until_there_are_enough() {
    let mut placement = Placement::new(1);
    for count in 1..CLUSTERS_MAX {
        // Each generation in turn, so that slots double no more often than they must.
        placement.split(count - (1 << count.ilog2())).unwrap();
    }
    assert_eq!(placement.live(), (0..CLUSTERS_MAX).collect::<Vec<_>>());
    assert_eq!(placement.split(0), None);
    let mut counts = vec![0; CLUSTERS_MAX as usize];
    (0..=u16::MAX).for_each(|number| counts[placement.cluster_of(&star(number)) as usize] += 1);
    assert!(counts.iter().all(|count| *count > 0));
}

#[test]
fn who_was_moved_stays_through_a_split_and_goes_along_with_a_merge() {
    let mut placement = Placement::new(2);
    placement.apply(&[Move { star: star(4), from: 0, to: 1 }]);
    placement.split(1);
    assert_eq!(placement.cluster_of(&star(4)), 1);
    placement.merge(1, 2);
    assert_eq!((placement.cluster_of(&star(4)), placement.away()), (2, 1));
    placement.merge(2, 0);
    assert_eq!((placement.cluster_of(&star(4)), placement.away()), (0, 0));
}
