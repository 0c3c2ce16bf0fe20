//! The seam under the GPU backend: what it asks of a device, small enough that a test can stand in for one and be lost,
//! late or wrong at will. It must never mention wgpu.

use std::time::{Duration, Instant};

use super::request::Request;

/// Names one request on its way; never used twice by one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// What came down: the raw words, not yet believed.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// The result buffer.
    pub(crate) words: Vec<u32>,
    /// Where the device says that its time went; zero where it cannot say.
    pub(crate) times: StageTimes,
}

/// Where a device's time went, by its own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Copying the request into the device's own memory.
    pub upload: Duration,
    /// SHA-512, the challenge mod ℓ and the byte checks.
    pub challenge: Duration,
    /// Decoding A and R.
    pub decode: Duration,
    /// The double-scalar multiplication and the check of its result.
    pub ladder: Duration,
    /// Everything else that the device computed: ids and sketches, and what all of them read of whole transactions.
    pub other: Duration,
    /// Copying the result into memory that the host reads.
    pub download: Duration,
}

impl std::ops::AddAssign for StageTimes {
    fn add_assign(&mut self, other: Self) {
        self.upload += other.upload;
        self.challenge += other.challenge;
        self.decode += other.decode;
        self.ladder += other.ladder;
        self.other += other.other;
        self.download += other.download;
    }
}

/// Why a device did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeviceError {
    /// No adapter that may be used.
    #[error("no usable GPU adapter: {0}")]
    NoAdapter(String),
    /// The device is gone, and so is everything that was on it.
    #[error("the device was lost: {0}")]
    Lost(String),
    /// The device has no memory left for the request.
    #[error("the device is out of memory: {0}")]
    OutOfMemory(String),
    /// Every slot holds a request that the device has not answered.
    #[error("every slot of the device is taken by an unanswered request")]
    Busy,
    /// The driver or the GPU library refused a call.
    #[error("the device refused a call: {0}")]
    Refused(String),
}

/// A device that computes requests, several at a time, in the order they came.
pub(crate) trait Device {
    /// What this is, for people: adapter, driver and arithmetic.
    fn describe(&self) -> String;

    /// How many requests may be on their way at once; at least one.
    fn slots(&self) -> usize;

    /// The most signatures, or other items, that one request may hold.
    fn items_max(&self) -> usize;

    /// Sends `request` on its way.
    fn submit(&mut self, request: &Request) -> Result<Ticket, DeviceError>;

    /// Waits for the response to `ticket` until `until`; `None` when it is not there by then, and may be asked for
    /// again.
    fn wait(&mut self, ticket: Ticket, until: Instant) -> Result<Option<Response>, DeviceError>;

    /// Nobody wants the response to `ticket` any more; its slot is free once the device has finished it.
    fn forget(&mut self, ticket: Ticket);
}

/// Makes a device: called on the GPU thread, and again after one is lost.
pub(crate) type MakeDevice = Box<dyn FnMut() -> Result<Box<dyn Device>, DeviceError> + Send>;
