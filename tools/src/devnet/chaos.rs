//! What happens to the nodes, and when: which is killed, started again, asks to leave or to join; planned by hand, or at random from a seed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use constellation_simulator::chance::Chance;

/// Random kills are this far apart on average, or more: a node that is killed before it has started is no trouble to anybody.
pub const CHAOS_GAP_MIN: Duration = Duration::from_millis(500);

/// A node and a time after the load's start, written `NODE@TIME`, as in `2@15s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The node's number, from 0.
    pub node: usize,
    /// When.
    pub after: Duration,
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = || format!("expected NODE@TIME, as in 2@15s, got {text}");
        let (node, after) = text.split_once('@').ok_or_else(wanted)?;
        let node = node.parse().map_err(|_| wanted())?;
        Ok(At { node, after: parse_duration(after)? })
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{:?}", self.node, self.after)
    }
}

/// What can happen to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is killed.
    Kill,
    /// It is started again.
    Restart,
    /// It asks to leave the galaxy.
    Leave,
    /// It asks to join it.
    Join,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Kill => "killed",
            What::Restart => "started again",
            What::Leave => "asks to leave",
            What::Join => "asks to join",
        })
    }
}

/// What has not happened yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    events: Vec<(At, What)>,
}

impl Plan {
    /// Adds what is to happen to nodes at times.
    pub fn add(&mut self, what: What, times: &[At]) {
        self.events.extend(times.iter().map(|at| (*at, what)));
    }

    /// Takes out the restarts that are left, whenever they were due.
    pub fn take_restarts(&mut self) -> impl Iterator<Item = usize> {
        self.events.extract_if(.., |(_, what)| *what == What::Restart).map(|(at, _)| at.node)
    }

    /// Adds kills of `together` of `nodes` nodes at once, `times` times at moments of chance; each starts again at a moment of its own. Each time
    /// has its equal part of `duration`, so that all nodes run again before the next: though they may not have caught up with the others.
    pub fn add_random(&mut self, times: u32, together: usize, nodes: usize, duration: Duration, seed: u64) {
        let mut chance = Chance::new(seed);
        let part = duration / times.max(1);
        let part_us = u64::try_from(part.as_micros()).unwrap_or(u64::MAX).max(2);
        for number in 0..times {
            let at = |node, after_us| At { node, after: part * number + Duration::from_micros(after_us) };
            let kill_us = chance.below(part_us / 2);
            for node in chance.nodes(together, nodes) {
                self.events.push((at(node, kill_us), What::Kill));
                self.events.push((at(node, kill_us + 1 + chance.below(part_us - kill_us - 1)), What::Restart));
            }
        }
    }

    /// Takes out what is due, in the order of its time.
    pub fn due(&mut self, elapsed: Duration) -> Vec<(usize, What)> {
        let mut due: Vec<(At, What)> = self.events.extract_if(.., |(at, _)| at.after <= elapsed).collect();
        due.sort_by_key(|(at, _)| at.after);
        due.into_iter().map(|(at, what)| (at.node, what)).collect()
    }
}

/// A duration as users write it: `90s`, `1500ms`, `2m`, or seconds alone.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wanted = || format!("expected a duration such as 20s, 1500ms or 2m, got {text}");
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wanted())?;
    let factor_ms = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        _ => return Err(wanted()),
    };
    number.checked_mul(factor_ms).map(Duration::from_millis).ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_accidents_read_as_written() {
        assert_eq!(parse_duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(parse_duration("7"), Ok(Duration::from_secs(7)));
        assert_eq!(parse_duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "2h", "-3s", "99999999999999999999s", "99999999999999999m"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!("2@15s".parse(), Ok(At { node: 2, after: Duration::from_secs(15) }));
        assert!("2".parse::<At>().is_err() && "x@1s".parse::<At>().is_err());
    }

    #[test]
    fn random_kills_are_the_seeds_and_each_node_runs_again_before_the_next() {
        let (times, part) = (50, Duration::from_secs(2));
        let plan = |seed| {
            let mut plan = Plan::default();
            plan.add_random(times, 2, 7, part * times, seed);
            plan
        };
        let of =
            |what| plan(3).events.into_iter().filter(|event| event.1 == what).map(|(at, _)| at).collect::<Vec<_>>();
        let (kills, restarts) = (of(What::Kill), of(What::Restart));
        assert_eq!((kills.len(), restarts.len()), (100, 100));
        for (number, (kills, restarts)) in kills.chunks(2).zip(restarts.chunks(2)).enumerate() {
            let start = part * number as u32;
            assert!(kills[0].node < kills[1].node && kills[1].node < 7 && kills[0].after == kills[1].after);
            for (kill, restart) in kills.iter().zip(restarts) {
                assert_eq!(kill.node, restart.node);
                assert!(start <= kill.after && kill.after < restart.after && restart.after < start + part);
            }
        }
        assert!(plan(3) == plan(3) && plan(3) != plan(4));
    }

    #[test]
    fn events_fall_due_in_their_order_and_once() {
        let at = |node, seconds| At { node, after: Duration::from_secs(seconds) };
        let mut plan = Plan::default();
        plan.add(What::Kill, &[at(1, 5), at(2, 1)]);
        plan.add(What::Leave, &[at(0, 2)]);
        plan.add(What::Restart, &[at(2, 3), at(1, 9), at(2, 10)]);
        let due = [(2, What::Kill), (0, What::Leave), (2, What::Restart), (1, What::Kill)];
        assert_eq!(plan.due(Duration::from_secs(5)), due);
        assert_eq!(plan.due(Duration::from_secs(5)), []);
        assert_eq!(plan.due(Duration::from_secs(9)), [(1, What::Restart)]);
        assert_eq!(plan.take_restarts().collect::<Vec<_>>(), [2]);
        assert_eq!(plan, Plan::default());
    }
}
