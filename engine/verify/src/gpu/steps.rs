//! What a device does for a request: which programs run, one after the other, and what each reads and writes. Signatures, ids or a
//! sketch take one program each; whole transactions take all of them, on inputs that `gather` makes of one upload, with
//! their results side by side in one buffer.

use std::ops::Range;

use constellation_shaders::layout::{self, Regions};
use constellation_shaders::{Arithmetic, Program};

use super::request::{Request, Task};

/// Which program: its place among all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Signatures,
    Ids,
    Sketch,
    Gather,
}

/// All programs, in the order of [`Name`].
pub(super) fn programs(arithmetic: Arithmetic) -> [Program; 4] {
    [Program::signatures(arithmetic), Program::transaction_ids(), Program::sketch(), Program::gather()]
}

/// The buffers of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Upload,
    /// Written by `gather`, read by the others.
    Gathered,
    /// What comes down.
    Result,
}

/// A part of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) place: Place,
    pub(super) words: Range<u64>,
}

/// One program on its buffers.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) name: Name,
    pub(super) input: Region,
    pub(super) output: Region,
    pub(super) items: u32,
}

/// The steps of `request`, in order; each sees what those before it wrote.
pub(super) fn steps(request: &Request) -> Vec<Step> {
    let items = request.items;
    let upload = Region { place: Place::Upload, words: 0..request.words.len() as u64 };
    let alone = |name, words| {
        vec![Step { name, input: upload.clone(), output: Region { place: Place::Result, words: 0..words }, items }]
    };
    match &request.task {
        Task::Verify => alone(Name::Signatures, layout::verdict_words(items)),
        Task::Ids => alone(Name::Ids, layout::id_words(items)),
        Task::Sketch => alone(Name::Sketch, layout::sketch_words(items)),
        Task::Transactions { inputs } => {
            let output = Region { place: Place::Gathered, words: 0..inputs.words() };
            let gather = Step { name: Name::Gather, input: upload, output, items };
            std::iter::once(gather).chain(after_gather(inputs, items)).collect()
        }
    }
}

fn after_gather(inputs: &Regions, items: u32) -> impl Iterator<Item = Step> {
    let results = Regions::of_result(items, inputs.sketch.is_some());
    let step = |name, input: &Range<u64>, output: Range<u64>, items| Step {
        name,
        input: Region { place: Place::Gathered, words: input.clone() },
        output: Region { place: Place::Result, words: output },
        items,
    };
    let sketch = inputs.sketch.as_ref().zip(results.sketch);
    [
        step(Name::Signatures, &inputs.signatures, results.signatures, 2 * items),
        step(Name::Ids, &inputs.ids, results.ids, items),
    ]
    .into_iter()
    .chain(sketch.map(|(input, output)| step(Name::Sketch, input, output, 2 * items)))
}

/// Words of the buffer at `place` that `steps` need.
pub(super) fn words_at(place: Place, steps: &[Step]) -> u64 {
    let regions = steps.iter().flat_map(|step| [&step.input, &step.output]);
    regions.filter(|region| region.place == place).map(|region| region.words.end).max().unwrap_or(0)
}
