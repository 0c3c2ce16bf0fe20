//! A device made of CPU twins that does as a script says: answers rightly, or fails in one of the ways that a real one
//! may.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;

use constellation_shaders::{Arithmetic, Program, twin};
use crossbeam::channel::Receiver;

use super::device::{Device, DeviceError, MakeDevice, Response, StageTimes, Ticket};
use super::request::Request;
use super::steps::{self, Place, Step};

const ARITHMETIC: Arithmetic = Arithmetic::Int32;

static PROGRAMS: LazyLock<[Program; 4]> = LazyLock::new(|| steps::programs(ARITHMETIC));

/// What becomes of one request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Answer,
    /// The device is gone when the request is submitted.
    LostAtSubmit,
    /// The device is gone while the result is waited for.
    LostInFlight,
    /// The library panics, as it does when a driver fails in the middle of a wait.
    Panic,
    OutOfMemory,
    /// No result, ever.
    Late,
    /// Words that nobody wrote.
    Zeros,
    Garbage,
    /// The result of the request before this one.
    Stale,
    /// The right result with every verdict turned around, and the seals as they were.
    Flipped,
    /// A wrong result, marked as if it were right: what only the self-test finds.
    Wrong,
    /// The right groups in the wrong places.
    Swapped,
    Truncated,
    /// The call does not come back before the test says so.
    Hang(Receiver<()>),
}

/// What the devices of one test do, and what they saw.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<Scripted>>);

#[derive(Default)]
struct Scripted {
    acts: VecDeque<Act>,
    failing_creations: usize,
    devices_made: usize,
}

impl Script {
    /// The next requests become these; those after them are answered.
    pub(super) fn set(&self, acts: impl IntoIterator<Item = Act>) {
        self.0.lock().unwrap().acts = acts.into_iter().collect();
    }

    pub(super) fn fail_creations(&self, count: usize) {
        self.0.lock().unwrap().failing_creations = count;
    }

    pub(super) fn devices_made(&self) -> usize {
        self.0.lock().unwrap().devices_made
    }

    /// Makes devices that follow this script.
    pub(super) fn make(&self, items_max: usize) -> MakeDevice {
        let script = self.clone();
        Box::new(move || {
            let mut scripted = script.0.lock().unwrap();
            if scripted.failing_creations > 0 {
                scripted.failing_creations -= 1;
                return Err(DeviceError::NoAdapter("none today".to_owned()));
            }
            scripted.devices_made += 1;
            drop(scripted);
            Ok(Box::new(Double {
                script: script.clone(),
                items_max,
                last: Vec::new(),
                in_flight: Vec::new(),
                tickets: 0,
            }))
        })
    }
}

struct Double {
    script: Script,
    items_max: usize,
    /// The result before the next one.
    last: Vec<u32>,
    in_flight: Vec<(Ticket, Act, Vec<u32>)>,
    tickets: u64,
}

impl Device for Double {
    fn describe(&self) -> String {
        "double".to_owned()
    }

    fn slots(&self) -> usize {
        3
    }

    fn items_max(&self) -> usize {
        self.items_max
    }

    fn submit(&mut self, request: &Request) -> Result<Ticket, DeviceError> {
        assert!(request.items as usize <= self.items_max, "a request beyond what the device takes");
        assert!(self.in_flight.len() < self.slots(), "more requests than slots");
        let act = self.script.0.lock().unwrap().acts.pop_front().unwrap_or(Act::Answer);
        match act {
            Act::LostAtSubmit => return Err(DeviceError::Lost("scripted".to_owned())),
            Act::OutOfMemory => return Err(DeviceError::OutOfMemory("scripted".to_owned())),
            _ => {}
        }
        let right = match act {
            Act::Wrong => compute(&with_other_contents(request)),
            _ => compute(request),
        };
        let words = spoil(&act, &right, &self.last);
        self.last = right;
        self.tickets += 1;
        self.in_flight.push((Ticket(self.tickets), act, words));
        Ok(Ticket(self.tickets))
    }

    fn wait(&mut self, ticket: Ticket, until: Instant) -> Result<Option<Response>, DeviceError> {
        let position = self.in_flight.iter().position(|(held, ..)| *held == ticket).expect("a ticket of this device");
        match &self.in_flight[position].1 {
            Act::LostInFlight => return Err(DeviceError::Lost("scripted".to_owned())),
            Act::Panic => panic!("scripted"),
            Act::Late => {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
                return Ok(None);
            }
            Act::Hang(release) => drop(release.recv()),
            _ => {}
        }
        let (_, _, words) = self.in_flight.remove(position);
        Ok(Some(Response { words, times: StageTimes::default() }))
    }

    fn forget(&mut self, ticket: Ticket) {
        self.in_flight.retain(|(held, ..)| *held != ticket);
    }
}

fn spoil(act: &Act, right: &[u32], last: &[u32]) -> Vec<u32> {
    let mut words = right.to_vec();
    match act {
        Act::Zeros => words.fill(0),
        Act::Garbage => {
            for (at, word) in words.iter_mut().enumerate() {
                let hash = blake3::hash(&[at.to_le_bytes(), (*word as usize).to_le_bytes()].concat());
                *word = u32::from_le_bytes(hash.as_bytes()[..4].try_into().unwrap());
            }
        }
        Act::Stale => words = last.to_vec(),
        // The contents follow the four words of the seal.
        Act::Flipped => words[4] ^= u32::MAX,
        Act::Swapped => {
            let half = words.len() / 2;
            words.rotate_left(half);
        }
        Act::Truncated => words.truncate(words.len() - 1),
        _ => {}
    }
    words
}

/// The same request with one bit of its last item another.
fn with_other_contents(request: &Request) -> Request {
    let mut request = request.clone();
    if let Some(last) = request.words.iter_mut().rfind(|word| **word != 0) {
        *last ^= 1;
    }
    request
}

/// What a faultless device would return.
pub(super) fn compute(request: &Request) -> Vec<u32> {
    let steps = steps::steps(request);
    let buffer = |place| vec![0; steps::words_at(place, &steps) as usize];
    let (mut gathered, mut result) = (buffer(Place::Gathered), buffer(Place::Result));
    for step in &steps {
        let input = match step.input.place {
            Place::Upload => request.words.clone(),
            Place::Gathered => gathered.clone(),
            Place::Result => result.clone(),
        };
        let output = if step.output.place == Place::Gathered { &mut gathered } else { &mut result };
        let part = |words: &std::ops::Range<u64>| words.start as usize..words.end as usize;
        compute_step(step, &input[part(&step.input.words)], &mut output[part(&step.output.words)]);
    }
    result
}

fn compute_step(step: &Step, input: &[u32], output: &mut [u32]) {
    let arithmetic = ARITHMETIC;
    let program = &PROGRAMS[step.name as usize];
    let mut scratch = vec![0; program.scratch_words(step.items) as usize];
    for pass in &program.passes {
        match pass.entry_point {
            "challenge" => twin::challenge(arithmetic, input, &mut scratch),
            "decode" => twin::decode(arithmetic, input, &mut scratch),
            "ladder" => twin::ladder(arithmetic, input, &program.constants(), &mut scratch, output),
            "transaction_ids" => twin::transaction_ids(input, output),
            "seeds" => twin::seeds(input, &mut scratch),
            "minima" => twin::minima(input, &scratch, output),
            "gather" => twin::gather(input, &mut scratch, output),
            "headers" => twin::headers(input, &scratch, output),
            other => panic!("no twin of {other}"),
        }
    }
}
