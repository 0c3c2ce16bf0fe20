//! Field elements in WGSL: sums, differences, carries, conversions. See [`crate::shape`] for the bounds.

use std::fmt::Write;

use super::{join, product};
use crate::Arithmetic;
use crate::shape::Shape;

/// `Fe` and its operations for one arithmetic.
pub(crate) fn field(arithmetic: Arithmetic) -> String {
    let shape = Shape::of(arithmetic);
    let limbs = shape.limbs();
    let mut text = format!("alias Fe = array<u32, {limbs}>;\n");
    text += &sum(&shape, "fe_add", |limb| format!("a[{limb}] + b[{limb}]"));
    text += &sum(&shape, "fe_sub", |limb| format!("a[{limb}] + {}u - b[{limb}]", shape.tight_bias[limb]));
    text += &sum(&shape, "fe_sub_wide", |limb| format!("a[{limb}] + {}u - b[{limb}]", shape.loose_bias[limb]));
    text += &carry(&shape);
    text += &select(limbs);
    text += &canonical(&shape);
    text += &from_words(&shape);
    text += &pairs(limbs);
    text + &product::products(arithmetic)
}

/// A limb-wise sum of `a` and `b`, carried where the variant does.
fn sum(shape: &Shape, name: &str, limb: impl FnMut(usize) -> String) -> String {
    let sum = format!("Fe({})", join(shape.limbs(), ", ", limb));
    let result = if shape.carries_sums { format!("carry_once({sum})") } else { sum };
    format!("fn {name}(a: Fe, b: Fe) -> Fe {{\n    return {result};\n}}\n")
}

/// One carry of every limb into the next, all at once.
fn carry(shape: &Shape) -> String {
    let last = shape.limbs() - 1;
    let limb = |index: usize| {
        let from = if index == 0 { last } else { index - 1 };
        let carried = format!("(x[{from}] >> {}u)", shape.bits[from]);
        let wrap = if index == 0 { format!("{}u * ", shape.wrap) } else { String::new() };
        format!("(x[{index}] & {}u) + {wrap}{carried}", shape.mask(index))
    };
    let carried = join(shape.limbs(), ", ", limb);
    let fe_carry = if shape.carries_sums { "x" } else { "carry_once(x)" };
    format!(
        "fn carry_once(x: Fe) -> Fe {{\n    return Fe({carried});\n}}\n\
         fn fe_carry(x: Fe) -> Fe {{\n    return {fe_carry};\n}}\n"
    )
}

fn select(limbs: usize) -> String {
    let chosen = join(limbs, ", ", |limb| format!("select(a[{limb}], b[{limb}], condition)"));
    format!("fn fe_select(a: Fe, b: Fe, condition: bool) -> Fe {{\n    return Fe({chosen});\n}}\n")
}

/// A chain of carries through `v`, what passes 2^255 wrapping into limb 0; `t` is the carry out.
fn chain(shape: &Shape, wraps: bool) -> String {
    let last = shape.limbs() - 1;
    let mut text = String::new();
    for index in 0..last {
        let (bits, mask) = (shape.bits[index], shape.mask(index));
        let next = index + 1;
        text += &format!("    v{next} += v{index} >> {bits}u; v{index} &= {mask}u;\n");
    }
    let bits = shape.last_bits();
    text += &format!("    t = v{last} >> {bits}u; v{last} &= {}u;\n", (1 << bits) - 1);
    text + if wraps { "    v0 += 19u * t;\n" } else { "" }
}

/// The one representative below p, as words. Two wrapping chains leave a value below 2^255 in whole limbs; adding 19
/// carries out exactly when it is p or more, and then leaves it less p.
fn canonical(shape: &Shape) -> String {
    let limbs = shape.limbs();
    let mut text = String::from("fn fe_canonical(x: Fe) -> array<u32, 8> {\n    var t = 0u;\n");
    for limb in 0..limbs {
        text += &format!("    var v{limb} = x[{limb}];\n");
    }
    text += &chain(shape, true);
    text += &chain(shape, true);
    text += &format!("    let kept = Fe({});\n    v0 += 19u;\n", join(limbs, ", ", |limb| format!("v{limb}")));
    text += &chain(shape, false);
    let reduced = join(limbs, ", ", |limb| format!("v{limb}"));
    text += &format!("    let w = fe_select(kept, Fe({reduced}), t != 0u);\n");
    text + &format!("    return array<u32, 8>({});\n}}\n", join(8, ", ", |word| word_of(shape, word)))
}

/// Word `word` of whole limbs `w`.
fn word_of(shape: &Shape, word: usize) -> String {
    let (low, high) = (32 * word as u32, 32 * word as u32 + 32);
    let parts = (0..shape.limbs()).filter_map(|limb| {
        let start = shape.start(limb);
        let meets = start < high && start + shape.bits[limb] > low;
        let shifted = if start >= low {
            format!("(w[{limb}] << {}u)", start - low)
        } else {
            format!("(w[{limb}] >> {}u)", low - start)
        };
        meets.then_some(shifted)
    });
    parts.collect::<Vec<_>>().join(" | ")
}

/// The low 255 bits of `w`, as limbs: tight.
fn from_words(shape: &Shape) -> String {
    let limb = |index: usize| {
        let (start, last) = (shape.start(index), index + 1 == shape.limbs());
        let bits = if last { shape.last_bits() } else { shape.bits[index] };
        let (word, shift) = (start / 32, start % 32);
        let mut text = format!("(w[{word}] >> {shift}u)");
        if shift + bits > 32 {
            // Writing to a String cannot fail.
            write!(text, " | (w[{}] << {}u)", word + 1, 32 - shift).unwrap_or_default();
        }
        format!("({text}) & {}u", (1_u32 << bits) - 1)
    };
    let limbs = join(shape.limbs(), ", ", limb);
    format!("fn fe_from_words(w: array<u32, 8>) -> Fe {{\n    return Fe({limbs});\n}}\n")
}

/// Two elements at a time to and from buffers, which gives whole vectors in both variants.
fn pairs(limbs: usize) -> String {
    let vectors = limbs / 2;
    let component = |limb: usize| format!("v{}.{}", limb / 4, ["x", "y", "z", "w"][limb % 4]);
    let x = join(limbs, ", ", component);
    let y = join(limbs, ", ", |limb| component(limb + limbs));
    let mut text = format!("const PAIR_VECTORS = {vectors}u;\nstruct Pair {{ x: Fe, y: Fe }}\n");
    for buffer in ["scratch", "constants"] {
        text += &format!("fn load_{buffer}(at: u32) -> Pair {{\n");
        for vector in 0..vectors {
            text += &format!("    let v{vector} = {buffer}[at + {vector}u];\n");
        }
        text += &format!("    return Pair(Fe({x}), Fe({y}));\n}}\n");
    }
    text += "fn store_scratch(at: u32, x: Fe, y: Fe) {\n";
    let limb = |limb: usize| if limb < limbs { format!("x[{limb}]") } else { format!("y[{}]", limb - limbs) };
    for vector in 0..vectors {
        let words = join(4, ", ", |word| limb(4 * vector + word));
        text += &format!("    scratch[at + {vector}u] = vec4<u32>({words});\n");
    }
    text + "}\n"
}
