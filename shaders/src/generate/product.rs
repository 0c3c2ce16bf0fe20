//! Products and squares of field elements in WGSL. See [`crate::shape`] for the bounds.

use std::collections::BTreeSet;

use super::join;
use crate::Arithmetic;
use crate::shape::Shape;

/// `fe_mul` and `fe_square`.
pub(super) fn products(arithmetic: Arithmetic) -> String {
    let reduce = match arithmetic {
        Arithmetic::Int64 => reduce_int64,
        Arithmetic::Int32 => reduce_int32,
    };
    let product = Product { arithmetic, shape: Shape::of(arithmetic) };
    let (shape, mul, square) = (product.shape, product.mul(), product.square());
    format!(
        "fn fe_mul(a: Fe, b: Fe) -> Fe {{\n{mul}{}}}\nfn fe_square(a: Fe) -> Fe {{\n{square}{}}}\n",
        reduce(&shape),
        reduce(&shape)
    )
}

struct Product {
    arithmetic: Arithmetic,
    shape: Shape,
}

/// A limb times a small constant.
type Factor = (char, usize, u32);

impl Product {
    /// The column that limbs i and j add to, and with which weight: Int64 wraps at once (19), and pays 2 where two
    /// half bits meet; Int32 has columns for all.
    fn place(&self, i: usize, j: usize) -> (usize, u32) {
        match self.arithmetic {
            Arithmetic::Int64 => ((i + j) % 10, (if i + j < 10 { 1 } else { 19 }) * if i * j % 2 == 1 { 2 } else { 1 }),
            Arithmetic::Int32 => (i + j, 1),
        }
    }

    fn mul(&self) -> String {
        let limbs = self.shape.limbs();
        let mut terms = Vec::new();
        for i in 0..limbs {
            for j in 0..limbs {
                let (column, weight) = self.place(i, j);
                // 19 goes to b, which is loose, and 2 to a, which may be wide: both stay below 2^32.
                let two = if weight % 2 == 0 { 2 } else { 1 };
                terms.push((column, ('a', i, two), ('b', j, weight / two)));
            }
        }
        self.columns(&terms)
    }

    fn square(&self) -> String {
        let limbs = self.shape.limbs();
        let mut terms = Vec::new();
        for i in 0..limbs {
            for j in i..limbs {
                let (column, weight) = self.place(i, j);
                let twice = if i == j { 1 } else { 2 };
                // An odd limb has 25 bits, so that 38 times a loose one stays below 2^32.
                terms.push((column, ('a', i, twice), ('a', j, weight)));
            }
        }
        self.columns(&terms)
    }

    /// The factors that occur, then the columns as `h0`, `h1` …
    fn columns(&self, terms: &[(usize, Factor, Factor)]) -> String {
        let factors: BTreeSet<Factor> = terms.iter().flat_map(|&(_, left, right)| [left, right]).collect();
        let mut text = String::new();
        for factor @ (limb, index, weight) in factors {
            let value = if weight == 1 { format!("{limb}[{index}]") } else { format!("{weight}u * {limb}[{index}]") };
            let value = if self.arithmetic == Arithmetic::Int64 { format!("u64({value})") } else { value };
            text += &format!("    let {} = {value};\n", name(factor));
        }
        let columns = terms.iter().map(|term| term.0 + 1).max().unwrap_or(0);
        for column in 0..columns {
            let terms = terms.iter().filter(|term| term.0 == column);
            let products = terms.map(|&(_, left, right)| format!("{} * {}", name(left), name(right)));
            text += &format!("    var h{column} = {};\n", products.collect::<Vec<_>>().join(" + "));
        }
        text
    }
}

fn name((limb, index, weight): Factor) -> String {
    if weight == 1 { format!("{limb}{index}") } else { format!("{limb}{index}x{weight}") }
}

/// Ten columns to tight limbs.
fn reduce_int64(shape: &Shape) -> String {
    let mut text = String::new();
    for index in 0..9 {
        text += &format!("    h{} += h{index} >> {}u;\n", index + 1, shape.bits[index]);
    }
    let limb = |index: usize| format!("(u32(h{index}) & {}u)", shape.mask(index));
    text += &format!("    let wrapped = u64(u32(h0) & {}u) + 19lu * (h9 >> 25u);\n", shape.mask(0));
    text += &format!("    let r0 = u32(wrapped) & {}u;\n", shape.mask(0));
    text += &format!("    let r1 = {} + u32(wrapped >> 26u);\n", limb(1));
    let rest = join(8, ", ", |index| limb(index + 2));
    text + &format!("    return Fe(r0, r1, {rest});\n")
}

/// Thirty-nine columns to tight limbs.
fn reduce_int32(shape: &Shape) -> String {
    let mut text = String::new();
    let mask = shape.mask(0);
    for column in 0..38 {
        text += &format!("    h{} += h{column} >> 13u; h{column} &= {mask}u;\n", column + 1);
    }
    text += &format!("    let h39 = h38 >> 13u; h38 &= {mask}u;\n");
    for limb in 0..20 {
        text += &format!("    h{limb} += {}u * h{};\n", shape.wrap, limb + 20);
    }
    for limb in 0..19 {
        text += &format!("    h{} += h{limb} >> 13u; h{limb} &= {mask}u;\n", limb + 1);
    }
    text += &format!("    h0 += {}u * (h19 >> 13u); h19 &= {mask}u;\n", shape.wrap);
    text += &format!("    h1 += h0 >> 13u; h0 &= {mask}u;\n");
    text + &format!("    return Fe({});\n", join(20, ", ", |limb| format!("h{limb}")))
}
