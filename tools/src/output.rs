//! Standard output, for every command: reports as text or as JSON, and nothing else.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::exit::{Exit, Failure};

/// How a command reports.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Output {
    /// Report as JSON, for programs, instead of text
    #[arg(long)]
    pub json: bool,
}

impl Output {
    /// Writes one report: a line of JSON, or its text, which brings its own line ends. A command that reports one thing
    /// calls this once, so that its output is one JSON document.
    ///
    /// # Errors
    /// A reader that has gone ends the command quietly; anything else is the machine's failure.
    pub fn write<T: Serialize + Display>(self, report: &T) -> Result<(), Failure> {
        let text = if self.json {
            let json = serde_json::to_string(report).map_err(|error| {
                Failure::new(Exit::Machine, format_args!("cannot write the report as JSON: {error}"))
            })?;
            json + "\n"
        } else {
            report.to_string()
        };
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::quiet(),
            _ => Failure::new(Exit::Machine, format_args!("cannot write to standard output: {error}")),
        })
    }
}

/// `text` as it can be shown on a terminal: names in files from outside may hold control characters.
pub fn printable(text: &str) -> String {
    let shown = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_escaped_and_the_rest_as_it_is() {
        assert_eq!(printable("a'ü\u{1b}[2J\n"), "a'ü\\u{1b}[2J\\n");
    }
}
