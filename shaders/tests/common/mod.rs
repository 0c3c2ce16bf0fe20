//! What the tests on an adapter share: the device, and batches with the verdicts they must get.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part, and a helper that fails is a failed test"
)]

pub mod cases;
pub mod rig;
