//! The measurement: contenders that take turns, round after round, on all threads at once; and a row for each.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use constellation_verify::gpu::{self, Gpu, StageTimes};
use constellation_verify::{Backend, BatchError, EngineError};

use crate::contenders::{Contender, ED25519_SIMD, Entrant, Pass, SetUpError};
use crate::libraries::ED25519_DALEK_BATCH;
use crate::plan::{Options, OptionsError, Setting};
use crate::reference::{Program, ReferenceError};
use crate::report::{Report, Row};
use crate::statistics::{median, spread};
use crate::workload::{Signed, Totals};
use crate::{Machine, Workload, machine};

/// The most pieces of work in a turn.
const PIECES_MAX: usize = 1 << 24;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The options cannot be used.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A batch cannot be made.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A backend cannot run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The process of `ed25519-simd` failed.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A contender finds more or fewer signatures valid than there are: its speed would mean nothing.
    #[error("{name} found {found} of {of} signatures valid, not {expected}, in the case {case}, batch {batch}",
        case = setting.case, batch = setting.batch, of = totals.signatures, expected = totals.valid)]
    Miscounted {
        /// Who.
        name: &'static str,
        /// On what.
        setting: Setting,
        /// How many signatures it found valid.
        found: usize,
        /// How many there are.
        totals: Totals,
    },
}

impl From<SetUpError> for MeasureError {
    fn from(error: SetUpError) -> Self {
        match error {
            SetUpError::Batch(error) => Self::Batch(error),
            SetUpError::Reference(error) => Self::Reference(error),
        }
    }
}

/// Measures every contender on every setting of `options`. The contenders take turns in each round, so that a machine
/// that slows down slows all of them, and ratios are taken within a round. `progress` hears of each setting before it
/// is measured, with how many come before it and how many there are.
///
/// # Errors
/// [`MeasureError`]: nothing of an unfinished measurement is reported.
pub fn measure(options: &Options, mut progress: impl FnMut(&Setting, usize, usize)) -> Result<Report, MeasureError> {
    let settings = options.settings()?;
    let mut notes = Vec::new();
    let entrants = entrants(options, &mut notes)?;
    let mut rows = Vec::new();
    let mut signed: Vec<Signed> = Vec::new();
    let mut signed_bytes = None;
    for (index, setting) in settings.iter().enumerate() {
        progress(setting, index, settings.len());
        if signed_bytes.replace(setting.message_bytes) != Some(setting.message_bytes) {
            signed = sign(options, &settings, setting.message_bytes);
        }
        rows.extend(measure_setting(options, setting, &entrants, &signed)?);
    }
    notes.extend(entrants.iter().find_map(Entrant::gpu).map(where_its_time_went));
    Ok(Report::new(Machine::here(), options.rounds, rows, notes))
}

/// The GPU by name, and the parts of its time in per cent.
fn where_its_time_went(gpu: &Gpu) -> String {
    let StageTimes { upload, challenge, decode, ladder, other, download } = gpu.times();
    let whole = upload + challenge + decode + ladder + other + download;
    let device = gpu.device().unwrap_or_else(|| "the GPU".to_owned());
    if whole.is_zero() {
        return format!("{device} has no clock to tell where its time goes");
    }
    let percent = |part: Duration| 100.0 * part.as_secs_f64() / whole.as_secs_f64();
    format!(
        "{device}: of its time went {:.0} % into copying requests in, {:.0} % into hashing, {:.0} % into decoding, {:.0} % into the \
         ladder, and {:.0} % into copying results out",
        percent(upload),
        percent(challenge),
        percent(decode),
        percent(ladder),
        percent(download)
    )
}

/// Everyone who can be measured here, ours first, and a note on who cannot.
fn entrants(options: &Options, notes: &mut Vec<String>) -> Result<Vec<Entrant>, EngineError> {
    let backends = match options.backend {
        Some(backend) => vec![backend],
        None => {
            let gpu = gpu::find(options.software_gpu).is_ok().then_some(Backend::Gpu);
            Backend::available().into_iter().chain(gpu).collect()
        }
    };
    let mut entrants = Vec::new();
    for backend in backends {
        match Entrant::ours(backend, options.software_gpu) {
            Ok(entrant) => entrants.push(entrant),
            // Nobody asked for this one by name.
            Err(error) if options.backend.is_none() => notes.push(format!("{backend} is left out: {error}")),
            Err(error) => return Err(error),
        }
    }
    match Program::unpack() {
        Ok(program) => entrants.push(Entrant::Ed25519Simd(program)),
        Err(reason) => notes.push(format!("ed25519-simd is left out, and with it every ratio to it: {reason}")),
    }
    entrants.extend(Entrant::libraries());
    Ok(entrants)
}

/// The signatures that the settings with `message_bytes` need, for each thread its own.
fn sign(options: &Options, settings: &[Setting], message_bytes: usize) -> Vec<Signed> {
    let settings = settings.iter().filter(|setting| setting.message_bytes == message_bytes);
    let threads = settings.clone().map(|setting| setting.threads).max().unwrap_or(0);
    let count = settings.map(|setting| options.signatures_of(setting)).max().unwrap_or(0);
    thread::scope(|scope| {
        let signers: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || Signed::new(count, message_bytes, thread * count))).collect();
        signers.into_iter().map(joined).collect()
    })
}

fn measure_setting(
    options: &Options,
    setting: &Setting,
    entrants: &[Entrant],
    signed: &[Signed],
) -> Result<Vec<Row>, MeasureError> {
    let signatures = options.signatures_of(setting);
    let signed = signed[..setting.threads].iter().map(|signed| signed.front(signatures));
    let workloads = signed.map(|signed| Workload::new(setting.case, setting.batch, signed));
    let workloads = workloads.collect::<Result<Vec<_>, _>>()?;
    let team = |entrant| Team::new(entrant, setting, &workloads, Duration::from_millis(options.pass_ms));
    let mut teams = entrants.iter().map(team).collect::<Result<Vec<_>, _>>()?;
    for _ in 0..options.rounds {
        for team in &mut teams {
            let turn = team.turn()?;
            team.turns.push(turn);
        }
    }
    let rates = |name| teams.iter().find(|team| team.name == name).map(Team::rates);
    let (simd, dalek) = (rates(ED25519_SIMD), rates(ED25519_DALEK_BATCH));
    Ok(teams.iter().map(|team| team.row(simd.as_deref(), dalek.as_deref())).collect())
}

/// One contender on each thread, and what they have done.
struct Team<'w> {
    name: &'static str,
    setting: Setting,
    contenders: Vec<Contender<'w>>,
    /// Pieces of work in a turn.
    pieces: usize,
    /// What a turn verifies, on each thread.
    totals: Totals,
    turns: Vec<Turn>,
}

/// One turn of a team.
#[derive(Clone, Copy)]
struct Turn {
    /// How long the slowest thread took.
    elapsed: Duration,
    /// Verifications per second and core.
    per_s_core: f64,
    /// Cycles of a core for one verification.
    cycles: f64,
}

impl<'w> Team<'w> {
    /// Sets up, and goes on until turns take about `pass`; so everyone is warm, and knows the keys there are to know.
    fn new(
        entrant: &Entrant,
        setting: &Setting,
        workloads: &'w [Workload],
        pass: Duration,
    ) -> Result<Self, MeasureError> {
        let contenders = workloads.iter().map(|workload| entrant.enter(workload)).collect::<Result<Vec<_>, _>>()?;
        let mut team = Self {
            name: entrant.name(),
            setting: *setting,
            contenders,
            pieces: 1,
            totals: Totals { signatures: 0, valid: 0 },
            turns: Vec::new(),
        };
        loop {
            team.totals = workloads[0].totals(team.contenders[0].piece(), team.pieces);
            let elapsed = team.turn()?.elapsed;
            let grow = (pass.as_secs_f64() / elapsed.as_secs_f64().max(1e-9)).clamp(1.0, 8.0);
            // Near enough; and what is known of keys from this turn is what the next ones need.
            if grow < 1.25 || team.pieces >= PIECES_MAX {
                // A cache may take keys in only when it sees them again.
                team.turn()?;
                team.turn()?;
                return Ok(team);
            }
            team.pieces = ((team.pieces as f64 * grow).ceil() as usize).min(PIECES_MAX);
        }
    }

    /// All threads start together and each does its pieces.
    fn turn(&mut self) -> Result<Turn, MeasureError> {
        let (barrier, pieces) = (Barrier::new(self.contenders.len()), self.pieces);
        let run = |contender: &mut Contender<'_>| {
            let hz = machine::core_hz();
            barrier.wait();
            (contender.pass(pieces), hz)
        };
        let passes: Vec<(Result<Pass, ReferenceError>, f64)> = thread::scope(|scope| {
            let threads: Vec<_> = self.contenders.iter_mut().map(|contender| scope.spawn(|| run(contender))).collect();
            threads.into_iter().map(joined).collect()
        });
        let threads = passes.len() as f64;
        let (mut elapsed, mut hz) = (Duration::ZERO, 0.0);
        for (pass, core_hz) in passes {
            let pass = pass?;
            self.check(pass.valid)?;
            elapsed = elapsed.max(pass.elapsed);
            hz += core_hz / threads;
        }
        // All threads verify equally many, so that the slowest one gives the rate of all.
        let per_s_core = self.totals.signatures as f64 / elapsed.as_secs_f64().max(1e-9);
        Ok(Turn { elapsed, per_s_core, cycles: hz / per_s_core })
    }

    fn check(&self, found: usize) -> Result<(), MeasureError> {
        if found == self.totals.valid {
            return Ok(());
        }
        Err(MeasureError::Miscounted { name: self.name, setting: self.setting, found, totals: self.totals })
    }

    fn rates(&self) -> Vec<f64> {
        self.turns.iter().map(|turn| turn.per_s_core).collect()
    }

    /// The row of this team, given the rates of those it is compared with, round by round.
    fn row(&self, simd: Option<&[f64]>, dalek: Option<&[f64]>) -> Row {
        let rates = self.rates();
        let ratio = |others: &[f64]| median(rates.iter().zip(others).map(|(rate, other)| rate / other).collect());
        Row {
            backend: self.name.to_owned(),
            case: self.setting.case,
            batch: self.setting.batch,
            message_bytes: self.setting.message_bytes,
            threads: self.setting.threads,
            per_s_core: median(rates.clone()),
            spread: spread(rates.clone()),
            cycles: median(self.turns.iter().map(|turn| turn.cycles).collect()),
            ratio_to_ed25519_simd: simd.map(ratio),
            ratio_to_ed25519_dalek_batch: dalek.map(ratio),
        }
    }
}

/// What a thread gave; its panic goes on here.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Case;

    fn options() -> Options {
        Options {
            batch_sizes: vec![5, 20],
            message_bytes: vec![33, 12],
            threads: vec![1, 2],
            signatures: 20,
            rounds: 2,
            pass_ms: 1,
            ..Options::default()
        }
    }

    #[test]
    fn everyone_has_a_row_for_every_setting_in_their_order() {
        let mut heard = Vec::new();
        let report = measure(&options(), |setting, index, count| heard.push((*setting, index, count))).unwrap();
        let settings = options().settings().unwrap();
        let expected = settings.iter().enumerate().map(|(index, &setting)| (setting, index, settings.len()));
        assert_eq!(heard, expected.collect::<Vec<_>>());
        let people = report.rows.len() / settings.len();
        assert!(people >= Backend::available().len() + 2, "{people}");
        for (setting, rows) in settings.iter().zip(report.rows.chunks(people)) {
            for row in rows {
                assert_eq!((row.case, row.batch, row.threads), (setting.case, setting.batch, setting.threads));
                assert_eq!(row.message_bytes, setting.message_bytes);
                assert!(row.per_s_core > 0.0 && row.cycles > 0.0 && row.spread >= 0.0, "{row:?}");
                let has_simd = rows.iter().any(|row| row.backend == ED25519_SIMD);
                assert_eq!(row.ratio_to_ed25519_simd.is_some(), has_simd);
            }
        }
        assert_eq!(report.notes.is_empty(), report.rows.iter().any(|row| row.backend == ED25519_SIMD));
    }

    #[test]
    fn of_ours_only_the_one_asked_for_is_measured() {
        let options = Options { backend: Some(Backend::Portable), cases: vec![Case::AllBad], ..options() };
        let report = measure(&options, |_, _, _| ()).unwrap();
        for backend in Backend::available() {
            let is_measured = report.rows.iter().any(|row| row.backend == backend.name());
            assert_eq!(is_measured, backend == Backend::Portable, "{backend}");
        }
    }

    #[test]
    fn ratios_are_medians_of_the_ratios_within_rounds() {
        let turn = |per_s_core| Turn { elapsed: Duration::ZERO, per_s_core, cycles: 1.0 };
        let setting = Setting { case: Case::NewKeys, batch: 1, message_bytes: 1, threads: 1 };
        let team = Team {
            name: "somebody",
            setting,
            contenders: Vec::new(),
            pieces: 1,
            totals: Totals { signatures: 1, valid: 1 },
            turns: [20.0, 40.0, 90.0].map(turn).to_vec(),
        };
        // The machine ran at half its speed in the first round.
        let row = team.row(Some(&[10.0, 20.0, 30.0]), None);
        assert_eq!((row.per_s_core, row.ratio_to_ed25519_simd), (40.0, Some(2.0)));
        assert_eq!(row.ratio_to_ed25519_dalek_batch, None);
    }

    #[test]
    fn a_wrong_count_is_an_error() {
        let workload = [Workload::new(Case::AllBad, 4, Signed::new(4, 1, 0)).unwrap()];
        let setting = Setting { case: Case::AllBad, batch: 4, message_bytes: 1, threads: 1 };
        let everything_is_valid = crate::libraries::Library {
            name: "credulous",
            has_batches: true,
            verifier: |_| {
                struct Credulous;
                impl crate::contenders::Verifier for Credulous {
                    fn count_valid(&mut self, batch: &constellation_verify::Batch<'_>) -> usize {
                        batch.len()
                    }
                }
                Box::new(Credulous)
            },
        };
        let team = Team::new(&Entrant::Library(everything_is_valid), &setting, &workload, Duration::ZERO);
        let error = team.map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "credulous found 4 of 4 signatures valid, not 0, in the case all_bad, batch 4");
    }
}
