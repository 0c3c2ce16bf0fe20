//! What the tests of the binary share: running it.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test that meets the unexpected must stop, and each uses its own part"
)]

pub mod network;
pub mod process;

use std::process::{Command, Output, Stdio};

/// The binary, ready to run.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_constellation"));
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs the binary with nothing on its standard input.
pub fn run(arguments: &[&str]) -> Finished {
    process::Process::start(command(arguments)).finish()
}

/// What a run left.
#[derive(Debug)]
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output as one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Fails the test unless the run ended with `code` and nothing on standard output, and its error has all of `words`.
    pub fn expect_error(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "\"{word}\" is not in {self:?}");
        }
    }
}
