//! A process of the binary that a test starts, sends signals to, waits for, and never leaves behind.

use std::fs::File;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use tempfile::NamedTempFile;

use super::Finished;

/// How long anything may take: long, because how fast it comes is no matter of tests.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a process that is given up has to end in order, and its children with it.
const GRACE: Duration = Duration::from_secs(30);

/// A running process; its output goes to files, so that it never waits for a reader.
pub struct Process {
    child: Child,
    stdout: NamedTempFile,
    stderr: NamedTempFile,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        let (stdout, stderr) = (NamedTempFile::new().unwrap(), NamedTempFile::new().unwrap());
        let handle = |file: &NamedTempFile| -> File { file.reopen().unwrap() };
        let child = command.stdout(handle(&stdout)).stderr(handle(&stderr)).spawn().unwrap();
        Self { child, stdout, stderr }
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends a signal to it and to all in its process group, as a terminal does; it must lead one of its own.
    pub fn signal_group(&self, signal: Signal) {
        rustix::process::kill_process_group(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.stderr.path()).unwrap()
    }

    /// Waits until it has written `words` to standard error.
    pub fn wait_for(&mut self, words: &str) {
        wait_until(words, || {
            let has_ended = self.child.try_wait().unwrap().is_some();
            let stderr = self.stderr();
            assert!(stderr.contains(words) || !has_ended, "ended without \"{words}\": {stderr}");
            stderr.contains(words)
        });
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Finished {
        wait_until("the process ends", || self.child.try_wait().unwrap().is_some());
        let code = self.child.wait().unwrap().code();
        let read = |file: &NamedTempFile| std::fs::read_to_string(file.path()).unwrap();
        let (stdout, stderr) = (read(&self.stdout), read(&self.stderr));
        let code = code.unwrap_or_else(|| panic!("ended by a signal: {stderr}"));
        Finished { code, stdout, stderr }
    }

    /// Sends SIGTERM and waits for its end.
    pub fn terminate(self) -> Finished {
        self.signal(Signal::TERM);
        self.finish()
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // A test has failed. First in order, so that what this process has started ends too.
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), Signal::TERM).ok();
        let deadline = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

/// Waits until `done`, at most a generous time.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
