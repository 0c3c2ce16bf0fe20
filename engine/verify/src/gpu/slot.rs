//! What one request travels in: staging memory that the host fills, the device's own input and output, and memory that
//! the host reads the result from. Made once, grown when a larger request comes, used again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use wgpu::{
    Buffer, BufferAsyncError, BufferDescriptor, BufferUsages, CommandEncoderDescriptor, MapMode, SubmissionIndex,
};

use super::device::{DeviceError, Response, Ticket};
use super::programs::Programs;
use super::request::Request;
use super::stamps::{Reading, Stamps};
use super::steps::{self, Place};
use super::wgpu_device::{Context, buffer_len_max};

/// Buffers grow to multiples of this.
const GRANULE_BYTES: u64 = 4_096;

#[derive(Default)]
pub(super) struct Slot {
    buffers: Option<Buffers>,
    journey: Option<Journey>,
}

/// A request on its way.
struct Journey {
    /// `None` when nobody waits for it any more.
    ticket: Option<Ticket>,
    submission: SubmissionIndex,
    mappings: Arc<Mappings>,
    output_len_bytes: u64,
    reading: Reading,
}

/// How far the mappings at the end of a submission have come: of the result to read, and of the staging memory to be
/// filled again.
#[derive(Default)]
struct Mappings {
    done: AtomicU8,
    failed: AtomicBool,
}

impl Mappings {
    fn note(self: &Arc<Self>) -> impl FnOnce(Result<(), BufferAsyncError>) + Send + 'static {
        let mappings = Arc::clone(self);
        move |result| {
            mappings.failed.fetch_or(result.is_err(), Ordering::AcqRel);
            mappings.done.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn are_done(&self) -> bool {
        self.done.load(Ordering::Acquire) == 2
    }
}

impl Slot {
    /// The request in this slot, if somebody waits for it.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        self.journey.as_ref()?.ticket
    }

    /// What to wait for.
    pub(super) fn submission(&self) -> Option<SubmissionIndex> {
        self.journey.as_ref().map(|journey| journey.submission.clone())
    }

    /// Nobody waits for the result any more.
    pub(super) fn forget(&mut self) {
        if let Some(journey) = &mut self.journey {
            journey.ticket = None;
        }
    }

    /// Whether the result can be fetched.
    pub(super) fn is_finished(&self) -> bool {
        self.journey.as_ref().is_some_and(|journey| journey.mappings.are_done())
    }

    /// Whether a request can be put in. A forgotten one is cleared away once the device has finished it.
    pub(super) fn is_free(&mut self) -> bool {
        let is_left = self.is_finished() && self.ticket().is_none();
        if is_left {
            self.journey = None;
            if let Some(buffers) = &self.buffers {
                buffers.readback.unmap();
            }
        }
        self.journey.is_none()
    }

    /// Uploads `request`, computes it, and has its result mapped, in one submission.
    pub(super) fn submit(
        &mut self,
        context: &Context,
        programs: &mut Programs,
        request: &Request,
        ticket: Ticket,
    ) -> Result<(), DeviceError> {
        let steps = steps::steps(request);
        let [input_len_bytes, output_len_bytes] =
            [Place::Upload, Place::Result].map(|place| 4 * steps::words_at(place, &steps));
        programs.reserve(context, &steps);
        let buffers = Buffers::reserve(&mut self.buffers, context, input_len_bytes, output_len_bytes)?;
        context.errors.check()?;
        buffers.fill(&request.words)?;

        let mut encoder = context.device.create_command_encoder(&CommandEncoderDescriptor { label: None });
        buffers.stamps.start(&mut encoder);
        encoder.copy_buffer_to_buffer(&buffers.staging, 0, &buffers.input, 0, input_len_bytes);
        buffers.stamps.after_copy(&mut encoder, |times| &mut times.upload);
        programs.compute(context, &mut encoder, &mut buffers.stamps, &steps, (&buffers.input, &buffers.output));
        buffers.stamps.before_copy(&mut encoder);
        encoder.copy_buffer_to_buffer(&buffers.output, 0, &buffers.readback, Stamps::LEN_BYTES, output_len_bytes);
        buffers.stamps.after_copy(&mut encoder, |times| &mut times.download);
        let reading = buffers.stamps.finish(&mut encoder, &buffers.readback);

        let mappings = Arc::new(Mappings::default());
        let result_len_bytes = Stamps::LEN_BYTES + output_len_bytes;
        encoder.map_buffer_on_submit(&buffers.readback, MapMode::Read, ..result_len_bytes, mappings.note());
        encoder.map_buffer_on_submit(&buffers.staging, MapMode::Write, .., mappings.note());
        let submission = context.queue.submit([encoder.finish()]);
        self.journey = Some(Journey { ticket: Some(ticket), submission, mappings, output_len_bytes, reading });
        Ok(())
    }

    /// The result, once it is there; the slot is free then.
    pub(super) fn take_response(&mut self, period_ns: f32) -> Result<Option<Response>, DeviceError> {
        if !self.is_finished() {
            return Ok(None);
        }
        let (Some(journey), Some(buffers)) = (self.journey.take(), &self.buffers) else { return Ok(None) };
        if journey.mappings.failed.load(Ordering::Acquire) {
            return Err(DeviceError::Lost("a result could not be mapped".to_owned()));
        }
        let result = {
            let view = buffers.readback.slice(..Stamps::LEN_BYTES + journey.output_len_bytes).get_mapped_range();
            let view = view.map_err(|error| DeviceError::Lost(error.to_string()))?;
            let (stamps, words) = view.split_at(Stamps::LEN_BYTES as usize);
            Response {
                words: bytemuck::pod_collect_to_vec(words),
                times: journey.reading.times(&bytemuck::pod_collect_to_vec(stamps), period_ns),
            }
        };
        buffers.readback.unmap();
        Ok(Some(result))
    }
}

struct Buffers {
    /// Mapped whenever the slot is free.
    staging: Buffer,
    input: Buffer,
    output: Buffer,
    readback: Buffer,
    stamps: Stamps,
}

impl Buffers {
    /// Buffers for a request, made anew where `held` is too small.
    fn reserve<'a>(
        held: &'a mut Option<Self>,
        context: &Context,
        input_len_bytes: u64,
        output_len_bytes: u64,
    ) -> Result<&'a mut Self, DeviceError> {
        let fits = |held: &Self| held.input.size() >= input_len_bytes && held.output.size() >= output_len_bytes;
        if held.as_ref().is_some_and(fits) {
            return held.as_mut().ok_or(DeviceError::Busy);
        }
        let input_len_bytes = grown(context, input_len_bytes, held.as_ref().map(|held| &held.input));
        let output_len_bytes = grown(context, output_len_bytes, held.as_ref().map(|held| &held.output));
        let buffer = |label, size, usage, mapped_at_creation| {
            context.device.create_buffer(&BufferDescriptor { label: Some(label), size, usage, mapped_at_creation })
        };
        // Before the new ones, so that both need not fit.
        *held = None;
        Ok(held.insert(Self {
            staging: buffer("staging", input_len_bytes, BufferUsages::MAP_WRITE | BufferUsages::COPY_SRC, true),
            input: buffer("input", input_len_bytes, BufferUsages::STORAGE | BufferUsages::COPY_DST, false),
            output: buffer("output", output_len_bytes, BufferUsages::STORAGE | BufferUsages::COPY_SRC, false),
            readback: buffer(
                "readback",
                Stamps::LEN_BYTES + output_len_bytes,
                BufferUsages::MAP_READ | BufferUsages::COPY_DST,
                false,
            ),
            stamps: Stamps::new(context),
        }))
    }

    /// Writes the upload into the staging memory and hands that to the device.
    fn fill(&self, words: &[u32]) -> Result<(), DeviceError> {
        let bytes: &[u8] = bytemuck::cast_slice(words);
        let view = self.staging.slice(..bytes.len() as u64).get_mapped_range_mut();
        view.map_err(|error| DeviceError::Refused(error.to_string()))?.copy_from_slice(bytes);
        self.staging.unmap();
        Ok(())
    }
}

/// A size for at least `len_bytes`, with room so that requests of about this size need no new buffers, and no smaller
/// than what is held.
fn grown(context: &Context, len_bytes: u64, held: Option<&Buffer>) -> u64 {
    let most = buffer_len_max(&context.device) / GRANULE_BYTES * GRANULE_BYTES;
    let with_room = (len_bytes + len_bytes / 4).max(held.map_or(0, Buffer::size)).next_multiple_of(GRANULE_BYTES);
    with_room.min(most).max(len_bytes)
}
