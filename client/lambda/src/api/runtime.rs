//! The Runtime API, on a port for each process: which process asks is known by where it asks.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde_json::json;
use tokio::net::TcpListener;

use super::body::{self, NoBody, Whole};
use crate::completion::{Completion, RESPONSE_BYTES_MAX};
use crate::delivery::HandedOut;
use crate::instance::{Instance, OutOfTurn};

/// What follows a streamed response whose function failed on the way.
const ERROR_TYPE_TRAILER: &str = "lambda-runtime-function-error-type";
const ERROR_BODY_TRAILER: &str = "lambda-runtime-function-error-body";

/// Serves one process until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, instance: Arc<Instance>) {
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .with_state(instance);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let _ = axum::serve(listener, router).await;
}

async fn next(State(instance): State<Arc<Instance>>) -> Result<Response, OutOfTurn> {
    let event = instance.handle_next()?;
    // No event comes any more if the process is to end.
    event.await.map(hand_out).map_err(|_error| OutOfTurn)
}

fn hand_out(event: HandedOut) -> Response {
    let deadline = event.deadline.duration_since(UNIX_EPOCH).unwrap_or_default();
    let delivery = event.delivery;
    let mut response = Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .header("lambda-runtime-aws-request-id", &delivery.request_id)
        .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
        .header("lambda-runtime-invoked-function-arn", &delivery.arn)
        .header("lambda-runtime-trace-id", &delivery.trace_id);
    if let Some(context) = &delivery.client_context {
        response = response.header("lambda-runtime-client-context", context);
    }
    let response = response.body(Body::from(delivery.payload.clone()));
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn response(State(instance): State<Arc<Instance>>, Path(id): Path<String>, body: Body) -> Response {
    let completion = match body::read(body, RESPONSE_BYTES_MAX).await {
        Ok(whole) => completion_of(whole),
        Err(NoBody::TooLarge) => {
            let _ = instance.handle_completion(&id, Completion::TooLarge);
            return refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                "Exceeded maximum allowed payload size",
            );
        }
        // The process ended in the middle, which is seen otherwise, or it will try again.
        Err(NoBody::Broken) => {
            return refused(StatusCode::BAD_REQUEST, "InvalidRequest", "the body did not come whole");
        }
    };
    accepted(instance.handle_completion(&id, completion))
}

/// A streamed response may say only after its body that it is an error.
fn completion_of(whole: Whole) -> Completion {
    let Some(error_type) = whole.trailers.get(ERROR_TYPE_TRAILER) else { return Completion::Response(whole.bytes) };
    let details = whole.trailers.get(ERROR_BODY_TRAILER).and_then(|body| STANDARD.decode(body).ok());
    let plain = || json!({ "errorType": String::from_utf8_lossy(error_type.as_bytes()), "errorMessage": "" });
    Completion::Error(details.unwrap_or_else(|| plain().to_string().into()).into())
}

async fn error(State(instance): State<Arc<Instance>>, Path(id): Path<String>, body: Body) -> Response {
    match error_body(body).await {
        Ok(error) => accepted(instance.handle_completion(&id, Completion::Error(error))),
        Err(refused) => refused,
    }
}

async fn init_error(State(instance): State<Arc<Instance>>, body: Body) -> Response {
    match error_body(body).await {
        Ok(error) => accepted(instance.handle_init_error(error)),
        Err(refused) => refused,
    }
}

async fn error_body(body: Body) -> Result<Bytes, Response> {
    let whole = body::read(body, RESPONSE_BYTES_MAX).await;
    whole.map(|whole| whole.bytes).map_err(|_error| {
        refused(StatusCode::BAD_REQUEST, "InvalidRequest", "the body is too large or did not come whole")
    })
}

fn accepted(taken: Result<(), OutOfTurn>) -> Response {
    match taken {
        Ok(()) => (StatusCode::ACCEPTED, [(CONTENT_TYPE, "application/json")], r#"{"status":"OK"}"#).into_response(),
        Err(out_of_turn) => out_of_turn.into_response(),
    }
}

impl IntoResponse for OutOfTurn {
    fn into_response(self) -> Response {
        refused(StatusCode::FORBIDDEN, "InvalidStateTransition", "the process does not run this, or not any more")
    }
}

fn refused(status: StatusCode, error_type: &str, message: &str) -> Response {
    let body = json!({ "errorType": error_type, "errorMessage": message }).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
