//! The shard actor: takes batches from streams and gives each object's actor its share.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult};
use bytes::Bytes;
use greenroom_actors::wire::{self, Frame, Hello, HelloRefusal, Welcome};
use greenroom_actors::{CallId, NodeId, NodeLayout, Refusal, ShardId, SlotId};
use greenroom_rpc::Outbox;
use greenroom_rpc::proto::ShardStatus;

use crate::core::{Core, ObjectAt};
use crate::inspection::{Described, Selection, Stretch, Subject};
use crate::peers::nested_result;
use crate::place::{Installed, Place};
use crate::sessions::StreamId;

/// How often deadlines are looked at: parked calls end at most this much late.
const TICK: Duration = Duration::from_millis(10);
/// How often idle things are looked at.
const SWEEP: Duration = Duration::from_secs(1);

/// One core's share of a node.
pub(crate) struct Shard {
    place: Arc<Place>,
    shard: ShardId,
    core: Option<Rc<RefCell<Core>>>,
}

impl Shard {
    pub(crate) fn new(place: Arc<Place>, shard: ShardId) -> Self {
        Self { place, shard, core: None }
    }

    fn with_core<T>(&self, run: impl FnOnce(&mut Core) -> T) -> Option<T> {
        Some(run(&mut self.core.as_ref()?.borrow_mut()))
    }
}

impl Actor for Shard {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.core = Some(Core::new(Arc::clone(&self.place), self.shard, context.address()));
        context.run_interval(TICK, |shard, _| {
            shard.with_core(Core::handle_tick);
        });
        context.run_interval(SWEEP, |shard, _| {
            shard.with_core(Core::sweep);
        });
    }
}

/// A client greets.
#[derive(Message)]
#[rtype(result = "Welcome")]
pub(crate) struct OpenStream {
    pub(crate) stream: StreamId,
    pub(crate) hello: Hello,
    pub(crate) outbox: Arc<Outbox>,
}

impl Handler<OpenStream> for Shard {
    type Result = MessageResult<OpenStream>;

    fn handle(&mut self, open: OpenStream, _: &mut Context<Self>) -> MessageResult<OpenStream> {
        let welcome = self.with_core(|core| core.open_stream(open));
        MessageResult(welcome.unwrap_or(Welcome::Refused(HelloRefusal::Stopping)))
    }
}

/// A batch has come on a stream.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StreamFrames {
    pub(crate) stream: StreamId,
    pub(crate) frames: Vec<Bytes>,
}

impl Handler<StreamFrames> for Shard {
    type Result = ();

    fn handle(&mut self, batch: StreamFrames, _: &mut Context<Self>) {
        self.with_core(|core| core.handle_frames(batch.stream, &batch.frames));
    }
}

/// A stream has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StreamClosed(pub(crate) StreamId);

impl Handler<StreamClosed> for Shard {
    type Result = ();

    fn handle(&mut self, closed: StreamClosed, _: &mut Context<Self>) {
        self.with_core(|core| {
            let now = core.now();
            core.sessions.close(closed.0, now.ms);
        });
    }
}

/// A stream to a peer, or only the peer's layout, is there.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LinkOpen {
    pub(crate) node: NodeId,
    pub(crate) asked: Option<ShardId>,
    pub(crate) layout: Arc<NodeLayout>,
    pub(crate) stream: Option<(ShardId, Arc<Outbox>)>,
}

impl Handler<LinkOpen> for Shard {
    type Result = ();

    fn handle(&mut self, open: LinkOpen, _: &mut Context<Self>) {
        let opened = open.stream.is_some().then_some(open.node);
        self.with_core(|core| {
            core.peers.opened(open);
            if let Some(node) = opened {
                core.handle_reconnected(node);
            }
        });
    }
}

/// A stream to a peer has ended, or could not be opened.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LinkClosed {
    pub(crate) node: NodeId,
    pub(crate) shard: Option<ShardId>,
}

impl Handler<LinkClosed> for Shard {
    type Result = ();

    fn handle(&mut self, closed: LinkClosed, _: &mut Context<Self>) {
        self.with_core(|core| core.peers.closed(&closed));
    }
}

/// A peer has answered nested calls.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PeerFrames(pub(crate) Vec<Bytes>);

impl Handler<PeerFrames> for Shard {
    type Result = ();

    fn handle(&mut self, batch: PeerFrames, _: &mut Context<Self>) {
        for frame in &batch.0 {
            if let Ok(Frame::Reply(reply)) = wire::decode(frame)
                && let Some(session) = reply.session
            {
                let call = CallId { session, lane: reply.lane, sequence: reply.sequence };
                self.with_core(|core| core.handle_nested_reply(call, nested_result(reply.result)));
            }
        }
    }
}

/// The view is another one now.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct InstallView(pub(crate) Arc<Installed>);

impl Handler<InstallView> for Shard {
    type Result = ();

    fn handle(&mut self, install: InstallView, _: &mut Context<Self>) {
        self.with_core(|core| core.install(install.0));
    }
}

/// Asks what the shard is doing.
#[derive(Message)]
#[rtype(result = "ShardStatus")]
pub(crate) struct GetStatus;

impl Handler<GetStatus> for Shard {
    type Result = MessageResult<GetStatus>;

    fn handle(&mut self, _: GetStatus, _: &mut Context<Self>) -> MessageResult<GetStatus> {
        MessageResult(self.with_core(|core| core.status()).unwrap_or_default())
    }
}

/// Asks for the selected objects from a place on, so many at most.
#[derive(Message)]
#[rtype(result = "Stretch")]
pub(crate) struct ListObjects {
    pub(crate) selection: Arc<Selection>,
    pub(crate) from: ObjectAt,
    pub(crate) rows_max: usize,
}

impl Handler<ListObjects> for Shard {
    type Result = MessageResult<ListObjects>;

    fn handle(&mut self, list: ListObjects, _: &mut Context<Self>) -> MessageResult<ListObjects> {
        let stretch = self.with_core(|core| core.list(&list.selection, list.from, list.rows_max));
        MessageResult(stretch.unwrap_or_default())
    }
}

/// Asks what an object says of itself, unless its version is the known one.
#[derive(Message)]
#[rtype(result = "Result<Described, Refusal>")]
pub(crate) struct DescribeObject {
    pub(crate) slot: SlotId,
    pub(crate) subject: Subject,
    pub(crate) known: Option<u64>,
}

impl Handler<DescribeObject> for Shard {
    type Result = Result<Described, Refusal>;

    fn handle(&mut self, ask: DescribeObject, _: &mut Context<Self>) -> Result<Described, Refusal> {
        let described = self.with_core(|core| core.describe(ask.slot, &ask.subject, ask.known));
        described.unwrap_or(Err(Refusal::Stopping))
    }
}

/// Tells the shard to take no more calls; the answer is whether nothing is under way any more.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct Drain;

impl Handler<Drain> for Shard {
    type Result = bool;

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> bool {
        let quiet = self.with_core(|core| {
            core.stopping = true;
            core.is_quiet()
        });
        quiet.unwrap_or(true)
    }
}

/// Ends every stream with a word of farewell.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CloseStreams;

impl Handler<CloseStreams> for Shard {
    type Result = ();

    fn handle(&mut self, _: CloseStreams, _: &mut Context<Self>) {
        self.with_core(|core| core.close_streams());
    }
}
