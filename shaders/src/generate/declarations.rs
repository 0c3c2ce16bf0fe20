//! Numbers of Rust that WGSL needs too, as WGSL constants.

use super::join;
use crate::Arithmetic;
use crate::layout;
use crate::numbers;
use crate::record;
use crate::shape::Shape;

/// The record's offsets, the passes' numbers, the curve's numbers.
pub(crate) fn declarations(arithmetic: Arithmetic) -> String {
    let numbers = [
        ("RECORD_VECTORS", record::record_vectors(arithmetic)),
        ("CHALLENGE", record::CHALLENGE),
        ("RESPONSE", record::RESPONSE),
        ("STATE", record::STATE),
        ("POINTS", record::POINTS),
        ("POINT_VECTORS", record::point_vectors(arithmetic)),
        ("TABLE", record::table(arithmetic)),
        ("BASE_TABLE", record::BASE_TABLE),
        ("TABLE_ENTRIES", record::TABLE_ENTRIES),
        ("BASE_WINDOWS", numbers::BASE_WINDOWS as u32),
        ("BASE_ENTRIES", numbers::BASE_ENTRIES as u32),
        ("VERDICT_GROUP_WORDS", layout::VERDICT_GROUP_WORDS as u32),
        ("CHALLENGE_PASS", record::CHALLENGE_PASS),
        ("DECODE_PASS", record::DECODE_PASS),
    ];
    let mut text: String = numbers.iter().map(|(name, value)| format!("const {name} = {value}u;\n")).collect();
    text += &words("GROUP_ORDER", &numbers::GROUP_ORDER);
    for (index, y) in numbers::SMALL_ORDER_Y.iter().enumerate() {
        text += &words(&format!("SMALL_ORDER_Y{index}"), y);
    }
    let elements = [
        ("FE_D", numbers::D),
        ("FE_2D", numbers::TWICE_D),
        ("FE_SQRT_M1", numbers::SQRT_MINUS_ONE),
        ("FE_ZERO", [0; 8]),
        ("FE_ONE", [1, 0, 0, 0, 0, 0, 0, 0]),
        ("FE_TWO", [2, 0, 0, 0, 0, 0, 0, 0]),
    ];
    let shape = Shape::of(arithmetic);
    text + &elements.map(|(name, value)| element(&shape, name, &value)).concat()
}

fn words(name: &str, words: &[u32; 8]) -> String {
    format!("const {name} = array<u32, 8>({});\n", join(8, ", ", |word| format!("{}u", words[word])))
}

fn element(shape: &Shape, name: &str, words: &[u32; 8]) -> String {
    let limbs = shape.limbs_of(words);
    format!("const {name} = Fe({});\n", join(limbs.len(), ", ", |limb| format!("{}u", limbs[limb])))
}
