//! A device that runs one program over one batch and hands back its buffers.

use std::time::{Duration, Instant};

use constellation_shaders::{Pass, Program, layout};
use wgpu::util::DeviceExt;

pub struct Rig {
    pub name: String,
    pub has_int64: bool,
    device: wgpu::Device,
    queue: wgpu::Queue,
}

/// A program on a device.
pub struct Ready {
    pub program: Program,
    /// How long its pipelines took, by entry point.
    pub compile_times: Vec<(&'static str, Duration)>,
    pipelines: Vec<(Pass, wgpu::ComputePipeline)>,
    bind_group_layout: wgpu::BindGroupLayout,
    constants: wgpu::Buffer,
}

pub struct Buffers {
    pub scratch: Vec<u32>,
    pub output: Vec<u32>,
    /// How long each pass took, with submission.
    pub times: Vec<(&'static str, Duration)>,
}

/// Opens an adapter, software ones too; `None`, loudly, where there is none.
pub fn open() -> Option<Rig> {
    let opened = pollster::block_on(try_open());
    if let Err(error) = &opened {
        let required = std::env::var("CONSTELLATION_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required, "CONSTELLATION_REQUIRE_GPU=1, and there is no adapter: {error}");
        eprintln!(
            "SKIPPED: no GPU adapter, not even a software one, so the kernels are NOT TESTED by this run: {error}"
        );
    }
    opened.ok()
}

async fn try_open() -> Result<Rig, String> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..wgpu::RequestAdapterOptions::default()
    };
    let adapter = instance.request_adapter(&options).await.map_err(|error| error.to_string())?;
    let features = adapter.features() & wgpu::Features::SHADER_INT64;
    let descriptor = wgpu::DeviceDescriptor { required_features: features, ..wgpu::DeviceDescriptor::default() };
    let (device, queue) = adapter.request_device(&descriptor).await.map_err(|error| error.to_string())?;
    let info = adapter.get_info();
    let name = format!("{} ({})", info.name, info.driver_info);
    Ok(Rig { name, has_int64: !features.is_empty(), device, queue })
}

impl Rig {
    /// The program's pipelines, or `None`, loudly, where the adapter cannot have them.
    pub fn prepare(&self, program: Program) -> Option<Ready> {
        if program.needs_int64() && !self.has_int64 {
            eprintln!("SKIPPED: {} has no 64-bit integers, so {} is NOT TESTED by this run", self.name, program.name);
            return None;
        }
        let entry = |binding: u32| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage {
                    read_only: [layout::INPUT_BINDING, layout::CONSTANTS_BINDING].contains(&binding),
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let bind_group_layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: None,
            entries: &[0, 1, 2, 3].map(entry),
        });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            bind_group_layouts: &[Some(&bind_group_layout)],
            ..wgpu::PipelineLayoutDescriptor::default()
        });
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(program.name),
            source: wgpu::ShaderSource::Wgsl(program.source.as_str().into()),
        });
        let mut compile_times = Vec::new();
        let mut pipelines = Vec::new();
        for pass in &program.passes {
            let start = Instant::now();
            let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(pass.entry_point),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(pass.entry_point),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            compile_times.push((pass.entry_point, start.elapsed()));
            pipelines.push((*pass, pipeline));
        }
        let constants = self.buffer(&program.constants());
        Some(Ready { program, compile_times, pipelines, bind_group_layout, constants })
    }

    fn buffer(&self, words: &[u32]) -> wgpu::Buffer {
        self.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: None,
            contents: bytemuck::cast_slice(words),
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
        })
    }

    /// Runs all passes but those in `left_out` over `input`; scratch and output start as they are given.
    pub fn run(&self, ready: &Ready, input: &[u32], count: u32, start: (&[u32], &[u32]), left_out: &[&str]) -> Buffers {
        let [input, scratch, output] = [input, start.0, start.1].map(|words| self.buffer(words));
        let buffers = [&input, &ready.constants, &scratch, &output];
        let bind_group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &ready.bind_group_layout,
            entries: &std::array::from_fn::<_, 4, _>(|binding| wgpu::BindGroupEntry {
                binding: binding as u32,
                resource: buffers[binding].as_entire_binding(),
            }),
        });
        let mut times = Vec::new();
        for (pass, pipeline) in &ready.pipelines {
            if left_out.contains(&pass.entry_point) {
                continue;
            }
            let start = Instant::now();
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            {
                let mut compute = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                compute.set_pipeline(pipeline);
                compute.set_bind_group(layout::BIND_GROUP, &bind_group, &[]);
                compute.dispatch_workgroups(pass.workgroups(count), 1, 1);
            }
            self.queue.submit([encoder.finish()]);
            self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            times.push((pass.entry_point, start.elapsed()));
        }
        Buffers { scratch: self.read(&scratch), output: self.read(&output), times }
    }

    fn read(&self, buffer: &wgpu::Buffer) -> Vec<u32> {
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: buffer.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..).unwrap())
    }
}
