//! Checksums for segments that a fuzzer has changed: without them no change would get past the first check.

const HEADER_LEN: usize = 64;
const ENTRY_LEN: usize = 32;

/// Makes the checksum of a segment's header right, and those of `entries` records and marks behind it. The layout is the one that
/// the storage crate draws.
pub fn reseal_segment(segment: &mut [u8], entries: u8) {
    let Some((header, mut rest)) = segment.split_first_chunk_mut::<HEADER_LEN>() else { return };
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..]);
    header[12..16].copy_from_slice(&checksum.to_le_bytes());
    let check_seed = crc32c::crc32c(&header[40..48]);
    let mut crc = checksum;
    for _ in 0..entries {
        let Some((entry, body)) = rest.split_first_chunk_mut::<ENTRY_LEN>() else { return };
        let [a, b, c, d, ..] = *entry;
        let length = u32::from_le_bytes([a, b, c, d]);
        let payload_len = if length == u32::MAX { 0 } else { length as usize };
        let Some(payload) = body.get(..payload_len) else { return };
        crc = crc32c::crc32c_append(crc32c::crc32c_append(crc, &entry[..24]), payload);
        entry[24..28].copy_from_slice(&crc.to_le_bytes());
        let check = crc32c::crc32c_append(check_seed, &entry[..28]);
        entry[28..].copy_from_slice(&check.to_le_bytes());
        let footprint = payload_len.next_multiple_of(8).min(body.len());
        rest = &mut body[footprint..];
    }
}
