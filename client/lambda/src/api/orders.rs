//! What is under way, and faults on demand, for programs that do not have the local Lambda in their own process.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hyper::StatusCode;
use serde_json::json;

use super::refusal::Refusal;
use crate::control::{Order, Running};
use crate::error::LambdaError;
use crate::service::Service;

/// `GET running`; `POST running/ID/{freeze,thaw,kill,outlive-deadline}`; `POST functions/NAME/duplicate-next`.
pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/running", get(running))
        .route("/running/{of}/{order}", post(order))
        .route("/functions/{name}/duplicate-next", post(duplicate_next))
}

async fn running(State(service): State<Arc<Service>>) -> Json<Vec<Running>> {
    Json(service.running())
}

async fn order(State(service): State<Arc<Service>>, Path((of, word)): Path<(String, String)>) -> Response {
    let Some(order) = Order::from_word(&word) else { return Refusal::Unknown(format!("order {word}")).into_response() };
    match service.order(order, &of) {
        Ok(n) => Json(json!({ "n_processes": n })).into_response(),
        Err(error) => not_found(&error),
    }
}

async fn duplicate_next(State(service): State<Arc<Service>>, Path(name): Path<String>) -> Response {
    match service.duplicate_next(&name) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => not_found(&error),
    }
}

fn not_found(error: &LambdaError) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "message": error.to_string() }))).into_response()
}
