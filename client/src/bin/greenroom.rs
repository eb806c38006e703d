//! The command `greenroom`.
fn main() {}
