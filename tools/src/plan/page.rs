//! A plan, or its refusal, as a page that needs nothing else; with the failure of committees of every size for several shares
//! of faulty stars, which is the paper's figure 4.

use constellation_benches::html::{document, escape, figure, key, section};
use constellation_benches::plot::{self, Axis, COLORS, Line};
use constellation_chain::COMMITTEE_MAX;
use constellation_meme::{Committees, Ratio};

use crate::plan::report::number;
use crate::plan::{Demand, Plan, Refusal};

/// The committees shown, 3f + 1; 127 is the protocol's largest.
const SIZES: [u32; 14] = [4, 7, 13, 25, 40, 52, 76, 100, 124, 127, 160, 202, 301, 481];

/// Those of them that the axis names: far enough apart on it.
const NAMED: [u32; 8] = [4, 7, 13, 25, 52, 100, 202, 481];

/// Shares of faulty stars, besides the one asked for; in whole stars, rounded down.
const SHARES: [(u32, u32); 5] = [(1, 10), (1, 6), (1, 5), (1, 4), (3, 10)];

/// The powers of ten that are shown: failures rarer than one in 10^20 never happen.
const MAGNITUDE_MAX: f64 = 20.0;

/// The failures of committees drawn from a population with one share of faulty stars.
struct Series {
    name: String,
    color: &'static str,
    failures: Vec<(u32, Ratio)>,
}

/// The page.
pub fn page(demand: &Demand, outcome: &Result<Plan, Refusal>) -> String {
    let series = series(demand);
    let colored: Vec<_> = series.iter().map(|series| (series.name.as_str(), series.color)).collect();
    let mut body = match outcome {
        Ok(plan) => rows(plan),
        Err(refusal) => format!("<p class=\"noisy\">Refused: {}</p>\n", escape(&refusal.to_string())),
    };
    body.push_str(&key(&colored));
    body.push_str(&section("Failure of a committee, by its members", &plots(demand, &series)));
    body.push_str(&table(&series));
    document("Plan of a constellation", &body)
}

fn rows(plan: &Plan) -> String {
    let row = |(name, text): &(&str, String)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(text));
    format!("<dl>\n{}</dl>\n", plan.rows().iter().map(row).collect::<String>())
}

fn series(demand: &Demand) -> Vec<Series> {
    let asked = demand.faulty.times(demand.population.into()).ceil().and_then(|faulty| u32::try_from(faulty).ok());
    let in_share =
        |(part, whole): (u32, u32)| (u64::from(demand.population) * u64::from(part) / u64::from(whole)) as u32;
    let mut counts: Vec<u32> = SHARES.into_iter().map(in_share).chain(asked).collect();
    counts.retain(|faulty| *faulty <= demand.population);
    counts.sort_unstable();
    counts.dedup();
    let one = |(faulty, color): (u32, &'static str)| Series {
        name: format!(
            "{faulty} of {} faulty{}",
            demand.population,
            if Some(faulty) == asked { " (asked)" } else { "" }
        ),
        color,
        failures: failures(demand.population, faulty),
    };
    counts.into_iter().zip(COLORS).map(one).collect()
}

fn failures(population: u32, faulty: u32) -> Vec<(u32, Ratio)> {
    let sizes = Committees::new(population, faulty).into_iter().flatten();
    let sizes = sizes.take_while(|(seats, _)| *seats <= SIZES[SIZES.len() - 1]);
    sizes.filter(|(seats, _)| SIZES.contains(seats)).collect()
}

fn plots(demand: &Demand, series: &[Series]) -> Vec<String> {
    let is_had = |seats: &u32| series.iter().any(|series| series.failures.iter().any(|(size, _)| size == seats));
    let places: Vec<usize> = NAMED.into_iter().filter(is_had).map(|seats| seats as usize).collect();
    if places.len() < 2 {
        return Vec::new();
    }
    let lines = |value: fn(&Ratio) -> Option<f64>| -> Vec<Line> {
        let points = |series: &Series| {
            let points = series.failures.iter();
            points.filter_map(|(seats, failure)| Some((*seats as usize, value(failure)?))).collect()
        };
        series
            .iter()
            .map(|series| Line { name: series.name.clone(), color: series.color, points: points(series) })
            .collect()
    };
    let mut magnitudes = lines(magnitude);
    if let Some(bound) = magnitude(&demand.max_failure) {
        let points = places.iter().map(|place| (*place, bound)).collect();
        magnitudes.push(Line { name: "--max-failure".to_owned(), color: COLORS[8], points });
    }
    vec![
        figure(
            "probability of failure",
            &plot::lines(Axis::Logarithmic, &places, &lines(|failure| Some(number(failure)))),
        ),
        figure(
            "the same in powers of ten: 9 is one in 10^9, 20 are shown; the level line is --max-failure",
            &plot::lines(Axis::Logarithmic, &places, &magnitudes),
        ),
    ]
}

/// How many powers of ten a probability is below one; none for zero, and what is too small to matter.
fn magnitude(probability: &Ratio) -> Option<f64> {
    let text = probability.scientific(6);
    let (mantissa, exponent) = text.split_once('e')?;
    let (mantissa, exponent): (f64, f64) = (mantissa.parse().ok()?, exponent.parse().ok()?);
    let powers = -(mantissa.log10() + exponent);
    (0.0..=MAGNITUDE_MAX).contains(&powers).then_some(powers)
}

fn table(series: &[Series]) -> String {
    let heads = series.iter().map(|series| format!("<th>{}</th>", escape(&series.name))).collect::<String>();
    let row = |seats: &u32| {
        let beyond = if *seats as usize > COMMITTEE_MAX { " class=\"over\"" } else { "" };
        let cell = |series: &Series| {
            let found = series.failures.iter().find(|(size, _)| size == seats);
            format!("<td>{}</td>", found.map(|(_, failure)| failure.to_string()).unwrap_or_default())
        };
        format!("<tr><td{beyond}>{seats}</td>{}</tr>\n", series.iter().map(cell).collect::<String>())
    };
    format!(
        "<h2>Figures</h2>\n<p>Exact, written to three digits. Committees of more than {COMMITTEE_MAX} are beyond the protocol.</p>\n\
         <div class=\"wide\"><table>\n<tr><th>members</th>{heads}</tr>\n{}</table></div>\n",
        SIZES.iter().map(row).collect::<String>()
    )
}
