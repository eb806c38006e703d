//! Types beside models of them: several sessions, in random order, on the pure state machine.
//!
//! Each call is made by one poll of its future and looked at later, or dropped with its answer unseen, or its session ends as
//! by the death of its process: so every race between an answer and a caller that gives up is played.
//!
//! The number of cases is `PROPTEST_CASES`, or 64 for each.

#[path = "../stage/mod.rs"]
mod stage;

mod calls;
mod notify;
mod once;
mod phaser;

use proptest::prelude::*;

/// How many sessions there are at a time.
const SESSIONS: usize = 3;

fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(asked.unwrap_or(64)) }
}

fn session() -> std::ops::Range<usize> {
    0..SESSIONS
}

fn index() -> impl Strategy<Value = prop::sample::Index> {
    any::<prop::sample::Index>()
}
