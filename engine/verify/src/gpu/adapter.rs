//! Which adapter runs the programs, and in which arithmetic. Nothing here makes a device.

use constellation_shaders::Arithmetic;
use wgpu::{Adapter, Backends, DeviceType, Features, Instance, InstanceDescriptor, InstanceFlags};

use super::device::DeviceError;

/// An adapter that may be used, with what is known of it.
pub(super) struct Choice {
    pub(super) adapter: Adapter,
    pub(super) arithmetic: Arithmetic,
}

/// The best adapter of this machine.
pub(super) fn choose(software_gpu: bool, force_int32: bool) -> Result<Choice, DeviceError> {
    if !software_gpu && !may_be_there() {
        return Err(none());
    }
    // No validation layers: the programs are checked by naga and the results by their tags.
    let descriptor =
        InstanceDescriptor { flags: InstanceFlags::empty(), ..InstanceDescriptor::new_without_display_handle() };
    let adapters = pollster::block_on(Instance::new(descriptor).enumerate_adapters(Backends::PRIMARY));
    let refused: Vec<_> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let best = adapters
        .into_iter()
        .filter_map(|adapter| Some((preference(adapter.get_info().device_type, software_gpu)?, adapter)))
        .min_by_key(|(preference, _)| *preference);
    let Some((_, adapter)) = best else {
        return Err(DeviceError::NoAdapter(no_adapter(&refused)));
    };
    let has_int64 = adapter.features().contains(Features::SHADER_INT64);
    let arithmetic = if has_int64 && !force_int32 { Arithmetic::Int64 } else { Arithmetic::Int32 };
    Ok(Choice { adapter, arithmetic })
}

/// Whether to ask the drivers at all. They take time to load and write to standard error when there is no screen, which nobody wants to see
/// on a machine without a GPU.
#[cfg(target_os = "linux")]
pub(super) fn may_be_there() -> bool {
    // Of Mesa's drivers, NVIDIA's, AMD's compute driver, and the one for guests of Windows.
    ["/dev/dri", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg"].iter().any(|node| std::path::Path::new(node).exists())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn may_be_there() -> bool {
    true
}

/// Smaller is better; `None` for an adapter that must not be used.
fn preference(kind: DeviceType, software_gpu: bool) -> Option<u8> {
    match kind {
        DeviceType::DiscreteGpu => Some(0),
        DeviceType::IntegratedGpu => Some(1),
        DeviceType::VirtualGpu => Some(2),
        DeviceType::Other => Some(3),
        // Slower than the CPU backends on the same cores: for tests only.
        DeviceType::Cpu => software_gpu.then_some(4),
    }
}

/// There is nothing at all.
pub(super) fn none() -> DeviceError {
    DeviceError::NoAdapter(no_adapter(&[]))
}

fn no_adapter(refused: &[String]) -> String {
    if refused.is_empty() {
        "none was found; install the GPU's Vulkan driver, or choose a CPU backend".to_owned()
    } else {
        format!(
            "only software adapters were found ({}); allow them for tests, or choose a CPU backend",
            refused.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discrete_comes_first_and_software_only_when_asked_for() {
        let mut kinds = [DeviceType::Cpu, DeviceType::VirtualGpu, DeviceType::IntegratedGpu, DeviceType::DiscreteGpu];
        kinds.sort_by_key(|&kind| preference(kind, true));
        assert_eq!(kinds[0], DeviceType::DiscreteGpu);
        assert_eq!(kinds[1], DeviceType::IntegratedGpu);
        assert_eq!(kinds[3], DeviceType::Cpu);
        assert_eq!(preference(DeviceType::Cpu, false), None);
        assert!(no_adapter(&["llvmpipe".to_owned()]).contains("llvmpipe"));
    }
}
