//! What is served over HTTP: the Invoke API to callers, the Runtime API to processes.

mod body;
mod invoke;
mod orders;
mod refusal;
mod runtime;

pub(crate) use invoke::serve as serve_invoke_api;
pub(crate) use runtime::serve as serve_runtime_api;
