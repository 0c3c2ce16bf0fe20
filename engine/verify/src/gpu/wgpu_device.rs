//! The real device: an adapter's queue, the compiled programs, and the slots that requests travel in.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use constellation_shaders::{Arithmetic, layout};
use wgpu::{DeviceDescriptor, DeviceType, Features, PollType, Queue};

use super::adapter::{self, Choice};
use super::device::{Device, DeviceError, Response, Ticket};
use super::pipeline_cache::DiskCache;
use super::programs::Programs;
use super::request::{BUFFER_BYTES_PER_ITEM, Request};
use super::slot::Slot;
use super::steps;

/// One request being computed, one uploaded behind it, one whose result is fetched.
const SLOTS: usize = 3;

/// The pause between two looks at a result that the driver calls finished and has not handed out yet.
const LOOK_AGAIN: Duration = Duration::from_micros(50);

/// The first error that the GPU library reported. It stays: a device that failed once is made anew.
#[derive(Clone, Default)]
pub(super) struct Errors(Arc<Mutex<Option<DeviceError>>>);

impl Errors {
    pub(super) fn put(&self, error: DeviceError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(super) fn check(&self) -> Result<(), DeviceError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }
}

/// What slots need of the device.
pub(super) struct Context {
    pub(super) device: wgpu::Device,
    pub(super) queue: Queue,
    pub(super) errors: Errors,
}

pub(super) struct WgpuDevice {
    context: Context,
    description: String,
    items_max: usize,
    programs: Programs,
    slots: Vec<Slot>,
    last_ticket: u64,
}

impl WgpuDevice {
    /// Makes the device of the best adapter and compiles the programs, which can take a minute.
    pub(super) fn new(
        software_gpu: bool,
        force_int32: bool,
        cache_directory: Option<&Path>,
    ) -> Result<Self, DeviceError> {
        let choice = adapter::choose(software_gpu, force_int32)?;
        let context = connect(&choice)?;
        let info = choice.adapter.get_info();
        let programs = steps::programs(choice.arithmetic);
        let cache = cache_directory.filter(|_| context.device.features().contains(Features::PIPELINE_CACHE));
        let cache = cache.map(|directory| {
            let sources: Vec<_> = programs.iter().map(|program| program.source.as_str()).collect();
            let sources = blake3::hash(sources.concat().as_bytes()).to_hex();
            DiskCache::open(&context.device, &info, &sources, directory)
        });
        let programs = Programs::new(&context, programs, cache.as_ref().map(DiskCache::cache));
        context.errors.check()?;
        if let Some(cache) = cache {
            cache.save();
        }
        let software = if info.device_type == DeviceType::Cpu { ", a software adapter" } else { "" };
        let arithmetic = choice.arithmetic.name();
        let description = format!("{} ({} {}{software}), {arithmetic}", info.name, info.driver, info.driver_info);
        let items_max = items_max(choice.arithmetic, buffer_len_max(&context.device));
        let slots = (0..SLOTS).map(|_| Slot::default()).collect();
        Ok(Self { context, description, items_max, programs, slots, last_ticket: 0 })
    }

    fn slot_of(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.ticket() == Some(ticket))
    }
}

impl Device for WgpuDevice {
    fn describe(&self) -> String {
        self.description.clone()
    }

    fn slots(&self) -> usize {
        SLOTS
    }

    fn items_max(&self) -> usize {
        self.items_max
    }

    fn submit(&mut self, request: &Request) -> Result<Ticket, DeviceError> {
        let ticket = Ticket(self.last_ticket + 1);
        self.last_ticket = ticket.0;
        let position = self.slots.iter_mut().position(Slot::is_free).or_else(|| {
            // A forgotten request may have ended unseen. What is wrong, if anything is, is among the errors then.
            let polled = self.context.device.poll(PollType::Poll);
            polled.ok().and_then(|_| self.slots.iter_mut().position(Slot::is_free))
        });
        let slot = position.and_then(|position| self.slots.get_mut(position)).ok_or(DeviceError::Busy)?;
        slot.submit(&self.context, &mut self.programs, request, ticket)?;
        self.context.errors.check()?;
        Ok(ticket)
    }

    fn wait(&mut self, ticket: Ticket, until: Instant) -> Result<Option<Response>, DeviceError> {
        loop {
            self.context.errors.check()?;
            let period_ns = self.context.queue.get_timestamp_period();
            let slot = self.slot_of(ticket).ok_or(DeviceError::Busy)?;
            if let Some(response) = slot.take_response(period_ns)? {
                return Ok(Some(response));
            }
            let submission_index = slot.submission();
            let left = until.saturating_duration_since(Instant::now());
            // Not an error: what is not finished in time is asked for again, or given up, by the caller.
            let finished = self.context.device.poll(PollType::Wait { submission_index, timeout: Some(left) }).is_ok();
            if left.is_zero() {
                let period_ns = self.context.queue.get_timestamp_period();
                return self.slot_of(ticket).map_or(Ok(None), |slot| slot.take_response(period_ns));
            }
            if finished && self.slot_of(ticket).is_some_and(|slot| !slot.is_finished()) {
                std::thread::sleep(LOOK_AGAIN.min(left));
            }
        }
    }

    fn forget(&mut self, ticket: Ticket) {
        if let Some(slot) = self.slot_of(ticket) {
            slot.forget();
        }
    }
}

fn connect(choice: &Choice) -> Result<Context, DeviceError> {
    let wanted = Features::TIMESTAMP_QUERY | Features::TIMESTAMP_QUERY_INSIDE_ENCODERS | Features::PIPELINE_CACHE;
    let int64 = if choice.arithmetic == Arithmetic::Int64 { Features::SHADER_INT64 } else { Features::empty() };
    let descriptor = DeviceDescriptor {
        label: Some("verification"),
        required_features: (choice.adapter.features() & wanted) | int64,
        required_limits: choice.adapter.limits(),
        ..DeviceDescriptor::default()
    };
    let request = choice.adapter.request_device(&descriptor);
    let (device, queue) = pollster::block_on(request).map_err(|error| DeviceError::Refused(error.to_string()))?;
    let errors = Errors::default();
    let of_loss = errors.clone();
    device.set_device_lost_callback(move |reason, text| of_loss.put(DeviceError::Lost(format!("{reason:?}: {text}"))));
    // Errors come here from every call, in the thread of the call: unlike an error scope, this misses none, and without
    // it the library would panic.
    let of_calls = errors.clone();
    device.on_uncaptured_error(Arc::new(move |error| {
        of_calls.put(match error {
            wgpu::Error::OutOfMemory { source } => DeviceError::OutOfMemory(source.to_string()),
            wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                DeviceError::Refused(description)
            }
        });
    }));
    Ok(Context { device, queue, errors })
}

/// The longest buffer that the device can make and bind whole, in bytes.
pub(super) fn buffer_len_max(device: &wgpu::Device) -> u64 {
    let limits = device.limits();
    limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
}

/// How many signatures one request may hold on a device whose buffers have at most `buffer_bytes_max` bytes.
fn items_max(arithmetic: Arithmetic, buffer_bytes_max: u64) -> usize {
    let by_buffer = usize::try_from(buffer_bytes_max).unwrap_or(usize::MAX) / BUFFER_BYTES_PER_ITEM;
    by_buffer.min(layout::count_max(arithmetic, buffer_bytes_max) as usize)
}
