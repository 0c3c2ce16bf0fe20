//! `constellation verify`: the signature rule applied to a file of signatures, such as the published test vectors.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use constellation_verify::{BatchError, Engine, OwnedBatch};
use serde::{Deserialize, Serialize};

use crate::backend::BackendArgs;
use crate::exit::{Exit, Failure, help};
use crate::output::{Output, printable};

/// The longest file that is read.
const FILE_LEN_BYTES_MAX: u64 = 1 << 30;

/// Signatures verified together.
const BATCH_LEN: usize = 4096;

/// How many mismatches are named in the error.
const NAMED_MAX: usize = 10;

/// Verify the Ed25519 signatures in a file, one verdict a line
///
/// The file is a JSON array of objects with `name`, `public_key`, `message` and `signature`, the last three in hex.
/// Where an object has `valid` (true or false), the verdict is compared with it. Other fields are ignored. A public key
/// or signature of the wrong length is invalid; text that is not hex is an error.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation verify vectors.json",
        "constellation verify --backend portable --json vectors.json",
        "generate-signatures | constellation verify -",
    ],
    &[Exit::CheckFailed, Exit::Machine],
))]
pub struct Args {
    /// The file, or - for standard input
    file: PathBuf,
    #[command(flatten)]
    backend: BackendArgs,
    #[command(flatten)]
    output: Output,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let engine = self.backend.engine()?;
        let (text, what) = self.read()?;
        let entries: Vec<Entry> = serde_json::from_str(&text).map_err(|error| {
            Failure::new(Exit::BadInput, format_args!("{what} is not a list of signatures: {error}"))
        })?;
        let rows = Rows(verdicts(&entries, &engine).map_err(|error| error.in_file(&what))?);
        let written = self.output.write(&rows);
        // A reader that has gone must not turn a mismatch into a success.
        rows.check(&what).and(written)
    }

    /// The text of the file, and what to call the file.
    fn read(&self) -> Result<(String, String), Failure> {
        let what = if self.is_stdin() { "standard input".to_owned() } else { self.file.display().to_string() };
        let fails = |error: &io::Error| Failure::reading(&what, error);
        let source: Box<dyn Read> = match self.is_stdin() {
            true => Box::new(io::stdin()),
            false => Box::new(File::open(&self.file).map_err(|error| fails(&error))?),
        };
        let mut bytes = Vec::new();
        source.take(FILE_LEN_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| fails(&error))?;
        if bytes.len() as u64 > FILE_LEN_BYTES_MAX {
            let message = format!("{what} is longer than {FILE_LEN_BYTES_MAX} bytes; split it into several files");
            return Err(Failure::new(Exit::BadInput, message));
        }
        let text = String::from_utf8(bytes)
            .map_err(|error| Failure::new(Exit::BadInput, format_args!("{what} is not UTF-8 text: {error}")))?;
        Ok((text, what))
    }

    fn is_stdin(&self) -> bool {
        self.file.as_os_str() == "-"
    }
}

/// An entry as the file has it. What is missing is found later, where the entry can be named.
#[derive(Debug, Default, Deserialize)]
struct Entry {
    name: Option<String>,
    public_key: Option<String>,
    message: Option<String>,
    signature: Option<String>,
    valid: Option<bool>,
}

impl Entry {
    fn name(&self, index: usize) -> String {
        self.name.clone().unwrap_or_else(|| format!("#{index}"))
    }
}

/// An entry that cannot be judged: the file is at fault.
#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error("entry {index} ({name}): {field} is missing")]
    Missing { index: usize, name: String, field: &'static str },
    #[error("entry {index} ({name}): {field} is not hex: {source}")]
    NotHex { index: usize, name: String, field: &'static str, source: hex::FromHexError },
    #[error("entry {index} ({name}): {source}")]
    Batch { index: usize, name: String, source: BatchError },
}

impl EntryError {
    fn in_file(&self, what: &str) -> Failure {
        Failure::new(Exit::BadInput, format_args!("{what}: {self}"))
    }
}

/// One verdict.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// All verdicts, in the order of the file.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Rows(Vec<Row>);

impl Rows {
    /// Fails when a verdict is not the one that the file gives.
    fn check(&self, what: &str) -> Result<(), Failure> {
        let differs = |row: &&Row| row.expected.is_some_and(|expected| expected != row.valid);
        let names: Vec<String> = self.0.iter().filter(differs).map(|row| printable(&row.name)).collect();
        if names.is_empty() {
            return Ok(());
        }
        let more = if names.len() > NAMED_MAX { ", …" } else { "" };
        let named = names[..names.len().min(NAMED_MAX)].join(", ");
        let message =
            format!("{} of {} verdicts are not those that {what} gives: {named}{more}", names.len(), self.0.len());
        Err(Failure::new(Exit::CheckFailed, message))
    }
}

impl Display for Rows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.0 {
            writeln!(formatter, "{} {}", printable(&row.name), if row.valid { "valid" } else { "invalid" })?;
        }
        Ok(())
    }
}

fn verdicts(entries: &[Entry], engine: &Engine) -> Result<Vec<Row>, EntryError> {
    let mut rows = Vec::with_capacity(entries.len());
    let mut batch = OwnedBatch::new();
    for chunk in entries.chunks(BATCH_LEN) {
        batch.clear();
        // Places in `rows` of the entries that went into the batch.
        let mut places = Vec::with_capacity(chunk.len());
        for entry in chunk {
            let (row, is_batched) = prepare(entry, rows.len(), &mut batch)?;
            if is_batched {
                places.push(rows.len());
            }
            rows.push(row);
        }
        for (place, valid) in places.into_iter().zip(engine.verify(&batch.as_batch()).iter()) {
            rows[place].valid = valid;
        }
    }
    Ok(rows)
}

/// Puts an entry into the batch, unless its lengths settle the verdict, and gives its row, invalid so far.
fn prepare(entry: &Entry, index: usize, batch: &mut OwnedBatch) -> Result<(Row, bool), EntryError> {
    let name = entry.name(index);
    let bytes = |field, text: &Option<String>| {
        let text = text.as_ref().ok_or_else(|| EntryError::Missing { index, name: printable(&name), field })?;
        hex::decode(text).map_err(|source| EntryError::NotHex { index, name: printable(&name), field, source })
    };
    let public_key = bytes("public_key", &entry.public_key)?;
    let message = bytes("message", &entry.message)?;
    let signature = bytes("signature", &entry.signature)?;
    let note = match (<&[u8; 32]>::try_from(&public_key[..]), <&[u8; 64]>::try_from(&signature[..])) {
        (Ok(public_key), Ok(signature)) => {
            batch.push(public_key, signature, &[&message]).map_err(|source| EntryError::Batch {
                index,
                name: printable(&name),
                source,
            })?;
            None
        }
        (Err(_), _) => Some(format!("public_key has {} bytes, not 32", public_key.len())),
        (_, Err(_)) => Some(format!("signature has {} bytes, not 64", signature.len())),
    };
    let is_batched = note.is_none();
    Ok((Row { name, valid: false, expected: entry.valid, note }, is_batched))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, key_len: usize, signature_len: usize) -> Entry {
        Entry {
            name: Some(name.to_owned()),
            public_key: Some("01".repeat(key_len)),
            message: Some(String::new()),
            signature: Some("02".repeat(signature_len)),
            valid: None,
        }
    }

    #[test]
    fn verdicts_keep_the_order_of_the_file_across_batches_and_wrong_lengths() {
        let lengths = |index: usize| if index.is_multiple_of(3) { (31, 64) } else { (32, 64) };
        let entries: Vec<Entry> = (0..BATCH_LEN + 5)
            .map(|index| {
                let (key_len, signature_len) = lengths(index);
                entry(&index.to_string(), key_len, signature_len)
            })
            .collect();
        let rows = verdicts(&entries, &Engine::detect()).unwrap();
        assert_eq!(rows.len(), entries.len());
        for (index, row) in rows.iter().enumerate() {
            assert_eq!((row.name.as_str(), row.valid), (index.to_string().as_str(), false));
            assert_eq!(row.note.is_some(), index.is_multiple_of(3), "{index}");
        }
    }

    #[test]
    fn an_error_names_the_entry_and_the_field() {
        let mut bad = entry("second", 32, 64);
        bad.signature = Some("0g".to_owned());
        let error = verdicts(&[entry("first", 32, 64), bad], &Engine::detect()).unwrap_err().to_string();
        assert!(error.starts_with("entry 1 (second): signature is not hex"), "{error}");
        let nameless = Entry { public_key: Some(String::new()), ..Entry::default() };
        let error = verdicts(&[nameless], &Engine::detect()).unwrap_err().to_string();
        assert_eq!(error, "entry 0 (#0): message is missing");
    }

    #[test]
    fn only_verdicts_that_the_file_gives_are_compared() {
        let row = |name: &str, expected| Row { name: name.to_owned(), valid: true, expected, note: None };
        let rows = Rows(vec![row("a", Some(true)), row("b", None)]);
        assert_eq!(rows.check("file"), Ok(()));
        let rows = Rows(vec![row("a", Some(false)), row("b", None)]);
        let failure = rows.check("file").unwrap_err();
        assert_eq!(failure, Failure::new(Exit::CheckFailed, "1 of 2 verdicts are not those that file gives: a"));
    }
}
