//! Plots as SVG: horizontal bars, and lines.

use crate::html::escape;

/// Colours that are told apart on light and on dark, in the order of use.
pub const COLORS: [&str; 10] =
    ["#3b82f6", "#16a34a", "#dc2626", "#d97706", "#9333ea", "#0891b2", "#db2777", "#65a30d", "#78716c", "#6366f1"];

/// The width of a plot; the height follows from what is in it.
const WIDTH: f64 = 480.0;

const BAR_HEIGHT: f64 = 20.0;
/// Room for the names to the left of bars, and for the labels to their right.
const NAMES_WIDTH: f64 = 140.0;
const LABELS_WIDTH: f64 = 100.0;

const LINES_HEIGHT: f64 = 260.0;
/// Room for the numbers to the left of lines, and below them; and to their right and above.
const LEFT: f64 = 48.0;
const BOTTOM: f64 = 24.0;
const MARGIN: f64 = 10.0;

/// One bar.
pub struct Bar<'a> {
    /// Whose.
    pub name: &'a str,
    /// Its colour.
    pub color: &'static str,
    /// How long it is; not negative.
    pub value: f64,
    /// What is written at its end.
    pub label: String,
}

/// Bars, one under the other.
#[must_use]
pub fn bars(bars: &[Bar<'_>]) -> String {
    let largest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let height = BAR_HEIGHT * bars.len() as f64;
    let mut svg = open(height);
    for (index, bar) in bars.iter().enumerate() {
        let top = BAR_HEIGHT * index as f64;
        let (thickness, baseline) = (BAR_HEIGHT - 5.0, top + BAR_HEIGHT - 8.0);
        let length = (WIDTH - NAMES_WIDTH - LABELS_WIDTH) * bar.value / largest;
        svg.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{baseline:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{NAMES_WIDTH}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{thickness:.1}\" fill=\"{}\"/>\
             <text class=\"quiet\" x=\"{:.1}\" y=\"{baseline:.1}\">{}</text>",
            NAMES_WIDTH - 6.0,
            escape(bar.name),
            bar.color,
            NAMES_WIDTH + length + 6.0,
            escape(&bar.label),
        ));
    }
    svg + "</svg>"
}

/// One line.
pub struct Line {
    /// Whose.
    pub name: String,
    /// Its colour.
    pub color: &'static str,
    /// Its points, from left to right; no value is negative.
    pub points: Vec<(usize, f64)>,
}

/// How places lie along a plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Equal differences are equally far apart.
    Linear,
    /// Equal ratios are.
    Logarithmic,
}

/// Lines over the places `places`, which rise from at least one.
#[must_use]
pub fn lines(axis: Axis, places: &[usize], lines: &[Line]) -> String {
    let largest = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
    let step = round_step(largest / 5.0);
    let top = (largest / step).ceil() * step;
    let (first, last) = (places.first().copied().unwrap_or(1), places.last().copied().unwrap_or(1));
    let along = |place: usize| match axis {
        Axis::Linear => place as f64,
        Axis::Logarithmic => (place.max(1) as f64).ln(),
    };
    let x = |place| {
        let share = (along(place) - along(first)) / (along(last) - along(first)).max(f64::MIN_POSITIVE);
        LEFT + share * (WIDTH - LEFT - 2.0 * MARGIN)
    };
    let y = |value: f64| LINES_HEIGHT - BOTTOM - value / top * (LINES_HEIGHT - BOTTOM - MARGIN);

    let mut svg = open(LINES_HEIGHT);
    for index in 0..=(top / step).round() as u32 {
        let value = f64::from(index) * step;
        svg.push_str(&format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"quiet\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - MARGIN,
            LEFT - 6.0,
            y(value) + 4.0,
            round_text(value, step),
            y = y(value),
        ));
    }
    for &place in places {
        let (x, y) = (x(place), LINES_HEIGHT - 6.0);
        svg.push_str(&format!("<text class=\"quiet\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{place}</text>"));
    }
    for line in lines {
        let at: Vec<(f64, f64)> = line.points.iter().map(|&(place, value)| (x(place), y(value))).collect();
        let points: Vec<String> = at.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        svg.push_str(&format!(
            "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\" points=\"{}\"/>",
            line.color,
            points.join(" ")
        ));
        for ((x, y), (place, value)) in at.iter().zip(&line.points) {
            svg.push_str(&format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{}\"><title>{}, {place}: {}</title></circle>",
                line.color,
                escape(&line.name),
                round_text(*value, step / 100.0),
            ));
        }
    }
    svg + "</svg>"
}

fn open(height: f64) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">")
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let found = [1.0, 2.0, 5.0].into_iter().map(|times| times * power).find(|step| *step >= least);
    found.unwrap_or(10.0 * power)
}

/// A multiple of `step`, with the decimals that it needs.
fn round_text(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bar = |value| Bar { name: "a<b", color: COLORS[0], value, label: format!("{value}") };
        let svg = bars(&[bar(50.0), bar(100.0), bar(0.0)]);
        for width in ["width=\"120.0\"", "width=\"240.0\"", "width=\"0.0\""] {
            assert!(svg.contains(width), "{width} is not in {svg}");
        }
        assert!(svg.contains("a&lt;b"));
    }

    #[test]
    fn lines_span_the_plot_and_equal_ratios_or_differences_are_equally_far_apart() {
        for (axis, middle) in [(Axis::Logarithmic, 64), (Axis::Linear, 260)] {
            let points = vec![(8, 0.0), (middle, 100.0), (512, 50.0)];
            let line = Line { name: "a".to_owned(), color: COLORS[1], points };
            let svg = lines(axis, &[8, middle, 512], &[line]);
            assert!(svg.contains("points=\"48.0,236.0 254.0,10.0 460.0,123.0\""), "{svg}");
        }
    }

    #[test]
    fn the_grid_has_round_steps() {
        for (least, step) in [(0.9, 1.0), (1.0, 1.0), (17.0, 20.0), (44.0, 50.0), (51.0, 100.0), (0.03, 0.05)] {
            assert!((round_step(least) / step - 1.0).abs() < 1e-9, "{least}");
        }
        assert_eq!((round_text(40.0, 20.0), round_text(0.1, 0.05)), ("40".to_owned(), "0.10".to_owned()));
    }
}
