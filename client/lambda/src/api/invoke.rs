//! The Invoke API.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, StatusCode, Uri};
use serde::de::IgnoredAny;
use tokio::net::TcpListener;

use super::body::{self, NoBody};
use super::orders;
use super::refusal::Refusal;
use crate::completion::{Outcome, Verdict};
use crate::delivery::{Delivery, LogType};
use crate::process::VERSION;
use crate::service::Service;

/// The largest event of a synchronous invocation.
const SYNC_BYTES_MAX: usize = 6 * 1024 * 1024;
/// The largest event of an asynchronous one.
const ASYNC_BYTES_MAX: usize = 1024 * 1024;

/// What is asked for in the query.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Asked {
    qualifier: Option<String>,
}

/// Serves callers until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, service: Arc<Service>) {
    let router = Router::new()
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .nest("/greenroom", orders::routes())
        .fallback(async |uri: Uri| Refusal::Unknown(format!("operation at {}", uri.path())))
        .with_state(service);
    // What is written is always a whole answer, which must not wait for more.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    // It only returns when the future is dropped.
    let _ = axum::serve(listener, router).await;
}

async fn invoke(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (name, qualifier) = parts(&name);
    let pool = service.pools.get(name).ok_or_else(|| Refusal::NoFunction(name.to_owned()))?;
    let version = executed_version(asked.qualifier.as_deref().or(qualifier));
    match header(&headers, "x-amz-invocation-type").unwrap_or("RequestResponse") {
        "RequestResponse" => {
            let delivery = Arc::new(delivery(name, &headers, body, SYNC_BYTES_MAX).await?);
            let permits = service.permits(pool).map_err(Refusal::Throttled)?;
            let outcome = service.begin(pool, &delivery, permits).await;
            // An invocation that ends without an outcome ends together with the local Lambda.
            let outcome = outcome.map_err(|_error| Refusal::Broken)?;
            Ok(answer(&delivery, outcome, &version))
        }
        "Event" => {
            let delivery = delivery(name, &headers, body, ASYNC_BYTES_MAX).await?;
            let request_id = delivery.request_id.clone();
            service.enqueue(pool, delivery).map_err(|_error| Refusal::QueueFull)?;
            Ok((StatusCode::ACCEPTED, [("x-amzn-requestid", request_id)]).into_response())
        }
        "DryRun" => {
            let delivery = delivery(name, &headers, body, SYNC_BYTES_MAX).await?;
            let answer_headers = [("x-amzn-requestid", delivery.request_id), ("x-amz-executed-version", version)];
            Ok((StatusCode::NO_CONTENT, answer_headers).into_response())
        }
        other => Err(Refusal::BadType(other.to_owned())),
    }
}

/// Reads the event and what goes with it.
async fn delivery(name: &str, headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Delivery, Refusal> {
    let payload = body::read(body, bytes_max).await.map_err(|why| match why {
        NoBody::TooLarge => Refusal::TooLarge { bytes_max },
        NoBody::Broken => Refusal::Broken,
    })?;
    // A caller need not give an event.
    let payload = if payload.bytes.is_empty() { Bytes::from_static(b"{}") } else { payload.bytes };
    serde_json::from_slice::<IgnoredAny>(&payload).map_err(|why| Refusal::NotJson(why.to_string()))?;
    let context = header(headers, "x-amz-client-context").map(decode_context).transpose()?;
    let log_type = match header(headers, "x-amz-log-type") {
        Some("Tail") => LogType::Tail,
        _ => LogType::None,
    };
    Ok(Delivery::new(name, payload, context, log_type))
}

/// A context comes as JSON in Base64, and functions have it as JSON.
fn decode_context(text: &str) -> Result<String, Refusal> {
    let not_json = |why: String| Refusal::NotJson(format!("client context: {why}"));
    let json = STANDARD.decode(text).map_err(|why| not_json(why.to_string()))?;
    // Written anew, as a header bears no line breaks.
    let value: serde_json::Value = serde_json::from_slice(&json).map_err(|why| not_json(why.to_string()))?;
    Ok(value.to_string())
}

fn answer(delivery: &Delivery, outcome: Outcome, version: &str) -> Response {
    let mut response = Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .header("x-amzn-requestid", &delivery.request_id)
        .header("x-amzn-trace-id", &delivery.trace_id)
        .header("x-amz-executed-version", version);
    if outcome.verdict == Verdict::Failed {
        response = response.header("x-amz-function-error", "Unhandled");
    }
    if delivery.log_type == LogType::Tail {
        response = response.header("x-amz-log-result", STANDARD.encode(&outcome.tail));
    }
    // What goes into the headers was made here or came in one.
    response.body(Body::from(outcome.payload)).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The name in a name, a partial or a full ARN, and the qualifier that may follow it.
fn parts(name: &str) -> (&str, Option<&str>) {
    let name = name.rsplit_once("function:").map_or(name, |(_, name)| name);
    name.split_once(':').map_or((name, None), |(name, qualifier)| (name, Some(qualifier)))
}

/// The version that a qualifier means. Aliases are those of the only version.
fn executed_version(qualifier: Option<&str>) -> String {
    let numbered = qualifier.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    numbered.unwrap_or(VERSION).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_by_each_form_of_its_name() {
        for (text, expected) in [
            ("hello", ("hello", None)),
            ("hello:live", ("hello", Some("live"))),
            ("123456789012:function:hello", ("hello", None)),
            ("arn:aws:lambda:eu-west-1:123456789012:function:hello", ("hello", None)),
            ("arn:aws:lambda:eu-west-1:123456789012:function:hello:7", ("hello", Some("7"))),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn only_a_number_is_a_version() {
        for (qualifier, expected) in
            [(None, "$LATEST"), (Some("live"), "$LATEST"), (Some("7"), "7"), (Some(""), "$LATEST")]
        {
            assert_eq!(executed_version(qualifier), expected, "{qualifier:?}");
        }
    }
}
