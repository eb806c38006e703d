//! A local Lambda inside this process, whose function is this program.

use greenroom_aws::{Delivery, Invoker, InvokerSettings};
use greenroom_lambda::{Config, FunctionConfig, LocalLambda};

use super::Reached;
use crate::time::FUNCTION_MAX;

/// The name of the one function.
const NAME: &str = "program";
/// As much as AWS gives at most.
const MEMORY_MB: u32 = 10_240;
/// What of this process' environment its functions get, beside the variables that begin with `GREENROOM_`.
const PASSED: [&str; 2] = ["RUST_BACKTRACE", "RUST_LOG"];
/// What is this process' own: a function's role is clear, its objects are those of the thread that it runs, and threads that it
/// begins itself are threads of its own process.
const KEPT: [&str; 3] = ["GREENROOM_BACKEND", "GREENROOM_JOB", "GREENROOM_ROLE"];

pub(super) async fn start(concurrency_max: usize) -> Result<Reached, String> {
    let binary = std::env::current_exe().map_err(|error| format!("this program's file is not known: {error}"))?;
    let mut function = FunctionConfig::new(NAME, binary);
    (function.memory_mb, function.timeout) = (MEMORY_MB, FUNCTION_MAX);
    function.environment = std::env::vars().filter(|(name, _)| is_passed(name)).collect();
    let config = Config { concurrency_max, ..Config::default() }.with_function(function);
    let local = LocalLambda::start(config).await.map_err(|error| format!("the local Lambda: {error}"))?;
    let settings = InvokerSettings {
        endpoint: Some(format!("http://{}", local.address())),
        region: Some("local".to_owned()),
        no_credentials: true,
    };
    let invoker = Invoker::new(&settings).await;
    Ok(Reached { function: NAME.to_owned(), delivery: Delivery::Synchronous, invoker, _local: Some(local) })
}

fn is_passed(name: &str) -> bool {
    (name.starts_with("GREENROOM_") || PASSED.contains(&name)) && !KEPT.contains(&name)
}
