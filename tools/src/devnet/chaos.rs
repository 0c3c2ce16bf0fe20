//! Planned accidents: which node is killed or started again, and when.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

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
}
