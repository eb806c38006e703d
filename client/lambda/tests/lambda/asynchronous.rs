//! Events: accepted at once, tried again, given up in a file.

use std::path::Path;
use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use greenroom_lambda::{Config, InvocationType as Kind, post_event};
use serde_json::{Value, json};

use crate::stage::{distinct, stage, until};

fn at_once(config: &mut Config) {
    config.retry_delays = vec![Duration::from_millis(1); 2];
}

#[tokio::test]
async fn an_event_is_accepted_before_it_has_run() {
    let stage = stage(|_| {}).await;
    assert_eq!(stage.post(stage.waiting()).await.expect("is accepted").status_code(), 202);
    let running = stage.until_running(1).await;
    assert!(stage.lines("then").is_empty());
    stage.release();
    until("the event has run", || stage.lines("then") == [running[0].request_id.as_str()]).await;
}

#[tokio::test]
async fn an_event_that_fails_is_tried_twice_more_and_then_written_to_the_file() {
    let folder = tempfile::TempDir::new().expect("makes a folder");
    let letters = folder.path().join("letters");
    let stage = stage(|config| {
        at_once(config);
        config.dead_letters = Some(letters.clone());
    })
    .await;
    let event = json!({ "do": "count", "then": stage.file("then"), "fail": true });
    stage.post(event.clone()).await.expect("is accepted");
    until("the event is given up", || std::fs::read_to_string(&letters).is_ok_and(|text| text.ends_with('\n'))).await;
    let ids = stage.lines("then").into_iter().map(|line| line.split(' ').next().map(str::to_owned));
    let ids: Vec<_> = ids.collect();
    assert_eq!((ids.len(), distinct(&ids)), (3, 1), "each try has the same request id");
    let text = std::fs::read_to_string(&letters).expect("is there");
    let letter: Value = serde_json::from_str(&text).expect("is JSON");
    assert_eq!(letter["requestContext"]["requestId"].as_str(), ids[0].as_deref());
    assert_eq!(letter["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(
        (&letter["requestPayload"], &letter["responsePayload"]["errorMessage"]),
        (&event, &json!("as asked to"))
    );
}

#[tokio::test]
async fn an_event_waits_for_room_under_the_limit() {
    let stage = stage(|config| config.concurrency_max = 1).await;
    let first = stage.begin(stage.waiting());
    stage.until_running(1).await;
    stage.post(json!({ "do": "count", "then": stage.file("second") })).await.expect("is accepted");
    assert!(stage.lines("second").is_empty());
    stage.release();
    first.await.expect("ends").expect("is accepted");
    until("the event has run", || stage.lines("second").len() == 1).await;
}

#[tokio::test]
async fn an_event_of_over_one_megabyte_is_refused() {
    let stage = stage(|_| {}).await;
    let refused = stage.post(json!({ "do": "echo", "value": "x".repeat(1 << 20) })).await;
    assert!(refused.expect_err("is too large").into_service_error().is_request_too_large_exception());
    let unknown = stage.client.invoke().function_name("nobody").invocation_type(InvocationType::Event);
    let unknown = unknown.payload(Blob::new("{}")).send().await.expect_err("is not there").into_service_error();
    assert!(unknown.is_resource_not_found_exception());
}

#[tokio::test]
async fn a_full_queue_throttles() {
    let stage = stage(|config| config.event_queue_max = 1).await;
    stage.post(stage.waiting()).await.expect("is accepted");
    let refused = stage.post(stage.waiting()).await.expect_err("is full").into_service_error();
    assert!(refused.is_too_many_requests_exception(), "{refused:?}");
}

#[tokio::test]
async fn a_sample_event_in_a_file_is_posted() {
    let stage = stage(|_| {}).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("events/sqs.json");
    let posted = post_event(stage.lambda.address(), "sample", &file, Kind::RequestResponse).await.expect("is accepted");
    // An event that says nothing of what is to be done.
    assert_eq!((posted.status, posted.function_error.as_deref()), (200, None));
    assert!(String::from_utf8_lossy(&posted.payload).contains("null"));
    let dry = post_event(stage.lambda.address(), "sample", &file, Kind::DryRun).await.expect("is accepted");
    assert_eq!(dry.status, 204);
    let refused = post_event(stage.lambda.address(), "nobody", &file, Kind::Event).await.expect_err("is not there");
    assert!(refused.to_string().contains("status 404, ResourceNotFoundException"), "{refused}");
}
