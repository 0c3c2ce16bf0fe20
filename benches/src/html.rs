//! Reports as HTML pages with plots drawn as SVG inside them: no scripts, and nothing from outside, so that a file can be
//! kept and sent as it is. The frame of any such page, and the page of a verification report.

use crate::plot::{self, Axis, Bar, COLORS, Line};
use crate::report::{percent, ratio, thousands};
use crate::{Case, Report, Row, Setting};

const STYLE: &str = "
:root { color-scheme: light dark; --back: #fff; --ink: #1c1e21; --faint: #d5d8dd; --quiet: #5c6370; --warn: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --back: #15171a; --ink: #e6e7e9; --faint: #3a3f47; --quiet: #9aa1ac; --warn: #ff8a80; }
}
body { background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 66rem;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; } dt { color: var(--quiet); } dd { margin: 0; }
.noisy { border-left: 4px solid var(--warn); color: var(--warn); font-weight: 600; padding-left: .8rem; }
.plots { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); }
figure { margin: 0; } figcaption { font-weight: 600; } svg { display: block; height: auto; width: 100%; }
svg text { fill: var(--ink); font: 11px system-ui, sans-serif; } svg .grid { stroke: var(--faint); }
svg .quiet { fill: var(--quiet); } .key { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .5rem 0 1rem; }
.key i { border-radius: 2px; display: inline-block; height: .7em; margin-right: .4em; width: .7em; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { border-bottom: 1px solid var(--faint); padding: .15rem .6rem; text-align: right; white-space: nowrap; }
th.name, td.name { text-align: left; } td.over { color: var(--warn); }
";

/// The page of a report.
#[must_use]
pub fn page(report: &Report) -> String {
    let backends = backends(&report.rows);
    let colored: Vec<_> = backends.iter().map(|backend| (*backend, color(&backends, backend))).collect();
    let mut body = head(report);
    body.push_str(&key(&colored));
    body.push_str(&section("Cases", &cases(&report.rows, &backends)));
    body.push_str(&section("Batch sizes", &curves(&report.rows, &backends, "signatures in a batch", batch_curve)));
    body.push_str(&section("Message lengths", &curves(&report.rows, &backends, "bytes in a message", message_curve)));
    body.push_str(&format!("<h2>Figures</h2>\n{}", table(&report.rows)));
    document("Ed25519 verification", &body)
}

/// A page that needs nothing from outside: `title`, which is text, over `body`, which is HTML.
#[must_use]
pub fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// Text as it may stand in HTML.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The implementations in the order of the rows.
fn backends(rows: &[Row]) -> Vec<&str> {
    distinct(rows.iter().map(|row| row.backend.as_str()))
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.fold(Vec::new(), |mut seen, value| {
        if !seen.contains(&value) {
            seen.push(value);
        }
        seen
    })
}

fn color(backends: &[&str], backend: &str) -> &'static str {
    let index = backends.iter().position(|name| *name == backend).unwrap_or(0);
    COLORS[index % COLORS.len()]
}

fn head(report: &Report) -> String {
    let machine = &report.machine;
    let mut head = String::new();
    for reason in &report.noisy {
        head.push_str(&format!("<p class=\"noisy\">NOISY: {}</p>\n", escape(reason)));
    }
    head.push_str("<dl>\n");
    for (name, text) in [
        ("CPU", format!("{}, {} cores", machine.cpu, machine.cores)),
        ("features", machine.features.join(" ")),
        ("compiler", machine.compiler.to_owned()),
        ("flags", machine.flags.clone()),
        ("rounds", format!("{}; all take turns in each; medians, and ratios within a round", report.rounds)),
    ] {
        head.push_str(&format!("<dt>{name}</dt><dd>{}</dd>\n", escape(&text)));
    }
    head.push_str("</dl>\n");
    for note in &report.notes {
        head.push_str(&format!("<p>Note: {}</p>\n", escape(note)));
    }
    head
}

/// Names with the colours they have in the plots.
#[must_use]
pub fn key(colored: &[(&str, &str)]) -> String {
    let entry =
        |(name, color): &(&str, &str)| format!("<span><i style=\"background:{color}\"></i>{}</span>", escape(name));
    format!("<div class=\"key\">{}</div>\n", colored.iter().map(entry).collect::<String>())
}

/// A section of figures, unless there is nothing to show in it.
#[must_use]
pub fn section(title: &str, plots: &[String]) -> String {
    if plots.is_empty() {
        return String::new();
    }
    format!("<h2>{title}</h2>\n<div class=\"plots\">\n{}</div>\n", plots.concat())
}

/// A plot and what it shows.
#[must_use]
pub fn figure(caption: &str, svg: &str) -> String {
    format!("<figure><figcaption>{}</figcaption>{svg}</figure>\n", escape(caption))
}

fn threads_text(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}

fn setting(row: &Row) -> Setting {
    Setting { case: row.case, batch: row.batch, message_bytes: row.message_bytes, threads: row.threads }
}

/// Bars for every case and number of threads, at the largest batch and the first message length that the cases share.
fn cases(rows: &[Row], backends: &[&str]) -> Vec<String> {
    let settings = distinct(rows.iter().map(setting));
    let cases = distinct(settings.iter().map(|setting| setting.case));
    let has = |case: Case, like: &Setting| settings.contains(&Setting { case, ..*like });
    let shared = settings.iter().filter(|like| cases.iter().all(|&case| has(case, like)));
    let first_bytes = settings.first().map(|setting| setting.message_bytes);
    let shared = shared.filter(|setting| Some(setting.message_bytes) == first_bytes);
    let Some(batch) = shared.map(|setting| setting.batch).max() else {
        return Vec::new();
    };
    let shown = settings.iter().filter(|like| like.batch == batch && Some(like.message_bytes) == first_bytes);
    let rows_of = |shown| rows.iter().filter(move |row| setting(row) == shown);
    shown.map(|shown| case_figure(shown, &rows_of(*shown).map(|row| bar(row, backends)).collect::<Vec<_>>())).collect()
}

fn case_figure(shown: &Setting, bars: &[Bar<'_>]) -> String {
    let Setting { case, batch, message_bytes, threads } = shown;
    let threads = threads_text(*threads);
    let caption =
        format!("{case}, batch {batch}, {message_bytes} bytes, {threads}: thousands a second a core (to ed25519-simd)");
    figure(&caption, &plot::bars(bars))
}

fn bar<'a>(row: &'a Row, backends: &[&str]) -> Bar<'a> {
    let value = thousands(row.per_s_core);
    let label = match row.ratio_to_ed25519_simd {
        Some(times) => format!("{value} ({times:.2} ×)"),
        None => value,
    };
    Bar { name: &row.backend, color: color(backends, &row.backend), value: row.per_s_core / 1e3, label }
}

/// What a curve is about, where along it a row lies, and how its caption tells it from the others.
type Curve = fn(&Row) -> (Setting, usize, String);

fn batch_curve(row: &Row) -> (Setting, usize, String) {
    (Setting { batch: 0, ..setting(row) }, row.batch, format!("{} bytes", row.message_bytes))
}

fn message_curve(row: &Row) -> (Setting, usize, String) {
    (Setting { message_bytes: 0, ..setting(row) }, row.message_bytes, format!("batch {}", row.batch))
}

/// A plot for each set of rows that differ in one number only, where that has more than one value.
fn curves(rows: &[Row], backends: &[&str], axis: &str, curve: Curve) -> Vec<String> {
    let mut figures = Vec::new();
    for about in distinct(rows.iter().map(|row| curve(row).0)) {
        let rows: Vec<&Row> = rows.iter().filter(|row| curve(row).0 == about).collect();
        let mut places = distinct(rows.iter().map(|row| curve(row).1));
        places.sort_unstable();
        if places.len() < 2 {
            continue;
        }
        let line = |name: &&str| {
            let own = rows.iter().filter(|row| row.backend == **name);
            let mut points: Vec<(usize, f64)> = own.map(|row| (curve(row).1, row.per_s_core / 1e3)).collect();
            points.sort_by_key(|point| point.0);
            Line { name: (*name).to_owned(), color: color(backends, name), points }
        };
        let lines: Vec<Line> = backends.iter().map(line).collect();
        let caption = format!(
            "{}, {}, {}: thousands a second a core, by {axis}",
            about.case,
            curve(rows[0]).2,
            threads_text(about.threads)
        );
        figures.push(figure(&caption, &plot::lines(Axis::Logarithmic, &places, &lines)));
    }
    figures
}

fn table(rows: &[Row]) -> String {
    let mut table = "<div class=\"wide\"><table>\n<tr><th class=\"name\">case</th><th>batch</th><th>bytes</th>\
        <th>threads</th><th class=\"name\">backend</th><th>k/s core</th><th>spread</th><th>cycles ≈</th>\
        <th>to ed25519-simd</th><th>to dalek batch</th></tr>\n"
        .to_owned();
    for row in rows {
        let over = if row.spread > crate::SPREAD_MAX { " class=\"over\"" } else { "" };
        table.push_str(&format!(
            "<tr><td class=\"name\">{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"name\">{}</td><td>{}</td>\
             <td{over}>{}</td><td>{:.0}</td><td>{}</td><td>{}</td></tr>\n",
            row.case,
            row.batch,
            row.message_bytes,
            row.threads,
            escape(&row.backend),
            thousands(row.per_s_core),
            percent(row.spread),
            row.cycles,
            ratio(row.ratio_to_ed25519_simd),
            ratio(row.ratio_to_ed25519_dalek_batch),
        ));
    }
    table.push_str("</table></div>\n");
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{report, row};

    #[test]
    fn the_page_has_a_plot_for_what_varies_and_every_figure() {
        let mut report = report(7, &[]);
        for (case, batch) in [(Case::NewKeys, 8), (Case::NewKeys, 64), (Case::AllBad, 64)] {
            report.rows.push(row("portable", case, batch, 0.0));
            report.rows.push(row("rival", case, batch, 0.2));
        }
        let page = page(&report);
        // The cases at batch 64, and the curve over two batch sizes; the message length does not vary.
        assert_eq!(page.matches("<svg").count(), 2 + 1);
        assert_eq!(page.matches("<polyline").count(), 2);
        assert!(!page.contains("Message lengths"));
        assert_eq!(page.matches("<tr>").count(), 1 + report.rows.len());
        assert_eq!(page.matches("class=\"over\"").count(), 3);
        assert!(page.contains("somebody is &lt;missing&gt;") && !page.contains("<missing>"));
    }

    #[test]
    fn the_page_needs_nothing_from_outside() {
        let page = page(&report(1, &[0.0]));
        assert!(page.contains("NOISY"));
        for outside in ["http:", "https:", "<script", "<link", "@import", "url(", "src="] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
