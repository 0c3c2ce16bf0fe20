//! All programs on the device, and the buffer in which one hands the inputs of the others over.

use wgpu::{
    Buffer, BufferBinding, BufferDescriptor, BufferSize, BufferUsages, CommandEncoder, ComputePassDescriptor,
    PipelineCache,
};

use super::compiled::Compiled;
use super::stamps::Stamps;
use super::steps::{self, Place, Region, Step};
use super::wgpu_device::Context;

pub(super) struct Programs {
    /// In the order of [`steps::Name`].
    compiled: [Compiled; 4],
    /// One for all slots, as the scratch buffers are: requests are computed one after the other.
    gathered: Buffer,
}

impl Programs {
    /// Compiles every program. Errors go to the context.
    pub(super) fn new(
        context: &Context,
        programs: [constellation_shaders::Program; 4],
        cache: Option<&PipelineCache>,
    ) -> Self {
        let compiled = programs.map(|program| Compiled::new(context, program, cache));
        Self { compiled, gathered: gathered(context, 1) }
    }

    /// Makes the buffers between passes large enough for `steps`.
    pub(super) fn reserve(&mut self, context: &Context, steps: &[Step]) {
        for step in steps {
            self.compiled[step.name as usize].reserve(context, step.items);
        }
        let words = steps::words_at(Place::Gathered, steps);
        if self.gathered.size() < 4 * words {
            self.gathered = gathered(context, words);
        }
    }

    /// Has `steps` computed from `upload` to `result`.
    pub(super) fn compute(
        &self,
        context: &Context,
        encoder: &mut CommandEncoder,
        stamps: &mut Stamps,
        steps: &[Step],
        (upload, result): (&Buffer, &Buffer),
    ) {
        let bound = |region: &Region| BufferBinding {
            buffer: match region.place {
                Place::Upload => upload,
                Place::Gathered => &self.gathered,
                Place::Result => result,
            },
            offset: 4 * region.words.start,
            size: BufferSize::new(4 * (region.words.end - region.words.start)),
        };
        for step in steps {
            let program = &self.compiled[step.name as usize];
            let bindings = program.bind(context, bound(&step.input), bound(&step.output));
            for (pass, pipeline) in &program.passes {
                let timestamp_writes = stamps.around_pass(pass.entry_point);
                let descriptor = ComputePassDescriptor { label: Some(pass.entry_point), timestamp_writes };
                let mut compute = encoder.begin_compute_pass(&descriptor);
                compute.set_pipeline(pipeline);
                compute.set_bind_group(constellation_shaders::layout::BIND_GROUP, &bindings, &[]);
                compute.dispatch_workgroups(pass.workgroups(step.items), 1, 1);
            }
        }
    }
}

fn gathered(context: &Context, words: u64) -> Buffer {
    context.device.create_buffer(&BufferDescriptor {
        label: Some("gathered"),
        size: 4 * words,
        usage: BufferUsages::STORAGE,
        mapped_at_creation: false,
    })
}
