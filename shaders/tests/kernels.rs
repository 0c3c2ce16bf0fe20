//! Each kernel against its twin, bit for bit, and the results against the rules, on whatever adapter there is.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod common;

use std::sync::LazyLock;

use common::cases::{Bytes, Cases};
use common::rig::{self, Ready, Rig};
use common::{NONCE, assert_same, garbage};
use constellation_shaders::layout::{self, ResultError};
use constellation_shaders::{Arithmetic, Program, twin};

fn upload(cases: &Cases) -> Vec<u32> {
    let mut upload = Vec::new();
    let Cases { public_keys, signatures, message_bytes, message_ends, .. } = cases;
    layout::pack_signatures(&mut upload, NONCE, public_keys, signatures, message_bytes, message_ends).unwrap();
    upload
}

fn assert_verdicts(words: &[u32], cases: &Cases) {
    let verdicts = layout::unpack_verdicts(words, NONCE, cases.expected.len() as u32).unwrap();
    for (index, &expected) in cases.expected.iter().enumerate() {
        assert_eq!(verdicts[index / 32] >> (index % 32) & 1 == 1, expected, "signature {index}");
    }
    assert_eq!(verdicts.iter().map(|word| word.count_ones()).sum::<u32>() as usize, cases.valid_count());
}

impl Cases {
    fn valid_count(&self) -> usize {
        self.expected.iter().filter(|&&valid| valid).count()
    }
}

fn check_verdicts(rig: &Rig, ready: &Ready, cases: &Cases) -> (Vec<u32>, Vec<u32>) {
    let count = cases.expected.len() as u32;
    let (scratch, output) = garbage(&ready.program, count, layout::verdict_words(count));
    let run = rig.run(ready, &upload(cases), count, (&scratch, &output), &[]);
    assert_verdicts(&run.output, cases);
    (run.scratch, run.output)
}

fn check_against_twin(rig: &Rig, ready: &Ready, arithmetic: Arithmetic, cases: &Cases) {
    let count = cases.expected.len() as u32;
    let (device_scratch, device_output) = check_verdicts(rig, ready, cases);
    let (mut scratch, mut output) = garbage(&ready.program, count, layout::verdict_words(count));
    let input = upload(cases);
    twin::challenge(arithmetic, &input, &mut scratch);
    twin::decode(arithmetic, &input, &mut scratch);
    twin::ladder(arithmetic, &input, &ready.program.constants(), &mut scratch, &mut output);
    assert_same(&device_scratch, &scratch, "scratch");
    assert_same(&device_output, &output, "output");
}

type Prepared = (Rig, Vec<(Arithmetic, Ready)>);

/// The device and the `signatures` programs it can run, made once: their pipelines take seconds.
static SIGNATURES: LazyLock<Option<Prepared>> = LazyLock::new(|| {
    let rig = rig::open()?;
    let prepare = |arithmetic| Some((arithmetic, rig.prepare(Program::signatures(arithmetic))?));
    let programs = Arithmetic::ALL.into_iter().filter_map(prepare).collect();
    Some((rig, programs))
});

fn for_each_arithmetic(body: impl Fn(&Rig, &Ready, Arithmetic)) {
    let Some((rig, programs)) = &*SIGNATURES else { return };
    programs.iter().for_each(|(arithmetic, ready)| body(rig, ready, *arithmetic));
}

#[test]
fn verdicts_of_public_vectors() {
    let cases = Cases::vectors();
    assert!(cases.expected.len() > 200 && cases.valid_count() > 50, "{}", cases.expected.len());
    for_each_arithmetic(|rig, ready, arithmetic| check_against_twin(rig, ready, arithmetic, &cases));
}

#[test]
fn signatures_equal_their_twin_at_every_size() {
    for_each_arithmetic(|rig, ready, arithmetic| {
        for (seed, count) in [1, 31, 33, 63, 64, 65, 129].into_iter().enumerate() {
            check_against_twin(rig, ready, arithmetic, &Cases::random(seed as u64, count));
        }
    });
}

#[test]
fn verdicts_of_a_large_mixture() {
    let cases = Cases::random(100, 3000);
    assert!((500..2500).contains(&cases.valid_count()), "{}", cases.valid_count());
    for_each_arithmetic(|rig, ready, _| {
        check_verdicts(rig, ready, &cases);
    });
}

#[test]
fn messages_of_every_length_and_alignment() {
    let mut bytes = Bytes::new(200);
    let key = ed25519_dalek::SigningKey::from_bytes(&bytes.array());
    let mut cases = Cases::default();
    for len in (0..200).chain([1000, 1023, 5000]) {
        let message = &bytes.array::<5000>()[..len];
        let signature = ed25519_dalek::Signer::sign(&key, message).to_bytes();
        cases.push(key.verifying_key().to_bytes(), signature, message);
    }
    assert_eq!(cases.valid_count(), cases.expected.len());
    for_each_arithmetic(|rig, ready, _| {
        check_verdicts(rig, ready, &cases);
    });
}

#[test]
fn an_empty_batch_has_no_verdicts() {
    assert_eq!(layout::unpack_verdicts(&[], NONCE, 0), Ok(Vec::new()));
    assert_eq!(Program::signatures(Arithmetic::Int32).passes[0].workgroups(0), 0);
}

#[test]
fn results_of_another_batch_or_of_a_pass_left_out_are_refused() {
    let cases = Cases::random(300, 70);
    for_each_arithmetic(|rig, ready, _| {
        let (scratch, output) = check_verdicts(rig, ready, &cases);
        assert!(matches!(layout::unpack_verdicts(&output, NONCE + 1, 70), Err(ResultError::Stale { group: 0, .. })));
        assert!(matches!(layout::unpack_verdicts(&output[..11], NONCE, 70), Err(ResultError::TooShort { .. })));
        for word in 2..12 {
            let mut damaged = output.clone();
            damaged[word] ^= 1 << word;
            assert!(layout::unpack_verdicts(&damaged, NONCE, 70).is_err(), "word {word}");
        }
        let swapped: Vec<u32> = output[6..].iter().chain(&output[..6]).copied().collect();
        assert_eq!(layout::unpack_verdicts(&swapped, NONCE, 70), Err(ResultError::Damaged { group: 0 }));

        let mut next = upload(&cases);
        next[0] ^= 1;
        for left_out in ["challenge", "decode"] {
            let run = rig.run(ready, &next, 70, (&scratch, &output), &[left_out]);
            let refused = layout::unpack_verdicts(&run.output, NONCE ^ 1, 70);
            assert_eq!(refused, Err(ResultError::Damaged { group: 0 }), "{left_out} left out");
        }
        let run = rig.run(ready, &next, 70, (&scratch, &output), &["ladder"]);
        assert!(matches!(layout::unpack_verdicts(&run.output, NONCE ^ 1, 70), Err(ResultError::Stale { .. })));
    });
}

#[test]
fn transaction_ids_are_blake3() {
    let Some(rig) = rig::open() else { return };
    let Some(ready) = rig.prepare(Program::transaction_ids()) else { return };
    let mut bytes = Bytes::new(400);
    let mut lengths: Vec<usize> = (0..200).chain([1, 63, 64, 65, 1023, 1024]).collect();
    for count in [1, 63, 64, 65, lengths.len()] {
        lengths.rotate_left(7);
        let (mut message_bytes, mut ends, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for &len in &lengths[..count] {
            let message = &bytes.array::<1024>()[..len];
            message_bytes.extend_from_slice(message);
            ends.push(message_bytes.len() as u32);
            expected.push(*blake3::hash(message).as_bytes());
        }
        let mut input = Vec::new();
        layout::pack_transaction_ids(&mut input, NONCE, &message_bytes, &ends).unwrap();
        let count = count as u32;
        let (scratch, mut output) = garbage(&ready.program, count, layout::id_words(count));
        let run = rig.run(&ready, &input, count, (&scratch, &output), &[]);
        assert_eq!(layout::unpack_transaction_ids(&run.output, NONCE, count).unwrap(), expected);
        twin::transaction_ids(&input, &mut output);
        assert_same(&run.output, &output, "ids");
    }
    let mut input = Vec::new();
    let refused = layout::pack_transaction_ids(&mut input, NONCE, &[0; 1025], &[1025]);
    assert_eq!(refused, Err(layout::PackError::MessageTooLong { index: 0, len_bytes: 1025 }));
}

#[test]
fn sketches_equal_their_twin() {
    let Some(rig) = rig::open() else { return };
    let Some(ready) = rig.prepare(Program::sketch()) else { return };
    let mut bytes = Bytes::new(500);
    for count in [0, 1, 2, 10, 63, 64, 65, 500, 2047, 2048, 2049, 5000] {
        let (key, elements): ([u8; 32], Vec<[u8; 32]>) = (bytes.array(), (0..count).map(|_| bytes.array()).collect());
        let mut input = Vec::new();
        layout::pack_sketch(&mut input, NONCE, &key, &elements).unwrap();
        let (mut scratch, mut output) = garbage(&ready.program, count, layout::sketch_words(count));
        let run = rig.run(&ready, &input, count, (&scratch, &output), &[]);
        twin::seeds(&input, &mut scratch);
        twin::minima(&input, &scratch, &mut output);
        assert_same(&run.scratch, &scratch, "seeds");
        assert_same(&run.output, &output, "bins");
        let bins = layout::unpack_sketch(&run.output, NONCE, count).unwrap();
        assert_eq!(bins == [(255, u32::MAX); 128], count == 0);
    }
}

/// The bits that the verify crate pins, of the same elements under the same key.
#[test]
fn the_sketch_is_the_one_that_is_agreed_on() {
    let elements: Vec<[u8; 32]> = (0..40_usize).map(|number| *blake3::hash(&number.to_le_bytes()).as_bytes()).collect();
    let mut input = Vec::new();
    layout::pack_sketch(&mut input, NONCE, &[1; 32], &elements).unwrap();
    let (mut scratch, mut output) = garbage(&Program::sketch(), 40, layout::sketch_words(40));
    twin::seeds(&input, &mut scratch);
    twin::minima(&input, &scratch, &mut output);
    let sketch = layout::unpack_sketch(&output, NONCE, 40).unwrap().map(|(_, value)| top_byte_mixed(value));
    let expected = "133c5165fc0a738b451181a68c6254f9c0018928e3c4840a1a281e8b5b26ce25";
    assert_eq!(blake3::hash(&sketch).to_hex().as_str(), expected);
}

/// What is kept of a value.
fn top_byte_mixed(mut value: u32) -> u8 {
    value = (value ^ value >> 16).wrapping_mul(0x7FEB_352D);
    value = (value ^ value >> 15).wrapping_mul(0x846C_A68B);
    (value ^ value >> 16).to_be_bytes()[0]
}
