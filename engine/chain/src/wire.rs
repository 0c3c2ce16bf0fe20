//! Reading little-endian bytes that came from outside: every read is checked, none panics.

use bytemuck::{AnyBitPattern, NoUninit};

/// What was wrong with bytes read from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a field.
    #[error("cut short: {wanted} bytes wanted, {left} left")]
    CutShort {
        /// Bytes the field needs.
        wanted: usize,
        /// Bytes there are.
        left: usize,
    },
    /// Bytes are left over after the last field.
    #[error("{0} bytes left over after the end")]
    LeftOver(usize),
    /// A count is above what its place allows.
    #[error("{what}: {count} is above the bound of {bound}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// The count read.
        count: u64,
        /// The most that is allowed.
        bound: u64,
    },
    /// A field holds a value that is not in its set.
    #[error("{what}: {value} is not a known value")]
    Unknown {
        /// Which field.
        what: &'static str,
        /// What it holds.
        value: u64,
    },
}

/// A cursor over bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) =
            self.rest.split_at_checked(len).ok_or(WireError::CutShort { wanted: len, left: self.rest.len() })?;
        self.rest = rest;
        Ok(head)
    }

    /// A plain type without alignment or padding, read in place.
    pub fn view<T: AnyBitPattern + NoUninit>(&mut self) -> Result<&'a T, WireError> {
        const { assert!(align_of::<T>() == 1) };
        Ok(bytemuck::from_bytes(self.bytes(size_of::<T>())?))
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.view::<[u8; 1]>()?[0])
    }

    /// Two bytes, little endian.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(*self.view()?))
    }

    /// Four bytes, little endian.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(*self.view()?))
    }

    /// Eight bytes, little endian.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(*self.view()?))
    }

    /// A four-byte count of `what`, at most `bound`.
    pub fn count(&mut self, what: &'static str, bound: usize) -> Result<usize, WireError> {
        let count = self.u32()? as usize;
        if count > bound {
            return Err(WireError::TooMany { what, count: count as u64, bound: bound as u64 });
        }
        Ok(count)
    }

    /// Bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all is read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Fails if anything is left.
    pub fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::LeftOver(self.rest.len())) }
    }
}
