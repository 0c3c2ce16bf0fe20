//! Scalars mod ℓ = 2^252 + c in WGSL, in twenty limbs of 13 bits.
//!
//! A step takes r to 2^13 r + d − q ℓ + ℓ, with q the part of 2^13 r + d from bit 252 on. As c < 2^125 and q < 2^15, q c
//! is far below ℓ, so the result is above 0; and it is below 2^252 + ℓ < 2 ℓ, so that r fits twenty limbs, and one
//! conditional subtraction at the end suffices. Limbs in between are below 2^15 · 2^13 in magnitude: 32 bits, signed.
//! A product of ten limbs and twenty has columns of at most 10 · 2^26 < 2^30; its 30 digits go the same way.

use super::join;
use crate::Arithmetic;
use crate::numbers::GROUP_ORDER;
use crate::shape::Shape;

/// ℓ in limbs of 13 bits; limb 19 holds 2^252 = 2^(19 · 13 + 5).
pub(crate) const GROUP_ORDER_LIMBS: [u32; 20] = limbs_of(GROUP_ORDER);

/// Limbs of c.
pub(crate) const LOW_LIMBS: usize = 10;

/// Limbs of the smaller factor of a product.
const FACTOR_LIMBS: usize = 10;

const fn limbs_of(words: [u32; 8]) -> [u32; 20] {
    let mut limbs = [0; 20];
    let mut index = 0;
    while index < 20 {
        let (word, shift) = (13 * index / 32, 13 * index % 32);
        let high = if word < 7 { words[word + 1] } else { 0 };
        limbs[index] = (((high as u64) << 32 | words[word] as u64) >> shift) as u32 & 0x1fff;
        index += 1;
    }
    limbs
}

/// `Scalar`, `scalar_step`, `scalar_finish`, `scalar_product`.
pub(crate) fn scalar() -> String {
    ["alias Scalar = array<u32, 20>;\n".to_owned(), step(), finish(), product()].concat()
}

fn carried(limb: usize) -> String {
    if limb > 0 { format!(" + (v{} >> 13u)", limb - 1) } else { String::new() }
}

fn step() -> String {
    let mut text = String::from("fn scalar_step(r: Scalar, digit: u32) -> Scalar {\n");
    text += "    let q = i32((r[19] << 8u) | (r[18] >> 5u));\n";
    for (limb, order) in GROUP_ORDER_LIMBS.into_iter().enumerate() {
        let value = match limb {
            0 => "digit".to_owned(),
            19 => "(r[18] & 31u)".to_owned(),
            _ => format!("r[{}]", limb - 1),
        };
        let multiple = if limb < LOW_LIMBS { format!(" - q * {order}") } else { String::new() };
        text += &format!("    let v{limb} = i32({value}) + {order}{multiple}{};\n", carried(limb));
    }
    let limb = |limb: usize| if limb < 19 { format!("u32(v{limb} & 8191)") } else { "u32(v19)".to_owned() };
    text + &format!("    return Scalar({});\n}}\n", join(20, ", ", limb))
}

fn finish() -> String {
    let mut text = String::from("fn scalar_finish(r: Scalar) -> array<u32, 8> {\n");
    for (limb, order) in GROUP_ORDER_LIMBS.into_iter().enumerate() {
        text += &format!("    let v{limb} = i32(r[{limb}]) - {order}{};\n", carried(limb));
    }
    for limb in 0..20 {
        text += &format!("    let s{limb} = select(u32(v{limb} & 8191), r[{limb}], v19 < 0);\n");
    }
    text + &format!("    return array<u32, 8>({});\n}}\n", join(8, ", ", word_of))
}

/// `x` times `y` mod ℓ.
fn product() -> String {
    let mut text = String::from("fn scalar_product(x: array<u32, 4>, y: array<u32, 8>) -> array<u32, 8> {\n");
    for limb in 0..FACTOR_LIMBS {
        text += &format!("    let x{limb} = {};\n", limb_of("x", 4, limb));
    }
    for limb in 0..20 {
        text += &format!("    let y{limb} = {};\n", limb_of("y", 8, limb));
    }
    let digits = FACTOR_LIMBS + 20;
    for digit in 0..digits {
        let terms = (0..FACTOR_LIMBS).filter(|&x| (x..x + 20).contains(&digit));
        let mut terms: Vec<String> = terms.map(|x| format!("x{x} * y{}", digit - x)).collect();
        if digit > 0 {
            terms.push(format!("(p{} >> 13u)", digit - 1));
        }
        text += &format!("    let p{digit} = {};\n", terms.join(" + "));
    }
    // Nineteen digits are below 2^247, within the bound of a step.
    let first = digits - 19;
    let top = join(19, ", ", |limb| format!("p{} & 8191u", first + limb));
    text += &format!("    var r = Scalar({top}, 0u);\n");
    for digit in (0..first).rev() {
        text += &format!("    r = scalar_step(r, p{digit} & 8191u);\n");
    }
    text + "    return scalar_finish(r);\n}\n"
}

/// Limb `limb` of the `words` words `name`.
fn limb_of(name: &str, words: usize, limb: usize) -> String {
    let (word, shift) = (13 * limb / 32, 13 * limb % 32);
    let high = if shift > 19 && word + 1 < words {
        format!(" | ({name}[{}] << {}u)", word + 1, 32 - shift)
    } else {
        String::new()
    };
    format!("(({name}[{word}] >> {shift}u){high}) & 8191u")
}

fn word_of(word: usize) -> String {
    let shape = Shape::of(Arithmetic::Int32);
    let (low, high) = (32 * word as u32, 32 * word as u32 + 32);
    let parts = (0..20).filter(|&limb| shape.start(limb) < high && shape.start(limb) + 13 > low).map(|limb| {
        let start = shape.start(limb);
        if start >= low { format!("(s{limb} << {}u)", start - low) } else { format!("(s{limb} >> {}u)", low - start) }
    });
    parts.collect::<Vec<_>>().join(" | ")
}
