//! Every program parses and validates, without any adapter.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

use constellation_shaders::{Arithmetic, Pass, Program, layout};
use naga::valid::{Capabilities, ValidationFlags, Validator};

fn programs() -> Vec<Program> {
    let mut programs: Vec<Program> = Arithmetic::ALL.map(Program::signatures).into();
    programs.extend([Program::transaction_ids(), Program::sketch(), Program::gather()]);
    programs
}

#[test]
fn every_program_is_valid_with_no_more_than_it_asks_for() {
    for program in programs() {
        let capabilities = if program.needs_int64() { Capabilities::SHADER_INT64 } else { Capabilities::empty() };
        let module = naga::front::wgsl::parse_str(&program.source)
            .unwrap_or_else(|error| panic!("{}: {}", program.name, error.emit_to_string(&program.source)));
        Validator::new(ValidationFlags::all(), capabilities)
            .validate(&module)
            .unwrap_or_else(|error| panic!("{}: {}", program.name, error.emit_to_string(&program.source)));
        let entry_points: Vec<_> =
            module.entry_points.iter().map(|entry| (entry.name.as_str(), entry.workgroup_size)).collect();
        let passes: Vec<_> =
            program.passes.iter().map(|pass| (pass.entry_point, [pass.workgroup_size, 1, 1])).collect();
        assert_eq!(entry_points, passes, "{}", program.name);
        let bindings: Vec<_> = module.global_variables.iter().filter_map(|(_, variable)| variable.binding).collect();
        let expected =
            [layout::INPUT_BINDING, layout::CONSTANTS_BINDING, layout::SCRATCH_BINDING, layout::OUTPUT_BINDING];
        assert!(bindings.iter().all(|binding| binding.group == layout::BIND_GROUP), "{}", program.name);
        assert_eq!(bindings.iter().map(|binding| binding.binding).collect::<Vec<_>>(), expected, "{}", program.name);
    }
}

#[test]
fn dispatches_cover_the_batch_and_stay_within_limits() {
    let dispatches = |items_per_workgroup, count| {
        Pass { entry_point: "", workgroup_size: layout::GROUP_SIZE, items_per_workgroup }.workgroups(count)
    };
    for (count, one, two) in [(0, 0, 0), (1, 1, 1), (32, 1, 1), (33, 1, 2), (64, 1, 2), (65, 2, 3)] {
        assert_eq!([dispatches(Some(64), count), dispatches(Some(32), count), dispatches(None, count)], [one, two, 1]);
    }
    for program in programs() {
        assert!(program.passes.iter().all(|pass| pass.workgroups(layout::COUNT_MAX) <= 65_535), "{}", program.name);
    }
}
