//! Amounts as people write them: decimal noos with up to eight places, read and written exactly, without floating point.

use constellation_chain::UNITS_PER_NOOS;
use std::fmt;
use std::str::FromStr;

const PLACES: usize = 8;

/// An amount in 10^-8 noos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub u64);

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a decimal number.
    #[error("{0:?} is no amount: write noos as digits with a point, such as 12 or 0.00000001")]
    Malformed(String),
    /// More places than the coin has.
    #[error("{0:?} has more than {PLACES} places; the smallest amount is 0.00000001 noos")]
    TooFine(String),
    /// More than the protocol can count.
    #[error("{0:?} is above the largest amount, {max} noos", max = Amount(u64::MAX))]
    TooLarge(String),
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) {
            return Err(AmountError::Malformed(text.to_owned()));
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > PLACES {
            return Err(AmountError::TooFine(text.to_owned()));
        }
        let units = format!("{fraction:0<PLACES$}").parse::<u64>().ok();
        whole
            .parse::<u64>()
            .ok()
            .and_then(|whole| whole.checked_mul(UNITS_PER_NOOS))
            .zip(units)
            .and_then(|(whole, units)| whole.checked_add(units))
            .map(Amount)
            .ok_or_else(|| AmountError::TooLarge(text.to_owned()))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, units) = (self.0 / UNITS_PER_NOOS, self.0 % UNITS_PER_NOOS);
        let fraction = format!("{units:0PLACES$}");
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            fraction => write!(f, "{whole}.{fraction}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, units) in [
            ("0", 0),
            ("1", 100_000_000),
            ("1.5", 150_000_000),
            ("0.00000001", 1),
            ("007.10", 710_000_000),
            ("0.1000000000000", 10_000_000),
            ("184467440737.09551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Amount(units)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "1.2.3", "1.+5", "٣"] {
            assert_eq!(text.parse::<Amount>(), Err(AmountError::Malformed(text.into())), "{text}");
        }
        assert!(matches!("0.000000001".parse::<Amount>(), Err(AmountError::TooFine(_))));
        for text in ["184467440737.09551616", "184467440738", "99999999999999999999999"] {
            assert!(matches!(text.parse::<Amount>(), Err(AmountError::TooLarge(_))), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for units in [0, 1, 99_999_999, 100_000_000, 100_000_001, 1_234_567_890, u64::MAX] {
            assert_eq!(Amount(units).to_string().parse(), Ok(Amount(units)));
        }
        assert_eq!(Amount(150_000_000).to_string(), "1.5");
    }
}
