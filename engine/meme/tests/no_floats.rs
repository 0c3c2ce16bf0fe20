//! Scores and elections must come out alike on every machine: this crate's sources hold no floating point.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

use std::path::Path;

/// Source text without comments, strings and characters: each is replaced by a space.
fn code(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => text_len(rest),
            '\'' => character_len(rest),
            _ => 0,
        };
        match skipped {
            0 => code.push(first),
            _ => code.push(' '),
        }
        rest = &rest[skipped.max(first.len_utf8())..];
    }
    code
}

/// Length of the text in quotation marks that `rest` begins with.
fn text_len(rest: &str) -> usize {
    let mut is_escaped = true;
    for (index, byte) in rest.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return index + 1,
            _ => (),
        }
    }
    rest.len()
}

/// Length of the character in quotation marks that `rest` begins with; 0 for a lifetime.
fn character_len(rest: &str) -> usize {
    let within = rest.strip_prefix('\'').unwrap();
    let end = if let Some(escaped) = within.strip_prefix('\\') {
        escaped[1..].find('\'').map(|end| end + 3)
    } else {
        within.char_indices().nth(1).filter(|(_, second)| *second == '\'').map(|(end, _)| end + 1)
    };
    end.map_or(0, |end| end + 1)
}

/// The words of code that are floating point: its types, and literals with a point or an exponent.
fn floats(source: &str) -> Vec<String> {
    let code = code(source);
    let is_word = |character: char| character.is_alphanumeric() || matches!(character, '_' | '.');
    let words = code.split(|character| !is_word(character)).map(|word| word.trim_end_matches(".."));
    words.filter(|word| is_float(word)).map(str::to_owned).collect()
}

fn is_float(word: &str) -> bool {
    if ["f16", "f32", "f64", "f128"].iter().any(|name| word.contains(name)) {
        return true;
    }
    let is_number = word.starts_with(|first: char| first.is_ascii_digit()) && !word.starts_with("0x");
    let is_point = |(index, _): (usize, _)| {
        let after = word[index + 1..].chars().next();
        // Not a range, nor a method of an integer.
        !word[..index].ends_with('.') && after.is_none_or(|after| after.is_ascii_digit())
    };
    is_number && (word.match_indices('.').any(is_point) || is_exponent(word))
}

/// Digits, an e, digits.
fn is_exponent(word: &str) -> bool {
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    word.split_once(['e', 'E']).is_some_and(|(mantissa, exponent)| is_digits(mantissa) && is_digits(exponent))
}

#[test]
fn the_crate_has_no_floating_point() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let found = floats(&std::fs::read_to_string(&path).unwrap());
            assert!(found.is_empty(), "{}: {found:?}", path.display());
        }
    }
    assert!(files >= 3, "{files} files");
}

#[test]
fn floating_point_is_found_where_it_is_and_only_there() {
    for (source, found) in [
        ("let x: f64 = y;", 1),
        ("Vec<f32>", 1),
        ("a.to_f64()", 1),
        ("1f32", 1),
        ("0.5 + 1. - 2.0", 3),
        ("1e9 * 1E-9", 2),
        ("'a'; 1.5; \"\\\"\"; 2.5", 2),
        ("// 1.5\n/* f64 */ \"0.5 f32\" '\\'' 0.5", 1),
        ("fn f<'a>(x: &'a u8) -> f64", 1),
        ("1..2, 0..=3, 4.., pair.0, a.0.1, 5.max(1), 0xe5, 0x1e9, 1_000u64, 'e', f(64), e9", 0),
    ] {
        assert_eq!(floats(source).len(), found, "{source}: {:?}", floats(source));
    }
}
