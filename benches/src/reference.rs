//! The process that verifies with `ed25519-simd`: the program is part of this binary, put by the build script, and is
//! written to a private temporary folder to be started. Its protocol is told in `reference/src/main.rs`.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::contenders::Pass;
use crate::{Case, Workload};

/// The program; empty where the build script made none.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/reference-program"));

/// Why the build script made none.
const PROBLEM: &str = env!("CONSTELLATION_REFERENCE_PROBLEM");

/// The longest that an answer is waited for: far above what the largest workload takes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// How often, and how far apart, a start is tried again that fails because the file is busy: a process that is being
/// started by another thread holds every open file for a moment, also the one the program was just written to.
const BUSY_RETRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// What went wrong with the process.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// It cannot be started.
    #[error("cannot start the program that verifies with ed25519-simd, {path}: {source}", path = path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It died, or its streams closed.
    #[error("the program that verifies with ed25519-simd has ended: {status}")]
    Ended {
        /// How it ended.
        status: String,
    },
    /// It did not answer in time.
    #[error("the program that verifies with ed25519-simd has not answered for {} s", ANSWER_TIMEOUT.as_secs())]
    TimedOut,
    /// It answered something else than what was asked.
    #[error("the program that verifies with ed25519-simd answered nonsense: {answer:?}")]
    Nonsense {
        /// What it answered.
        answer: String,
    },
}

/// The program in its private folder, which goes when this is dropped.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    _folder: TempDir,
}

impl Program {
    /// Unpacks the program and sees that it starts.
    ///
    /// # Errors
    /// Why there is no such program here, as a note for the report: the build made none, the CPU lacks what it needs,
    /// or the temporary folder allows no programs.
    pub fn unpack() -> Result<Self, String> {
        if PROGRAM.is_empty() {
            return Err(PROBLEM.to_owned());
        }
        let missing = missing_features();
        if !missing.is_empty() {
            return Err(format!("this CPU lacks {}", missing.join(", ")));
        }
        Self::write(PROGRAM).map_err(|error| {
            let folder = std::env::temp_dir();
            format!("{error}; if no program may run in {}, set TMPDIR to a folder where one may", folder.display())
        })
    }

    fn write(program: &[u8]) -> Result<Self, ReferenceError> {
        let in_folder = std::env::temp_dir();
        let folder = tempfile::Builder::new().prefix("constellation-bench-").tempdir();
        let folder = folder.map_err(|source| ReferenceError::Start { path: in_folder, source })?;
        let path = folder.path().join(format!("ed25519-simd-reference{}", std::env::consts::EXE_SUFFIX));
        write_executable(&path, program).map_err(|source| ReferenceError::Start { path: path.clone(), source })?;
        let program = Self { path, _folder: folder };
        // Without any input it ends at once.
        let mut child = program.spawn()?;
        drop(child.stdin.take());
        let status = child.wait().map_err(|source| ReferenceError::Start { path: program.path.clone(), source })?;
        if status.success() { Ok(program) } else { Err(ReferenceError::Ended { status: status.to_string() }) }
    }

    /// Starts a process and gives it `workload`.
    ///
    /// # Errors
    /// [`ReferenceError`] when it does not start or does not take the workload.
    pub fn start(&self, workload: &Workload) -> Result<Process, ReferenceError> {
        let mut process = Process::new(self.spawn()?);
        match process.ask(encode(workload))?.as_str() {
            "ready" => Ok(process),
            answer => Err(ReferenceError::Nonsense { answer: answer.to_owned() }),
        }
    }

    fn spawn(&self) -> Result<Child, ReferenceError> {
        let mut retries = 0;
        loop {
            let child = Command::new(&self.path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
            match child {
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && retries < BUSY_RETRIES => {
                    retries += 1;
                    thread::sleep(BUSY_PAUSE);
                }
                child => return child.map_err(|source| ReferenceError::Start { path: self.path.clone(), source }),
            }
        }
    }
}

fn write_executable(path: &Path, program: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o700);
    options.open(path)?.write_all(program)
}

/// What the program's build switched on (see the build script) and this CPU lacks.
fn missing_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! missing {
            ($($feature:tt)*) => { [$((is_x86_feature_detected!($feature), $feature)),*] };
        }
        let features = missing!["avx512f" "avx512bw" "avx512dq" "avx512ifma"];
        features.into_iter().filter(|(is_present, _)| !is_present).map(|(_, name)| name).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    vec!["an x86-64 core"]
}

/// The workload as the program reads it.
fn encode(workload: &Workload) -> Vec<u8> {
    let numbers = [
        usize::from(workload.case() == Case::KnownKeys),
        workload.len(),
        workload.batch_size(),
        workload.message_bytes(),
    ];
    let mut bytes = Vec::new();
    for number in numbers {
        // The bounds of the options keep all of them far below.
        bytes.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    }
    bytes.extend_from_slice(workload.public_keys().as_flattened());
    bytes.extend_from_slice(workload.signatures().as_flattened());
    bytes.extend_from_slice(workload.messages());
    bytes
}

/// A running process that has its workload; killed when this is dropped.
pub struct Process {
    child: Child,
    questions: Option<SyncSender<Vec<u8>>>,
    answers: Receiver<io::Result<String>>,
}

impl Process {
    fn new(mut child: Child) -> Self {
        let (questions, asked) = sync_channel(1);
        let (answered, answers) = sync_channel(1);
        if let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) {
            // A thread of its own, because neither a pipe's write nor its read can be bounded in time.
            thread::spawn(move || converse(input, BufReader::new(output), &asked, &answered));
        }
        Self { child, questions: Some(questions), answers }
    }

    /// Verifies `batches` batches.
    ///
    /// # Errors
    /// [`ReferenceError`] when the process died, is late or does not keep to the protocol.
    pub fn pass(&mut self, batches: usize) -> Result<Pass, ReferenceError> {
        let answer = self.ask(format!("go {batches}\n").into_bytes())?;
        parse_pass(&answer).ok_or(ReferenceError::Nonsense { answer })
    }

    fn ask(&mut self, question: Vec<u8>) -> Result<String, ReferenceError> {
        let asked = self.questions.as_ref().is_some_and(|questions| questions.send(question).is_ok());
        if !asked {
            return Err(self.ended());
        }
        match self.answers.recv_timeout(ANSWER_TIMEOUT) {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(_)) | Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => Err(self.ended()),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Err(ReferenceError::TimedOut),
        }
    }

    /// The error of a process whose streams have closed.
    fn ended(&mut self) -> ReferenceError {
        // It may have closed them without ending.
        self.child.kill().ok();
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        ReferenceError::Ended { status }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.questions = None;
        // It may have ended already; there is nobody left to tell of any other failure.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Passes questions on and answers back, until either side closes.
fn converse(
    mut input: ChildStdin,
    mut output: BufReader<ChildStdout>,
    asked: &Receiver<Vec<u8>>,
    answered: &SyncSender<io::Result<String>>,
) {
    while let Ok(question) = asked.recv() {
        let answer = input.write_all(&question).and_then(|()| input.flush()).and_then(|()| read_line(&mut output));
        let is_last = answer.is_err();
        if answered.send(answer).is_err() || is_last {
            return;
        }
    }
}

/// One line of at most 80 bytes, without its end.
fn read_line(output: &mut BufReader<ChildStdout>) -> io::Result<String> {
    let mut line = String::new();
    io::Read::take(output, 80).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.to_owned()),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// The answer to a `go` line.
fn parse_pass(answer: &str) -> Option<Pass> {
    let (nanoseconds, valid) = answer.strip_prefix("done ")?.split_once(' ')?;
    Some(Pass { valid: valid.parse().ok()?, elapsed: Duration::from_nanos(nanoseconds.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Signed;

    fn program() -> Option<Program> {
        let program = Program::unpack();
        if let Err(reason) = &program {
            println!("SKIPPED: ed25519-simd is not here: {reason}");
        }
        program.ok()
    }

    #[test]
    fn the_process_counts_what_is_valid_in_every_case() {
        let Some(program) = program() else { return };
        let signed = Signed::new(24, 33, 0);
        for case in Case::ALL {
            let workload = Workload::new(case, 12, signed.clone()).unwrap();
            let mut process = program.start(&workload).unwrap();
            for batches in [1, 2, 5] {
                let pass = process.pass(batches).unwrap();
                assert_eq!(pass.valid, workload.totals(12, batches).valid, "{case} {batches}");
                assert!(pass.elapsed > Duration::ZERO);
            }
        }
    }

    #[test]
    fn a_process_that_dies_is_an_error_that_names_it_and_the_folder_goes() {
        let Some(program) = program() else { return };
        let folder = program.path.parent().unwrap().to_owned();
        let mut process = program.start(&Workload::new(Case::NewKeys, 2, Signed::new(2, 1, 0)).unwrap()).unwrap();
        process.child.kill().unwrap();
        let error = process.pass(1).unwrap_err().to_string();
        assert!(error.contains("ed25519-simd has ended: signal"), "{error}");
        drop((process, program));
        assert!(!folder.exists());
    }

    #[test]
    fn a_file_that_is_no_program_is_an_error() {
        let error = Program::write(b"not a program").unwrap_err().to_string();
        assert!(error.contains("cannot start the program that verifies with ed25519-simd"), "{error}");
    }

    #[test]
    fn only_answers_of_the_protocol_are_taken() {
        let pass = Pass { valid: 12, elapsed: Duration::from_nanos(3_000_000_001) };
        assert_eq!(parse_pass("done 3000000001 12"), Some(pass));
        for nonsense in ["", "ready", "done", "done 1", "done 1 2 3", "done -1 2", "done 1.5 2"] {
            assert_eq!(parse_pass(nonsense), None, "{nonsense:?}");
        }
    }
}
