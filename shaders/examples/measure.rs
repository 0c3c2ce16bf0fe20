//! How long the pipelines of the `signatures` program take to make and how fast they run, on the adapter that wgpu
//! prefers: `cargo run --release -p constellation-shaders --example measure [COUNT]`. A driver may compile at the first
//! dispatch only, so the first round counts as compilation too; a driver's cache hides it.

#[path = "../tests/common/mod.rs"]
mod common;

use common::cases::Cases;
use common::rig;
use constellation_shaders::{Arithmetic, Program, layout};

const NONCE: u64 = 1;
const DISTINCT: usize = 512;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u32 = std::env::args().nth(1).map_or(Ok(8192), |argument| argument.parse())?;
    let Some(rig) = rig::open() else { return Ok(()) };
    println!("{}, {count} signatures, {DISTINCT} of them distinct", rig.name);
    let cases = Cases::random(1, DISTINCT);
    let upload = repeated(&cases, count as usize)?;
    for arithmetic in Arithmetic::ALL {
        let Some(ready) = rig.prepare(Program::signatures(arithmetic)) else { continue };
        println!("{}: pipelines {:?}", ready.program.name, ready.compile_times);
        let scratch = vec![0; usize::try_from(ready.program.scratch_words(count))?];
        let output = vec![0; usize::try_from(layout::verdict_words(count))?];
        for _ in 0..3 {
            let run = rig.run(&ready, &upload, count, (&scratch, &output), &[]);
            layout::unpack_verdicts(&run.output, NONCE, count)?;
            let total: f64 = run.times.iter().map(|time| time.1.as_secs_f64()).sum();
            println!("  {:.0} a second; {:?}", f64::from(count) / total, run.times);
        }
    }
    Ok(())
}

fn repeated(cases: &Cases, count: usize) -> Result<Vec<u32>, layout::PackError> {
    let public_keys: Vec<_> = cases.public_keys.iter().cycle().take(count).copied().collect();
    let signatures: Vec<_> = cases.signatures.iter().cycle().take(count).copied().collect();
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for index in (0..DISTINCT).cycle().take(count) {
        let start = if index == 0 { 0 } else { cases.message_ends[index - 1] as usize };
        bytes.extend_from_slice(&cases.message_bytes[start..cases.message_ends[index] as usize]);
        ends.push(bytes.len() as u32);
    }
    let mut upload = Vec::new();
    layout::pack_signatures(&mut upload, NONCE, &public_keys, &signatures, &bytes, &ends)?;
    Ok(upload)
}
