//! Where a request's time goes on the device: timestamps around each stage, where the adapter has them.

use std::time::Duration;

use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, CommandEncoder, ComputePassTimestampWrites, Features, QuerySet,
    QuerySetDescriptor, QueryType,
};

use super::device::StageTimes;
use super::wgpu_device::Context;

/// Before and after each of upload, eight passes and download.
const STAMPS_MAX: u32 = 20;

/// The field that a stage's time belongs in.
type Field = fn(&mut StageTimes) -> &mut Duration;

/// The timestamps of one slot.
pub(super) struct Stamps {
    /// Timestamps and the buffer that they are resolved into; `None` where the adapter has none.
    queries: Option<(QuerySet, Buffer)>,
    /// Whether there are timestamps between passes too.
    has_between: bool,
    written: u32,
    stages: Vec<(Field, u32)>,
}

/// Which stage the timestamps of one request belong to.
pub(super) struct Reading {
    /// A stage's field, and the first of its two timestamps.
    stages: Vec<(Field, u32)>,
}

impl Stamps {
    /// What they take at the front of the readback buffer.
    pub(super) const LEN_BYTES: u64 = 8 * STAMPS_MAX as u64;

    pub(super) fn new(context: &Context) -> Self {
        let features = context.device.features();
        let queries = features.contains(Features::TIMESTAMP_QUERY).then(|| {
            let set = context.device.create_query_set(&QuerySetDescriptor {
                label: Some("stage times"),
                ty: QueryType::Timestamp,
                count: STAMPS_MAX,
            });
            let resolved = context.device.create_buffer(&BufferDescriptor {
                label: Some("stage times"),
                size: Self::LEN_BYTES,
                usage: BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            (set, resolved)
        });
        let has_between = features.contains(Features::TIMESTAMP_QUERY_INSIDE_ENCODERS);
        Self { queries, has_between, written: 0, stages: Vec::new() }
    }

    /// A new request, whose first copy starts here.
    pub(super) fn start(&mut self, encoder: &mut CommandEncoder) {
        self.written = 0;
        self.stages.clear();
        self.before_copy(encoder);
    }

    /// A copy starts here.
    pub(super) fn before_copy(&mut self, encoder: &mut CommandEncoder) {
        if let Some((set, _)) = self.queries.as_ref().filter(|_| self.has_between) {
            encoder.write_timestamp(set, self.written);
        }
    }

    /// The copy that started last ends here; its time belongs in `field`.
    pub(super) fn after_copy(&mut self, encoder: &mut CommandEncoder, field: Field) {
        if let Some((set, _)) = self.queries.as_ref().filter(|_| self.has_between) {
            encoder.write_timestamp(set, self.written + 1);
            self.stages.push((field, self.written));
            self.written += 2;
        }
    }

    /// What a pass needs to be timed.
    pub(super) fn around_pass(&mut self, entry_point: &str) -> Option<ComputePassTimestampWrites<'_>> {
        let (set, _) = self.queries.as_ref()?;
        let first = self.written;
        // The last two are kept for the download.
        if first + 4 > STAMPS_MAX {
            return None;
        }
        let field: Field = match entry_point {
            "challenge" => |times| &mut times.challenge,
            "decode" => |times| &mut times.decode,
            "ladder" => |times| &mut times.ladder,
            _ => |times| &mut times.other,
        };
        self.stages.push((field, first));
        self.written += 2;
        Some(ComputePassTimestampWrites {
            query_set: set,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        })
    }

    /// Has the timestamps copied to the front of `readback`.
    pub(super) fn finish(&mut self, encoder: &mut CommandEncoder, readback: &Buffer) -> Reading {
        if let Some((set, resolved)) = self.queries.as_ref().filter(|_| self.written > 0) {
            encoder.resolve_query_set(set, 0..self.written, resolved, 0);
            encoder.copy_buffer_to_buffer(resolved, 0, readback, 0, 8 * u64::from(self.written));
        }
        Reading { stages: std::mem::take(&mut self.stages) }
    }
}

impl Reading {
    /// The time of each stage, from timestamps of `period_ns` each.
    pub(super) fn times(&self, stamps: &[u64], period_ns: f32) -> StageTimes {
        let mut times = StageTimes::default();
        for &(field, first) in &self.stages {
            let stamp = |at: u32| stamps.get(at as usize).copied().unwrap_or(0);
            // A clock that runs backwards, as some do when the GPU sleeps, counts as no time.
            let ticks = stamp(first + 1).saturating_sub(stamp(first));
            *field(&mut times) += Duration::from_nanos((ticks as f64 * f64::from(period_ns)) as u64);
        }
        times
    }
}
