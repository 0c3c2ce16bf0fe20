//! Verifies batches with `ed25519-simd` for a parent that measures: it takes one workload, and then turns with the other
//! contenders. It is a process of its own because the library needs AVX-512 switched on for every line of the program.
//!
//! On standard input, integers little endian:
//!
//! | What | Bytes |
//! | --- | --- |
//! | case: 0 for new keys (no key cache), 1 for known keys (a key cache with room for all) | 4 |
//! | signatures, n | 4 |
//! | signatures in a batch; divides n | 4 |
//! | length of every message, m | 4 |
//! | public keys | 32 n |
//! | signatures, R ‖ S | 64 n |
//! | messages | m n |
//!
//! It answers `ready`. From then on each line `go B` makes it verify B batches, from the first on and round again, and
//! answer `done NANOSECONDS VALID`. The end of standard input ends it; anything else is an error, told on standard error.

use std::error::Error;
use std::io::{self, BufRead, Read, Write};
use std::time::Instant;

use ed25519_simd::{HotKeyCache, KeyCache, VerifyInput, Zip215Verifier};

/// The most signatures, and the most bytes of messages, that are taken.
const SIGNATURES_MAX: usize = 1 << 20;
const MESSAGES_LEN_BYTES_MAX: usize = 1 << 32;

fn main() -> Result<(), Box<dyn Error>> {
    let mut input = io::stdin().lock();
    let Some(workload) = Workload::read(&mut input)? else {
        return Ok(());
    };
    if workload.known_keys {
        let cache = HotKeyCache::with_capacity(workload.public_keys.len());
        serve(&mut input, Zip215Verifier::with_cache(cache), &workload)
    } else {
        serve(&mut input, Zip215Verifier::new(), &workload)
    }
}

/// Takes turns until standard input ends.
fn serve<C: KeyCache>(
    input: &mut impl BufRead,
    mut verifier: Zip215Verifier<C>,
    workload: &Workload,
) -> Result<(), Box<dyn Error>> {
    // Made before any clock runs, so that the library is given what it takes.
    let inputs = workload.inputs();
    let batches: Vec<&[VerifyInput<'_>]> = inputs.chunks(workload.batch).collect();
    let mut verdicts = vec![false; workload.batch];
    say("ready")?;
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let count: usize = line.trim_end().strip_prefix("go ").ok_or("not a \"go\" line")?.parse()?;
        let start = Instant::now();
        let mut valid = 0;
        for batch in batches.iter().cycle().take(count) {
            let verdicts = &mut verdicts[..batch.len()];
            verifier.verify_batch(batch, verdicts);
            valid += verdicts.iter().filter(|&&valid| valid).count();
        }
        say(&format!("done {} {valid}", start.elapsed().as_nanos()))?;
        line.clear();
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

struct Workload {
    known_keys: bool,
    batch: usize,
    message_bytes: usize,
    public_keys: Vec<[u8; 32]>,
    signatures: Vec<[u8; 64]>,
    messages: Vec<u8>,
}

impl Workload {
    /// The workload, or nothing when the parent only wanted to see whether this program starts.
    fn read(input: &mut impl BufRead) -> Result<Option<Self>, Box<dyn Error>> {
        if input.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let case = number(input)?;
        let [count, batch, message_bytes] = [number(input)?, number(input)?, number(input)?];
        let is_sound = case <= 1 && (1..=SIGNATURES_MAX).contains(&count) && batch > 0 && count % batch == 0;
        if !is_sound || count * message_bytes > MESSAGES_LEN_BYTES_MAX {
            return Err("not a workload".into());
        }
        let mut public_keys = vec![[0; 32]; count];
        input.read_exact(public_keys.as_flattened_mut())?;
        let mut signatures = vec![[0; 64]; count];
        input.read_exact(signatures.as_flattened_mut())?;
        let mut messages = vec![0; count * message_bytes];
        input.read_exact(&mut messages)?;
        Ok(Some(Self { known_keys: case == 1, batch, message_bytes, public_keys, signatures, messages }))
    }

    fn inputs(&self) -> Vec<VerifyInput<'_>> {
        let signed = self.public_keys.iter().zip(&self.signatures).enumerate();
        let input = |(index, (&public_key, &signature))| {
            let message = &self.messages[index * self.message_bytes..][..self.message_bytes];
            VerifyInput { public_key, signature, message }
        };
        signed.map(input).collect()
    }
}

fn number(input: &mut impl Read) -> io::Result<usize> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes) as usize)
}
