//! The commands, one file or folder each: its arguments, its work, its report.

pub mod bench;
pub mod devnet;
pub mod galaxy;
pub mod init;
pub mod load;
pub mod log;
pub mod plan;
pub mod sim;
pub mod star;
pub mod verify;
