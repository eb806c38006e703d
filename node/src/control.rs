//! The control plane of a node: who it is, what it does, and its health over plain HTTP, all on one port.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix::Addr;
use arc_swap::ArcSwapOption;
use axum::http::StatusCode;
use axum::routing::get;
use greenroom_actors::{JobId, ObjectType, SlotId, check_key};
use greenroom_rpc::FRAME_BYTES_MAX;
use greenroom_rpc::proto::control_server::{Control, ControlServer};
use greenroom_rpc::proto::group_server::GroupServer;
use greenroom_rpc::proto::{
    DescribeObjectReply, DescribeObjectRequest, DescribeReply, DescribeRequest, ListObjectsReply, ListObjectsRequest,
    ObjectPlace, StatusReply, StatusRequest,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::inspection::{Described, Selection, Subject};
use crate::place::Place;
use crate::raft::GroupService;
use crate::shard::{DescribeObject, GetStatus, ListObjects, Shard};

/// Objects on a page of a listing at most: with the longest names, a page stays far below what gRPC lets pass.
const ROWS_MAX: usize = 1000;

/// What a node serves with, while it does.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) place: Arc<Place>,
    pub(crate) shards: Vec<Addr<Shard>>,
}

/// What a node serves with now, for whoever asks about it.
#[derive(Debug)]
pub(crate) struct Current {
    serving: ArcSwapOption<Serving>,
    /// What it served with last.
    last: ArcSwapOption<Serving>,
    stopping: AtomicBool,
    metrics: Option<PrometheusHandle>,
}

impl Current {
    pub(crate) fn new(metrics: Option<PrometheusHandle>) -> Self {
        Self {
            serving: ArcSwapOption::empty(),
            last: ArcSwapOption::empty(),
            stopping: AtomicBool::new(false),
            metrics,
        }
    }

    pub(crate) fn serving(&self) -> Option<Arc<Serving>> {
        self.serving.load_full()
    }

    /// What the node serves with, or served with last.
    pub(crate) fn last(&self) -> Option<Arc<Serving>> {
        self.last.load_full()
    }

    pub(crate) fn store(&self, serving: Option<Arc<Serving>>) {
        if serving.is_some() {
            self.last.store(serving.clone());
        }
        self.serving.store(serving);
    }

    /// The node is told to stop: it is not healthy any more.
    pub(crate) fn stop_if(&self, stops: bool) {
        self.stopping.fetch_or(stops, Ordering::Relaxed);
    }
}

/// Answers control calls.
pub(crate) struct ControlService {
    pub(crate) current: Arc<Current>,
    pub(crate) started: Instant,
}

#[tonic::async_trait]
impl Control for ControlService {
    async fn describe(&self, _: Request<DescribeRequest>) -> Result<Response<DescribeReply>, Status> {
        let place = &self.serving()?.place;
        let layout = postcard::to_allocvec(&place.layout).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(DescribeReply { table: place.newest().table_bytes.clone(), layout: layout.into() }))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        let serving = self.serving()?;
        let mut shards = Vec::new();
        for shard in &serving.shards {
            shards.push(shard.send(GetStatus).await.map_err(|error| Status::unavailable(error.to_string()))?);
        }
        Ok(Response::new(StatusReply {
            name: serving.place.options.name.clone(),
            incarnation: serving.place.incarnation().0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            shards,
        }))
    }

    async fn list_objects(&self, request: Request<ListObjectsRequest>) -> Result<Response<ListObjectsReply>, Status> {
        let request = request.into_inner();
        let serving = self.serving()?;
        let selection = Arc::new(Selection {
            object_type: request.type_name.as_deref().map(|name| serving.object_type(name)).transpose()?,
            prefix: request.prefix,
            job: request.job.map(JobId),
            below: request.below,
            sizes: request.sizes,
        });
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX).clamp(1, ROWS_MAX);
        let first = request.from.unwrap_or_default();
        let slot =
            u16::try_from(first.slot).map_err(|error| Status::invalid_argument(format!("no such slot: {error}")))?;
        let mut from = (SlotId(slot), first.object);
        let mut reply = ListObjectsReply::default();
        for (number, shard) in (0..).zip(&serving.shards).skip_while(|&(number, _)| number < first.shard) {
            loop {
                let next = ListObjects { selection: Arc::clone(&selection), from, rows_max: limit - reply.rows.len() };
                let stretch = shard.send(next).await.map_err(|error| Status::unavailable(error.to_string()))?;
                reply.rows.extend(stretch.rows);
                reply.count += stretch.count;
                let Some(next) = stretch.next else { break };
                if reply.rows.len() >= limit {
                    reply.next = Some(ObjectPlace { shard: number, slot: u32::from(next.0.0), object: next.1 });
                    return Ok(Response::new(reply));
                }
                from = next;
            }
            from = (SlotId(0), 0);
        }
        Ok(Response::new(reply))
    }

    async fn describe_object(
        &self,
        request: Request<DescribeObjectRequest>,
    ) -> Result<Response<DescribeObjectReply>, Status> {
        let DescribeObjectRequest { id, known } = request.into_inner();
        let id = id.ok_or_else(|| Status::invalid_argument("no object is named"))?;
        check_key(&id.key).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let serving = self.serving()?;
        let object_type = serving.object_type(&id.type_name)?;
        let subject = Subject { object_type, job: JobId(id.job), key: id.key };
        let slot = serving.place.newest().table.slot_of(subject.name().hash);
        let number = serving.place.layout.shard_of(slot);
        let shard = serving.shards.get(usize::from(number.0)).ok_or_else(|| Status::internal("a shard is missing"))?;
        let described = shard.send(DescribeObject { slot, subject, known }).await;
        let described = described.map_err(|error| Status::unavailable(error.to_string()))?;
        let Described { version, now_ms, job_name, description } =
            described.map_err(|refusal| Status::failed_precondition(refusal.to_string()))?;
        if let Some(bytes) = description.as_ref().map(String::len)
            && bytes > FRAME_BYTES_MAX
        {
            let why = format!("the description has {bytes} bytes, and at most {FRAME_BYTES_MAX} are sent");
            return Err(Status::resource_exhausted(why));
        }
        let shard = u32::from(number.0);
        Ok(Response::new(DescribeObjectReply { version, now_ms, description, shard, job_name }))
    }
}

impl ControlService {
    fn serving(&self) -> Result<Arc<Serving>, Status> {
        self.current.serving().ok_or_else(|| Status::unavailable("the node has not joined its cluster"))
    }
}

impl Serving {
    fn object_type(&self, name: &str) -> Result<&'static ObjectType, Status> {
        self.place.object_type(name).map_err(|refusal| Status::not_found(refusal.to_string()))
    }
}

/// The control port's routes: gRPC, `/healthz`, `/metrics`.
pub(crate) fn routes(service: ControlService, group: Option<GroupServer<GroupService>>) -> axum::Router {
    let (asked, measured) = (Arc::clone(&service.current), Arc::clone(&service.current));
    let health = get(move || async move {
        if asked.stopping.load(Ordering::Relaxed) {
            (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
        } else if asked.serving().is_none() {
            (StatusCode::SERVICE_UNAVAILABLE, "not a member\n")
        } else {
            (StatusCode::OK, "ok\n")
        }
    });
    let metrics = get(move || async move {
        match &measured.metrics {
            Some(handle) => (StatusCode::OK, handle.render()),
            None => (StatusCode::NOT_FOUND, "an embedded node leaves metrics to its program\n".to_owned()),
        }
    });
    let mut routes = Routes::new(ControlServer::new(service));
    if let Some(group) = group {
        routes = routes.add_service(group);
    }
    routes.into_axum_router().route("/healthz", health).route("/metrics", metrics)
}
