//! Invocations that end otherwise than by an answer, in the words of AWS.

use std::time::Duration;

use serde_json::json;

use crate::function::START;
use crate::stage::{Stage, error, pid, stage, state};

/// What a start of this kind is told its caller as.
async fn failed_start(kind: &str, change: impl FnOnce(&mut greenroom_lambda::Config)) -> (Stage, (String, String)) {
    let stage = stage(|config| {
        config.functions[0].environment = vec![(START.to_owned(), kind.to_owned())];
        change(config);
    })
    .await;
    let error = error(&stage.invoke(json!({ "do": "pid" })).await);
    (stage, error)
}

#[tokio::test]
async fn a_process_that_exits_is_told_of_at_once_and_replaced() {
    let stage = stage(|_| {}).await;
    for (event, expected) in [
        (json!({ "do": "exit", "status": 3 }), "Runtime exited with error: exit status 3"),
        (json!({ "do": "exit", "status": 0 }), "Runtime exited without providing a reason"),
        (json!({ "do": "abort" }), "Runtime exited with error: signal: aborted"),
    ] {
        let output = stage.invoke(event).await;
        let (error_type, message) = error(&output);
        assert_eq!(error_type, "Runtime.ExitError");
        assert!(message.starts_with("RequestId: ") && message.ends_with(expected), "{message}");
    }
    stage.invoke(json!({ "do": "pid" })).await;
}

#[tokio::test]
async fn a_process_is_killed_at_its_deadline_before_its_caller_is_told() {
    let stage = stage(|config| config.functions[0].timeout = Duration::from_millis(300)).await;
    let pid = pid(&stage.invoke(json!({ "do": "pid" })).await);
    let (error_type, message) = error(&stage.invoke(stage.waiting()).await);
    assert_eq!(state(pid), None);
    assert_eq!(error_type, "Sandbox.Timedout");
    assert!(message.ends_with("Task timed out after 0.30 seconds"), "{message}");
    assert_ne!(self::pid(&stage.invoke(json!({ "do": "pid" })).await), pid);
}

#[tokio::test]
async fn a_process_above_its_memory_is_killed() {
    let stage = stage(|config| config.functions[0].memory_mb = 64).await;
    let greedy = json!({ "do": "memory", "bytes": 100 << 20, "until": stage.file("never") });
    let (error_type, message) = error(&stage.invoke(greedy).await);
    assert_eq!(error_type, "Runtime.ExitError");
    assert!(message.ends_with("signal: killed"), "{message}");
    stage.invoke(json!({ "do": "pid" })).await;
}

#[tokio::test]
async fn a_process_that_exits_before_its_first_event_is_told_of() {
    let (_stage, (error_type, message)) = failed_start("exit", |_| {}).await;
    assert_eq!(error_type, "Runtime.ExitError");
    assert!(message.ends_with("exit status 9"), "{message}");
}

#[tokio::test]
async fn an_error_of_the_start_is_told_as_it_was_reported() {
    let (stage, error) = failed_start("init-error", |_| {}).await;
    assert_eq!(error, ("Sample.NoDatabase".to_owned(), "as it was asked to".to_owned()));
    stage.lambda.pids_when(<[u32]>::is_empty).await;
}

#[tokio::test]
async fn a_process_that_never_asks_for_its_first_event_is_killed() {
    let (stage, (error_type, message)) =
        failed_start("never-asks", |config| config.init_timeout = Duration::from_millis(200)).await;
    assert_eq!(error_type, "Sandbox.Timedout");
    assert!(message.ends_with("Task timed out after 0.20 seconds"), "{message}");
    stage.lambda.pids_when(<[u32]>::is_empty).await;
}
