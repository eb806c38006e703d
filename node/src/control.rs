//! The control plane of a node: who it is, what it does, and its health over plain HTTP, all on one port.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix::Addr;
use axum::http::StatusCode;
use axum::routing::get;
use greenroom_rpc::proto::control_server::{Control, ControlServer};
use greenroom_rpc::proto::{DescribeReply, DescribeRequest, StatusReply, StatusRequest};
use metrics_exporter_prometheus::PrometheusHandle;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::core::Place;
use crate::shard::{GetStatus, Shard};

/// Answers control calls.
pub(crate) struct ControlService {
    pub(crate) place: Arc<Place>,
    pub(crate) shards: Vec<Addr<Shard>>,
    pub(crate) started: Instant,
}

#[tonic::async_trait]
impl Control for ControlService {
    async fn describe(&self, _: Request<DescribeRequest>) -> Result<Response<DescribeReply>, Status> {
        let layout = postcard::to_allocvec(&self.place.layout).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(DescribeReply { table: self.place.table_bytes.clone(), layout: layout.into() }))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        let mut shards = Vec::new();
        for shard in &self.shards {
            shards.push(shard.send(GetStatus).await.map_err(|error| Status::unavailable(error.to_string()))?);
        }
        Ok(Response::new(StatusReply {
            name: self.place.options.name.clone(),
            incarnation: self.place.incarnation().0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            shards,
        }))
    }
}

/// The control port's routes: gRPC, `/healthz`, `/metrics`.
pub(crate) fn routes(
    service: ControlService,
    metrics: Option<PrometheusHandle>,
    stopping: Arc<AtomicBool>,
) -> axum::Router {
    let health = get(move || async move {
        if stopping.load(Ordering::Relaxed) {
            (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
        } else {
            (StatusCode::OK, "ok\n")
        }
    });
    let metrics = get(move || async move {
        match metrics {
            Some(handle) => (StatusCode::OK, handle.render()),
            None => (StatusCode::NOT_FOUND, "an embedded node leaves metrics to its program\n".to_owned()),
        }
    });
    Routes::new(ControlServer::new(service)).into_axum_router().route("/healthz", health).route("/metrics", metrics)
}
