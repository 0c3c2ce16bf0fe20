//! What the `star` commands report. Amounts are in 10^-8 noos in JSON, and in noos in text.

use crate::amount::Amount;
use crate::output::printable;
use crate::star::{Chain, Entry, Outcome, Place, Received, Sent, Signed};
use constellation_chain::{Hash, PublicKey};
use constellation_node::api::StarAnswer;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Of `star new`.
#[derive(Serialize)]
pub struct NewReport {
    pub public_key: PublicKey,
    pub key_file: PathBuf,
}

impl fmt::Display for NewReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "star {}", self.public_key)?;
        writeln!(f, "key in {}", self.key_file.display())
    }
}

/// Of `star show`.
#[derive(Serialize)]
pub struct ShowReport {
    pub star: PublicKey,
    #[serde(flatten)]
    pub account: StarAnswer,
    /// What the chain file says; none when the key has signed nothing here.
    pub chain: Option<ChainReport>,
}

/// Where a chain file stands.
#[derive(Serialize)]
pub struct ChainReport {
    sequence: u64,
    head: Hash,
    open: Option<Row>,
}

impl ChainReport {
    pub fn of(chain: &Chain) -> Self {
        let head = chain.head();
        ChainReport { sequence: head.sequence, head: head.head, open: chain.open().map(Row::of) }
    }
}

impl fmt::Display for ShowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StarAnswer { balance, head, forks, height } = &self.account;
        writeln!(f, "star      {}", self.star)?;
        writeln!(f, "balance   {} noos", Amount(*balance))?;
        writeln!(f, "sequence  {}", head.sequence)?;
        writeln!(f, "head      {}", head.head)?;
        writeln!(f, "forks     {forks}")?;
        writeln!(f, "height    {height}")?;
        match &self.chain {
            None => writeln!(f, "own chain none: this key has signed nothing here"),
            Some(chain) => {
                writeln!(f, "own chain number {}, head {}", chain.sequence, chain.head)?;
                chain.open.iter().try_for_each(|row| writeln!(f, "open      {row}"))
            }
        }
    }
}

/// Of `star send`.
#[derive(Serialize)]
pub struct SendReport {
    star: PublicKey,
    counterparty: PublicKey,
    amount: u64,
    sequence: u64,
    /// `final` or `open`.
    state: &'static str,
    /// Whether an earlier command signed it.
    resumed: bool,
    id: Option<Hash>,
    height: Option<u64>,
    black_hole: Option<Hash>,
}

impl SendReport {
    pub fn new(star: PublicKey, counterparty: PublicKey, amount: u64, sent: &Sent) -> Self {
        let place = sent.place;
        SendReport {
            star,
            counterparty,
            amount,
            sequence: sent.sequence,
            state: if place.is_some() { "final" } else { "open" },
            resumed: sent.resumed,
            id: place.map(|place| place.id),
            height: place.and_then(|place| place.height),
            black_hole: place.and_then(|place| place.black_hole),
        }
    }
}

impl fmt::Display for SendReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.resumed { "the open payment" } else { "payment" };
        let (amount, to) = (Amount(self.amount), self.counterparty);
        write!(f, "{what} {} of {amount} noos to {to}: ", self.sequence)?;
        match self.id {
            None => writeln!(f, "offered, not countersigned yet"),
            Some(id) => writeln!(f, "final{}\ntransaction {id}", InBlackHole(self.height, self.black_hole)),
        }
    }
}

/// Of `star receive`.
#[derive(Serialize)]
pub struct ReceiveReport {
    star: PublicKey,
    pub received: Vec<Row>,
}

impl ReceiveReport {
    pub fn new(star: PublicKey, received: Vec<Received>) -> Self {
        let row = |received: Received| Row {
            sequence: received.sequence,
            direction: "received",
            counterparty: received.from,
            amount: received.amount,
            payload: hex::encode(&received.payload),
            state: "final",
            reason: None,
            id: Some(received.place.id),
            height: received.place.height,
            black_hole: received.place.black_hole,
        };
        ReceiveReport { star, received: received.into_iter().map(row).collect() }
    }
}

impl fmt::Display for ReceiveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.received.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

/// Of `star history`.
#[derive(Serialize)]
pub struct HistoryReport {
    star: PublicKey,
    network: String,
    /// The star's number when its chain file was made.
    first_sequence: u64,
    transactions: Vec<Row>,
}

impl HistoryReport {
    pub fn of(chain: &Chain) -> Self {
        HistoryReport {
            star: chain.star,
            network: chain.network.to_string(),
            first_sequence: chain.base.sequence,
            transactions: chain.entries.iter().map(Row::of).collect(),
        }
    }
}

impl fmt::Display for HistoryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "star {} on network {}", self.star, self.network)?;
        if self.first_sequence > 0 {
            writeln!(f, "(numbers up to {} were signed before this chain file)", self.first_sequence)?;
        }
        self.transactions.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

/// One transaction of a star's chain.
#[derive(Serialize)]
pub struct Row {
    sequence: u64,
    /// `sent` or `received`.
    direction: &'static str,
    counterparty: PublicKey,
    amount: u64,
    /// In hex.
    payload: String,
    /// `open`, `final` or `void`.
    state: &'static str,
    /// Why it is void.
    reason: Option<String>,
    id: Option<Hash>,
    height: Option<u64>,
    black_hole: Option<Hash>,
}

impl Row {
    fn of(entry: &Entry) -> Self {
        let (direction, known_id) = match &entry.signed {
            Signed::Offer(_) => ("sent", None),
            Signed::Transaction(transaction) => ("received", Some(transaction.id())),
        };
        let (state, reason, place) = match &entry.outcome {
            Outcome::Open => ("open", None, None),
            Outcome::Void(reason) => ("void", Some(reason.clone()), None),
            Outcome::Final(place) => ("final", None, Some(*place)),
        };
        let Place { id, height, black_hole } =
            place.unwrap_or(Place { id: Hash::ZERO, height: None, black_hole: None });
        Row {
            sequence: entry.sequence,
            direction,
            counterparty: entry.signed.counterparty(),
            amount: entry.signed.amount(),
            payload: hex::encode(entry.signed.payload()),
            state,
            reason,
            id: place.map(|_| id).or(known_id),
            height,
            black_hole,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (towards, amount) = (if self.direction == "sent" { "to  " } else { "from" }, Amount(self.amount));
        write!(
            f,
            "{:>5}  {:<8}  {amount:>18} noos {towards} {}  {}",
            self.sequence, self.direction, self.counterparty, self.state
        )?;
        match &self.reason {
            Some(reason) => write!(f, " ({reason})")?,
            None if self.state == "final" => write!(f, "{}", InBlackHole(self.height, self.black_hole))?,
            None => {}
        }
        write!(f, "{}", payload_text(&hex::decode(&self.payload).unwrap_or_default()))
    }
}

/// Where a final transaction stands, as far as it is known.
struct InBlackHole(Option<u64>, Option<Hash>);

impl fmt::Display for InBlackHole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(height), Some(hash)) => write!(f, " in black hole {height} {hash}"),
            _ => write!(f, "; the node does not remember in which black hole"),
        }
    }
}

/// A payload behind a line: as text if it is one, else in hex.
pub fn payload_text(payload: &[u8]) -> String {
    match std::str::from_utf8(payload) {
        Ok("") => String::new(),
        Ok(text) => format!("  \"{}\"", printable(text)),
        Err(_) => format!("  0x{}", hex::encode(payload)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_shown_safely() {
        assert_eq!(payload_text(b""), "");
        assert_eq!(payload_text(b"tea\x1b[2J"), "  \"tea\\u{1b}[2J\"");
        assert_eq!(payload_text(&[0xff, 1]), "  0xff01");
    }
}
