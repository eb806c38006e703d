//! The calling side of the group: a channel to each peer, and Raft's messages over it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use greenroom_actors::ClusterId;
use greenroom_rpc::group::{GroupRefusal, decode_result};
use greenroom_rpc::proto::group_client::GroupClient;
use greenroom_rpc::proto::{RaftKind, RaftRequest};
use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{OptionalSend, Snapshot};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tonic::transport::{Channel, Endpoint};

use super::state_machine::SavedSnapshot;
use super::types::{Types, Vote};

/// The header in which a node says who it is in the group: its identity, in decimal.
pub const FROM_HEADER: &str = "greenroom-from";
/// The largest message between nodes of the group.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Channels that are kept at most; beyond it they are opened anew.
const CHANNELS_MAX: usize = 2048;
/// How long a peer that does not answer is left alone.
const LEFT_ALONE: Duration = Duration::from_millis(100);
/// After what silence of a peer its connection counts as broken.
const PING_INTERVAL: Duration = Duration::from_secs(1);
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Who asks, and its connections.
#[derive(Debug)]
pub(super) struct Peers {
    identity: u64,
    /// 0 until it is known.
    cluster: AtomicU64,
    connect_timeout: Duration,
    /// Where connections live: whoever uses one first may end earlier.
    runtime: Handle,
    channels: Mutex<BTreeMap<String, Channel>>,
}

impl Peers {
    pub(super) fn new(identity: u64, cluster: ClusterId, connect_timeout: Duration, runtime: Handle) -> Self {
        Self { identity, cluster: AtomicU64::new(cluster.0), connect_timeout, runtime, channels: Mutex::default() }
    }

    /// The cluster that the node belongs to; 0 until it is known.
    pub(super) fn cluster(&self) -> ClusterId {
        ClusterId(self.cluster.load(Ordering::Acquire))
    }

    /// The node belongs to that cluster from now on, if it has not belonged to one.
    ///
    /// # Errors
    /// If it belongs to another one.
    pub(super) fn adopt(&self, cluster: ClusterId) -> Result<(), GroupRefusal> {
        let before = self.cluster.compare_exchange(0, cluster.0, Ordering::AcqRel, Ordering::Acquire);
        match before {
            Err(ours) if ours != cluster.0 => {
                Err(GroupRefusal::OtherCluster { ours: ClusterId(ours), theirs: cluster })
            }
            _ => Ok(()),
        }
    }

    /// A client of the node at `address`; it connects when it is used, and again when the connection breaks.
    pub(super) fn client(&self, address: &str) -> Result<GroupClient<Channel>, GroupRefusal> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if channels.len() >= CHANNELS_MAX && !channels.contains_key(address) {
            channels.clear();
        }
        let channel = match channels.get(address) {
            Some(channel) => channel.clone(),
            None => {
                let channel = self.channel(address)?;
                channels.insert(address.to_owned(), channel.clone());
                channel
            }
        };
        let client = GroupClient::new(channel);
        Ok(client.max_decoding_message_size(MESSAGE_BYTES_MAX).max_encoding_message_size(MESSAGE_BYTES_MAX))
    }

    fn channel(&self, address: &str) -> Result<Channel, GroupRefusal> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let endpoint = endpoint.map_err(|error| unreachable(address, &error.to_string()))?;
        let endpoint = endpoint
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        let _runtime = self.runtime.enter();
        Ok(endpoint.connect_lazy())
    }

    /// A request that says who asks.
    pub(super) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert(FROM_HEADER, self.identity.into());
        request
    }
}

/// Nobody answers at that address.
pub(super) fn unreachable(address: &str, why: &str) -> GroupRefusal {
    GroupRefusal::Unreachable { address: address.to_owned(), why: why.to_owned() }
}

/// Makes Raft's connections.
#[derive(Clone, Debug)]
pub(super) struct Network(pub(super) Arc<Peers>);

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, address: &String) -> Peer {
        Peer::new(&self.0, target, address)
    }
}

/// A peer, as Raft calls it.
#[derive(Debug)]
pub(super) struct Peer {
    peers: Arc<Peers>,
    to: u64,
    address: String,
}

impl Peer {
    async fn call<T: DeserializeOwned>(&self, kind: RaftKind, message: &impl Serialize) -> Result<T, Unreachable> {
        self.try_call(kind, message).await.map_err(|refusal| {
            tracing::debug!(address = self.address, ?kind, %refusal, "a message of the group has not arrived");
            Unreachable::new(&refusal)
        })
    }

    async fn try_call<T: DeserializeOwned>(&self, kind: RaftKind, message: &impl Serialize) -> Result<T, GroupRefusal> {
        let body = postcard::to_allocvec(message).map_err(|error| GroupRefusal::Malformed(error.to_string()))?;
        let cluster = self.peers.cluster().0;
        let request = RaftRequest { cluster, to: self.to, kind: kind.into(), body: body.into() };
        let reply = self.peers.client(&self.address)?.raft(self.peers.request(request)).await;
        decode_result(&reply.map_err(|status| unreachable(&self.address, status.message()))?.into_inner().result)
    }
}

impl Peer {
    pub(super) fn new(peers: &Arc<Peers>, to: u64, address: &str) -> Self {
        Self { peers: Arc::clone(peers), to, address: address.to_owned() }
    }

    /// Whether the peer hears of a leader.
    pub(super) async fn is_led(&self) -> Result<bool, GroupRefusal> {
        self.try_call(RaftKind::IsLed, &()).await
    }
}

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, String, RaftError<u64>>> {
        Ok(self.call(RaftKind::Append, &request).await?)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, String, RaftError<u64>>> {
        Ok(self.call(RaftKind::Vote, &request).await?)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<Types>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Types, Fatal<u64>>> {
        let message = (vote, SavedSnapshot { meta: snapshot.meta, view: *snapshot.snapshot });
        let call = tokio::time::timeout(option.hard_ttl(), self.call(RaftKind::Snapshot, &message));
        tokio::select! {
            closed = cancel => Err(closed.into()),
            answer = call => match answer {
                Ok(answer) => Ok(answer?),
                Err(late) => Err(Unreachable::new(&late).into()),
            },
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(LEFT_ALONE))
    }
}
