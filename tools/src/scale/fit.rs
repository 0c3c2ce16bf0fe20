//! A straight line through points, and how well they lie on it.

use serde::Serialize;

/// The line that is nearest to points, by least squares. Field names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Line {
    /// How much it rises over 1.
    pub slope: f64,
    /// Its value at 0.
    pub intercept: f64,
    /// The part of the values' variance that it accounts for: 1 if all lie on it.
    pub r_squared: f64,
}

impl Line {
    /// Through points of at least two places.
    pub fn through(points: &[(f64, f64)]) -> Self {
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
        let sum = |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(x - x_mean, y - y_mean)).sum::<f64>();
        let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
        let slope = xy / xx;
        let r_squared = if yy > 0.0 { slope * xy / yy } else { 1.0 };
        Self { slope, intercept: y_mean - slope * x_mean, r_squared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_line_are_all_accounted_for() {
        let line = Line::through(&[(1.0, 5.0), (2.0, 7.0), (10.0, 23.0)]);
        assert!((line.slope - 2.0).abs() < 1e-12 && (line.intercept - 3.0).abs() < 1e-12);
        assert!((line.r_squared - 1.0).abs() < 1e-12);
    }

    #[test]
    fn others_are_not() {
        // By hand: means 1 and 1, slope 1/2, and of the variance of 2 a quarter.
        let line = Line::through(&[(0.0, 0.0), (1.0, 2.0), (2.0, 1.0)]);
        assert_eq!((line.slope, line.intercept, line.r_squared), (0.5, 0.5, 0.25));
        assert_eq!(Line::through(&[(0.0, 1.0), (1.0, 2.0), (2.0, 1.0)]).r_squared, 0.0);
    }
}
