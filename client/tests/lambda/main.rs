//! Cloud threads as invocations of a function: a real local Lambda, real processes, a real cluster of three nodes, and what
//! becomes of threads when something of that fails.

mod cancels;
mod crashes;
mod deadlines;
mod deliveries;
mod drivers;
mod frozen;
mod inputs;
mod limits;
mod nodes;
mod stage;

#[path = "../dev/mod.rs"]
mod dev;
#[path = "../external/support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;

/// What a function's process runs: this program, with this test.
#[test]
fn function_process() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        // An error is told by the local Lambda, whose log has it.
        let _ = greenroom::run(|| ());
    }
}
