//! The `constellation` binary.
fn main() {}
