//! What is said of a handful of numbers: their median, and how far they lie apart.

/// The median; zero of nothing.
pub fn median(values: Vec<f64>) -> f64 {
    quantile(&sorted(values), 0.5)
}

/// How far the values lie apart, relative to their median: (p90 − p10) / median.
pub fn spread(values: Vec<f64>) -> f64 {
    let sorted = sorted(values);
    let middle = quantile(&sorted, 0.5);
    if middle > 0.0 { (quantile(&sorted, 0.9) - quantile(&sorted, 0.1)) / middle } else { 0.0 }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The quantile `q` of sorted values, between the two nearest where it falls between them.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = q * last as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(vec![9.0, 1.0]), 5.0);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn the_spread_is_that_of_the_middle_eight_tenths() {
        let values: Vec<f64> = (95..=105).map(f64::from).collect();
        assert!((spread(values) - 0.08).abs() < 1e-9);
        assert_eq!(spread(vec![5.0; 4]), 0.0);
        assert_eq!(spread(vec![5.0]), 0.0);
    }
}
