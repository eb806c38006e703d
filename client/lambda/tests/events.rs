//! The sample events are those that `aws_lambda_events` decodes.

use std::fs;
use std::path::Path;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::kinesis::KinesisEvent;
use aws_lambda_events::s3::S3Event;
use aws_lambda_events::sns::SnsEvent;
use aws_lambda_events::sqs::SqsEvent;

fn sample<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(name);
    serde_json::from_slice(&fs::read(&file).expect("is there")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn a_batch_of_sqs_has_three_messages_of_their_own_ids() {
    let event: SqsEvent = sample("sqs.json");
    let mut ids: Vec<_> = event.records.iter().map(|record| record.message_id.clone().expect("has an id")).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let body: serde_json::Value =
        serde_json::from_str(event.records[2].body.as_deref().expect("has a body")).expect("is JSON");
    assert_eq!(body["quantity"], 5);
}

#[test]
fn a_put_of_s3_names_bucket_and_key() {
    let event: S3Event = sample("s3-put.json");
    let s3 = &event.records[0].s3;
    assert_eq!((s3.bucket.name.as_deref(), s3.object.key.as_deref()), (Some("texts"), Some("books/first.txt")));
}

#[test]
fn a_request_of_api_gateway_has_its_body_and_method() {
    let event: ApiGatewayV2httpRequest = sample("api-gateway-http-v2.json");
    assert_eq!(event.request_context.http.method.as_str(), "POST");
    assert!(event.body.expect("has a body").contains("lamp"));
}

#[test]
fn records_of_kinesis_have_their_bytes() {
    let event: KinesisEvent = sample("kinesis.json");
    let bytes: Vec<_> = event.records.iter().map(|record| record.kinesis.data.0.as_slice()).collect();
    assert_eq!(bytes, [br#"{"click":1}"#, br#"{"click":2}"#]);
}

#[test]
fn a_message_of_sns_has_its_text() {
    let event: SnsEvent = sample("sns.json");
    assert_eq!(event.records[0].sns.message, "the shop is open");
}
