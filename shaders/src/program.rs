//! The programs: which WGSL files make one, which passes it has, and how large its buffers are.

use crate::{generate, layout};

const BUFFERS: &str = include_str!("../wgsl/buffers.wgsl");
const SEAL: &str = include_str!("../wgsl/seal.wgsl");
const BLAKE3: &str = include_str!("../wgsl/blake3.wgsl");
const SIGNATURES: &str = include_str!("../wgsl/signatures.wgsl");

/// How field elements are held and multiplied. Both give the same verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// Ten limbs of 26 and 25 bits, 64-bit products: needs `SHADER_INT64` of the adapter.
    Int64,
    /// Twenty limbs of 13 bits, 32-bit products: runs on every adapter.
    Int32,
}

impl Arithmetic {
    /// Both, the faster one first.
    pub const ALL: [Self; 2] = [Self::Int64, Self::Int32];

    /// The name used in labels and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Int64 => "int64",
            Self::Int32 => "int32",
        }
    }
}

/// What a program computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A verdict bit for each signature.
    Signatures(Arithmetic),
    /// BLAKE3 of each byte string.
    TransactionIds,
    /// The locality sensitive sketch of a set.
    Sketch,
    /// The inputs of the other three, from whole transactions.
    Gather,
}

/// One entry point, dispatched over the whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The name of the compute entry point.
    pub entry_point: &'static str,
    /// Invocations in a workgroup, as the source declares them.
    pub workgroup_size: u32,
    /// How many items of the batch one workgroup serves; `None` when one workgroup serves the whole batch.
    pub items_per_workgroup: Option<u32>,
}

impl Pass {
    /// Workgroups to dispatch along x for `count` items; within 65,535 for every count up to [`layout::COUNT_MAX`].
    #[must_use]
    pub fn workgroups(&self, count: u32) -> u32 {
        self.items_per_workgroup.map_or(1, |items| count.div_ceil(items))
    }
}

/// A WGSL module, its passes in the order they must run, and the sizes of its buffers.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it computes.
    pub kind: Kind,
    /// A short name for labels.
    pub name: &'static str,
    /// The whole WGSL source.
    pub source: String,
    /// The passes, in order; each sees the writes of those before it.
    pub passes: Vec<Pass>,
}

impl Program {
    /// Verifies signatures: `challenge`, `decode`, `ladder`.
    #[must_use]
    pub fn signatures(arithmetic: Arithmetic) -> Self {
        let name = match arithmetic {
            Arithmetic::Int64 => "signatures int64",
            Arithmetic::Int32 => "signatures int32",
        };
        let passes = vec![
            pass("challenge", Some(layout::GROUP_SIZE)),
            pass("decode", Some(layout::GROUP_SIZE / 2)),
            pass("ladder", Some(layout::GROUP_SIZE)),
        ];
        let (field, word) = (generate::field(arithmetic), word(arithmetic));
        let (declarations, sha512, scalar) =
            (generate::declarations(arithmetic), generate::sha512(), generate::scalar());
        let source = [
            BUFFERS,
            SEAL,
            SIGNATURES,
            &field,
            &declarations,
            word,
            &sha512,
            &scalar,
            &generate::integers(),
            include_str!("../wgsl/halve.wgsl"),
            include_str!("../wgsl/challenge.wgsl"),
            include_str!("../wgsl/decode.wgsl"),
            include_str!("../wgsl/point.wgsl"),
            include_str!("../wgsl/ladder.wgsl"),
        ]
        .join("\n");
        Self { kind: Kind::Signatures(arithmetic), name, source, passes }
    }

    /// Hashes byte strings with BLAKE3, one chunk each: `transaction_ids`.
    #[must_use]
    pub fn transaction_ids() -> Self {
        let passes = vec![pass("transaction_ids", Some(layout::GROUP_SIZE))];
        let source = [BUFFERS, SEAL, BLAKE3, include_str!("../wgsl/transaction_ids.wgsl")].join("\n");
        Self { kind: Kind::TransactionIds, name: "transaction ids", source, passes }
    }

    /// Sketches one set of 32-byte elements: `seeds`, `minima`.
    #[must_use]
    pub fn sketch() -> Self {
        let passes = vec![pass("seeds", Some(layout::GROUP_SIZE)), pass("minima", Some(layout::SKETCH_GROUP_ITEMS))];
        let source = [BUFFERS, SEAL, BLAKE3, include_str!("../wgsl/sketch.wgsl")].join("\n");
        Self { kind: Kind::Sketch, name: "sketch", source, passes }
    }

    /// Makes the inputs of the other programs from whole transactions: `gather`, `headers`. Its output is laid out as
    /// [`TransactionFormat::inputs`](layout::TransactionFormat::inputs) says.
    #[must_use]
    pub fn gather() -> Self {
        let passes = vec![pass("gather", Some(layout::GROUP_SIZE)), pass("headers", None)];
        let source = [BUFFERS, SEAL, BLAKE3, SIGNATURES, include_str!("../wgsl/gather.wgsl")].join("\n");
        Self { kind: Kind::Gather, name: "gather", source, passes }
    }

    /// Whether the adapter must have 64-bit integers in shaders (`SHADER_INT64`).
    #[must_use]
    pub fn needs_int64(&self) -> bool {
        self.kind == Kind::Signatures(Arithmetic::Int64)
    }

    /// Words of the constants buffer's contents: what the host uploads once. Never empty.
    #[must_use]
    pub fn constants(&self) -> Vec<u32> {
        match self.kind {
            Kind::Signatures(arithmetic) => layout::constants(arithmetic),
            Kind::TransactionIds | Kind::Sketch | Kind::Gather => vec![0; 4],
        }
    }

    /// Words of scratch for `count` items. Never 0. Needs no clearing between batches.
    #[must_use]
    pub fn scratch_words(&self, count: u32) -> u64 {
        match self.kind {
            Kind::Signatures(arithmetic) => layout::scratch_words(arithmetic, count),
            Kind::TransactionIds => 4,
            Kind::Sketch => 4 * u64::from(count.max(1)),
            Kind::Gather => 4 * u64::from(count.div_ceil(layout::GROUP_SIZE).max(1)),
        }
    }
}

fn pass(entry_point: &'static str, items_per_workgroup: Option<u32>) -> Pass {
    Pass { entry_point, workgroup_size: layout::GROUP_SIZE, items_per_workgroup }
}

fn word(arithmetic: Arithmetic) -> &'static str {
    match arithmetic {
        Arithmetic::Int64 => include_str!("../wgsl/word_int64.wgsl"),
        Arithmetic::Int32 => include_str!("../wgsl/word_int32.wgsl"),
    }
}
