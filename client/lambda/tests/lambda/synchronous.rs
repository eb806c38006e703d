//! What callers who wait are told, and what functions are told of them.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_lambda::operation::RequestId;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::function::START;
use crate::stage::{DEADLINE, error, payload, sample, stage};

#[tokio::test]
async fn an_answer_comes_with_status_version_and_request_id() {
    let stage = stage(|_| {}).await;
    let output = stage.invoke(json!({ "do": "echo", "value": [1, "two"] })).await;
    assert_eq!(payload(&output), json!([1, "two"]));
    assert_eq!(
        (output.status_code(), output.executed_version(), output.function_error()),
        (200, Some("$LATEST"), None)
    );
    assert_eq!(output.request_id().map(str::len), Some(36));
}

#[tokio::test]
async fn a_function_sees_who_invoked_it_and_until_when_it_may_run() {
    let stage = stage(|_| {}).await;
    let client_context = STANDARD.encode(r#"{"custom":{"who":"me"}}"#);
    let invocation = stage.client.invoke().function_name("sample").client_context(client_context);
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let output = invocation.payload(Blob::new(r#"{"do":"context"}"#)).send().await.expect("is accepted");
    let seen = payload(&output);
    assert_eq!(seen["request_id"].as_str(), output.request_id());
    assert_eq!(seen["arn"], "arn:aws:lambda:us-east-1:000000000000:function:sample");
    assert_eq!((&seen["function"], &seen["memory"]), (&json!("sample"), &json!(512)));
    assert_eq!(seen["log_group"], "/aws/lambda/sample");
    assert_eq!(seen["client_context"]["custom"]["who"], "me", "{seen}");
    assert!(seen["trace_id"].as_str().is_some_and(|id| id.starts_with("Root=1-")), "{seen}");
    let deadline = u128::from(seen["deadline"].as_u64().expect("is a number"));
    assert!(deadline >= (before + DEADLINE).as_millis(), "{deadline} is the end of the timeout");
}

#[tokio::test]
async fn an_environment_is_the_platforms_and_the_functions_own() {
    let stage = stage(|config| config.functions[0].environment = vec![("MINE".to_owned(), "1".to_owned())]).await;
    let seen = payload(&stage.invoke(json!({ "do": "environment" })).await);
    assert_eq!((&seen["MINE"], &seen["AWS_REGION"], &seen["TZ"]), (&json!("1"), &json!("us-east-1"), &json!(":UTC")));
    assert!(seen.get("CARGO_MANIFEST_DIR").is_none(), "what is set for the server is not set for functions");
}

#[tokio::test]
async fn an_error_and_a_panic_are_answers_with_their_message() {
    let stage = stage(|_| {}).await;
    let failed = stage.invoke(json!({ "do": "fail", "message": "no stock" })).await;
    assert_eq!((failed.status_code(), error(&failed).1.as_str()), (200, "no stock"));
    let panicked = stage.invoke(json!({ "do": "panic", "message": "no lamp" })).await;
    assert!(error(&panicked).1.contains("no lamp"), "{:?}", error(&panicked));
}

#[tokio::test]
async fn the_tail_has_what_the_invocation_printed_and_no_more_than_four_kilobytes() {
    let stage = stage(|_| {}).await;
    let printed = stage.invoke(json!({ "do": "print", "out": "to out", "err": "to err" })).await;
    let tail = tail(&printed);
    assert!(tail.contains("to out\nto err\nEND RequestId"), "{tail}");
    assert!(tail.starts_with("START RequestId") && tail.contains("Memory Size: 512 MB"), "{tail}");
    assert!(stage.log.text().contains("sample/1 | to out\nsample/1 | to err\n"), "{}", stage.log.text());

    let much = stage.invoke(json!({ "do": "print", "out": "x".repeat(10_000), "err": "the last" })).await;
    let tail = self::tail(&much);
    assert_eq!(tail.len(), 4096);
    assert!(tail.contains("the last\nEND") && !tail.contains("to out"), "{tail}");

    let untold = stage.client.invoke().function_name("sample").payload(Blob::new(r#"{"do":"pid"}"#));
    assert_eq!(untold.log_type(LogType::None).send().await.expect("is accepted").log_result(), None);
}

fn tail(output: &aws_sdk_lambda::operation::invoke::InvokeOutput) -> String {
    let bytes = STANDARD.decode(output.log_result().expect("has a tail")).expect("is Base64");
    String::from_utf8(bytes).expect("is UTF-8")
}

#[tokio::test]
async fn a_dry_run_runs_nothing() {
    let stage = stage(|_| {}).await;
    let event = Blob::new(json!({ "do": "count", "then": stage.file("then") }).to_string());
    let invocation = stage.client.invoke().function_name("sample").invocation_type(InvocationType::DryRun);
    assert_eq!(invocation.payload(event).send().await.expect("is accepted").status_code(), 204);
    assert_eq!((stage.lambda.pids().len(), stage.lines("then").len()), (0, 0));
}

#[tokio::test]
async fn a_function_that_is_not_there_is_not_found() {
    let stage = stage(|_| {}).await;
    let refused = stage.try_invoke("nobody", json!({})).await.expect_err("is not there").into_service_error();
    assert!(refused.is_resource_not_found_exception(), "{refused:?}");
    assert!(format!("{refused:?}").contains("function:nobody"), "{refused:?}");
}

#[tokio::test]
async fn qualifiers_and_full_names_are_accepted() {
    let stage = stage(|_| {}).await;
    let full = "arn:aws:lambda:us-east-1:000000000000:function:sample:live";
    let output = stage.try_invoke(full, json!({ "do": "echo", "value": 1 })).await.expect("is found");
    assert_eq!(output.executed_version(), Some("$LATEST"));
    let numbered = stage.client.invoke().function_name("sample").qualifier("7").payload(Blob::new(r#"{"do":"pid"}"#));
    assert_eq!(numbered.send().await.expect("is found").executed_version(), Some("7"));
}

#[tokio::test]
async fn an_event_of_over_six_megabytes_is_refused_and_one_below_is_not() {
    let stage = stage(|_| {}).await;
    let event = |n: usize| json!({ "do": "echo", "value": "x".repeat(n) });
    let refused = stage.try_invoke("sample", event(7 << 20)).await.expect_err("is too large").into_service_error();
    assert!(refused.is_request_too_large_exception(), "{refused:?}");
    let answer = payload(&stage.invoke(event(5 << 20)).await);
    assert_eq!(answer.as_str().map(str::len), Some(5 << 20));
}

#[tokio::test]
async fn an_answer_of_over_six_megabytes_is_an_error_and_the_process_lives_on() {
    let stage = stage(|_| {}).await;
    let before = payload(&stage.invoke(json!({ "do": "pid" })).await);
    let large = stage.invoke(json!({ "do": "large", "bytes": 7 << 20 })).await;
    assert_eq!(error(&large).0, "Function.ResponseSizeTooLarge");
    assert!(error(&large).1.contains("6291556 bytes"), "{:?}", error(&large));
    assert_eq!(payload(&stage.invoke(json!({ "do": "pid" })).await), before);
}

#[tokio::test]
async fn a_streamed_answer_comes_whole() {
    let stage = stage(|config| config.functions[0].environment = vec![(START.to_owned(), "stream".to_owned())]).await;
    let output = stage.invoke(json!({ "pieces": 3 })).await;
    let bytes = output.payload().expect("has a payload").as_ref();
    assert!(bytes.ends_with(b"piece 0\npiece 1\npiece 2\n"), "{:?}", String::from_utf8_lossy(bytes));
    assert_eq!(output.function_error(), None);
}

#[tokio::test]
async fn an_event_that_is_not_json_is_refused() {
    let stage = stage(|_| {}).await;
    let refused = stage.client.invoke().function_name("sample").payload(Blob::new("{]")).send().await;
    let refused = refused.expect_err("is no JSON").into_service_error();
    assert!(refused.is_invalid_request_content_exception(), "{refused:?}");
}

#[tokio::test]
async fn beyond_the_limits_callers_are_throttled_and_told_by_which() {
    let stage = stage(|config| {
        config.concurrency_max = 2;
        let mut reserved = sample("reserved");
        reserved.concurrency_max = Some(0);
        config.functions.push(reserved);
    })
    .await;
    let running = [stage.begin(stage.waiting()), stage.begin(stage.waiting())];
    stage.until_running(2).await;
    for (function, reason) in [
        ("sample", "ConcurrentInvocationLimitExceeded"),
        ("reserved", "ReservedFunctionConcurrentInvocationLimitExceeded"),
    ] {
        let refused =
            stage.try_invoke(function, json!({ "do": "pid" })).await.expect_err("is full").into_service_error();
        assert!(refused.is_too_many_requests_exception(), "{refused:?}");
        let text = format!("{refused:?}");
        assert!(text.contains("Rate Exceeded"), "{text}");
        if let aws_sdk_lambda::operation::invoke::InvokeError::TooManyRequestsException(full) = refused {
            assert_eq!(full.reason().map(ToString::to_string).as_deref(), Some(reason));
        }
    }
    stage.release();
    for answer in running {
        assert_eq!(payload(&answer.await.expect("ends").expect("is accepted")), "waited");
    }
    stage.invoke(json!({ "do": "pid" })).await;
}
