//! What the data objects promise, on the pure state machine and on a cluster of three nodes, and beside their namesakes in std.

#![expect(clippy::unit_arg, reason = "what both say is compared, also where they say nothing")]
#![expect(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

#[path = "../stage/mod.rs"]
mod stage;

mod anew;
mod atomics;
mod blob;
mod journal;
mod list;
mod matrix;
mod values;
mod vector;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use greenroom::Caller;
use proptest::test_runner::Config;

use stage::Stage;

/// How the types are compared with their namesakes.
fn cases() -> Config {
    Config { failure_persistence: None, ..Config::with_cases(96) }
}

/// A way to the pure state machine, and a key that no other case uses.
fn fresh(stage: &Stage) -> (Arc<dyn Caller>, String) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    (stage.session().caller(), format!("case {}", NUMBER.fetch_add(1, Ordering::Relaxed)))
}
