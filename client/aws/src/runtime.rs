//! Being a function.

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;

/// The variable by which a platform tells a process that it is a function.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// One invocation of this function.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The event, a JSON text.
    pub event: String,
    /// The platform's name for the invocation. A further try of an event has the same one.
    pub request_id: String,
    /// When the process is killed if it has not answered, in milliseconds since the Unix epoch.
    pub deadline_ms: u64,
}

/// Why an invocation has failed, as the platform is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The kind of the error: one word.
    pub kind: &'static str,
    /// What people read.
    pub message: String,
}

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Self {
        Self { error_type: failed.kind.to_owned(), error_message: failed.message }
    }
}

/// Whether a platform has started this process as a function.
pub fn is_function() -> bool {
    std::env::var_os(RUNTIME_API).is_some_and(|address| !address.is_empty())
}

/// Takes invocations, one after the other, until the platform ends the process. An answer is a JSON text.
///
/// # Errors
/// When the platform's API cannot be reached or does not behave.
///
/// # Panics
/// When the variables are missing that each platform sets.
pub async fn serve<H, A>(handle: H) -> Result<(), String>
where
    H: Fn(Invocation) -> A,
    A: Future<Output = Result<String, Failed>>,
{
    let answer = async |invoked: LambdaEvent<Box<RawValue>>| {
        let invocation = Invocation {
            event: String::from(Box::<str>::from(invoked.payload)),
            request_id: invoked.context.request_id,
            deadline_ms: invoked.context.deadline,
        };
        let answer = handle(invocation).await?;
        RawValue::from_string(answer).map_err(|error| Failed { kind: "Answer", message: error.to_string() })
    };
    lambda_runtime::run(service_fn(answer)).await.map_err(|error| error.to_string())
}
