//! The erasure code of the coded broadcast: a payload in n pieces of which any n−2f give it back (Reed and Solomon
//! 1960). Knows bytes, not hashes or messages.
//!
//! The code is systematic: the first n−2f pieces are the payload itself, cut up and padded with zeros, and the other 2f
//! are made from them. Which bytes those are is part of what nodes agree on, so the library's version counts; a test
//! holds it. To decode costs the library a third of a millisecond even for a few bytes; who has the first n−2f pieces only
//! puts them together.

use std::borrow::Cow;

use reed_solomon_simd::{Error, ReedSolomonDecoder, ReedSolomonEncoder};

use crate::committee::Committee;

/// How a committee cuts payloads up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Code {
    /// n−2f.
    data: usize,
    /// n.
    total: usize,
}

impl Code {
    pub fn of(committee: &Committee) -> Self {
        Self { data: committee.n - 2 * committee.faulty_max(), total: committee.n }
    }

    /// How many pieces give the payload back.
    pub fn data_pieces(&self) -> usize {
        self.data
    }

    /// Length of each piece: even, as the library asks for, and never zero.
    pub fn piece_len(&self, payload_len: usize) -> usize {
        payload_len.div_ceil(self.data).next_multiple_of(2).max(2)
    }

    /// Hands out all n pieces of a payload in order.
    pub fn encode(&self, payload: &[u8], each: impl FnMut(&[u8])) {
        self.try_encode(payload, each).expect("even pieces in numbers that the library takes");
    }

    /// The payload of `payload_len` bytes whose pieces these are, each with its index. Pieces that are not of one
    /// codeword give some payload or other.
    ///
    /// # Panics
    /// When there are fewer than n−2f pieces, one comes twice, or one is not [`piece_len`](Self::piece_len) long.
    pub fn decode(&self, pieces: &[(usize, &[u8])], payload_len: usize) -> Vec<u8> {
        let piece_len = self.piece_len(payload_len);
        let mut bytes = vec![0; self.data * piece_len];
        let mut present = 0;
        for (index, piece) in pieces.iter().filter(|(index, _)| *index < self.data) {
            bytes[index * piece_len..][..piece_len].copy_from_slice(piece);
            present += 1;
        }
        if present < self.data {
            self.fill_data(pieces, &mut bytes, piece_len).expect("enough even pieces, each index once");
        }
        bytes.truncate(payload_len);
        bytes
    }

    fn try_encode(&self, payload: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        let piece_len = self.piece_len(payload.len());
        let parity = self.total - self.data;
        let mut encoder = (parity > 0).then(|| ReedSolomonEncoder::new(self.data, parity, piece_len)).transpose()?;
        let mut rest = payload;
        for _ in 0..self.data {
            let (head, behind) = rest.split_at(piece_len.min(rest.len()));
            rest = behind;
            let mut piece = Cow::Borrowed(head);
            if head.len() < piece_len {
                piece.to_mut().resize(piece_len, 0);
            }
            each(&piece);
            if let Some(encoder) = &mut encoder {
                encoder.add_original_shard(&piece)?;
            }
        }
        if let Some(encoder) = &mut encoder {
            encoder.encode()?.recovery_iter().for_each(each);
        }
        Ok(())
    }

    fn fill_data(&self, pieces: &[(usize, &[u8])], data: &mut [u8], piece_len: usize) -> Result<(), Error> {
        let mut decoder = ReedSolomonDecoder::new(self.data, self.total - self.data, piece_len)?;
        for &(index, piece) in pieces {
            match index.checked_sub(self.data) {
                None => decoder.add_original_shard(index, piece)?,
                Some(parity_index) => decoder.add_recovery_shard(parity_index, piece)?,
            }
        }
        for (index, piece) in decoder.decode()?.restored_original_iter() {
            data[index * piece_len..][..piece_len].copy_from_slice(piece);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(n: usize) -> Code {
        Code::of(&Committee::new(0, n))
    }

    fn pieces(code: &Code, payload: &[u8]) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        code.encode(payload, |piece| pieces.push(piece.to_vec()));
        pieces
    }

    fn payload(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 % 251) as u8).collect()
    }

    /// Every size of committee, and sizes of payload about the edges of the pieces; data first, parity first, mixed.
    #[test]
    fn any_enough_pieces_give_the_payload_back() {
        for n in 1..=128 {
            let code = code(n);
            let data = code.data_pieces();
            for len in [0, 1, data, 2 * data - 1, 2 * data, 2 * data + 1, 64 * data + 7] {
                let payload = payload(len);
                let pieces = pieces(&code, &payload);
                let pieces: Vec<_> = pieces.iter().map(Vec::as_slice).enumerate().collect();
                assert_eq!(pieces.len(), n);
                for start in [0, n - data, (n - data) / 2, n / 2] {
                    let some: Vec<_> = pieces.iter().copied().cycle().skip(start).take(data).collect();
                    assert_eq!(code.decode(&some, len), payload, "{n} nodes, {len} bytes, from {start}");
                }
            }
        }
    }

    /// The bytes of a codeword are agreed on: a library that makes other ones is another protocol.
    #[test]
    fn the_code_is_this_one() {
        let roots = [4, 31, 128].map(|n| {
            let pieces = pieces(&code(n), &payload(1000));
            blake3::hash(&pieces.concat()).to_hex()[..16].to_string()
        });
        assert_eq!(roots, ["e6d2e76590a84527", "622df844d254ff5b", "a8522f3b42d22302"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_pieces_of_any_payload(
            n in 1usize..=128,
            payload in prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 0..5000)],
            order in prop::collection::vec(any::<u64>(), 128),
        ) {
            let code = code(n);
            let pieces = pieces(&code, &payload);
            let mut pieces: Vec<_> = pieces.iter().map(Vec::as_slice).enumerate().collect();
            pieces.sort_by_key(|(index, _)| order[*index]);
            pieces.truncate(code.data_pieces());
            prop_assert_eq!(code.decode(&pieces, payload.len()), payload);
        }

        /// Pieces that belong to no codeword give something, and no panic.
        #[test]
        fn pieces_of_nothing_do_not_panic(
            n in 1usize..=128,
            payload_len in 0usize..3000,
            noise in any::<u8>(),
            order in prop::collection::vec(any::<u64>(), 128),
        ) {
            let code = code(n);
            let piece = |index: usize| vec![noise.wrapping_mul(index as u8 | 1); code.piece_len(payload_len)];
            let mut indices: Vec<_> = (0..n).collect();
            indices.sort_by_key(|index| order[*index]);
            let pieces: Vec<_> = indices.into_iter().take(code.data_pieces()).map(|index| (index, piece(index))).collect();
            let pieces: Vec<_> = pieces.iter().map(|(index, piece)| (*index, &piece[..])).collect();
            prop_assert_eq!(code.decode(&pieces, payload_len).len(), payload_len);
        }
    }
}
