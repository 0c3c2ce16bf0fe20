//! The twin of `gather.wgsl`.

use super::{Header, eight, key_at, signature_at};
use crate::layout::{GROUP_SIZE, HALF_WORDS, HALVES, HEADER_WORDS, HEADS, SKETCH_KEY};
use crate::seal;

const GATHER_PASS: u32 = 1;

/// A half of the format, in words.
struct Half {
    domain: [u32; 2],
    key: usize,
    signature: usize,
    signed: usize,
    signed_words: usize,
}

/// What an upload of whole transactions says of itself.
struct Upload<'a> {
    words: &'a [u32],
    header: Header,
    halves: [Half; 2],
    ids_at: usize,
    sketch_at: Option<usize>,
}

impl<'a> Upload<'a> {
    fn of(words: &'a [u32]) -> Self {
        let half = |number| {
            let at = HALVES + HALF_WORDS * number;
            let [key, signature, signed, signed_words] = std::array::from_fn(|word| words[at + 2 + word] as usize);
            Half { domain: [words[at], words[at + 1]], key, signature, signed, signed_words }
        };
        Self {
            words,
            header: Header::of(words),
            halves: [half(0), half(1)],
            ids_at: words[4] as usize,
            sketch_at: Some(words[5] as usize).filter(|&at| at != 0),
        }
    }

    fn head(&self, item: usize) -> &'a [u32] {
        &self.words[HEADS + self.words[3] as usize * item..]
    }

    /// Words of the first message, and of both.
    fn message_words(&self) -> [usize; 2] {
        let first = 2 + self.halves[0].signed_words;
        [first, first + 10 + self.halves[1].signed_words]
    }

    fn messages(&self, head: &[u32]) -> Vec<u32> {
        let signed = |half: &Half| head[half.signed..][..half.signed_words].to_vec();
        let [first, second] = &self.halves;
        let mut messages = [&first.domain[..], &signed(first)].concat();
        let hash: [u32; 8] = bytemuck::cast(*blake3::hash(bytemuck::cast_slice(&messages)).as_bytes());
        messages.extend([&second.domain[..], &hash, &signed(second)].concat());
        messages
    }
}

/// The inputs of `signatures`, `transaction_ids` and `sketch` but for their headers, to `output`; a mark of each group
/// to `scratch`.
pub fn gather(input: &[u32], scratch: &mut [u32], output: &mut [u32]) {
    let upload = Upload::of(input);
    let Header { nonce, count } = upload.header;
    let mut put = |at: usize, words: &[u32]| output[at..][..words.len()].copy_from_slice(words);
    let [first_words, message_words] = upload.message_words();
    // Ends lie far within 32 bits: the upload is bounded.
    let end = |words: usize| [4 * words as u32];
    for item in 0..count {
        let head = upload.head(item);
        let keys = upload.halves.each_ref().map(|half| eight(head, half.key));
        for (number, half) in upload.halves.iter().enumerate() {
            put(key_at(2 * item + number), &keys[number]);
            put(signature_at(2 * count, 2 * item + number), &head[half.signature..][..16]);
        }
        let messages = upload.messages(head);
        let last_end = end(message_words * (item + 1));
        put(HEADER_WORDS + 48 * count + 2 * item, &end(message_words * item + first_words));
        put(HEADER_WORDS + 48 * count + 2 * item + 1, &last_end);
        put(HEADER_WORDS + 50 * count + message_words * item, &messages);
        put(upload.ids_at + HEADER_WORDS + item, &last_end);
        put(upload.ids_at + HEADER_WORDS + count + message_words * item, &messages);
        if let Some(at) = upload.sketch_at {
            let second = if keys[1] == [0; 8] { keys[0] } else { keys[1] };
            put(at + HEADER_WORDS + 8 + 16 * item, &[keys[0], second].concat());
        }
    }
    for group in 0..count.div_ceil(GROUP_SIZE as usize) {
        scratch[4 * group..4 * group + 4].copy_from_slice(&[seal::mark(nonce, group as u32, GATHER_PASS), 0, 0, 0]);
    }
}

/// The headers, right if every group has left its mark in `scratch`, to `output`.
pub fn headers(input: &[u32], scratch: &[u32], output: &mut [u32]) {
    let upload = Upload::of(input);
    let Header { nonce, count } = upload.header;
    let groups = count.div_ceil(GROUP_SIZE as usize);
    let is_intact = (0..groups).all(|group| scratch[4 * group] == seal::mark(nonce, group as u32, GATHER_PASS));
    let [low, high] = seal::halves(nonce);
    let mut put = |at: usize, words: &[u32]| output[at..][..words.len()].copy_from_slice(words);
    let header = |count: usize| [if is_intact { low } else { !low }, high, count as u32, 0, 0, 0, 0, 0];
    let [_, message_words] = upload.message_words();
    put(0, &header(2 * count));
    put(HEADER_WORDS + 50 * count + message_words * count, &[0]);
    put(upload.ids_at, &header(count));
    put(upload.ids_at + HEADER_WORDS + count + message_words * count, &[0]);
    if let Some(at) = upload.sketch_at {
        put(at, &header(2 * count));
        put(at + HEADER_WORDS, &eight(input, SKETCH_KEY));
    }
}
