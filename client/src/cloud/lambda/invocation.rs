//! One invocation, until the platform has taken it: what its answers mean for the attempt.

use std::time::{Duration, Instant};

use greenroom_actors::ThreadFailure;
use greenroom_aws::{Delivery, InvokeError, Invoked};
use serde::Deserialize;

use super::event::Answer;
use super::serve::NOT_STARTED;
use super::{Function, Reached};
use crate::client::Shared;
use crate::cloud::running::Running;
use crate::time::jitter;

/// The first pause before an invocation that was not taken is tried again; it doubles up to the longest one.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What the platform has told of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing that its thread's object does not know better.
    Nothing,
    /// It has failed, or has not begun.
    Failure(ThreadFailure),
    /// The answer is lost: it may run.
    Lost(String),
}

/// What a platform says of a function that has failed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FunctionError {
    error_type: String,
    error_message: String,
}

/// Invokes the function, as often as it takes until the platform accepts it or says why it never will.
///
/// That it runs no more at once is no failure: the invocation waits until there is room, or its thread has ended otherwise.
pub(super) async fn invoke(function: &Function, event: &str, attempt: u8, running: &Running, client: &Shared) -> Told {
    let reached = match function.reached().await {
        Ok(reached) => reached,
        Err(why) => return Told::Failure(ThreadFailure::NotStarted { why }),
    };
    let (mut pause, mut unreachable_since) = (PAUSE_FIRST, None);
    while running.outcome().is_none() {
        let Reached { function: name, delivery, invoker, .. } = reached;
        let error = match invoker.invoke(name, event.to_owned(), *delivery).await {
            Ok(invoked) => {
                function.room.notify_one();
                return told(&invoked, *delivery, attempt);
            }
            Err(error) => error,
        };
        if error.may_have_run() {
            return Told::Lost(error.to_string());
        }
        if !matches!(error, InvokeError::Throttled(_)) {
            let since = *unreachable_since.get_or_insert_with(Instant::now);
            if !error.may_pass() || since.elapsed() >= client.settings.patience {
                return Told::Failure(ThreadFailure::NotStarted { why: error.to_string() });
            }
        }
        tokio::select! {
            () = tokio::time::sleep(jitter(pause)) => {}
            () = function.room.notified() => {}
            _ = running.finished() => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Told::Nothing
}

/// What an accepted invocation's answer tells.
fn told(invoked: &Invoked, delivery: Delivery, attempt: u8) -> Told {
    if invoked.function_error.is_some() {
        return Told::Failure(failure(&invoked.payload, attempt));
    }
    if delivery == Delivery::Queued || serde_json::from_str::<Answer>(&invoked.payload).is_ok() {
        return Told::Nothing;
    }
    let answer: String = invoked.payload.chars().take(200).collect();
    let why = format!(
        "the function answers `{answer}`, as no program of this kind does: its binary is to have `#[greenroom::main]` \
         and the feature `lambda`"
    );
    Told::Failure(ThreadFailure::NotStarted { why })
}

/// Why an attempt has no outcome, as the platform has it.
fn failure(payload: &str, attempt: u8) -> ThreadFailure {
    let error: FunctionError = serde_json::from_str(payload).unwrap_or_default();
    let FunctionError { error_type, error_message } = error;
    match error_type.as_str() {
        NOT_STARTED => ThreadFailure::NotStarted { why: error_message },
        "Sandbox.Timedout" => ThreadFailure::TimedOut { attempt },
        // AWS has no type for it in some of its answers.
        _ if error_message.contains("Task timed out after") => ThreadFailure::TimedOut { attempt },
        "" if error_message.is_empty() => ThreadFailure::Lost { attempt, why: payload.to_owned() },
        "" => ThreadFailure::Lost { attempt, why: error_message },
        kind => ThreadFailure::Lost { attempt, why: format!("{kind}: {error_message}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(payload: &str) -> Invoked {
        Invoked { function_error: Some("Unhandled".to_owned()), payload: payload.to_owned() }
    }

    #[test]
    fn what_the_platform_says_of_a_function_that_failed_is_told_apart() {
        let not_started = format!(r#"{{"errorType":"{NOT_STARTED}","errorMessage":"no cluster"}}"#);
        let lost = |why: &str| ThreadFailure::Lost { attempt: 2, why: why.to_owned() };
        for (payload, failure) in [
            (not_started.as_str(), ThreadFailure::NotStarted { why: "no cluster".to_owned() }),
            (
                r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 1 Error: Task timed out after 3.00 seconds"}"#,
                ThreadFailure::TimedOut { attempt: 2 },
            ),
            (
                r#"{"errorMessage":"2026-11-25T13:00:00.000Z 1 Task timed out after 3.00 seconds"}"#,
                ThreadFailure::TimedOut { attempt: 2 },
            ),
            (
                r#"{"errorType":"Runtime.ExitError","errorMessage":"exit status 1"}"#,
                lost("Runtime.ExitError: exit status 1"),
            ),
            ("not JSON", lost("not JSON")),
        ] {
            assert_eq!(told(&failed(payload), Delivery::Synchronous, 2), Told::Failure(failure), "{payload}");
        }
    }

    #[test]
    fn a_function_of_another_kind_is_found_out_by_its_answer() {
        let answered = |payload: &str| Invoked { function_error: None, payload: payload.to_owned() };
        assert_eq!(told(&answered(r#"{"greenroom":"Ran"}"#), Delivery::Synchronous, 1), Told::Nothing);
        assert_eq!(told(&answered(""), Delivery::Queued, 1), Told::Nothing);
        let other = told(&answered(r#""hello""#), Delivery::Synchronous, 1);
        assert!(matches!(other, Told::Failure(ThreadFailure::NotStarted { why }) if why.contains("hello")));
    }
}
