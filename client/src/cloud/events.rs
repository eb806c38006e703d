//! Functions that a platform triggers by events of its own: the messages of a queue, a new file, an HTTP request.
//!
//! A function with `#[cloud(event)]` takes such an event, of one of the types below or any other that serde reads from JSON, and
//! has shared objects at hand. What it answers goes to whoever sent the event. Locks and permits that it takes belong to the
//! invocation, and are released at its end, or at its deadline if its process is frozen or killed.
//!
//! The process needs `GREENROOM_CLUSTER`; its objects are those of `GREENROOM_JOB`, without it of the job `default`. A program
//! with several such functions is told by `GREENROOM_EVENT_FUNCTION` which one is meant.
//!
//! Every such platform delivers an event twice now and then. What must happen once is best decided by an object: hand it the
//! id of the record, which a redelivery has again, and let it remember which ones it has applied.
//!
//! ```no_run
//! use greenroom::cloud::events::each_message;
//! use greenroom::cloud::events::sqs::{SqsBatchResponse, SqsEvent};
//! use greenroom::collections::Map;
//! use greenroom::{Error, cloud};
//!
//! #[cloud(event)]
//! fn on_order(batch: SqsEvent) -> SqsBatchResponse {
//!     let seen = Map::<String, String>::named("orders");
//!     each_message(&batch, |message| {
//!         let id = message.message_id.clone().unwrap_or_default();
//!         seen.insert(id, message.body.clone().unwrap_or_default())?;
//!         Ok::<_, Error>(())
//!     })
//! }
//! ```

use std::collections::HashSet;
use std::fmt::Display;

pub use aws_lambda_events::{apigw, kinesis, s3, sns, sqs, streams};
use kinesis::{KinesisEvent, KinesisEventRecord};
use sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use streams::KinesisEventResponse;

/// Handles the messages of a batch, one after the other, and tells the queue which of them failed: only those come again.
///
/// In a queue that keeps an order, the messages behind one that failed are not handled if they are of its group: they come
/// again after it. The queue has to be asked for such answers, by `ReportBatchItemFailures` in its event source mapping; else
/// it takes every batch for handled.
pub fn each_message<E: Display>(
    batch: &SqsEvent,
    mut handle: impl FnMut(&SqsMessage) -> Result<(), E>,
) -> SqsBatchResponse {
    let mut failed = Failed::default();
    for message in &batch.records {
        if failed.holds_back(message) {
            continue;
        }
        if let Err(error) = handle(message) {
            failed.note(message, &error);
        }
    }
    failed.response
}

/// The twin of [`each_message`] for async code.
pub async fn each_message_async<E: Display>(
    batch: &SqsEvent,
    mut handle: impl AsyncFnMut(&SqsMessage) -> Result<(), E>,
) -> SqsBatchResponse {
    let mut failed = Failed::default();
    for message in &batch.records {
        if failed.holds_back(message) {
            continue;
        }
        if let Err(error) = handle(message).await {
            failed.note(message, &error);
        }
    }
    failed.response
}

/// Handles the records of a batch in their order, up to the first that fails: it and those behind it come again.
///
/// The stream has to be asked for such answers, by `ReportBatchItemFailures` in its event source mapping.
pub fn each_record<E: Display>(
    batch: &KinesisEvent,
    mut handle: impl FnMut(&KinesisEventRecord) -> Result<(), E>,
) -> KinesisEventResponse {
    let mut response = KinesisEventResponse::default();
    for record in &batch.records {
        if let Err(error) = handle(record) {
            eprintln!("greenroom: record {} failed: {error}", record.kinesis.sequence_number);
            response.add_failure(record.kinesis.sequence_number.clone());
            break;
        }
    }
    response
}

/// The messages of a batch that failed.
#[derive(Default)]
struct Failed {
    groups: HashSet<String>,
    response: SqsBatchResponse,
}

impl Failed {
    /// Whether a message must not be handled before one that has failed; it fails with that one.
    fn holds_back(&mut self, message: &SqsMessage) -> bool {
        let is_behind = message.attributes.get("MessageGroupId").is_some_and(|group| self.groups.contains(group));
        if is_behind {
            self.response.add_failure(message.message_id.clone().unwrap_or_default());
        }
        is_behind
    }

    fn note(&mut self, message: &SqsMessage, error: &impl Display) {
        let id = message.message_id.clone().unwrap_or_default();
        eprintln!("greenroom: message {id} failed: {error}");
        self.response.add_failure(id);
        self.groups.extend(message.attributes.get("MessageGroupId").cloned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn batch(messages: &[(&str, Option<&str>)]) -> SqsEvent {
        let record = |(id, group): &(&str, Option<&str>)| {
            let attributes = group.map_or_else(|| json!({}), |group| json!({ "MessageGroupId": group }));
            json!({ "messageId": id, "body": id, "attributes": attributes, "messageAttributes": {} })
        };
        let records: Vec<_> = messages.iter().map(record).collect();
        serde_json::from_value(json!({ "Records": records })).expect("is a batch")
    }

    fn ids(response: SqsBatchResponse) -> Vec<String> {
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    #[test]
    fn messages_that_fail_are_told_and_no_others() {
        let mut handled = Vec::new();
        let failed = each_message(&batch(&[("a", None), ("b", None), ("c", None)]), |message| {
            handled.push(message.body.clone().expect("has a body"));
            if handled.len() == 2 { Err("no") } else { Ok(()) }
        });
        assert_eq!((ids(failed), handled.concat()), (vec!["b".to_owned()], "abc".to_owned()));
    }

    #[test]
    fn what_is_behind_a_failure_in_its_group_waits_for_it() {
        let mut handled = Vec::new();
        let messages = [("a", Some("x")), ("b", Some("y")), ("c", Some("x")), ("d", Some("y"))];
        let failed = each_message(&batch(&messages), |message| {
            handled.push(message.body.clone().expect("has a body"));
            if handled.len() == 1 { Err("no") } else { Ok(()) }
        });
        assert_eq!((ids(failed), handled.concat()), (vec!["a".to_owned(), "c".to_owned()], "abd".to_owned()));
    }

    #[test]
    fn a_stream_is_handled_up_to_the_first_failure() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/lambda/events/kinesis.json");
        let batch: KinesisEvent = serde_json::from_slice(&std::fs::read(file).expect("is there")).expect("is a batch");
        let mut handled = 0;
        let answer = each_record(&batch, |_| {
            handled += 1;
            Err::<(), _>("no")
        });
        assert_eq!((handled, answer.batch_item_failures.len()), (1, 1));
        assert!(each_record(&batch, |_| Ok::<_, String>(())).batch_item_failures.is_empty());
    }
}
