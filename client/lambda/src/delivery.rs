//! One event on its way to a process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::process::arn;

/// What a function is invoked with.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) request_id: String,
    pub(crate) payload: Bytes,
    /// JSON, as the caller gave it.
    pub(crate) client_context: Option<String>,
    pub(crate) arn: String,
    pub(crate) trace_id: String,
    pub(crate) log_type: LogType,
}

/// Whether the caller wants the end of what the function printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogType {
    None,
    Tail,
}

impl Delivery {
    /// An event under a new request id.
    pub(crate) fn new(function: &str, payload: Bytes, client_context: Option<String>, log_type: LogType) -> Self {
        let hex = format!("{:032x}", rand::random::<u128>());
        let (time, low) = (since_epoch().as_secs(), &hex[16..]);
        Self {
            request_id: format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]),
            payload,
            client_context,
            arn: arn(function),
            trace_id: format!("Root=1-{time:08x}-{};Parent={low};Sampled=0", &hex[..24]),
            log_type,
        }
    }
}

/// An event as the Runtime API hands it out.
#[derive(Debug)]
pub(crate) struct HandedOut {
    pub(crate) delivery: std::sync::Arc<Delivery>,
    /// When the process is killed.
    pub(crate) deadline: SystemTime,
}

/// The time since 1970.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
