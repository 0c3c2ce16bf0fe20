//! A scale simulation as a page that needs nothing else.

use constellation_benches::html::{document, escape, figure, key, section};
use constellation_benches::plot::{self, Axis, COLORS, Line};

use crate::scale::machines::{AGREEMENT, Quantity};
use crate::scale::report::{Figure5, Growth, Report, Row, TierRow};
use crate::scale::sweep::FACILITATORS;

/// Places that the axes name.
const PAPER_STARS: [usize; 6] = [200, 400, 600, 800, 1000, 1200];
const STARS: [usize; 5] = [100, 250_000, 500_000, 750_000, 1_000_000];
const LOG_STARS: [usize; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];
const TIER_CLUSTERS: [usize; 6] = [200, 2_000, 4_000, 6_000, 8_000, 10_000];

/// The page.
pub fn page(report: &Report) -> String {
    let mut body = format!(
        "<p>One galaxy of {} validators with {} cores and {} Mbit/s each; {} stars a cluster, each of which sends {} transactions a \
         second. A model by rounds whose costs are measured ones; it lies beyond today's protocol where the table says so.</p>\n",
        report.validators, report.cores, report.link_mbit_per_s, report.stars_per_cluster, report.rate_per_star_s
    );
    body.push_str(&machines(report));
    body.push_str(&figure_5(report));
    body.push_str(&one_galaxy(report));
    body.push_str(&growth(report));
    body.push_str(&tiers(report));
    body.push_str(&rows(report));
    document("How a constellation grows", &body)
}

/// The paper's points and ours, each number of facilitators in a plot of its own: ours all lie on one line.
fn figure_5(report: &Report) -> String {
    let colored = [("the paper's, as published for CHECO", COLORS[0]), ("ours", COLORS[1])];
    let plot = |figure_5: &Figure5| {
        let paper = figure_5.paper_validated_per_s.iter().map(|value| f64::from(*value));
        let line = |(name, color): (&str, &'static str), values: Vec<f64>| Line {
            name: name.to_owned(),
            color,
            points: figure_5.stars.iter().map(|stars| *stars as usize).zip(values).collect(),
        };
        let lines = [line(colored[0], paper.collect()), line(colored[1], figure_5.validated_per_s.clone())];
        let caption = format!("{} facilitators: validations a second, by stars", figure_5.facilitators);
        figure(&caption, &plot::lines(Axis::Linear, &PAPER_STARS, &lines))
    };
    let plots: Vec<String> = report.figure_5.iter().map(plot).collect();
    section("The paper's figure 5, and ours", &plots)
        + &key(&colored)
        + "<p>Each star sends 2 a second; a transaction counts once for each party, as there. The points are those of CHECO's evaluation (K. Cong, TU \
           Delft, 2017), which has the paper's 4,800 with 1,200 nodes; the paper's own figure could not be had. There throughput falls a little with the facilitators; \
           here the populations are far below what one cluster bears, and everything sent is committed.</p>\n"
}

fn one_galaxy(report: &Report) -> String {
    let colored = colored_facilitators();
    let lines = |value: fn(&Row) -> f64| -> Vec<Line> {
        let line = |(facilitators, (name, color)): (u32, &(String, &'static str))| Line {
            name: name.clone(),
            color,
            points: report
                .rows
                .iter()
                .filter(|row| row.facilitators == facilitators)
                .map(|row| (row.stars as usize, value(row)))
                .collect(),
        };
        FACILITATORS.into_iter().zip(&colored).map(line).collect()
    };
    let plots = [
        figure("committed a second, by stars", &plot::lines(Axis::Linear, &STARS, &lines(|row| row.committed_per_s))),
        figure(
            "load of the busiest part in percent of all of it, by stars",
            &plot::lines(Axis::Logarithmic, &LOG_STARS, &lines(|row| row.load * 100.0)),
        ),
        figure(
            "final after so many milliseconds, by stars",
            &plot::lines(Axis::Logarithmic, &LOG_STARS, &lines(|row| row.finality_mean_ms)),
        ),
        figure(
            "processor time of a validator for a transaction in microseconds, by stars",
            &plot::lines(Axis::Logarithmic, &LOG_STARS, &lines(|row| row.cpu_us_per_transaction)),
        ),
    ];
    section("One galaxy, 4 to 32 facilitators a cluster", &plots) + &key_of(&colored)
}

fn growth(report: &Report) -> String {
    let row = |growth: &Growth| {
        let limit = match (growth.clusters_last, growth.committed_last_per_s, growth.limit) {
            (Some(clusters), Some(per_s), Some(part)) => {
                format!("<td>{clusters}</td><td>{per_s:.0}</td><td class=\"name\">{}</td>", part.text())
            }
            _ => "<td>-</td><td>-</td><td class=\"name\">none found</td>".to_owned(),
        };
        format!(
            "<tr><td>{}</td><td>{:.2}</td><td>{:.5}</td>{limit}<td>{}</td><td class=\"name\">{}</td></tr>\n",
            growth.facilitators,
            growth.line.slope,
            growth.line.r_squared,
            growth.clusters_today,
            growth.beyond_today.join(", ")
        )
    };
    table(
        "Where growth stops",
        "A line by least squares through 1 to 1,000 clusters of one galaxy; the clusters above which not everything becomes final, and what is full then; and the most \
         that today's protocol has room for, with what it lacks for more.",
        "<th>facilitators</th><th>a second and cluster</th><th>R²</th><th>last clusters</th><th>a second</th><th class=\"name\">full</th>\
         <th>today</th><th class=\"name\">lacks</th>",
        &report.growth.iter().map(row).collect::<String>(),
    )
}

fn tiers(report: &Report) -> String {
    let colored = [("one galaxy", COLORS[2]), ("galaxies under a parent", COLORS[1])];
    let line = |(name, color): (&str, &'static str), value: fn(&TierRow) -> f64| Line {
        name: name.to_owned(),
        color,
        points: report.tiers.iter().map(|row| (row.clusters as usize, value(row))).collect(),
    };
    let committed =
        [line(colored[0], |row| row.one_galaxy_committed_per_s), line(colored[1], |row| row.tiers_committed_per_s)];
    let loads = [
        line(colored[0], |row| row.one_galaxy_load * 100.0),
        line(colored[1], |row| row.tiers_load.max(row.parent_load.unwrap_or(0.0)) * 100.0),
    ];
    let plots = [
        figure("committed a second, by clusters", &plot::lines(Axis::Linear, &TIER_CLUSTERS, &committed)),
        figure(
            "load of the busiest part in percent of all of it, by clusters",
            &plot::lines(Axis::Linear, &TIER_CLUSTERS, &loads),
        ),
    ];
    section("One galaxy, and galaxies under a parent", &plots)
        + &key(&colored)
        + "<p>The parent tier is modelled and not built: its validators order the galaxies' black holes, and each galaxy applies its own clusters' transactions only. \
           Transactions between galaxies are left out.</p>\n"
}

fn machines(report: &Report) -> String {
    let small =
        report.machines.iter().map(|one| (one.layout.nodes, one.layout.clusters, one.offered_per_s, &one.quantities));
    let devnets = report.devnets.iter().map(|one| (one.nodes, one.clusters, one.offered_per_s, &one.quantities));
    let asked = format!(
        "In virtual time, every node validator and facilitator of every cluster. At most {:.0} % apart is asked for.",
        AGREEMENT * 100.0
    );
    comparisons("The real state machines, and the model of the same networks", &asked, small)
        + &comparisons(
            "Real devnets, and the model of the same networks",
            "On the cores of one machine, without latency.",
            devnets,
        )
}

fn comparisons<'a>(
    title: &str,
    text: &str,
    networks: impl Iterator<Item = (u32, u32, f64, &'a Vec<Quantity>)>,
) -> String {
    let row = |(nodes, clusters, offered_per_s, quantity): (u32, u32, f64, &Quantity)| {
        let Quantity { name, machines, model, ratio } = quantity;
        let over = if quantity.agrees() { "" } else { " class=\"over\"" };
        format!(
            "<tr><td>{nodes}</td><td>{clusters}</td><td>{offered_per_s:.1}</td><td class=\"name\">{name}</td><td>{machines:.1}</td>\
             <td>{model:.1}</td><td{over}>{ratio:.2}</td></tr>\n"
        )
    };
    let rows: String = networks
        .flat_map(|(nodes, clusters, offered, quantities)| {
            quantities.iter().map(move |one| (nodes, clusters, offered, one))
        })
        .map(row)
        .collect();
    if rows.is_empty() {
        return rows;
    }
    let heads = "<th>nodes</th><th>clusters</th><th>offered/s</th><th class=\"name\">quantity</th><th>real</th><th>model</th><th>ratio</th>";
    table(title, text, heads, &rows)
}

fn rows(report: &Report) -> String {
    let row = |row: &Row| {
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.1}</td><td>{:.1}</td><td>{:.0}</td><td>{:.1}</td><td>{:.0}</td><td>{:.0}</td>\
             <td class=\"name\">{}</td><td>{:.0}%</td><td class=\"name\">{}</td></tr>\n",
            row.stars,
            row.clusters,
            row.facilitators,
            row.offered_per_s,
            row.committed_per_s,
            row.finality_mean_ms,
            row.messages_per_transaction,
            row.bytes_per_transaction,
            row.cpu_us_per_transaction,
            row.busiest.text(),
            row.load * 100.0,
            row.beyond.join(", ")
        )
    };
    table(
        "Figures",
        "Messages and bytes are those between all nodes for a transaction, its gossip aside; processor time is one validator's.",
        "<th>stars</th><th>clusters</th><th>facilitators</th><th>offered/s</th><th>committed/s</th><th>final ms</th><th>messages</th><th>bytes</th><th>µs</th>\
         <th class=\"name\">busiest</th><th>load</th><th class=\"name\">beyond today's protocol</th>",
        &report.rows.iter().map(row).collect::<String>(),
    )
}

/// A table under a title and a line of text.
fn table(title: &str, text: &str, heads: &str, rows: &str) -> String {
    format!(
        "<h2>{}</h2>\n<p>{}</p>\n<div class=\"wide\"><table>\n<tr>{heads}</tr>\n{rows}</table></div>\n",
        escape(title),
        escape(text)
    )
}

fn colored_facilitators() -> Vec<(String, &'static str)> {
    FACILITATORS.iter().map(|facilitators| format!("{facilitators} facilitators")).zip(COLORS).collect()
}

fn key_of(colored: &[(String, &'static str)]) -> String {
    key(&colored.iter().map(|(name, color)| (name.as_str(), *color)).collect::<Vec<_>>())
}
