//! The thread that owns the device: makes it, tests it, takes it in, keeps several requests in flight, and gives it up
//! for a while on any fault. It decides nothing about signatures: it hands each request back with a believed answer or
//! with a fault.

use std::any::Any;
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};

use super::device::{Device, DeviceError, MakeDevice, Ticket};
use super::request::{Answer, Request};
use super::runner::GpuOptions;
use super::self_test::{self, SelfTestError};
use super::shared::{Fault, Shared};

/// How long the thread waits for a result before it looks for new requests, while it could take one.
const LOOK_EVERY: Duration = Duration::from_micros(250);

/// How often an idle thread looks whether a caller has given the GPU up.
const IDLE_LOOK_EVERY: Duration = Duration::from_millis(50);

/// A driver may compile or allocate in its first requests: those of the self-test may take this many deadlines.
const SELF_TEST_DEADLINES: u32 = 10;

/// Calibration takes no batch that needs more than this part of the deadline.
const CALIBRATION_PART_OF_DEADLINE: u32 = 20;

/// After so many right answers in a row, a fault counts as the first one again.
const RIGHT_ANSWERS_TO_TRUST: u32 = 64;

/// Out of memory halves the batch, down to this.
const BATCH_MAX_LEAST: usize = 256;

/// A request on its way to the device, and who waits for it.
pub(super) struct Job {
    pub(super) request: Request,
    /// Which of the caller's items it holds.
    pub(super) range: Range<usize>,
    /// When the caller stops waiting.
    pub(super) expires: Instant,
    pub(super) reply: Sender<Reply>,
}

/// What became of a job.
pub(super) struct Reply {
    pub(super) range: Range<usize>,
    pub(super) outcome: Result<Answer, Fault>,
    /// When the GPU thread was done with it.
    pub(super) at: Instant,
    /// The upload's memory, to be used again.
    pub(super) words: Vec<u32>,
}

impl Job {
    fn reply(self, outcome: Result<Answer, Fault>) {
        let reply = Reply { range: self.range, outcome, at: Instant::now(), words: self.request.words };
        if self.reply.send(reply).is_err() {
            tracing::debug!("the caller of a GPU request did not wait for its result");
        }
    }
}

struct InFlight {
    job: Job,
    ticket: Ticket,
    deadline: Instant,
}

/// Why the device is given up.
struct Ending {
    fault: Fault,
    detail: String,
}

pub(super) struct Worker {
    pub(super) make: MakeDevice,
    pub(super) jobs: Receiver<Job>,
    pub(super) shared: Arc<Shared>,
    pub(super) options: GpuOptions,
}

impl Worker {
    /// Runs until the last caller is gone.
    pub(super) fn run(mut self) {
        let mut device = None;
        let mut back_off = self.options.timeouts.back_off_first;
        loop {
            let ending = match self.take_in(&mut device) {
                Ok(device) => {
                    let (ending, right_answers) = Serving::new(&self, device).run();
                    if right_answers >= RIGHT_ANSWERS_TO_TRUST {
                        back_off = self.options.timeouts.back_off_first;
                    }
                    ending
                }
                Err(error) => {
                    let fault = fault_of(&error);
                    drop_device(&mut device);
                    Some(Ending { fault, detail: error.to_string() })
                }
            };
            self.shared.close();
            let Some(ending) = ending else { break };
            self.warn(&ending, back_off);
            self.shared.set_last_fault(ending.detail);
            if ending.fault == Fault::OutOfMemory {
                self.options.batch_max = (self.options.batch_max / 2).max(BATCH_MAX_LEAST);
            }
            if ending.fault.ends_the_device() {
                drop_device(&mut device);
            }
            if !self.rest(back_off) {
                break;
            }
            back_off = (2 * back_off).min(self.options.timeouts.back_off_max);
        }
        drop_device(&mut device);
    }

    /// Makes a device if there is none, tests and calibrates it, and opens it to callers.
    fn take_in<'a>(&mut self, held: &'a mut Option<Box<dyn Device>>) -> Result<&'a mut dyn Device, SelfTestError> {
        let start = Instant::now();
        let patience = self.options.timeouts.deadline * SELF_TEST_DEADLINES;
        let longest = self.options.timeouts.deadline / CALIBRATION_PART_OF_DEADLINE;
        let (device, found) = guarded(|| {
            let device = match held {
                Some(device) => device,
                None => held.insert((self.make)()?),
            };
            self_test::check(device.as_mut(), patience)?;
            let found = self_test::calibrate(device.as_mut(), self.options.batch_max, longest, patience)?;
            Ok::<_, SelfTestError>((device, found))
        })?;
        tracing::info!(
            device = device.describe(),
            batch = found.batch,
            signatures_per_s = found.signatures_per_s,
            ready_ms = start.elapsed().as_millis() as u64,
            "the GPU passed its self-test and takes part in verification"
        );
        self.shared.open(device.describe(), found);
        Ok(device.as_mut())
    }

    /// Waits out a back-off; `false` when the last caller is gone.
    fn rest(&self, back_off: Duration) -> bool {
        let until = Instant::now() + back_off;
        loop {
            match self.jobs.recv_deadline(until) {
                // Handed over in the moment of the fault.
                Ok(job) => job.reply(Err(Fault::NotStarted)),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn warn(&self, ending: &Ending, back_off: Duration) {
        tracing::warn!(
            fault = ?ending.fault,
            detail = ending.detail,
            retry_in_ms = back_off.as_millis() as u64,
            "the GPU is given up for now and the CPU verifies; {}",
            ending.fault.remedy()
        );
    }
}

/// One stretch of service, from taking the device in to giving it up.
struct Serving<'a> {
    worker: &'a Worker,
    device: &'a mut dyn Device,
    in_flight: VecDeque<InFlight>,
    ending: Option<Ending>,
    right_answers: u32,
}

impl<'a> Serving<'a> {
    fn new(worker: &'a Worker, device: &'a mut dyn Device) -> Self {
        Self { worker, device, in_flight: VecDeque::new(), ending: None, right_answers: 0 }
    }

    /// Serves until a fault, and then until every request in flight has been answered or is late too; `None` when the
    /// last caller is gone. With it, how many answers were right.
    fn run(mut self) -> (Option<Ending>, u32) {
        loop {
            if self.ending.is_none() && !self.fill() {
                return (None, self.right_answers);
            }
            if !self.in_flight.is_empty() {
                self.wait_for_oldest();
            } else if self.ending.is_some() {
                return (self.ending, self.right_answers);
            } else if self.worker.shared.request_len() == 0 {
                self.end(Fault::Late, "a caller waited for its result in vain".to_owned());
            }
        }
    }

    /// Submits requests until the slots are full or none waits; `false` when the last caller is gone.
    fn fill(&mut self) -> bool {
        while self.in_flight.len() < self.device.slots() {
            let job = if self.in_flight.is_empty() {
                self.worker.jobs.recv_timeout(IDLE_LOOK_EVERY)
            } else {
                self.worker.jobs.try_recv().map_err(|error| match error {
                    TryRecvError::Empty => RecvTimeoutError::Timeout,
                    TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                })
            };
            match job {
                Ok(job) if job.expires <= Instant::now() => job.reply(Err(Fault::Late)),
                Ok(job) => self.submit(job),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
            if self.ending.is_some() {
                break;
            }
        }
        true
    }

    fn submit(&mut self, job: Job) {
        let deadline = Instant::now() + self.worker.options.timeouts.deadline;
        match guarded(|| self.device.submit(&job.request)) {
            Ok(ticket) => self.in_flight.push_back(InFlight { job, ticket, deadline }),
            Err(error) => {
                let fault = Fault::from(&error);
                job.reply(Err(fault));
                self.fail(fault, error.to_string());
            }
        }
    }

    /// Waits for the oldest request: until its deadline when no other can be submitted, else only for a moment.
    fn wait_for_oldest(&mut self) {
        let Some(oldest) = self.in_flight.front() else { return };
        let (ticket, deadline, request_words) = (oldest.ticket, oldest.deadline, oldest.job.request.words.len());
        let may_fill = self.ending.is_none() && self.in_flight.len() < self.device.slots();
        let until = if may_fill { deadline.min(Instant::now() + LOOK_EVERY) } else { deadline };
        match guarded(|| self.device.wait(ticket, until)) {
            Ok(Some(response)) => {
                self.worker.shared.add_result(request_words, response.words.len(), response.times);
                self.judge(&response.words);
            }
            Ok(None) if Instant::now() < deadline => {}
            Ok(None) => {
                self.device.forget(ticket);
                self.reply_oldest(Err(Fault::Late));
                let deadline_ms = self.worker.options.timeouts.deadline.as_millis();
                self.end(Fault::Late, format!("no result within {deadline_ms} ms"));
            }
            Err(error) => {
                let fault = Fault::from(&error);
                self.reply_oldest(Err(fault));
                self.fail(fault, error.to_string());
            }
        }
    }

    /// Believes the oldest request's result, or not.
    fn judge(&mut self, words: &[u32]) {
        let Some(oldest) = self.in_flight.front() else { return };
        match oldest.job.request.answer(words) {
            Ok(answer) => {
                self.right_answers = self.right_answers.saturating_add(1);
                self.reply_oldest(Ok(answer));
            }
            Err(error) => {
                self.reply_oldest(Err(Fault::Garbled));
                self.end(Fault::Garbled, error.to_string());
            }
        }
    }

    fn reply_oldest(&mut self, outcome: Result<Answer, Fault>) {
        if let Some(oldest) = self.in_flight.pop_front() {
            oldest.job.reply(outcome);
        }
    }

    /// The device failed a call: nothing in flight on a device that is gone will come back.
    fn fail(&mut self, fault: Fault, detail: String) {
        if fault.ends_the_device() {
            while !self.in_flight.is_empty() {
                self.reply_oldest(Err(fault));
            }
        }
        self.end(fault, detail);
    }

    /// Takes no more requests. The first fault is the one to report, unless a later one ends the device.
    fn end(&mut self, fault: Fault, detail: String) {
        self.worker.shared.close();
        if self.ending.as_ref().is_none_or(|ending| !ending.fault.ends_the_device()) {
            self.ending = Some(Ending { fault, detail });
        }
    }
}

/// A call into the device. The GPU library panics where a driver fails in the middle of a wait; that must end the
/// device and not the thread.
fn guarded<T, E: From<DeviceError>>(call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(DeviceError::Lost(text(panic.as_ref())).into()))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the GPU library panicked").to_owned()
}

/// Dropping a lost device calls into its driver too.
fn drop_device(device: &mut Option<Box<dyn Device>>) {
    let dropped = guarded(|| {
        drop(device.take());
        Ok::<_, DeviceError>(())
    });
    if let Err(error) = dropped {
        tracing::debug!(%error, "the lost device could not be given back");
    }
}

fn fault_of(error: &SelfTestError) -> Fault {
    match error {
        SelfTestError::Device(error) => Fault::from(error),
        SelfTestError::Late(_) => Fault::Late,
        SelfTestError::Wrong(_) | SelfTestError::Pack(_) => Fault::Garbled,
    }
}
