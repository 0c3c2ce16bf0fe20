//! A black hole as other networks see it: its header, and the certificate that makes it final. What a transaction of kind
//! [`BlackHole`](crate::Kind::BlackHole) carries.
//!
//! ```text
//! offset len
//!      0 288  header of the black hole
//!    288      certificate: 16 bytes for who signed, then 64 for each signature
//! ```
//!
//! A payload has 1024 bytes, and so room for eleven signatures: a quorum of at most sixteen validators.

use crate::black_hole::BlackHoleHeader;
use crate::certificate::Certificate;
use crate::transaction::PAYLOAD_MAX_BYTES;
use crate::wire::{Reader, WireError};

/// The largest galaxy of which a quorum's signatures fit a payload: n−f of 16 are 11.
pub const GALAXY_VALIDATORS_MAX: usize = 16;
const SIGNATURES_MAX: usize = GALAXY_VALIDATORS_MAX - (GALAXY_VALIDATORS_MAX - 1) / 3;
const _: () = assert!(size_of::<BlackHoleHeader>() + 16 + 64 * SIGNATURES_MAX <= PAYLOAD_MAX_BYTES);

/// A black hole's header with its certificate, drawn above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedHeader {
    /// The header.
    pub header: BlackHoleHeader,
    /// The signatures under it.
    pub certificate: Certificate,
}

impl CertifiedHeader {
    /// A header with the first `quorum` signatures of its certificate: more prove nothing more.
    pub fn new(header: BlackHoleHeader, certificate: &Certificate, quorum: usize) -> Self {
        let shares = certificate.shares().take(quorum).collect();
        CertifiedHeader { header, certificate: Certificate::from_shares(&shares) }
    }

    /// Reads what fills `bytes`. Whether a quorum signed is for who knows the galaxy to say.
    ///
    /// # Errors
    /// Bytes that are cut short or left over, or a header of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let header: BlackHoleHeader = *reader.view()?;
        if !header.is_of_this_version() {
            return Err(WireError::Unknown { what: "black hole version", value: header.version().into() });
        }
        let certificate = Certificate::read(&mut reader)?;
        reader.finish()?;
        Ok(CertifiedHeader { header, certificate })
    }

    /// The bytes of the drawing.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = bytemuck::bytes_of(&self.header).to_vec();
        self.certificate.write(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::galaxies::tests::{certified, header};
    use proptest::prelude::*;

    #[test]
    fn the_largest_galaxy_s_quorum_fits_a_payload_and_one_more_does_not() {
        let len = |signers| certified(header(1, 1), &(0..signers).collect::<Vec<_>>()).to_bytes().len();
        assert!(len(SIGNATURES_MAX) <= PAYLOAD_MAX_BYTES);
        assert!(len(SIGNATURES_MAX + 1) > PAYLOAD_MAX_BYTES);
    }

    #[test]
    fn no_more_signatures_are_carried_than_a_quorum() {
        let all = certified(header(1, 1), &[0, 1, 2, 3]);
        let cut = CertifiedHeader::new(all.header, &all.certificate, 3);
        assert_eq!(cut, certified(header(1, 1), &[0, 1, 2]));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(height: u64, salt: u8, signers in prop::collection::btree_set(0usize..16, 0..12)) {
            let carried = certified(header(height, salt), &signers.into_iter().collect::<Vec<_>>());
            let bytes = carried.to_bytes();
            prop_assert_eq!(CertifiedHeader::decode(&bytes).unwrap(), carried);
            for cut in [0, 287, 303, bytes.len() - 1] {
                prop_assert!(CertifiedHeader::decode(&bytes[..cut]).is_err());
            }
            prop_assert_eq!(CertifiedHeader::decode(&[&bytes[..], &[0]].concat()), Err(WireError::LeftOver(1)));
        }

        #[test]
        fn what_reads_writes_the_same_bytes(at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = certified(header(5, 1), &[0, 2, 3]).to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(carried) = CertifiedHeader::decode(&bytes) {
                prop_assert_eq!(carried.to_bytes(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..1100)) {
            let _read = CertifiedHeader::decode(&bytes);
        }
    }
}
