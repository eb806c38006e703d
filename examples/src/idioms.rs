#![doc = include_str!("../PORTING.md")]

#[expect(clippy::unwrap_used, reason = "the ports are to look like programs on std, which unwrap")]
pub mod shared;
#[expect(clippy::unwrap_used, reason = "programs on std unwrap what only a panic elsewhere makes an error")]
pub mod threads;
