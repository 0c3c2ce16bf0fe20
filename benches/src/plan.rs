//! What is measured: the options, and the settings that follow from them.

use constellation_verify::Backend;

use crate::{Case, machine};

/// The batch size and the message length of what is measured at one of them only.
const MAIN_BATCH: usize = 4096;
const MAIN_MESSAGE_BYTES: usize = 175;

/// The most memory that the signatures of one message length may take.
const MEMORY_LEN_BYTES_MAX: usize = 4 << 30;

/// How much to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Of our backends measure only this one; else all that this machine can run, a hardware GPU included.
    pub backend: Option<Backend>,
    /// Whether a software GPU will do for the GPU backends.
    pub software_gpu: bool,
    /// The cases. The first one is measured at every batch size, and at every message length; the others at one.
    pub cases: Vec<Case>,
    /// Batch sizes, in signatures. What is measured at one of them only: at 4,096 where the list has it, else at the
    /// largest.
    pub batch_sizes: Vec<usize>,
    /// Message lengths, in bytes. What is measured at one of them only: at 175 where the list has it, else at the first.
    /// The others are measured with the first number of threads.
    pub message_bytes: Vec<usize>,
    /// Numbers of threads. Each thread has its own batches.
    pub threads: Vec<usize>,
    /// Different signatures of each thread, each by its own key; more where a batch has more.
    pub signatures: usize,
    /// Rounds, of which the median counts.
    pub rounds: usize,
    /// The length of one turn of one contender, in milliseconds; at least one batch is verified in any case.
    pub pass_ms: u64,
    /// Measure every case at every batch size, message length and number of threads.
    pub full: bool,
}

impl Default for Options {
    /// Takes less than a minute on two cores.
    fn default() -> Self {
        let mut threads = vec![1, machine::cores()];
        threads.dedup();
        Self {
            backend: None,
            software_gpu: false,
            cases: Case::ALL.to_vec(),
            batch_sizes: vec![8, 64, 1024, 4096, 16_384],
            message_bytes: vec![76, 175, 200, 1024],
            threads,
            signatures: 4096,
            rounds: 7,
            pass_ms: 20,
            full: false,
        }
    }
}

impl Options {
    /// Takes some seconds: one thread, one batch size and message length, short turns, and as few rounds as can be a
    /// result.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            batch_sizes: vec![MAIN_BATCH],
            message_bytes: vec![MAIN_MESSAGE_BYTES],
            threads: vec![1],
            rounds: 5,
            pass_ms: 10,
            ..Self::default()
        }
    }

    /// What is measured, in the order of the report.
    ///
    /// # Errors
    /// [`OptionsError`] when there would be nothing to measure, or it would not fit the memory.
    pub fn settings(&self) -> Result<Vec<Setting>, OptionsError> {
        let lists = [&self.batch_sizes, &self.message_bytes, &self.threads];
        if self.rounds == 0 || self.cases.is_empty() || lists.iter().any(|list| list.is_empty() || list.contains(&0)) {
            return Err(OptionsError::Nothing);
        }
        let batch = main_of(&self.batch_sizes, MAIN_BATCH, self.batch_sizes.iter().copied().max().unwrap_or(1));
        let message_bytes = main_of(&self.message_bytes, MAIN_MESSAGE_BYTES, self.message_bytes[0]);
        let mut settings = Vec::new();
        // One message length after the other, because the signatures of each are made once.
        let others = self.message_bytes.iter().copied().filter(|&length| length != message_bytes);
        for length in [message_bytes].into_iter().chain(others) {
            for (index, &case) in self.cases.iter().enumerate() {
                for &size in &self.batch_sizes {
                    let deviations = [index > 0, size != batch, length != message_bytes];
                    let is_plain = deviations.iter().filter(|&&deviates| deviates).count() <= 1;
                    if is_plain || self.full {
                        // A longer message is more of the same work on every thread.
                        let count = if length == message_bytes || self.full { self.threads.len() } else { 1 };
                        let setting = |&threads| Setting { case, batch: size, message_bytes: length, threads };
                        settings.extend(self.threads[..count].iter().map(setting));
                    }
                }
            }
        }
        for setting in &settings {
            self.check_memory(setting)?;
        }
        Ok(settings)
    }

    /// The different signatures that each thread of `setting` needs, as whole batches.
    pub(crate) fn signatures_of(&self, setting: &Setting) -> usize {
        (self.signatures / setting.batch).max(1) * setting.batch
    }

    fn check_memory(&self, setting: &Setting) -> Result<(), OptionsError> {
        let signature = setting.message_bytes.saturating_add(96);
        let len_bytes = self.signatures_of(setting).saturating_mul(signature).saturating_mul(setting.threads);
        if len_bytes > MEMORY_LEN_BYTES_MAX { Err(OptionsError::TooLarge { len_bytes }) } else { Ok(()) }
    }
}

fn main_of(list: &[usize], main: usize, otherwise: usize) -> usize {
    if list.contains(&main) { main } else { otherwise }
}

/// Options that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A list is empty, or a number is zero.
    #[error("there is nothing to measure: each list needs an entry, and each number must be at least 1")]
    Nothing,
    /// The signatures would not fit.
    #[error(
        "the signatures would take {len_bytes} bytes, more than {MEMORY_LEN_BYTES_MAX}; ask for smaller batches, \
        shorter messages or fewer threads"
    )]
    TooLarge {
        /// How much they would take.
        len_bytes: usize,
    },
}

/// One thing to measure every contender on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The case.
    pub case: Case,
    /// Signatures in a batch.
    pub batch: usize,
    /// The length of every message.
    pub message_bytes: usize,
    /// How many threads work, each on its own batches.
    pub threads: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options { threads: vec![1, 2], ..Options::default() }
    }

    #[test]
    fn the_first_case_is_measured_at_every_size_and_length_and_the_others_at_one() {
        let settings = options().settings().unwrap();
        let of = |case| settings.iter().filter(move |setting| setting.case == case && setting.threads == 1);
        let batches: Vec<usize> =
            of(Case::NewKeys).filter(|setting| setting.message_bytes == 175).map(|setting| setting.batch).collect();
        assert_eq!(batches, [8, 64, 1024, 4096, 16_384]);
        let lengths: Vec<usize> =
            of(Case::NewKeys).filter(|setting| setting.batch == 4096).map(|setting| setting.message_bytes).collect();
        assert_eq!(lengths, [175, 76, 200, 1024]);
        for case in [Case::KnownKeys, Case::OneBad, Case::AllBad] {
            let plain: Vec<&Setting> = of(case).collect();
            assert_eq!(plain, [&Setting { case, batch: 4096, message_bytes: 175, threads: 1 }]);
        }
        assert_eq!(settings.len(), 2 * (5 + 3) + 3);
        let full = Options { full: true, ..options() };
        assert_eq!(full.settings().unwrap().len(), 2 * 5 * 4 * 4);
        assert_eq!(Options::quick().settings().unwrap().len(), 4);
    }

    #[test]
    fn lists_without_the_usual_entry_have_another_one() {
        let options = Options { batch_sizes: vec![5, 7, 6], message_bytes: vec![9, 8], threads: vec![1], ..options() };
        let settings = options.settings().unwrap();
        let known = settings.iter().find(|setting| setting.case == Case::KnownKeys).unwrap();
        assert_eq!((known.batch, known.message_bytes), (7, 9));
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for options in [
            Options { rounds: 0, ..options() },
            Options { cases: Vec::new(), ..options() },
            Options { batch_sizes: vec![1, 0], ..options() },
            Options { threads: Vec::new(), ..options() },
        ] {
            assert_eq!(options.settings(), Err(OptionsError::Nothing), "{options:?}");
        }
        let large = Options { batch_sizes: vec![1 << 20], message_bytes: vec![1 << 16], ..options() };
        assert!(matches!(large.settings(), Err(OptionsError::TooLarge { .. })));
    }

    #[test]
    fn a_thread_has_whole_batches() {
        let signatures = |batch| {
            let setting = Setting { case: Case::NewKeys, batch, message_bytes: 1, threads: 1 };
            Options { signatures: 100, ..options() }.signatures_of(&setting)
        };
        assert_eq!([8, 64, 100, 4096].map(signatures), [96, 64, 100, 4096]);
    }
}
