//! A node in this process, and peers that speak to its only shard as they like.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use greenroom_actors::objects::CounterObject;
use greenroom_actors::wire::{self, Frame, Hello, HelloRefusal, Reply, Request, Welcome};
use greenroom_actors::{
    Fault, JobId, Lane, NodeId, Object, ObjectType, Refusal, Sequence, SessionId, ShardId, hash_object,
};
use greenroom_node::{Node, NodeOptions};
use greenroom_rpc::proto::control_client::ControlClient;
use greenroom_rpc::proto::shard_client::ShardClient;
use greenroom_rpc::proto::{Batch, ShardStatus, StatusRequest};
use greenroom_rpc::{FRAME_BYTES_MAX, Inbox, OpenLink, dial, open};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

/// How long anything may take that should happen at once.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A node with one shard.
pub fn node(change: impl FnOnce(&mut NodeOptions)) -> Node {
    let mut options = NodeOptions::embedded().expect("the environment can be read");
    options.shards = Some(1);
    options.slots = 16;
    change(&mut options);
    Node::start(options, None).expect("starts")
}

/// Waits for something that should happen at once.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(DEADLINE, future).await;
    in_time.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// What the shard says of itself.
pub async fn status(node: &Node) -> ShardStatus {
    let channel = dial(node.address(), DEADLINE).await.expect("answers");
    let reply = ControlClient::new(channel).status(StatusRequest {}).await.expect("answers").into_inner();
    reply.shards.into_iter().next().expect("has a shard")
}

/// A greeting that the node's shard accepts.
pub fn hello(node: &Node, session: u64) -> Hello {
    Hello { cluster: node.table().cluster, session: SessionId(session), ..Hello::default() }
}

/// A call of that method with those arguments (a tuple), on lane 0.
pub fn request<'a>(
    node: &Node,
    object_type: &'static ObjectType,
    key: &'a str,
    method: &str,
    arguments: &impl Serialize,
) -> Request<'a> {
    Request {
        sequence: Sequence(1),
        slot: node.table().slot_of(hash_object(JobId::DEFAULT, object_type.name, key)),
        epoch: node.table().slots[0].epoch,
        method: object_type.method_number(method).expect("is a method"),
        fingerprint: object_type.fingerprint(),
        type_name: object_type.name,
        key,
        arguments: postcard::to_allocvec(arguments).expect("encodes").into(),
        ..Request::default()
    }
}

/// `Counter/key.add(delta)`.
pub fn add<'a>(node: &Node, key: &'a str, delta: i64) -> Request<'a> {
    request(node, CounterObject::TYPE, key, "add", &(delta,))
}

/// A frame as it lies in a batch: after its length.
pub fn framed(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).expect("is small");
    [&length.to_le_bytes(), frame].concat()
}

/// What one of the encoders writes.
pub fn encoded(encode: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(&mut out);
    out.to_vec()
}

/// The value of a reply.
pub fn value<T: DeserializeOwned>(reply: &Reply) -> T {
    let body = reply.result.as_ref().unwrap_or_else(|fault| panic!("no value: {fault:?}"));
    postcard::from_bytes(body).expect("decodes")
}

/// Why the call was refused.
pub fn refusal(reply: Reply) -> Refusal {
    assert!(!reply.applied, "a refused call is not applied");
    match reply.result {
        Err(Fault::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// A client that keeps to the protocol.
pub struct Peer {
    pub link: OpenLink,
    frames: Vec<Bytes>,
    next_lane: u32,
}

impl Peer {
    pub async fn open(node: &Node, session: u64) -> Self {
        let link = open(&node.layout().shards[0], &hello(node, session), DEADLINE).await.expect("opens");
        Self { link, frames: Vec::new(), next_lane: 0 }
    }

    pub fn send(&self, request: &Request<'_>) {
        self.link.outbox.push(|out| request.encode(out)).expect("is open");
    }

    /// Waits for a frame; `None` at the stream's end.
    pub async fn frame(&mut self) -> Option<Bytes> {
        while self.frames.is_empty() {
            let next = soon("a frame or the stream's end", self.link.inbound.next(&mut self.frames));
            if !next.await.unwrap_or(false) && self.frames.is_empty() {
                return None;
            }
        }
        Some(self.frames.remove(0))
    }

    /// Waits for a reply, which must be the next frame.
    pub async fn reply(&mut self) -> Reply {
        let frame = self.frame().await.expect("the stream is open");
        match wire::decode(&frame) {
            Ok(Frame::Reply(reply)) => reply,
            other => panic!("not a reply: {other:?}"),
        }
    }

    /// Makes a call on a lane of its own, and waits for its reply.
    pub async fn ask(&mut self, mut request: Request<'_>) -> Reply {
        self.next_lane += 1;
        request.lane = Lane(1_000_000 + self.next_lane);
        self.send(&request);
        let reply = self.reply().await;
        assert_eq!(reply.lane, request.lane);
        reply
    }

    /// Shows that the node serves this stream: the counter of that key is one more than before.
    pub async fn works(&mut self, node: &Node, key: &str, before: i64) {
        let reply = self.ask(add(node, key, 1)).await;
        assert_eq!(value::<i64>(&reply), before + 1);
    }

    pub async fn count(&mut self, node: &Node, key: &str) -> i64 {
        value(&self.ask(request(node, CounterObject::TYPE, key, "get", &())).await)
    }
}

/// A peer that sends whatever bytes it likes.
pub struct Raw {
    batches: mpsc::UnboundedSender<Batch>,
    stream: Streaming<Batch>,
    inbox: Inbox,
    frames: Vec<Bytes>,
}

impl Raw {
    pub async fn open(node: &Node) -> Self {
        let address = format!("http://{}", node.layout().shards[0]);
        let channel = Endpoint::from_shared(address).expect("is an address").connect().await.expect("connects");
        let (batches, sent) = mpsc::unbounded_channel();
        let calls = ShardClient::new(channel).calls(UnboundedReceiverStream::new(sent)).await;
        let stream = calls.expect("is accepted").into_inner();
        Self { batches, stream, inbox: Inbox::new(FRAME_BYTES_MAX), frames: Vec::new() }
    }

    /// A stream that is open.
    pub async fn greeted(node: &Node, session: u64) -> Self {
        let mut raw = Self::open(node).await;
        raw.send(framed(&encoded(|out| wire::encode_hello(&hello(node, session), out))));
        assert!(matches!(raw.welcome().await, Welcome::Open { .. }));
        raw
    }

    /// Sends a batch of these bytes, if the stream is still open.
    pub fn send(&self, bytes: Vec<u8>) {
        let _ = self.batches.send(Batch { frames: bytes.into() });
    }

    pub fn send_all<'a>(&self, requests: impl IntoIterator<Item = Request<'a>>) {
        self.send(requests.into_iter().flat_map(|request| framed(&encoded(|out| request.encode(out)))).collect());
    }

    /// Waits for a frame; `None` at the stream's end.
    pub async fn frame(&mut self) -> Option<Bytes> {
        while self.frames.is_empty() {
            match soon("a frame or the stream's end", self.stream.message()).await {
                Ok(Some(batch)) => self.inbox.take(batch.frames, &mut self.frames).expect("is well-formed"),
                Ok(None) | Err(_) => return None,
            }
        }
        Some(self.frames.remove(0))
    }

    pub async fn welcome(&mut self) -> Welcome {
        let frame = self.frame().await.expect("the node answers");
        match wire::decode(&frame) {
            Ok(Frame::Welcome(welcome)) => welcome,
            other => panic!("not a welcome: {other:?}"),
        }
    }

    /// Why the stream was not taken; it then ends.
    pub async fn refusal(mut self) -> HelloRefusal {
        let Welcome::Refused(refusal) = self.welcome().await else { panic!("the stream is open") };
        assert_eq!(self.frame().await, None, "a refused stream ends");
        refusal
    }
}

/// The place of a node with one shard.
pub const HERE: (NodeId, ShardId) = (NodeId(0), ShardId(0));
