//! How an invocation ended, in the process and for its caller.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

/// A larger answer is refused. The 100 bytes are AWS' own.
pub(crate) const RESPONSE_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;

/// How a process ended an invocation.
#[derive(Debug)]
pub(crate) enum Completion {
    Response(Bytes),
    /// An error that the runtime reported: JSON.
    Error(Bytes),
    TooLarge,
    Exited(ExitStatus),
}

/// What the caller of an invocation is told.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) payload: Bytes,
    pub(crate) verdict: Verdict,
    /// The last bytes that were printed.
    pub(crate) tail: Vec<u8>,
}

/// Whether the payload is an answer or an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Succeeded,
    Failed,
}

impl Outcome {
    /// What the process's way of ending means for the caller.
    pub(crate) fn of(completion: Completion, request_id: &str) -> Self {
        match completion {
            Completion::Response(payload) => Self { payload, verdict: Verdict::Succeeded, tail: Vec::new() },
            Completion::Error(payload) => Self { payload, verdict: Verdict::Failed, tail: Vec::new() },
            Completion::TooLarge => Self::failed(
                "Function.ResponseSizeTooLarge",
                &format!("Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."),
            ),
            Completion::Exited(status) => Self::exited(request_id, status),
        }
    }

    /// The invocation took longer than the function's timeout.
    pub(crate) fn timed_out(request_id: &str, timeout: Duration) -> Self {
        let seconds = timeout.as_secs_f64();
        let message = format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds");
        Self::failed("Sandbox.Timedout", &message)
    }

    /// The process took more memory than the function has.
    pub(crate) fn out_of_memory(request_id: &str) -> Self {
        let message = format!("RequestId: {request_id} Error: Runtime exited with error: signal: killed");
        Self::failed("Runtime.ExitError", &message)
    }

    /// No process could be started.
    pub(crate) fn not_started(request_id: &str, error: &std::io::Error) -> Self {
        Self::failed("Runtime.InvalidEntrypoint", &format!("RequestId: {request_id} Error: {error}"))
    }

    fn exited(request_id: &str, status: ExitStatus) -> Self {
        let how = match (status.code(), status.signal()) {
            (Some(0), _) => "Runtime exited without providing a reason".to_owned(),
            (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
            (None, signal) => format!("Runtime exited with error: signal: {}", signal_name(signal.unwrap_or(0))),
        };
        Self::failed("Runtime.ExitError", &format!("RequestId: {request_id} Error: {how}"))
    }

    fn failed(error_type: &str, message: &str) -> Self {
        let payload = json!({ "errorType": error_type, "errorMessage": message }).to_string().into();
        Self { payload, verdict: Verdict::Failed, tail: Vec::new() }
    }
}

/// The words of AWS, which are those of Go.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        11 => "segmentation fault",
        13 => "broken pipe",
        15 => "terminated",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
