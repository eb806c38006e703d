//! Why an invocation was not accepted, or what became of it is not known.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_lambda::error::{DisplayErrorContext, SdkError};
use aws_sdk_lambda::operation::invoke;
use hyper_util::client::legacy::Error as Transport;

/// Why an invocation was not accepted, or what became of it is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// As many invocations run as may at once, or too many were begun within a second. Nothing has run; later there is room.
    #[error("the platform runs no more invocations at once now: {0}")]
    Throttled(String),
    /// The platform could not take it now, as while it makes the function's network ready. Nothing has run; it may go later.
    #[error("the platform could not take the invocation: {0}")]
    Busy(String),
    /// There is no function of that name in that region. Nothing has run.
    #[error("there is no such function: {0}")]
    NoFunction(String),
    /// The event is larger than the platform takes. Nothing has run.
    #[error("the event is too large: {0}")]
    TooLarge(String),
    /// There are no credentials, or they do not allow it. Nothing has run.
    #[error("the platform does not let us: {0}")]
    NotAllowed(String),
    /// It was refused for another reason. Nothing has run.
    #[error("the platform refuses the invocation: {0}")]
    Refused(String),
    /// No connection could be made. Nothing has run.
    #[error("the platform cannot be reached: {0}")]
    Unreachable(String),
    /// The connection broke before the answer came: the function may have run, or may still run.
    #[error("what became of the invocation is not known: {0}")]
    Unknown(String),
}

impl InvokeError {
    /// Whether nothing has run and the same invocation may be accepted a little later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Throttled(_) | Self::Busy(_) | Self::Unreachable(_))
    }

    /// Whether the function may have run.
    pub fn may_have_run(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

impl From<SdkError<invoke::InvokeError>> for InvokeError {
    fn from(error: SdkError<invoke::InvokeError>) -> Self {
        let why = DisplayErrorContext(&error).to_string();
        match &error {
            // The request could not be made, and nothing has left.
            SdkError::ConstructionFailure(_) => Self::Refused(why),
            SdkError::DispatchFailure(_) if cause::<CredentialsError>(&error).is_some() => Self::NotAllowed(why),
            SdkError::DispatchFailure(_) if cause::<Transport>(&error).is_some_and(Transport::is_connect) => {
                Self::Unreachable(why)
            }
            SdkError::ServiceError(context) => {
                let said = context.err().meta();
                let code = said.code().unwrap_or_default();
                let status = context.raw().status().as_u16();
                let message = match said.message() {
                    Some(message) => format!("{code}: {message}"),
                    None => format!("{code}, status {status}"),
                };
                of_service(status, code, message)
            }
            _ => Self::Unknown(why),
        }
    }
}

/// The error of that kind that is behind another one.
fn cause<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What the platform's answer means.
fn of_service(status: u16, code: &str, message: String) -> InvokeError {
    match (status, code) {
        (429, _) | (_, "TooManyRequestsException" | "ThrottlingException" | "EC2ThrottledException") => {
            InvokeError::Throttled(message)
        }
        (413, _) | (_, "RequestTooLargeException") => InvokeError::TooLarge(message),
        (404, _) | (_, "ResourceNotFoundException") => InvokeError::NoFunction(message),
        (401 | 403, _) => InvokeError::NotAllowed(message),
        // The function itself never answers by a status of the platform's: these are about what comes before it.
        (_, "ResourceConflictException" | "ResourceNotReadyException" | "ENILimitReachedException") => {
            InvokeError::Busy(message)
        }
        (_, code) if code.starts_with("EFS") || code.starts_with("SnapStart") => InvokeError::Busy(message),
        // A failure inside the platform: AWS does not say whether the function ran.
        (500.., _) => InvokeError::Unknown(message),
        _ => InvokeError::Refused(message),
    }
}
