//! The file of events whose tries have all failed.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use serde_json::value::RawValue;

use crate::completion::Outcome;
use crate::delivery::{Delivery, since_epoch};
use crate::process::VERSION;

/// A line of the file: the fields of the record that AWS sends to a function's destination on failure.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct DeadLetter<'a> {
    version: &'static str,
    /// Seconds since 1970.
    timestamp: f64,
    request_context: RequestContext<'a>,
    request_payload: &'a RawValue,
    response_context: ResponseContext,
    response_payload: &'a RawValue,
}

#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: &'a str,
    function_arn: &'a str,
    condition: &'static str,
    approximate_invoke_count: usize,
}

#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    status_code: u16,
    executed_version: &'static str,
    function_error: &'static str,
}

/// Appends a line for an event that was tried this often, the last time with this outcome.
pub(crate) fn append(file: &Path, delivery: &Delivery, n_tries: usize, outcome: &Outcome) -> io::Result<()> {
    let letter = DeadLetter {
        version: "1.0",
        timestamp: since_epoch().as_secs_f64(),
        request_context: RequestContext {
            request_id: &delivery.request_id,
            function_arn: &delivery.arn,
            condition: "RetriesExhausted",
            approximate_invoke_count: n_tries,
        },
        request_payload: json(&delivery.payload),
        response_context: ResponseContext { status_code: 200, executed_version: VERSION, function_error: "Unhandled" },
        response_payload: json(&outcome.payload),
    };
    let mut line = serde_json::to_vec(&letter)?;
    // JSON may be written over several lines.
    line.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    line.push(b'\n');
    OpenOptions::new().create(true).append(true).open(file)?.write_all(&line)
}

fn json(bytes: &[u8]) -> &RawValue {
    // Events are checked when they come in; what a function reports as its error need not be JSON.
    serde_json::from_slice(bytes).unwrap_or(RawValue::NULL)
}
