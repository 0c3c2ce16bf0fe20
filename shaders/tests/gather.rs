//! `gather` against its twin and against the packers whose work it does on the device, on whatever adapter there is.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod common;

use std::ops::Range;

use common::cases::Bytes;
use common::rig::{self, Ready, Rig};
use common::{NONCE, assert_same, garbage};
use constellation_shaders::layout::{self, FormatError, HalfFormat, PackError, Regions, TransactionFormat};
use constellation_shaders::{Arithmetic, Program, twin};

const SKETCH_KEY: [u8; 32] = [7; 32];

fn half(domain: &[u8; 8], [key, signature, signed, signed_len_bytes]: [u32; 4]) -> HalfFormat {
    HalfFormat { domain: *domain, key, signature, signed, signed_len_bytes }
}

/// Like the ledger's; with everything elsewhere; with nothing signed; with messages of whole blocks, and a full chunk.
fn formats() -> [TransactionFormat; 4] {
    [
        [half(b"cst.init", [24, 160, 0, 160]), half(b"cst.coun", [56, 264, 224, 40])],
        [half(b"another.", [300, 4, 68, 12]), half(b"one.more", [200, 232, 104, 60])],
        [half(b"nothing ", [0, 32, 0, 0]), half(b"at all  ", [96, 128, 0, 0])],
        [half(b"a whole ", [0, 32, 0, 504]), half(b"chunk   ", [520, 552, 4, 472])],
    ]
    .map(|halves| TransactionFormat::new(halves).unwrap())
}

/// Random records, some longer than their head, some without a second key.
fn records(format: &TransactionFormat, count: usize, bytes: &mut Bytes) -> Vec<Vec<u8>> {
    let record = |index| {
        let mut record = bytes.array::<1100>()[..format.head_len_bytes() + bytes.below(9)].to_vec();
        if index % 3 == 1 {
            record[format.halves()[1].key as usize..][..32].fill(0);
        }
        record
    };
    (0..count).map(record).collect()
}

fn upload(format: &TransactionFormat, has_sketch: bool, records: &[Vec<u8>]) -> Vec<u32> {
    let mut upload = vec![9; 7];
    let key = has_sketch.then_some(&SKETCH_KEY);
    layout::pack_transactions(&mut upload, NONCE, format, key, records.iter().map(|record| &record[..])).unwrap();
    upload
}

/// What the host would have packed for each program, signatures, ids and sketch.
fn packed(format: &TransactionFormat, records: &[Vec<u8>]) -> [Vec<u32>; 3] {
    let (mut keys, mut signatures, mut accounts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bytes, mut message_ends, mut id_ends) = (Vec::new(), Vec::new(), Vec::new());
    let [first, second] = format.halves();
    for record in records {
        let part = |at: u32, len: u32| &record[at as usize..][..len as usize];
        let start = bytes.len();
        bytes.extend_from_slice(&[&first.domain, part(first.signed, first.signed_len_bytes)].concat());
        message_ends.push(bytes.len() as u32);
        let hash = *blake3::hash(&bytes[start..]).as_bytes();
        bytes.extend_from_slice(&[&second.domain, &hash[..], part(second.signed, second.signed_len_bytes)].concat());
        message_ends.push(bytes.len() as u32);
        id_ends.push(bytes.len() as u32);
        for half in [first, second] {
            keys.push(<[u8; 32]>::try_from(part(half.key, 32)).unwrap());
            signatures.push(<[u8; 64]>::try_from(part(half.signature, 64)).unwrap());
        }
        let [.., key, second_key] = keys[..] else { unreachable!() };
        accounts.extend([key, if second_key == [0; 32] { key } else { second_key }]);
    }
    let mut uploads = [const { Vec::new() }; 3];
    layout::pack_signatures(&mut uploads[0], NONCE, &keys, &signatures, &bytes, &message_ends).unwrap();
    layout::pack_transaction_ids(&mut uploads[1], NONCE, &bytes, &id_ends).unwrap();
    layout::pack_sketch(&mut uploads[2], NONCE, &SKETCH_KEY, &accounts).unwrap();
    uploads
}

fn words(buffer: &[u32], part: &Range<u64>) -> Vec<u32> {
    buffer[part.start as usize..part.end as usize].to_vec()
}

fn gather_on_twin(input: &[u32], scratch: &mut [u32], output: &mut [u32]) {
    twin::gather(input, scratch, output);
    twin::headers(input, scratch, output);
}

#[test]
fn the_twin_makes_what_the_packers_make() {
    let mut bytes = Bytes::new(1);
    for format in formats() {
        for count in [0, 1, 2, 63, 64, 65, 200] {
            let records = records(&format, count as usize, &mut bytes);
            let parts = format.inputs(count, true);
            let (mut scratch, mut output) = garbage(&Program::gather(), count, parts.words());
            gather_on_twin(&upload(&format, true, &records), &mut scratch, &mut output);
            let expected = packed(&format, &records);
            for (part, expected) in [parts.signatures, parts.ids, parts.sketch.unwrap()].iter().zip(expected) {
                assert_same(&words(&output, part), &expected, "an input");
            }
        }
    }
}

#[test]
fn gather_equals_its_twin_at_every_size() {
    let Some(rig) = rig::open() else { return };
    let Some(ready) = rig.prepare(Program::gather()) else { return };
    let mut bytes = Bytes::new(2);
    for (format, has_sketch) in formats().into_iter().zip([true, false, true, true]) {
        for count in [1, 2, 63, 64, 65, 1000] {
            let input = upload(&format, has_sketch, &records(&format, count as usize, &mut bytes));
            let (mut scratch, mut output) = garbage(&ready.program, count, format.inputs(count, has_sketch).words());
            let run = rig.run(&ready, &input, count, (&scratch, &output), &[]);
            gather_on_twin(&input, &mut scratch, &mut output);
            assert_same(&run.scratch, &scratch, "marks");
            assert_same(&run.output, &output, "inputs");
        }
    }
}

/// Gathered for one batch, then for another one without `left_out`.
fn gathered_without(rig: &Rig, ready: &Ready, left_out: &str, uploads: [&[u32]; 2], parts: &Regions) -> Vec<u32> {
    let count = uploads[0][2];
    let (scratch, output) = garbage(&ready.program, count, parts.words());
    let run = rig.run(ready, uploads[0], count, (&scratch, &output), &[]);
    rig.run(ready, uploads[1], count, (&run.scratch, &run.output), &[left_out]).output
}

#[test]
fn results_without_a_pass_of_gather_are_refused() {
    let Some(rig) = rig::open() else { return };
    let programs =
        [Program::gather(), Program::signatures(Arithmetic::Int32), Program::transaction_ids(), Program::sketch()];
    let [Some(gather), Some(signatures), Some(ids), Some(sketch)] = programs.map(|program| rig.prepare(program)) else {
        return;
    };
    let [format, ..] = formats();
    let count = 70;
    let first = upload(&format, true, &records(&format, count as usize, &mut Bytes::new(3)));
    let mut next = first.clone();
    next[0] ^= 1;
    let parts = format.inputs(count, true);
    for left_out in ["gather", "headers", "none"] {
        let gathered = gathered_without(&rig, &gather, left_out, [&first, &next], &parts);
        let compute = |ready: &Ready, part: &Range<u64>, count, output_words| {
            let (scratch, output) = garbage(&ready.program, count, output_words);
            rig.run(ready, &words(&gathered, part), count, (&scratch, &output), &[]).output
        };
        let verdicts = compute(&signatures, &parts.signatures, 2 * count, layout::verdict_words(2 * count));
        let hashes = compute(&ids, &parts.ids, count, layout::id_words(count));
        let bins = compute(&sketch, parts.sketch.as_ref().unwrap(), 2 * count, layout::sketch_words(2 * count));
        let is_right = [
            layout::unpack_verdicts(&verdicts, NONCE ^ 1, 2 * count).is_ok(),
            layout::unpack_transaction_ids(&hashes, NONCE ^ 1, count).is_ok(),
            layout::unpack_sketch(&bins, NONCE ^ 1, 2 * count).is_ok(),
        ];
        assert_eq!(is_right, [left_out == "none"; 3], "without {left_out}");
    }
}

/// A group that did not come to its end, though all others did.
#[test]
fn one_group_missing_spoils_the_headers() {
    let [format, ..] = formats();
    let input = upload(&format, true, &records(&format, 130, &mut Bytes::new(4)));
    let parts = format.inputs(130, true);
    let (mut scratch, mut output) = garbage(&Program::gather(), 130, parts.words());
    twin::gather(&input, &mut scratch, &mut output);
    scratch[4] ^= 1;
    twin::headers(&input, &scratch, &mut output);
    for part in [parts.signatures, parts.ids, parts.sketch.unwrap()] {
        let words = words(&output, &part);
        assert_ne!(u64::from(words[1]) << 32 | u64::from(words[0]), NONCE);
    }
}

#[test]
fn what_cannot_be_packed_is_refused() {
    let [format, ..] = formats();
    let short = [vec![0; 328], vec![0; 327]];
    let refused = layout::pack_transactions(&mut Vec::new(), 0, &format, None, short.iter().map(|record| &record[..]));
    assert_eq!(refused, Err(PackError::RecordTooShort { index: 1, len_bytes: 327 }));

    let with = |part: [u32; 4]| TransactionFormat::new([half(b"first   ", [0, 32, 96, 8]), half(b"second  ", part)]);
    assert!(with([992, 960, 1024, 0]).is_ok());
    assert_eq!(with([30, 32, 96, 8]), Err(FormatError::Unaligned { at: 30, len_bytes: 32 }));
    assert_eq!(with([0, 32, 96, 7]), Err(FormatError::Unaligned { at: 96, len_bytes: 7 }));
    assert_eq!(with([996, 32, 96, 8]), Err(FormatError::Beyond { at: 996, len_bytes: 32 }));
    assert_eq!(with([0, u32::MAX - 3, 96, 8]), Err(FormatError::Beyond { at: u32::MAX - 3, len_bytes: 64 }));
    assert_eq!(with([0, 32, 0, 972]), Err(FormatError::MessagesTooLong(1028)));
    assert!(with([0, 32, 0, 968]).is_ok());
}

#[test]
fn parts_can_be_bound_and_do_not_overlap() {
    for format in formats() {
        for count in [0, 1, 64, 1000, layout::COUNT_MAX / 2] {
            for parts in [format.inputs(count, true), Regions::of_result(count, true)] {
                let sketch = parts.sketch.clone().unwrap();
                assert!(parts.signatures.end <= parts.ids.start && parts.ids.end <= sketch.start);
                assert!([parts.ids.start, sketch.start].iter().all(|start| start.is_multiple_of(64)));
                assert_eq!(parts.words(), sketch.end);
                assert!(parts.words() < 1 << 30, "offsets stay within 32 bits");
            }
            assert_eq!(format.inputs(count, false).words(), format.inputs(count, false).ids.end);
        }
    }
}
