//! The life of a node in a cluster whose members come and go: it joins, goes by the views, leaves, or joins anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use greenroom_actors::{Changed, MemberStatus, NodeId, NodeLayout, Registry, View, ViewCommand};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;

use crate::control::{Current, Serving};
use crate::options::NodeOptions;
use crate::place::{Installed, JobNames, Place};
use crate::ports::Ports;
use crate::raft::{Me, RaftNode, Standing};
use crate::running::Running;
use crate::server::{NodeError, Ready, incarnation, serve_control};

/// How long founding or joining may take.
const ENTER_WITHIN: Duration = Duration::from_secs(30);
/// How long a change of the view is asked for; whoever needs it asks again.
const PROPOSE_WITHIN: Duration = Duration::from_secs(2);
/// How long a node that could not join anew waits.
const AGAIN: Duration = Duration::from_secs(1);

/// What a node is made of, whatever number it has.
pub(crate) struct Setup {
    pub(crate) options: NodeOptions,
    pub(crate) registry: Registry,
    pub(crate) ports: Ports,
    pub(crate) current: Arc<Current>,
}

/// Why one life of a node is over.
enum End {
    Stop,
    /// The cluster has given the node up: what it has counts no more.
    Removed,
    /// It takes no part in the group any more.
    Failed(String),
}

/// Runs a node until it is told to stop.
pub(crate) async fn run(setup: Setup, mut stopped: oneshot::Receiver<Duration>, ready: Ready) {
    let options = &setup.options;
    let me = Me {
        cluster_name: options.cluster_name.clone(),
        name: options.name.clone(),
        address: setup.ports.address.clone(),
    };
    let raft = match RaftNode::open(me, options.group.clone()).await {
        Ok(raft) => Arc::new(raft),
        Err(error) => return ready.failed(NodeError::Group(error)),
    };
    let listener = match setup.ports.control.try_clone() {
        Ok(listener) => listener,
        Err(error) => return ready.failed(NodeError::Thread(error)),
    };
    serve_control(listener, &setup.current, Some(raft.service()));
    let mut ready = Some(ready);
    let mut left = None;
    while left.is_none() {
        let incarnation = incarnation();
        let entered = tokio::select! {
            entered = enter(&raft, options, incarnation) => entered,
            _ = &mut stopped => break,
        };
        let node = match (entered, ready.take()) {
            (Ok(node), first) => {
                ready = first;
                node
            }
            (Err(error), Some(first)) => return first.failed(NodeError::Group(error)),
            (Err(error), None) => {
                tracing::error!(%error, "the node cannot join its cluster again");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        let layout = NodeLayout { node, incarnation, shards: setup.ports.shard_addresses.clone() };
        match live(&setup, &raft, layout, &mut ready, &mut stopped).await {
            (End::Stop, patience) => left = Some(patience),
            (End::Removed, _) => {
                tracing::warn!(node = node.0, "the cluster has given this node up: it joins anew, empty")
            }
            (End::Failed(why), _) => {
                tracing::error!(why, "the node stops: it takes no part in its cluster any more");
                break;
            }
        }
    }
    setup.current.store(None);
    if let Ok(raft) = Arc::try_unwrap(raft) {
        raft.shutdown().await;
    }
}

async fn enter(
    raft: &RaftNode,
    options: &NodeOptions,
    incarnation: greenroom_actors::Incarnation,
) -> Result<NodeId, crate::raft::GroupError> {
    let view_is_there = raft.cluster() != greenroom_actors::ClusterId(0);
    if options.join.is_empty() && !view_is_there || options.join.is_empty() && raft.had_group() {
        return raft.found(options.slots, options.copies, incarnation, ENTER_WITHIN).await;
    }
    raft.join(&options.join, incarnation, ENTER_WITHIN).await
}

/// One life of the node, under one number; returns why it is over, and how much patience there is to stop.
async fn live(
    setup: &Setup,
    raft: &Arc<RaftNode>,
    layout: NodeLayout,
    ready: &mut Option<Ready>,
    stopped: &mut oneshot::Receiver<Duration>,
) -> (End, Duration) {
    let (proposals, asked) = unbounded_channel();
    let view = raft.view().borrow().clone();
    let node = layout.node;
    let place = Arc::new(Place {
        options: setup.options.clone(),
        registry: setup.registry.clone(),
        job_names: JobNames::default(),
        newest: Installed::new(view, None).into(),
        proposals: Some(proposals),
        leases: layout.shards.iter().map(|_| raft.lease()).collect(),
        layout,
    });
    let running = match Running::start(&place, &setup.ports.shards) {
        Ok(running) => running,
        Err(error) => return (End::Failed(error.to_string()), Duration::ZERO),
    };
    let proposer = actix_rt::spawn(propose(Arc::clone(raft), asked));
    let serving = Serving { place: Arc::clone(&place), shards: running.shards.clone() };
    setup.current.store(Some(Arc::new(serving)));
    tracing::info!(name = setup.options.name, node = node.0, "ready");
    if let Some(ready) = ready.take() {
        ready.done();
    }
    let (end, patience) = follow(raft, &running, node, stopped).await;
    setup.current.stop_if(matches!(end, End::Stop));
    if matches!(end, End::Stop) {
        running.drain(patience).await;
    }
    setup.current.store(None);
    running.stop();
    proposer.abort();
    (end, patience)
}

/// Goes by the views, until the node is to stop (and its slots have moved) or is no member any more.
async fn follow(
    raft: &Arc<RaftNode>,
    running: &Running,
    node: NodeId,
    stopped: &mut oneshot::Receiver<Duration>,
) -> (End, Duration) {
    let (mut views, mut standing) = (raft.view(), raft.standing());
    let mut leaving: Option<(Instant, Duration)> = None;
    loop {
        let view = views.borrow_and_update().clone();
        let gone = !view.members.contains_key(&node);
        match leaving {
            Some((_, patience)) if gone || !view.holds_copies(node) => return (End::Stop, patience),
            Some((deadline, _)) if Instant::now() >= deadline => return (End::Stop, Duration::ZERO),
            None if gone => return (End::Removed, Duration::ZERO),
            Some(_) | None => {}
        }
        if running.place.newest().view.version != view.version {
            let installed = Installed::new(view, Some(running.place.newest().targets.clone()));
            running.install(&installed);
        }
        let patience = leaving
            .map_or(Duration::from_secs(3600), |(deadline, _)| deadline.saturating_duration_since(Instant::now()));
        tokio::select! {
            changed = views.changed() => if changed.is_err() {
                return (End::Failed("the group has ended".to_owned()), Duration::ZERO);
            },
            changed = standing.changed() => {
                if let (Ok(()), Standing::Failed(error)) = (changed, standing.borrow().clone()) {
                    return (End::Failed(error.to_string()), Duration::ZERO);
                }
            }
            patience = &mut *stopped, if leaving.is_none() => {
                let patience = patience.unwrap_or(Duration::ZERO);
                if patience.is_zero() || !others_stay(&raft.view().borrow(), node) {
                    return (End::Stop, patience);
                }
                leaving = Some((Instant::now() + patience, patience));
                let raft = Arc::clone(raft);
                drop(actix_rt::spawn(async move {
                    if let Err(error) = raft.propose(ViewCommand::Leave(node), patience).await {
                        tracing::warn!(%error, "the cluster does not let this node go in order");
                    }
                }));
            }
            () = tokio::time::sleep(patience) => {}
        }
    }
}

fn others_stay(view: &View, node: NodeId) -> bool {
    view.members.values().any(|member| member.node != node && member.status == MemberStatus::Up)
}

/// Asks for what the shards want changed; what comes together is asked for together.
async fn propose(raft: Arc<RaftNode>, mut asked: UnboundedReceiver<ViewCommand>) {
    while let Some(first) = asked.recv().await {
        let mut commands = vec![first];
        while let Ok(next) = asked.try_recv() {
            add(&mut commands, next);
        }
        for command in commands {
            match raft.propose(command, PROPOSE_WITHIN).await {
                Ok(Changed::Yes | Changed::No | Changed::Joined(_)) => {}
                Ok(Changed::Refused(refusal)) => tracing::warn!(%refusal, "a change of the view was refused"),
                Err(error) => tracing::debug!(%error, "a change of the view was not made; it is asked for again"),
            }
        }
    }
}

/// Adds a command to those that wait, to one of its kind if there is one.
fn add(commands: &mut Vec<ViewCommand>, next: ViewCommand) {
    for known in commands.iter_mut() {
        match (known, &next) {
            (ViewCommand::CopiesDone(slots), ViewCommand::CopiesDone(more))
            | (ViewCommand::CopiesFailed(slots), ViewCommand::CopiesFailed(more))
            | (ViewCommand::HandOver(slots), ViewCommand::HandOver(more))
            | (ViewCommand::DropCopies(slots), ViewCommand::DropCopies(more)) => return slots.extend(more),
            _ => {}
        }
    }
    commands.push(next);
}
