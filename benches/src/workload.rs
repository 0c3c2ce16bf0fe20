//! The signatures that are verified: made once, before any clock runs, and cut into batches.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use constellation_verify::{Batch, BatchError};
use ed25519_dalek::{Signer, SigningKey};
use serde::{Serialize, Serializer};

/// Signatures among which one is bad in [`Case::OneBad`].
const ONE_BAD_IN: usize = 1024;

/// What is special about a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Every signature is valid, and its key is decoded anew: nothing is remembered of it.
    NewKeys,
    /// The same signatures, whose keys have all been met before by a verifier that remembers keys. No two signatures
    /// share a key.
    KnownKeys,
    /// As with new keys, and one signature in every 1,024 is invalid.
    OneBad,
    /// As with new keys, and every signature is invalid.
    AllBad,
}

impl Case {
    /// Every case.
    pub const ALL: [Self; 4] = [Self::NewKeys, Self::KnownKeys, Self::OneBad, Self::AllBad];

    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NewKeys => "new_keys",
            Self::KnownKeys => "known_keys",
            Self::OneBad => "one_bad",
            Self::AllBad => "all_bad",
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Case {
    type Err = UnknownCase;

    fn from_str(name: &str) -> Result<Self, UnknownCase> {
        Self::ALL.into_iter().find(|case| case.name() == name).ok_or_else(|| UnknownCase { name: name.to_owned() })
    }
}

impl Serialize for Case {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// No case has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no case is called \"{name}\"; use one of: {}", Case::ALL.map(Case::name).join(", "))]
pub struct UnknownCase {
    /// The name given.
    pub name: String,
}

/// Valid signatures over messages of one length, each by its own key.
#[derive(Clone, Debug)]
pub struct Signed {
    message_bytes: usize,
    public_keys: Vec<[u8; 32]>,
    signatures: Vec<[u8; 64]>,
    messages: Vec<u8>,
}

impl Signed {
    /// `count` signatures by the keys number `first_key` and on, over messages of `message_bytes` bytes.
    #[must_use]
    pub fn new(count: usize, message_bytes: usize, first_key: usize) -> Self {
        let mut signed = Self {
            message_bytes,
            public_keys: Vec::with_capacity(count),
            signatures: Vec::with_capacity(count),
            messages: Vec::with_capacity(count * message_bytes),
        };
        for number in first_key..first_key + count {
            signed.push(number as u64);
        }
        signed
    }

    /// The first `count` of them, or all where there are fewer.
    #[must_use]
    pub fn front(&self, count: usize) -> Self {
        let count = count.min(self.public_keys.len());
        Self {
            message_bytes: self.message_bytes,
            public_keys: self.public_keys[..count].to_vec(),
            signatures: self.signatures[..count].to_vec(),
            messages: self.messages[..count * self.message_bytes].to_vec(),
        }
    }

    fn push(&mut self, number: u64) {
        let mut secret = [0x5A; 32];
        secret[..8].copy_from_slice(&number.to_le_bytes());
        let key = SigningKey::from_bytes(&secret);
        let start = self.messages.len();
        self.messages.extend(number.to_le_bytes().into_iter().cycle().take(self.message_bytes));
        self.public_keys.push(key.verifying_key().to_bytes());
        self.signatures.push(key.sign(&self.messages[start..]).to_bytes());
    }
}

/// The signatures of one case, to be verified in batches of one size, from the first on and round again.
#[derive(Clone, Debug)]
pub struct Workload {
    case: Case,
    batch_size: usize,
    signed: Signed,
    /// Where the messages of a batch end; what a smaller batch needs of it is its front.
    ends: Vec<u32>,
}

impl Workload {
    /// As many whole batches of `batch_size` as `signed` has signatures for; `batch_size` is at least one and at most
    /// the signatures there are.
    ///
    /// # Errors
    /// [`BatchError::TooLong`] when one batch would pass 4 GiB of messages.
    pub fn new(case: Case, batch_size: usize, mut signed: Signed) -> Result<Self, BatchError> {
        let count = signed.public_keys.len() / batch_size * batch_size;
        signed.public_keys.truncate(count);
        signed.signatures.truncate(count);
        signed.messages.truncate(count * signed.message_bytes);
        for (number, signature) in signed.signatures.iter_mut().enumerate() {
            // A bit of S: the signature stays well formed and only the equation can tell.
            signature[40] ^= u8::from(is_bad(case, number, count));
        }
        let end = |index| u32::try_from(index * signed.message_bytes).map_err(|_| BatchError::TooLong);
        let ends = (1..=batch_size).map(end).collect::<Result<_, _>>()?;
        Ok(Self { case, batch_size, signed, ends })
    }

    /// What is special about it.
    #[must_use]
    pub fn case(&self) -> Case {
        self.case
    }

    /// Signatures in a batch.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The length of every message in bytes.
    #[must_use]
    pub fn message_bytes(&self) -> usize {
        self.signed.message_bytes
    }

    /// How many signatures there are, in all batches together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.signed.public_keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The public keys of all signatures.
    #[must_use]
    pub fn public_keys(&self) -> &[[u8; 32]] {
        &self.signed.public_keys
    }

    /// All signatures.
    #[must_use]
    pub fn signatures(&self) -> &[[u8; 64]] {
        &self.signed.signatures
    }

    /// The messages of all signatures, end to end.
    #[must_use]
    pub fn messages(&self) -> &[u8] {
        &self.signed.messages
    }

    /// All signatures in batches of `size`, of which the last may have fewer; `size` is at most the batch size.
    ///
    /// # Errors
    /// None in a workload: an error of [`Batch::new`].
    pub fn cut(&self, size: usize) -> Result<Vec<Batch<'_>>, BatchError> {
        self.ranges(size).map(|range| self.batch(range)).collect()
    }

    fn batch(&self, range: Range<usize>) -> Result<Batch<'_>, BatchError> {
        let message_bytes = self.signed.message_bytes;
        let messages = &self.signed.messages[range.start * message_bytes..range.end * message_bytes];
        let ends = &self.ends[..range.len()];
        Batch::new(&self.signed.public_keys[range.clone()], &self.signed.signatures[range], messages, ends)
    }

    fn ranges(&self, size: usize) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
        let count = self.len();
        (0..count).step_by(size).map(move |first| first..count.min(first + size))
    }

    /// How many signatures there are, and how many of them are valid, in `batches` batches of `size`, from the first
    /// batch on and round again.
    #[must_use]
    pub fn totals(&self, size: usize, batches: usize) -> Totals {
        let valid = |range: Range<usize>| range.filter(|&number| !is_bad(self.case, number, self.len())).count();
        let each: Vec<Totals> =
            self.ranges(size).map(|range| Totals { signatures: range.len(), valid: valid(range) }).collect();
        let once = Totals::sum(&each);
        let rest = Totals::sum(&each[..batches % each.len()]);
        let rounds = batches / each.len();
        Totals { signatures: rounds * once.signatures + rest.signatures, valid: rounds * once.valid + rest.valid }
    }
}

/// What a verifier should have counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Signatures verified.
    pub signatures: usize,
    /// Those of them that are valid.
    pub valid: usize,
}

impl Totals {
    fn sum(parts: &[Self]) -> Self {
        let signatures = parts.iter().map(|part| part.signatures).sum();
        Self { signatures, valid: parts.iter().map(|part| part.valid).sum() }
    }
}

fn is_bad(case: Case, number: usize, count: usize) -> bool {
    match case {
        Case::NewKeys | Case::KnownKeys => false,
        // In the middle, and there even where there are fewer.
        Case::OneBad => number % ONE_BAD_IN == count.min(ONE_BAD_IN) / 2,
        Case::AllBad => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use constellation_verify::Engine;

    #[test]
    fn each_case_has_the_valid_signatures_that_it_claims() {
        let signed = Signed::new(40, 20, 7);
        for (case, valid) in [(Case::NewKeys, 40), (Case::KnownKeys, 40), (Case::OneBad, 39), (Case::AllBad, 0)] {
            let workload = Workload::new(case, 8, signed.clone()).unwrap();
            let batches = workload.cut(8).unwrap();
            let counted: Vec<usize> =
                batches.iter().map(|batch| Engine::detect().verify(batch).count_valid()).collect();
            assert_eq!(counted.iter().sum::<usize>(), valid, "{case}");
            for passes in [0, 1, 3, 4, 5, 12] {
                let expected = counted.iter().cycle().take(passes).sum();
                let totals = workload.totals(8, passes);
                assert_eq!(totals, Totals { signatures: 8 * passes, valid: expected }, "{case} {passes}");
            }
        }
    }

    #[test]
    fn one_in_every_1024_is_bad() {
        let bad: Vec<usize> = (0..4096).filter(|&number| is_bad(Case::OneBad, number, 4096)).collect();
        assert_eq!(bad, [512, 1536, 2560, 3584]);
    }

    #[test]
    fn only_whole_batches_are_kept_and_smaller_pieces_cover_them() {
        let workload = Workload::new(Case::NewKeys, 7, Signed::new(23, 3, 0)).unwrap();
        assert_eq!((workload.len(), workload.public_keys().len(), workload.messages().len()), (21, 21, 63));
        let lengths: Vec<usize> = workload.cut(6).unwrap().iter().map(Batch::len).collect();
        assert_eq!(lengths, [6, 6, 6, 3]);
        assert_eq!(workload.totals(6, 5), Totals { signatures: 27, valid: 27 });
    }

    #[test]
    fn no_two_signatures_share_a_key() {
        let mut keys = Signed::new(10, 1, 0).public_keys;
        keys.extend(Signed::new(10, 1, 10).public_keys);
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 20);
    }

    #[test]
    fn names_round_trip() {
        for case in Case::ALL {
            assert_eq!(case.name().parse(), Ok(case));
        }
        let error = "some_bad".parse::<Case>().unwrap_err().to_string();
        assert!(error.contains("some_bad") && error.contains("known_keys"), "{error}");
    }
}
