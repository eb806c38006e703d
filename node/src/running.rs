//! The shards of one life of a node, from when it knows its number until it stops or is given up by its cluster.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter};
use greenroom_actors::ShardId;
use greenroom_rpc::proto::shard_server::ShardServer;
use greenroom_rpc::{MESSAGE_BYTES_MAX, WINDOW_BYTES};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::place::{Installed, Place};
use crate::shard::{CloseStreams, Drain, InstallView, Shard};
use crate::stream::StreamServer;

/// The shards of one life of a node.
pub(crate) struct Running {
    pub(crate) place: Arc<Place>,
    pub(crate) shards: Vec<Addr<Shard>>,
    arbiters: Vec<Arbiter>,
}

impl Running {
    /// Starts a thread for each shard. The listeners stay the node's own, for a later life.
    pub(crate) fn start(place: &Arc<Place>, listeners: &[TcpListener]) -> std::io::Result<Self> {
        let (mut shards, mut arbiters) = (Vec::new(), Vec::new());
        for (number, listener) in (0..).zip(listeners) {
            let listener = listener.try_clone()?;
            let arbiter = Arbiter::new();
            let at = Arc::clone(place);
            let shard = Shard::start_in_arbiter(&arbiter.handle(), move |_| Shard::new(at, ShardId(number)));
            arbiter.spawn(serve_shard(Arc::clone(place), shard.clone(), listener));
            shards.push(shard);
            arbiters.push(arbiter);
        }
        Ok(Self { place: Arc::clone(place), shards, arbiters })
    }

    /// Has every shard go by that view.
    pub(crate) fn install(&self, installed: &Arc<Installed>) {
        self.place.newest.store(Arc::clone(installed));
        for shard in &self.shards {
            shard.do_send(InstallView(Arc::clone(installed)));
        }
    }

    /// Lets what is under way end, for at most that long, and then ends the streams.
    pub(crate) async fn drain(&self, patience: Duration) {
        drain(&self.shards, patience).await;
    }

    /// Ends the shards at once.
    pub(crate) fn stop(self) {
        for arbiter in self.arbiters {
            arbiter.stop();
            // A shard's thread that panicked has said so.
            let _ = arbiter.join();
        }
    }
}

/// Waits until nothing is under way, for at most that long, and then ends the streams.
async fn drain(shards: &[Addr<Shard>], patience: Duration) {
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + patience;
    for shard in shards {
        while let Ok(false) = shard.send(Drain).await {
            if Instant::now() >= deadline {
                tracing::warn!("stopping with calls still under way");
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    for shard in shards {
        // A shard that is gone has no streams.
        let _ = shard.send(CloseStreams).await;
    }
    let flushed = Instant::now() + patience.min(Duration::from_millis(500));
    for shard in shards {
        while let Ok(false) = shard.send(Drain).await {
            if Instant::now() >= flushed {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

async fn serve_shard(place: Arc<Place>, shard: Addr<Shard>, listener: TcpListener) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a shard's port cannot be served"),
    };
    let options = &place.options;
    let streams = StreamServer::new(shard, options.frame_bytes_max, options.stream_queue_bytes_max);
    let service = ShardServer::new(streams)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let served = Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .http2_keepalive_interval(Some(Duration::from_secs(5)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "a shard's server has ended");
    }
}
