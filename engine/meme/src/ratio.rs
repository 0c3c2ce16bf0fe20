//! Exact fractions: read from decimal text, compared, and written as decimal text, without floating point.

use num_bigint::BigUint;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The longest text that is read as a fraction, in bytes.
pub const TEXT_LEN_MAX: usize = 256;

/// The largest exponent of ten that is read, either way: larger ones would only cost memory.
const EXPONENT_MAX: u32 = 9999;

/// A fraction that is not negative, exact; kept as it comes, not in lowest terms.
///
/// Its texts: a decimal number, with an exponent if one likes (`0.001`, `1e-9`); such a number and `%`; or `a/b`.
#[derive(Clone, Debug)]
pub struct Ratio {
    numerator: BigUint,
    /// Never zero.
    denominator: BigUint,
}

/// Why a text is no fraction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RatioError {
    /// Neither a decimal number nor a fraction.
    #[error("{0:?} is no number: write 0.001, 1e-9, 20% or 1/3")]
    Malformed(String),
    /// A denominator of zero.
    #[error("{0:?} divides by zero")]
    ByZero(String),
    /// An exponent that nobody means.
    #[error("{0:?} has an exponent beyond ±{EXPONENT_MAX}")]
    Exponent(String),
    /// A text that nobody means.
    #[error("a number of {0} bytes: at most {TEXT_LEN_MAX} are read")]
    Length(usize),
}

impl Ratio {
    /// `numerator` / `denominator`, which the caller knows is not zero.
    pub(crate) fn new(numerator: BigUint, denominator: BigUint) -> Self {
        debug_assert_ne!(denominator, BigUint::ZERO);
        Self { numerator, denominator }
    }

    /// Whether it is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.numerator == BigUint::ZERO
    }

    /// This fraction times `factor`.
    #[must_use]
    pub fn times(&self, factor: u64) -> Self {
        Self { numerator: &self.numerator * factor, denominator: self.denominator.clone() }
    }

    /// The smallest integer that is not below it; none above `u64::MAX`.
    #[must_use]
    pub fn ceil(&self) -> Option<u64> {
        let above = &self.numerator + &self.denominator - 1u32;
        u64::try_from(above / &self.denominator).ok()
    }

    /// Decimal scientific text with `digits` significant digits (one at least), such as `1.28e-11`; zero is `0`. Rounded to
    /// the nearest, halves up.
    #[must_use]
    pub fn scientific(&self, digits: u32) -> String {
        if self.is_zero() {
            return "0".to_owned();
        }
        let digits = digits.max(1);
        let ten = BigUint::from(10u32);
        let (least, beyond) = (ten.pow(digits - 1), ten.pow(digits));
        // log10 2 = 0.30103…; the guess is one off at most, and the loop below mends it.
        let bits = self.numerator.bits() as i64 - self.denominator.bits() as i64;
        let mut exponent = (bits * 30_103).div_euclid(100_000);
        loop {
            let (mut numerator, mut denominator) = (self.numerator.clone(), self.denominator.clone());
            let shift = i64::from(digits - 1) - exponent;
            let scale = ten.pow(shift.unsigned_abs() as u32);
            if shift >= 0 {
                numerator *= scale
            } else {
                denominator *= scale
            }
            if numerator < &least * &denominator {
                exponent -= 1;
                continue;
            }
            if numerator >= &beyond * &denominator {
                exponent += 1;
                continue;
            }
            let mut rounded = (numerator * 2u32 + &denominator) / (denominator * 2u32);
            if rounded == beyond {
                rounded = least;
                exponent += 1;
            }
            let text = rounded.to_string();
            let (whole, rest) = text.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            return format!("{whole}{point}{rest}e{exponent}");
        }
    }
}

impl From<u64> for Ratio {
    fn from(whole: u64) -> Self {
        Self { numerator: whole.into(), denominator: 1u32.into() }
    }
}

impl Ord for Ratio {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.numerator * &other.denominator).cmp(&(&other.numerator * &self.denominator))
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ratio {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ratio {}

/// Three significant digits: see [`Ratio::scientific`].
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scientific(3))
    }
}

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > TEXT_LEN_MAX {
            return Err(RatioError::Length(text.len()));
        }
        if let Some((numerator, denominator)) = text.split_once('/') {
            let denominator = integer(denominator, text)?;
            if denominator == BigUint::ZERO {
                return Err(RatioError::ByZero(text.to_owned()));
            }
            return Ok(Self::new(integer(numerator, text)?, denominator));
        }
        match text.strip_suffix('%') {
            Some(number) => {
                let Self { numerator, denominator } = decimal(number, text)?;
                Ok(Self::new(numerator, denominator * 100u32))
            }
            None => decimal(text, text),
        }
    }
}

/// Digits, and nothing else; `text` is what the error shows.
fn integer(digits: &str, text: &str) -> Result<BigUint, RatioError> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten().ok_or_else(|| RatioError::Malformed(text.to_owned()))
}

fn decimal(number: &str, text: &str) -> Result<Ratio, RatioError> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, places) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_point_alone = mantissa.ends_with('.') || whole.is_empty();
    if is_point_alone || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RatioError::Malformed(text.to_owned()));
    }
    let numerator = integer(&format!("{whole}{places}"), text)?;
    let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let magnitude = u32::try_from(integer(digits, text)?).ok().filter(|magnitude| *magnitude <= EXPONENT_MAX);
    let magnitude = magnitude.ok_or_else(|| RatioError::Exponent(text.to_owned()))?;
    let ten = BigUint::from(10u32);
    let (scale, denominator) = (ten.pow(magnitude), ten.pow(places.len() as u32));
    Ok(match exponent.starts_with('-') {
        true => Ratio::new(numerator, denominator * scale),
        false => Ratio::new(numerator * scale, denominator),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ratio(numerator: u64, denominator: u64) -> Ratio {
        Ratio::new(numerator.into(), denominator.into())
    }

    #[test]
    fn texts_are_read_exactly() {
        for (text, numerator, denominator) in [
            ("0", 0, 1),
            ("1e-9", 1, 1_000_000_000),
            ("2.5E-3", 25, 10_000),
            ("0.1", 1, 10),
            ("12.50", 25, 2),
            ("3e2", 300, 1),
            ("1e+1", 10, 1),
            ("20%", 1, 5),
            ("0.5%", 1, 200),
            ("33.3%", 333, 1000),
            ("1/3", 1, 3),
            ("006/4", 3, 2),
        ] {
            assert_eq!(text.parse(), Ok(ratio(numerator, denominator)), "{text}");
        }
        assert_ne!("0.333333333333333333333333".parse(), Ok(ratio(1, 3)));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e", "1e-", "1e--2", "1e1.5", "1,5", " 1", "1.2.3", "%", "20%%", "1/",
            "/2", "1/2%", "1.5/2", "1.+5", "x", "٣", "NaN", "inf",
        ] {
            assert_eq!(text.parse::<Ratio>(), Err(RatioError::Malformed(text.to_owned())), "{text}");
        }
        assert_eq!("1/0".parse::<Ratio>(), Err(RatioError::ByZero("1/0".to_owned())));
        for text in ["1e-10000", "1e10000", "1e-99999999999999999999"] {
            assert_eq!(text.parse::<Ratio>(), Err(RatioError::Exponent(text.to_owned())), "{text}");
        }
        assert!("1e-9999".parse::<Ratio>().is_ok_and(|ratio| !ratio.is_zero()));
        assert_eq!("1".repeat(TEXT_LEN_MAX + 1).parse::<Ratio>(), Err(RatioError::Length(TEXT_LEN_MAX + 1)));
    }

    #[test]
    fn texts_are_rounded_to_the_nearest_halves_up() {
        for (numerator, denominator, digits, text) in [
            (0, 7, 3, "0"),
            (1, 1, 1, "1e0"),
            (1, 1, 3, "1.00e0"),
            (1, 3, 3, "3.33e-1"),
            (2, 3, 3, "6.67e-1"),
            (12345, 1, 4, "1.235e4"),
            (12345, 1000, 9, "1.23450000e1"),
            (9994, 10, 3, "9.99e2"),
            (9995, 10, 3, "1.00e3"),
            (95, 1, 1, "1e2"),
            (1, 1_000_000_000, 2, "1.0e-9"),
            (999_999_999, 1_000_000_000_000_000_000, 3, "1.00e-9"),
        ] {
            assert_eq!(ratio(numerator, denominator).scientific(digits), text, "{numerator}/{denominator}");
        }
        assert_eq!("1e-9999".parse::<Ratio>().map(|ratio| ratio.to_string()), Ok("1.00e-9999".to_owned()));
    }

    #[test]
    fn whole_numbers_are_rounded_up() {
        for (numerator, denominator, ceil) in [(0, 3, 0), (1, 3, 1), (3, 3, 1), (4, 3, 2), (u64::MAX, 1, u64::MAX)] {
            assert_eq!(ratio(numerator, denominator).ceil(), Some(ceil));
        }
        assert_eq!(ratio(u64::MAX, 1).times(2).ceil(), None);
    }

    proptest! {
        #[test]
        fn ratios_are_ordered_as_their_cross_products(a: u32, b in 1u32.., c: u32, d in 1u32..) {
            let (first, second) = (ratio(a.into(), b.into()), ratio(c.into(), d.into()));
            prop_assert_eq!(first.cmp(&second), (u64::from(a) * u64::from(d)).cmp(&(u64::from(c) * u64::from(b))));
        }

        /// What is written reads back to within half a unit of its last digit.
        #[test]
        fn what_is_written_is_near(numerator in 1u64.., denominator in 1u64.., digits in 1u32..20) {
            let exact = ratio(numerator, denominator);
            let written: Ratio = exact.scientific(digits).parse().unwrap();
            let (a, b) = (&written.numerator * &exact.denominator, &exact.numerator * &written.denominator);
            let error = if a > b { &a - &b } else { &b - &a };
            // Half a unit of the last place is at most 5 × 10^-digits of the value.
            prop_assert!(error * BigUint::from(10u32).pow(digits) <= b * 5u32);
        }
    }
}
