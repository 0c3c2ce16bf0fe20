//! What a load test says, while it runs and at its end. Field names are stable: other programs read them.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The longest latency told apart, in microseconds: an hour.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// The state of a running load test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LoadProgress {
    /// Since the first intended send, in seconds.
    pub elapsed_s: f64,
    /// Sent since the last report, a second.
    pub sent_per_s: f64,
    /// Final since the last report, a second.
    pub committed_per_s: f64,
    /// Sent and not ended.
    pub in_flight: usize,
    /// The median latency so far, in milliseconds.
    pub latency_p50_ms: f64,
}

impl fmt::Display for LoadProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoadProgress { elapsed_s, sent_per_s, committed_per_s, in_flight, latency_p50_ms } = self;
        write!(
            f,
            "{elapsed_s:6.1} s  sent {sent_per_s:7.0}/s  final {committed_per_s:7.0}/s  in flight {in_flight:6}  median {latency_p50_ms:7.1} ms"
        )
    }
}

/// What a load test measured.
///
/// `asked = sent + not_sent` and `sent = committed + all censored + lost + not_admitted`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LoadReport {
    /// Transactions the schedule asked for.
    pub asked: u64,
    /// Sent to a node at least once.
    pub sent: u64,
    /// Of those, signed before the test began.
    pub prepared: u64,
    /// Taken into a node's pool.
    pub admitted: u64,
    /// Final: in a black hole, applied.
    pub committed: u64,
    /// Censored, by reason; `predecessor` counts those that followed a censored one and so can never apply.
    pub censored: BTreeMap<String, u64>,
    /// Answers that a node has no room; the transaction was sent again later.
    pub busy: u64,
    /// Due, but not sent within four seconds of their time.
    pub not_sent: u64,
    /// Of those, due while every star's last transaction waited to be admitted: too few stars, or nodes too slow.
    pub not_sent_for_want_of_stars: u64,
    /// Admitted, but neither final nor censored when the test ended.
    pub lost: u64,
    /// Sent, but no node had room for them until the test ended.
    pub not_admitted: u64,
    /// Sent again: their node was lost, or took too long.
    pub resent: u64,
    /// From the first intended send to the last commit, in seconds.
    pub duration_s: f64,
    /// `committed` ÷ `duration_s`.
    pub committed_per_s: f64,
    /// Latency from the intended send to the sight of the black hole at the node it was sent to: median, in milliseconds.
    pub latency_p50_ms: f64,
    /// 90 % are faster.
    pub latency_p90_ms: f64,
    /// 99 % are faster.
    pub latency_p99_ms: f64,
    /// 99.9 % are faster.
    pub latency_p999_ms: f64,
    /// The slowest.
    pub latency_max_ms: f64,
    /// Black holes made meanwhile.
    pub black_holes: u64,
    /// Connections to nodes lost, or refused.
    pub node_errors: u64,
    /// Processor time of this process during the test, in seconds.
    pub cpu_s: f64,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, text: String| writeln!(f, "{name:<13}{text}");
        let prepared = match self.prepared {
            0 => String::new(),
            count => format!(" ({count} signed before the start)"),
        };
        line("asked", format!("{}, sent {}{prepared}, admitted {}", self.asked, self.sent, self.admitted))?;
        line(
            "final",
            format!(
                "{} in {:.2} s, first intended send to last commit: {:.0} a second, in {} black holes",
                self.committed, self.duration_s, self.committed_per_s, self.black_holes
            ),
        )?;
        line(
            "latency",
            format!(
                "median {:.1} ms, 90 % {:.1}, 99 % {:.1}, 99.9 % {:.1}, slowest {:.1}, from the intended send to final",
                self.latency_p50_ms,
                self.latency_p90_ms,
                self.latency_p99_ms,
                self.latency_p999_ms,
                self.latency_max_ms
            ),
        )?;
        let censored: Vec<String> = self.censored.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        if !censored.is_empty() {
            line("censored", censored.join(", "))?;
        }
        line("lost", format!("{}, never admitted {}", self.lost, self.not_admitted))?;
        line("nodes", format!("busy {}, errors {}, sent again {}", self.busy, self.node_errors, self.resent))?;
        if self.not_sent > 0 {
            let stars = match self.not_sent_for_want_of_stars {
                0 => String::new(),
                count => format!("; {count} found no free star: use more stars, or nodes were slow to admit"),
            };
            line(
                "not sent",
                format!("{} were more than 4 s late: the rate is above what was possible{stars}", self.not_sent),
            )?;
        }
        Ok(())
    }
}

/// Counts and latencies of a running test.
pub(super) struct Tally {
    /// The report so far; rates and latencies are filled in by [`Tally::report`].
    pub counts: LoadReport,
    latency_us: Histogram<u64>,
    last_commit_us: u64,
    last_progress: (u64, u64, u64),
}

impl Tally {
    pub fn new() -> Self {
        let latency_us = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("the bounds are constants in order");
        Tally { counts: LoadReport::default(), latency_us, last_commit_us: 0, last_progress: (0, 0, 0) }
    }

    /// A transaction due at `intended_us` was seen in a black hole at `seen_us`.
    pub fn commit(&mut self, intended_us: u64, seen_us: u64) {
        self.counts.committed += 1;
        self.last_commit_us = self.last_commit_us.max(seen_us);
        self.latency_us.saturating_record(seen_us.saturating_sub(intended_us));
    }

    /// When the last commit was seen.
    pub fn last_commit_us(&self) -> u64 {
        self.last_commit_us
    }

    pub fn censor(&mut self, reason: &str) {
        *self.counts.censored.entry(reason.to_owned()).or_default() += 1;
    }

    /// The state now, with rates since the last call.
    pub fn progress(&mut self, now_us: u64, in_flight: usize) -> LoadProgress {
        let (then_us, sent, committed) =
            std::mem::replace(&mut self.last_progress, (now_us, self.counts.sent, self.counts.committed));
        let per_s = |count: u64| rate(count, Duration::from_micros(now_us.saturating_sub(then_us)));
        LoadProgress {
            elapsed_s: Duration::from_micros(now_us).as_secs_f64(),
            sent_per_s: per_s(self.counts.sent - sent),
            committed_per_s: per_s(self.counts.committed - committed),
            in_flight,
            latency_p50_ms: self.quantile_ms(0.5),
        }
    }

    /// The report; the first intended send is at time zero.
    pub fn report(mut self) -> LoadReport {
        let duration = Duration::from_micros(self.last_commit_us);
        self.counts.duration_s = duration.as_secs_f64();
        self.counts.committed_per_s = rate(self.counts.committed, duration);
        self.counts.latency_p50_ms = self.quantile_ms(0.5);
        self.counts.latency_p90_ms = self.quantile_ms(0.9);
        self.counts.latency_p99_ms = self.quantile_ms(0.99);
        self.counts.latency_p999_ms = self.quantile_ms(0.999);
        self.counts.latency_max_ms = self.latency_us.max() as f64 / 1000.0;
        self.counts
    }

    fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1000.0
    }
}

fn rate(count: u64, duration: Duration) -> f64 {
    if duration.is_zero() { 0.0 } else { count as f64 / duration.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_latencies_are_those_of_the_schedule() {
        let mut tally = Tally::new();
        for i in 0..1000u64 {
            tally.commit(i * 1000, i * 1000 + 100_000 + i * 100);
        }
        let report = tally.report();
        assert_eq!(report.committed, 1000);
        // The last was due at 999 ms and took 199.9 ms.
        assert!((report.duration_s - 1.1989).abs() < 1e-9, "{}", report.duration_s);
        assert!((report.committed_per_s - 1000.0 / 1.1989).abs() < 1e-6);
        for (found, expected) in [
            (report.latency_p50_ms, 149.9),
            (report.latency_p90_ms, 189.9),
            (report.latency_p99_ms, 198.9),
            (report.latency_max_ms, 199.9),
        ] {
            assert!((found - expected).abs() < 0.003 * expected, "{found} {expected}");
        }
    }

    #[test]
    fn progress_counts_since_the_last() {
        let mut tally = Tally::new();
        tally.counts.sent = 100;
        assert_eq!(tally.progress(1_000_000, 100).sent_per_s, 100.0);
        tally.counts.sent = 150;
        tally.commit(0, 1_100_000);
        let progress = tally.progress(1_500_000, 149);
        assert_eq!((progress.sent_per_s, progress.committed_per_s), (100.0, 2.0));
        assert_eq!((progress.elapsed_s, progress.in_flight), (1.5, 149));
    }

    #[test]
    fn an_empty_test_reports_zeros_and_a_full_one_every_line() {
        let report = Tally::new().report();
        assert_eq!(report, LoadReport::default());
        assert!(!report.to_string().contains("not sent"));
        let mut tally = Tally::new();
        tally.censor("gap");
        tally.counts.not_sent = 3;
        tally.counts.not_sent_for_want_of_stars = 2;
        let text = tally.report().to_string();
        assert!(text.contains("censored     gap 1\n") && text.contains("use more stars"), "{text}");
    }
}
