//! The commands, one file or folder each: its arguments, its work, its report.

pub mod bench;
pub mod log;
pub mod verify;
