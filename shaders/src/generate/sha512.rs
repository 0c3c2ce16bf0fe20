//! Sixteen rounds of SHA-512 and the step of its message schedule (FIPS 180-4) in WGSL, on words that the variant
//! holds as `u64` or as `vec2<u32>`.

/// `sha512_block`: the state after one block.
pub(crate) fn sha512() -> String {
    let mut rounds = String::new();
    let mut names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for round in 0..16 {
        let [a, b, c, d, e, f, g, h] = names;
        let half = if round % 2 == 0 { "xy" } else { "zw" };
        if round % 2 == 0 {
            rounds += &format!("        let k{round} = constants[8u * sixteen + {}u];\n", round / 2);
        }
        let k = format!("word(k{}.{half})", round & !1);
        rounds += &format!(
            "        let t{round} = word_add(word_add(word_add({h}, big_sigma1({e})), word_add({g} ^ ({e} & ({f} ^ {g})), {k})), w{round});\n        \
             {d} = word_add({d}, t{round});\n        \
             {h} = word_add(t{round}, word_add(big_sigma0({a}), ({a} & {b}) ^ ({c} & ({a} ^ {b}))));\n"
        );
        names.rotate_right(1);
    }
    let schedule: String = (0..16)
        .map(|word| {
            let [one, nine, fourteen] = [1, 9, 14].map(|ahead| (word + ahead) % 16);
            format!(
                "            w{word} = word_add(word_add(w{word}, small_sigma0(w{one})), word_add(w{nine}, small_sigma1(w{fourteen})));\n"
            )
        })
        .collect();
    let load: String = (0..16)
        .map(|word| {
            let (high, low) = (2 * word, 2 * word + 1);
            format!("    var w{word} = word(vec2<u32>(swap_bytes(block[{low}]), swap_bytes(block[{high}])));\n")
        })
        .collect();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let start: String = (0..8).map(|word| format!("    var {} = state[{word}];\n", names[word])).collect();
    let end = super::join(8, ", ", |word| format!("word_add(state[{word}], {})", names[word]));
    format!(
        "fn sha512_block(state: array<Word, 8>, block: array<u32, 32>) -> array<Word, 8> {{\n{load}{start}    \
         for (var sixteen = 0u; sixteen < 5u; sixteen++) {{\n{rounds}        if sixteen < 4u {{\n{schedule}        }}\n    }}\n    \
         return array<Word, 8>({end});\n}}\n"
    )
}
