//! The life of a node in a cluster whose members come and go: it joins, goes by the views, leaves, or joins anew.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenroom_actors::{Changed, MemberStatus, NodeId, NodeLayout, Registry, View, ViewCommand};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;

use crate::control::{Current, Serving};
use crate::options::NodeOptions;
use crate::place::{Installed, JobNames, Place};
use crate::ports::Ports;
use crate::raft::{GroupError, Me, RaftNode, Standing};
use crate::running::Running;
use crate::server::{Farewell, NodeError, Ready, incarnation, serve_control};

/// How long founding or joining may take.
const ENTER_WITHIN: Duration = Duration::from_secs(30);
/// How long a change of the view is asked for; whoever needs it asks again.
const PROPOSE_WITHIN: Duration = Duration::from_secs(2);
/// How often a node that leaves looks whether it votes still.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
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
    /// It has been told to stop, or an operator has made it leave: what is under way may take so long.
    Stop(Duration),
    /// The cluster has given the node up: what it has counts no more.
    Removed,
    /// It takes no part in the group any more.
    Failed(NodeError),
}

/// Whether a node is on its way out.
enum Leaving {
    No,
    /// An operator has said so to the cluster: it stops when all that it has has moved, however long that takes.
    Asked,
    /// It has been told to stop, and does at this time at the latest.
    Told {
        deadline: Instant,
        patience: Duration,
    },
}

/// Runs a node until it is told to stop.
///
/// # Errors
/// Why it takes no part in its cluster any more.
pub(crate) async fn run(setup: Setup, mut stopped: oneshot::Receiver<Farewell>, ready: Ready) -> Result<(), NodeError> {
    let options = &setup.options;
    let me = Me {
        cluster_name: options.cluster_name.clone(),
        name: options.name.clone(),
        address: setup.ports.address.clone(),
    };
    let raft = match RaftNode::open(me, options.group.clone()).await {
        Ok(raft) => Arc::new(raft),
        Err(error) => return refused(ready, NodeError::Group(error)),
    };
    let listener = match setup.ports.control.try_clone() {
        Ok(listener) => listener,
        Err(error) => return refused(ready, NodeError::Thread(error)),
    };
    serve_control(listener, &setup.current, Some(raft.service()));
    let mut ready = Some(ready);
    let ended = loop {
        let incarnation = incarnation();
        let entered = tokio::select! {
            entered = enter(&raft, options, incarnation) => entered,
            _ = &mut stopped => break Ok(()),
        };
        let node = match (entered, ready.take()) {
            (Ok(node), first) => {
                ready = first;
                node
            }
            (Err(error), Some(first)) => return refused(first, NodeError::Group(error)),
            (Err(error), None) => {
                tracing::error!(%error, "the node cannot join its cluster again");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        let layout = NodeLayout { node, incarnation, shards: setup.ports.shard_addresses.clone() };
        match live(&setup, &raft, layout, &mut ready, &mut stopped).await {
            End::Stop(_) => break Ok(()),
            End::Removed => tracing::warn!(node = node.0, "the cluster has given this node up: it joins anew, empty"),
            End::Failed(error) => {
                tracing::error!(%error, "the node stops: it takes no part in its cluster any more");
                break Err(error);
            }
        }
    };
    setup.current.store(None);
    if let Ok(raft) = Arc::try_unwrap(raft) {
        raft.shutdown().await;
    }
    ended
}

/// Whoever starts the node is told, and nobody else.
fn refused(ready: Ready, error: NodeError) -> Result<(), NodeError> {
    ready.failed(error);
    Ok(())
}

async fn enter(
    raft: &RaftNode,
    options: &NodeOptions,
    incarnation: greenroom_actors::Incarnation,
) -> Result<NodeId, GroupError> {
    let view_is_there = raft.cluster() != greenroom_actors::ClusterId(0);
    if options.join.is_empty() && !view_is_there || options.join.is_empty() && raft.had_group() {
        return raft.found(options.slots, options.copies, incarnation, ENTER_WITHIN).await;
    }
    raft.join(&options.join, incarnation, ENTER_WITHIN).await
}

/// One life of the node, under one number; returns why it is over.
async fn live(
    setup: &Setup,
    raft: &Arc<RaftNode>,
    layout: NodeLayout,
    ready: &mut Option<Ready>,
    stopped: &mut oneshot::Receiver<Farewell>,
) -> End {
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
        Err(error) => return End::Failed(NodeError::Thread(error)),
    };
    let proposer = actix_rt::spawn(propose(Arc::clone(raft), asked));
    let serving = Serving { place: Arc::clone(&place), shards: running.shards.clone() };
    setup.current.store(Some(Arc::new(serving)));
    tracing::info!(name = setup.options.name, node = node.0, "ready");
    if let Some(ready) = ready.take() {
        ready.done();
    }
    let end = follow(raft, &running, node, stopped).await;
    if let End::Stop(patience) = end {
        setup.current.stop_if(true);
        running.drain(patience).await;
    }
    setup.current.store(None);
    running.stop();
    proposer.abort();
    end
}

/// Goes by the views, until the node is to stop (and its slots have moved) or is no member any more.
async fn follow(
    raft: &Arc<RaftNode>,
    running: &Running,
    node: NodeId,
    stopped: &mut oneshot::Receiver<Farewell>,
) -> End {
    let drain = Duration::from_millis(running.place.options.drain_ms);
    let (mut views, mut standing) = (raft.view(), raft.standing());
    let mut leaving = Leaving::No;
    loop {
        let view = views.borrow_and_update().clone();
        let status = view.members.get(&node).map(|member| member.status);
        if matches!(leaving, Leaving::No) && status == Some(MemberStatus::Leaving) {
            tracing::info!(node = node.0, "an operator makes this node leave its cluster");
            leaving = Leaving::Asked;
        }
        // Whoever goes while it votes takes a vote along: of two, the other one could decide nothing any more.
        let votes = raft.voters().is_none_or(|voters| voters.contains(&raft.identity()));
        // Who does not vote may be told so by whoever leads, and by no view: none is sent to it any more.
        let is_out = status.is_none() || *standing.borrow_and_update() == Standing::Removed(node);
        let has_nothing = is_out || (!view.holds_copies(node) && !votes);
        match leaving {
            Leaving::Told { patience, .. } if has_nothing => return End::Stop(patience),
            Leaving::Told { deadline, .. } if Instant::now() >= deadline => return End::Stop(Duration::ZERO),
            Leaving::Asked if has_nothing => return End::Stop(drain),
            Leaving::No if is_out => return End::Removed,
            Leaving::Told { .. } | Leaving::Asked | Leaving::No => {}
        }
        if running.place.newest().view.version != view.version {
            let installed = Installed::new(view, Some(running.place.newest().targets.clone()));
            running.install(&installed);
        }
        let is_told = matches!(leaving, Leaving::Told { .. });
        let deadline = async {
            match leaving {
                Leaving::Told { deadline, .. } => tokio::time::sleep_until(deadline.into()).await,
                Leaving::No | Leaving::Asked => pending().await,
            }
        };
        tokio::select! {
            changed = views.changed() => if changed.is_err() {
                return End::Failed(GroupError::Ended("its task has ended".to_owned()).into());
            },
            changed = standing.changed() => {
                if let (Ok(()), Standing::Failed(error)) = (changed, standing.borrow().clone()) {
                    return End::Failed(error.into());
                }
            }
            farewell = &mut *stopped, if !is_told => {
                let patience = match farewell {
                    Ok(Farewell::Leave(patience)) if others_stay(&raft.view().borrow(), node) => patience,
                    Ok(Farewell::Leave(patience) | Farewell::End(patience)) => return End::Stop(patience),
                    Err(_) => return End::Stop(Duration::ZERO),
                };
                leaving = Leaving::Told { deadline: Instant::now() + patience, patience };
                let raft = Arc::clone(raft);
                drop(actix_rt::spawn(async move {
                    if let Err(error) = raft.propose(ViewCommand::Leave(node), patience).await {
                        tracing::warn!(%error, "the cluster does not let this node go in order");
                    }
                }));
            }
            () = deadline => {}
            () = tokio::time::sleep(LOOK_AGAIN), if !matches!(leaving, Leaving::No) => {}
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
