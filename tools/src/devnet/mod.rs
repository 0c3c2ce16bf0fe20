//! A whole network on this machine: made, run under load, stopped, and checked from the first byte of every log.

pub mod chaos;
pub mod check;
pub mod nodes;
pub mod report;
pub mod work;
