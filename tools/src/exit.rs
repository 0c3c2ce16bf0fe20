//! How a command ends: the exit codes, the failure that carries one with its message, and the help text that documents
//! them.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::Write;
use std::process::ExitCode;

use constellation_node::api::ClientError;
use constellation_storage::LogError;

/// What the exit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command did what it was asked.
    Done = 0,
    /// Something that was checked does not hold.
    CheckFailed = 1,
    /// The command line, or a file it names, cannot be used.
    BadInput = 2,
    /// A node does not answer.
    Unreachable = 3,
    /// This machine refused: a disk, a file, a full device.
    Machine = 4,
}

impl Exit {
    const ALL: [Self; 5] = [Self::Done, Self::CheckFailed, Self::BadInput, Self::Unreachable, Self::Machine];

    fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::CheckFailed => "a check failed: something does not hold, or differs from what was expected",
            Self::BadInput => "the command line, or a file it names, cannot be used",
            Self::Unreachable => "a node cannot be reached",
            Self::Machine => "this machine failed: an I/O error, a full disk",
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    /// What to tell the user; none where nobody is left to read it.
    message: Option<String>,
}

impl Failure {
    /// A failure with what to tell the user: the thing at fault and the remedy.
    pub fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: Some(message.to_string()) }
    }

    /// A failure told by an error and its causes.
    pub fn from_error(exit: Exit, error: &dyn Error) -> Self {
        Self::new(exit, with_causes(error))
    }

    /// The failure of talking to a node.
    pub fn from_client(error: &ClientError) -> Self {
        let exit = match error {
            ClientError::Address { .. } | ClientError::Refused { .. } | ClientError::TooLarge { .. } => Exit::BadInput,
            ClientError::Connect { .. }
            | ClientError::NotANode { .. }
            | ClientError::Busy { .. }
            | ClientError::TimedOut { .. }
            | ClientError::Closed { .. }
            | ClientError::Protocol(_) => Exit::Unreachable,
        };
        // The messages name their causes themselves.
        Self::new(exit, error)
    }

    /// An end without a word: the reader of standard output has gone.
    pub fn quiet() -> Self {
        Self { exit: Exit::Done, message: None }
    }

    /// The failure of reading the file or folder called `what`: one that is not there is the user's to mend.
    pub fn reading(what: impl Display, error: &std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory | std::io::ErrorKind::NotADirectory => {
                Exit::BadInput
            }
            _ => Exit::Machine,
        };
        Self::new(exit, format_args!("cannot read {what}: {error}"))
    }

    /// The status that the command ends with.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Tells the user, and gives the exit status.
    pub fn report(self) -> ExitCode {
        if let Some(message) = &self.message {
            note(format_args!("error: {message}"));
        }
        ExitCode::from(self.exit as u8)
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message.as_deref().unwrap_or_default())
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        let exit = match &error {
            LogError::Damaged { .. } => Exit::CheckFailed,
            LogError::Locked { .. } | LogError::UnsupportedVersion { .. } => Exit::BadInput,
            LogError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Exit::BadInput,
            _ => Exit::Machine,
        };
        Self::from_error(exit, &error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::from_client(&error)
    }
}

/// Writes one line to standard error. Nobody may be reading it, and that is no failure of the command.
pub fn note(line: impl Display) {
    writeln!(std::io::stderr(), "{line}").ok();
}

/// The text behind a command's options: examples, and the exit codes it can end with besides 0 and 2, which all can.
pub fn help(examples: &[&str], exits: &[Exit]) -> String {
    let mut text = "Examples:\n".to_owned();
    for example in examples {
        text.push_str(&format!("  {example}\n"));
    }
    text.push_str("\nExit codes:\n");
    for exit in Exit::ALL {
        if matches!(exit, Exit::Done | Exit::BadInput) || exits.contains(&exit) {
            text.push_str(&format!("  {}  {}\n", exit as u8, exit.meaning()));
        }
    }
    text
}

/// The text behind the options of the program itself.
pub fn help_of_program() -> String {
    let examples = [
        "constellation devnet",
        "constellation verify vectors.json",
        "constellation log verify /var/lib/constellation",
        "constellation help log verify",
    ];
    help(&examples, &Exit::ALL)
}

/// An error and its causes on one line, without what a message repeats of its cause.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn io_error(kind: std::io::ErrorKind) -> LogError {
        let source = Arc::new(std::io::Error::new(kind, "the reason"));
        LogError::Io { operation: "open", path: "somewhere".into(), source }
    }

    #[test]
    fn a_log_error_tells_the_user_from_the_machine_and_names_its_cause() {
        let missing = Failure::from(io_error(std::io::ErrorKind::NotFound));
        assert_eq!(missing, Failure::new(Exit::BadInput, "cannot open somewhere: the reason"));
        assert_eq!(Failure::from(io_error(std::io::ErrorKind::PermissionDenied)).exit, Exit::Machine);
        let damaged = LogError::Damaged { segment: "a.seg".into(), offset: 64, reason: "bad checksum" };
        let failure = Failure::from(damaged);
        assert_eq!(failure.exit, Exit::CheckFailed);
        assert!(failure.to_string().contains("a.seg") && failure.to_string().contains("64"), "{failure}");
    }

    #[test]
    fn help_lists_the_codes_that_can_occur() {
        let text = help(&["constellation example"], &[Exit::CheckFailed]);
        assert!(text.contains("  constellation example\n"), "{text}");
        for (code, listed) in [("  0  ", true), ("  1  ", true), ("  2  ", true), ("  3  ", false), ("  4  ", false)] {
            assert_eq!(text.contains(code), listed, "{code}");
        }
    }
}
