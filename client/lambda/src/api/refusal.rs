//! Requests that are refused, in the words of AWS.

use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::process::arn;
use crate::service::Throttled;

/// Why a request to the Invoke API is refused. No function was run.
#[derive(Debug)]
pub(super) enum Refusal {
    NoFunction(String),
    NotJson(String),
    BadType(String),
    TooLarge { bytes_max: usize },
    Throttled(Throttled),
    QueueFull,
    Broken,
    Unknown(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error_type, body) = self.words();
        (status, [("x-amzn-errortype", error_type), (CONTENT_TYPE.as_str(), "application/json")], body.to_string())
            .into_response()
    }
}

impl Refusal {
    fn words(self) -> (StatusCode, &'static str, Value) {
        let user = |message: String| json!({ "Type": "User", "message": message });
        match self {
            Self::NoFunction(name) => {
                let body = json!({ "Type": "User", "Message": format!("Function not found: {}", arn(&name)) });
                (StatusCode::NOT_FOUND, "ResourceNotFoundException", body)
            }
            Self::NotJson(why) => {
                let body = user(format!("Could not parse request body into json: {why}"));
                (StatusCode::BAD_REQUEST, "InvalidRequestContentException", body)
            }
            Self::BadType(value) => {
                let body = user(format!("Invocation type {value} is not RequestResponse, Event or DryRun"));
                (StatusCode::BAD_REQUEST, "InvalidParameterValueException", body)
            }
            Self::TooLarge { bytes_max } => {
                let body =
                    user(format!("Request must be smaller than {bytes_max} bytes for the InvokeFunction operation"));
                (StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", body)
            }
            Self::Throttled(throttled) => {
                let reason = match throttled {
                    Throttled::Function => "ReservedFunctionConcurrentInvocationLimitExceeded",
                    Throttled::Account => "ConcurrentInvocationLimitExceeded",
                };
                let body = json!({ "Reason": reason, "Type": "User", "message": "Rate Exceeded." });
                (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", body)
            }
            Self::QueueFull => {
                let body = json!({ "Type": "User", "message": "Too many events wait." });
                (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", body)
            }
            Self::Broken => {
                let body = user("The body of the request did not come whole".to_owned());
                (StatusCode::BAD_REQUEST, "InvalidRequestContentException", body)
            }
            Self::Unknown(what) => {
                let body = user(format!("The local lambda has no {what}"));
                (StatusCode::NOT_FOUND, "UnknownOperationException", body)
            }
        }
    }
}
