//! A program made ready on a device: its pipelines, its constants, and the scratch buffer that its passes share.

use std::borrow::Cow;

use constellation_shaders::{Pass, Program, layout};
use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry,
    BindingResource, BindingType, Buffer, BufferBinding, BufferBindingType, BufferDescriptor, BufferUsages,
    ComputePipeline, ComputePipelineDescriptor, PipelineCache, PipelineLayoutDescriptor, ShaderModuleDescriptor,
    ShaderSource, ShaderStages,
};

use super::wgpu_device::Context;

pub(super) struct Compiled {
    program: Program,
    pub(super) passes: Vec<(Pass, ComputePipeline)>,
    bindings: BindGroupLayout,
    constants: Buffer,
    /// One for all slots: requests are computed one after the other.
    scratch: Buffer,
}

impl Compiled {
    /// Compiles every pass. Errors go to the context.
    pub(super) fn new(context: &Context, program: Program, cache: Option<&PipelineCache>) -> Self {
        let device = &context.device;
        let source = ShaderSource::Wgsl(Cow::Borrowed(&program.source));
        let module = device.create_shader_module(ShaderModuleDescriptor { label: Some(program.name), source });
        let bindings = device.create_bind_group_layout(&BindGroupLayoutDescriptor {
            label: Some(program.name),
            entries: &[
                storage(layout::INPUT_BINDING, true),
                storage(layout::CONSTANTS_BINDING, true),
                storage(layout::SCRATCH_BINDING, false),
                storage(layout::OUTPUT_BINDING, false),
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
            label: Some(program.name),
            bind_group_layouts: &[Some(&bindings)],
            immediate_size: 0,
        });
        let compile = |pass: &Pass| {
            let pipeline = device.create_compute_pipeline(&ComputePipelineDescriptor {
                label: Some(pass.entry_point),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(pass.entry_point),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache,
            });
            (*pass, pipeline)
        };
        let passes = program.passes.iter().map(compile).collect();
        let constants = constants(context, &program);
        let scratch = scratch(context, &program, 1);
        Self { program, passes, bindings, constants, scratch }
    }

    /// Makes the scratch buffer large enough for `items`.
    pub(super) fn reserve(&mut self, context: &Context, items: u32) {
        if self.scratch.size() < 4 * self.program.scratch_words(items) {
            self.scratch = scratch(context, &self.program, items);
        }
    }

    /// Binds the buffers of one request.
    pub(super) fn bind(&self, context: &Context, input: BufferBinding<'_>, output: BufferBinding<'_>) -> BindGroup {
        context.device.create_bind_group(&BindGroupDescriptor {
            label: Some(self.program.name),
            layout: &self.bindings,
            entries: &[
                entry(layout::INPUT_BINDING, input),
                entry(layout::CONSTANTS_BINDING, self.constants.as_entire_buffer_binding()),
                entry(layout::SCRATCH_BINDING, self.scratch.as_entire_buffer_binding()),
                entry(layout::OUTPUT_BINDING, output),
            ],
        })
    }
}

fn entry(binding: u32, buffer: BufferBinding<'_>) -> BindGroupEntry<'_> {
    BindGroupEntry { binding, resource: BindingResource::Buffer(buffer) }
}

fn storage(binding: u32, read_only: bool) -> BindGroupLayoutEntry {
    BindGroupLayoutEntry {
        binding,
        visibility: ShaderStages::COMPUTE,
        ty: BindingType::Buffer {
            ty: BufferBindingType::Storage { read_only },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    }
}

fn constants(context: &Context, program: &Program) -> Buffer {
    let words = program.constants();
    let bytes: &[u8] = bytemuck::cast_slice(&words);
    let buffer = context.device.create_buffer(&BufferDescriptor {
        label: Some("constants"),
        size: bytes.len() as u64,
        usage: BufferUsages::STORAGE | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    context.queue.write_buffer(&buffer, 0, bytes);
    buffer
}

fn scratch(context: &Context, program: &Program, items: u32) -> Buffer {
    context.device.create_buffer(&BufferDescriptor {
        label: Some("scratch"),
        size: 4 * program.scratch_words(items),
        usage: BufferUsages::STORAGE,
        mapped_at_creation: false,
    })
}
