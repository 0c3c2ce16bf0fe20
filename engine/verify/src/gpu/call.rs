//! One caller's work, from its first request to its last answer. The front part goes to the GPU in requests, several on
//! their way at once; the back part, where the CPU shares the load, is done here in between; and whatever comes back
//! as a fault is done here too. Each item is done by exactly one of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use super::runner::Gpu;
use super::shared::Fault;
use super::work::Work;
use super::worker::{Job, Reply};

/// Requests of one caller that are packed, queued or on the device at once.
pub(super) const REQUESTS_PER_CALL: usize = 4;

/// The CPU does its share in pieces of no fewer items.
const CPU_PIECE_MIN: usize = 256;

/// Both sides always get some of a shared load, so that their speeds stay measured.
const SHARE_LEAST: f64 = 0.02;

pub(super) struct Call<'a, W> {
    gpu: &'a Gpu,
    work: W,
    /// Items of a request.
    request_len: usize,
    /// Items of one of the CPU's pieces: about as long as one request takes the GPU.
    piece_len: usize,
    /// Not handed over yet, of the GPU's part.
    for_gpu: Range<usize>,
    /// Not done yet, of the CPU's part.
    for_cpu: Range<usize>,
    /// Packed, and found no room in the queue.
    packed: Option<Job>,
    /// Handed over and not answered: end by start.
    outstanding: BTreeMap<usize, usize>,
    sender: Sender<Reply>,
    replies: Receiver<Reply>,
    start: Instant,
    gpu_part: Part,
    cpu_part: Part,
}

/// What one side did, and how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    pub(super) items: usize,
    pub(super) time: Duration,
}

/// Work that is done.
pub(super) struct Done<W> {
    pub(super) work: W,
    pub(super) gpu: Part,
    pub(super) cpu: Part,
}

impl<'a, W: Work> Call<'a, W> {
    /// Work for the GPU alone, with requests of up to `signatures_max` signatures, or as many of what it has instead.
    pub(super) fn new(gpu: &'a Gpu, work: W, signatures_max: usize) -> Self {
        let (sender, replies) = bounded(REQUESTS_PER_CALL);
        let len = work.len();
        Self {
            gpu,
            work,
            request_len: (signatures_max / W::SIGNATURES_PER_ITEM).max(1),
            piece_len: len,
            for_gpu: 0..len,
            for_cpu: len..len,
            packed: None,
            outstanding: BTreeMap::new(),
            sender,
            replies,
            start: Instant::now(),
            gpu_part: Part::default(),
            cpu_part: Part::default(),
        }
    }

    /// Gives the CPU its part, by the speeds measured so far.
    pub(super) fn share_with_cpu(mut self) -> Self {
        let (len, speeds) = (self.work.len(), self.gpu.shared.speeds());
        let known = speeds.gpu > 0.0 && speeds.cpu > 0.0;
        let share =
            speeds.gpu_share(len * W::SIGNATURES_PER_ITEM).map(|signatures| signatures / W::SIGNATURES_PER_ITEM);
        let share = share.unwrap_or(len / 2);
        let least = (len as f64 * SHARE_LEAST).round() as usize;
        let cut = share.clamp(least, len - least);
        (self.for_gpu, self.for_cpu) = (0..cut, cut..len);
        let piece = if known { self.request_len as f64 * speeds.cpu / speeds.gpu } else { 0.0 };
        self.piece_len = (piece as usize).max(CPU_PIECE_MIN);
        self
    }

    /// Does all the work.
    pub(super) fn run(mut self) -> Done<W> {
        loop {
            while self.hand_over() {}
            while let Ok(reply) = self.replies.try_recv() {
                self.take(reply);
            }
            if !self.for_cpu.is_empty() {
                let end = self.for_cpu.end.min(self.for_cpu.start + self.piece_len);
                self.do_on_cpu(self.for_cpu.start..end);
                self.for_cpu.start = end;
            } else if !self.outstanding.is_empty() {
                self.wait_for_reply();
            } else if self.for_gpu.is_empty() && self.packed.is_none() {
                return Done { work: self.work, gpu: self.gpu_part, cpu: self.cpu_part };
            }
        }
    }

    /// Hands one request to the GPU thread; `false` when there is none to hand over, or no room for it.
    fn hand_over(&mut self) -> bool {
        if self.outstanding.len() == REQUESTS_PER_CALL {
            return false;
        }
        let Some(job) = self.packed.take().or_else(|| self.pack_next()) else { return false };
        let range = job.range.clone();
        // Packed before a fault: the thread may not look into the queue before it has made a new device.
        if self.gpu.shared.request_len() == 0 {
            self.do_on_cpu(range);
            return true;
        }
        match self.send(job) {
            Sent::Yes => {
                self.gpu.shared.count(|counters| counters.requests += 1);
                self.outstanding.insert(range.start, range.end);
                true
            }
            Sent::NoRoom(job) => {
                self.packed = Some(*job);
                false
            }
            Sent::Never => {
                self.gpu.shared.close();
                self.do_on_cpu(range);
                true
            }
        }
    }

    /// The next request of the GPU's part. What cannot be packed, or has no GPU any more to go to, is done here.
    fn pack_next(&mut self) -> Option<Job> {
        while !self.for_gpu.is_empty() {
            if self.gpu.shared.request_len() == 0 {
                self.do_on_cpu(self.for_gpu.clone());
                self.for_gpu.start = self.for_gpu.end;
                return None;
            }
            let start = self.for_gpu.start;
            let end = self.work.request_end(start, self.request_len).min(self.for_gpu.end);
            self.for_gpu.start = end;
            match self.work.pack(start..end, self.gpu.spare_words()) {
                Ok(request) => {
                    let expires = Instant::now() + self.gpu.options.timeouts.patience;
                    return Some(Job { request, range: start..end, expires, reply: self.sender.clone() });
                }
                Err(error) => {
                    tracing::debug!(%error, "a request cannot be packed for the GPU");
                    self.do_on_cpu(start..end);
                }
            }
        }
        None
    }

    /// Waits for room only where there is nothing else to do.
    fn send(&self, job: Job) -> Sent {
        let Some(jobs) = &self.gpu.jobs else { return Sent::Never };
        if self.for_cpu.is_empty() && self.outstanding.is_empty() {
            let sent = jobs.send_timeout(job, self.gpu.options.timeouts.patience);
            if sent.is_ok() { Sent::Yes } else { Sent::Never }
        } else {
            match jobs.try_send(job) {
                Ok(()) => Sent::Yes,
                Err(TrySendError::Full(job)) => Sent::NoRoom(Box::new(job)),
                Err(TrySendError::Disconnected(_)) => Sent::Never,
            }
        }
    }

    fn wait_for_reply(&mut self) {
        match self.replies.recv_timeout(self.gpu.options.timeouts.patience) {
            Ok(reply) => self.take(reply),
            Err(_) => self.give_up(),
        }
    }

    /// The GPU thread itself hangs, in its driver: no call waits for it after this one.
    fn give_up(&mut self) {
        self.gpu.shared.close();
        let patience_ms = self.gpu.options.timeouts.patience.as_millis() as u64;
        tracing::warn!(
            patience_ms,
            requests = self.outstanding.len(),
            "the GPU thread does not answer and the CPU verifies; if it goes on, restart the node on a CPU backend \
             and update the GPU's driver"
        );
        for (start, end) in std::mem::take(&mut self.outstanding) {
            self.redo(start..end, Fault::Late);
        }
    }

    fn take(&mut self, reply: Reply) {
        self.gpu.keep_spare(reply.words);
        // Not ours any more after giving up.
        if self.outstanding.remove(&reply.range.start).is_none() {
            return;
        }
        match reply.outcome {
            Ok(answer) => {
                self.gpu.shared.count(|counters| counters.answered += 1);
                self.gpu_part.items += reply.range.len();
                self.gpu_part.time = reply.at.saturating_duration_since(self.start);
                self.work.accept(reply.range, answer);
            }
            Err(fault) => self.redo(reply.range, fault),
        }
    }

    fn redo(&mut self, range: Range<usize>, fault: Fault) {
        self.gpu.shared.count(|counters| counters.count(fault));
        self.do_on_cpu(range);
    }

    fn do_on_cpu(&mut self, range: Range<usize>) {
        let start = Instant::now();
        self.cpu_part.items += range.len();
        self.work.do_on_cpu(range);
        self.cpu_part.time += start.elapsed();
    }
}

enum Sent {
    Yes,
    NoRoom(Box<Job>),
    Never,
}
