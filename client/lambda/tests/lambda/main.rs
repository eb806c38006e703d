//! The local Lambda with functions of the real `lambda_runtime`, invoked through the real `aws-sdk-lambda`.

mod asynchronous;
mod ends;
mod faults;
mod function;
mod leftovers;
mod lifecycle;
mod stage;
mod synchronous;

/// What a function's process runs: this program, with this test.
///
/// Cargo does not build a second program for tests that does not belong to the crate for everybody.
#[test]
fn function_process() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        function::run();
    }
}
