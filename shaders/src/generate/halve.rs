//! Integers of eight words in WGSL, for the division steps of `halve.wgsl`.

use super::join;

/// `shift_left`, `shift_right_once`, `subtract`, `add`, `length`, `choose`, for `array<u32, 8>` and, with `_4` in the
/// name, some of them for `array<u32, 4>`.
pub(crate) fn integers() -> String {
    let mut text = [shift_left(8, ""), shift_left(4, "_4"), choose(), add(8, ""), add(4, "_4")].concat();
    let halved = join(8, ", ", |word| {
        if word < 7 { format!("(x[{word}] >> 1u) | (x[{}] << 31u)", word + 1) } else { "x[7] >> 1u".to_owned() }
    });
    text += &format!(
        "fn shift_right_once(x: array<u32, 8>) -> array<u32, 8> {{\n    return array<u32, 8>({halved});\n}}\n"
    );
    text + &subtract() + &length()
}

/// `x` times 2^`by`, `by` below 128.
fn shift_left(words: usize, suffix: &str) -> String {
    let mut text = format!("fn shift_left{suffix}(x: array<u32, {words}>, by: u32) -> array<u32, {words}> {{\n");
    text += "    let by_bits = by & 31u;\n    let by_one = (by & 32u) != 0u;\n    let by_two = (by & 64u) != 0u;\n";
    let from = |name: &str, word: usize, back: usize| {
        word.checked_sub(back).map_or_else(|| "0u".to_owned(), |word| format!("{name}{word}"))
    };
    for word in 0..words {
        let back = if word > 0 { format!("x[{}]", word - 1) } else { "0u".to_owned() };
        text += &format!("    let y{word} = select(x[{word}], {back}, by_one);\n");
    }
    for word in 0..words {
        text += &format!("    let z{word} = select(y{word}, {}, by_two);\n", from("y", word, 2));
    }
    // Two shifts, since one by 32 is none.
    let shifted = |word: usize| {
        let below = if word > 0 { format!(" | ((z{} >> 1u) >> (31u - by_bits))", word - 1) } else { String::new() };
        format!("(z{word} << by_bits){below}")
    };
    text + &format!("    return array<u32, {words}>({});\n}}\n", join(words, ", ", shifted))
}

fn choose() -> String {
    let chosen = join(8, ", ", |word| format!("select(a[{word}], b[{word}], condition)"));
    format!(
        "fn choose(a: array<u32, 8>, b: array<u32, 8>, condition: bool) -> array<u32, 8> {{\n    \
         return array<u32, 8>({chosen});\n}}\n"
    )
}

/// a + b, the carry out dropped.
fn add(words: usize, suffix: &str) -> String {
    let mut text =
        format!("fn add{suffix}(a: array<u32, {words}>, b: array<u32, {words}>) -> array<u32, {words}> {{\n");
    text += "    let s0 = a[0] + b[0];\n    let c0 = select(0u, 1u, s0 < b[0]);\n";
    for word in 1..words {
        let before = word - 1;
        text += &format!("    let t{word} = a[{word}] + b[{word}];\n    let s{word} = t{word} + c{before};\n");
        text += &format!("    let c{word} = select(0u, 1u, (t{word} < b[{word}]) || (s{word} < c{before}));\n");
    }
    text + &format!("    return array<u32, {words}>({});\n}}\n", join(words, ", ", |word| format!("s{word}")))
}

/// a − b mod 2^256, and whether a < b.
fn subtract() -> String {
    let mut text = String::from(
        "struct Difference { value: array<u32, 8>, is_negative: bool }\n\
         fn subtract(a: array<u32, 8>, b: array<u32, 8>) -> Difference {\n    \
         let d0 = a[0] - b[0];\n    let c0 = select(0u, 1u, a[0] < b[0]);\n",
    );
    for word in 1..8 {
        let before = word - 1;
        text += &format!("    let t{word} = a[{word}] - b[{word}];\n    let d{word} = t{word} - c{before};\n");
        text += &format!("    let c{word} = select(0u, 1u, (a[{word}] < b[{word}]) || (t{word} < c{before}));\n");
    }
    text + &format!(
        "    return Difference(array<u32, 8>({}), c7 == 1u);\n}}\n",
        join(8, ", ", |word| format!("d{word}"))
    )
}

/// Bits of `x` without leading zeros.
fn length() -> String {
    let mut text =
        String::from("fn length(x: array<u32, 8>) -> u32 {\n    var bits = 32u - countLeadingZeros(x[0]);\n");
    for word in 1..8 {
        text +=
            &format!("    bits = select(bits, {}u - countLeadingZeros(x[{word}]), x[{word}] != 0u);\n", 32 * word + 32);
    }
    text + "    return bits;\n}\n"
}
