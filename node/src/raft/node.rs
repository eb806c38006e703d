//! A node of the group: opened, founded or joined, and asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use greenroom_actors::wire::WIRE_VERSION;
use greenroom_actors::{Changed, ClusterId, Identity, Incarnation, JoinRefusal, NodeId, View, ViewCommand};
use greenroom_rpc::group::{Admitted, GroupRefusal};
use greenroom_rpc::proto::JoinRequest;
use greenroom_rpc::proto::group_server::GroupServer;
use openraft::error::{InitializeError, RaftError};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::candidacy::{Heard, stand};
use super::disk::{CLUSTER, Disk, IDENTITY};
use super::error::{DataError, GroupError};
use super::group::{Group, Led, Standing};
use super::holder::hold;
use super::leader::Leader;
use super::lease_cell::{Holding, LeaseCell};
use super::log_store::LogStore;
use super::membership::settled_voters;
use super::network::{MESSAGE_BYTES_MAX, Network, Peers};
use super::options::RaftOptions;
use super::questions::{Answer, Question};
use super::service::{GroupService, clock_ms};
use super::state_machine::StateMachine;
use super::types::Raft;

/// Questions that wait for the task that may lead, at most; beyond it whoever asks waits too.
const ASKS_MAX: usize = 4096;
/// How long one node is asked to let this one in, at most.
const JOIN_TRY: Duration = Duration::from_secs(3);
/// How long a node that wants to join waits before it asks again.
const JOIN_AGAIN: Duration = Duration::from_millis(100);

/// How a node calls itself.
#[derive(Clone, Debug)]
pub struct Me {
    /// The name of the cluster that it founds or joins.
    pub cluster_name: String,
    /// Its name in the cluster.
    pub name: String,
    /// Where it answers control calls, as `host:port`; others reach it there.
    pub address: String,
}

/// This process in the Raft group.
///
/// It runs on the runtime on which it was opened, whoever asks it. Dropping it ends its part in the group, and closes its folder.
#[derive(Debug)]
pub struct RaftNode {
    group: Arc<Group>,
    had_group: bool,
    tasks: Vec<JoinHandle<()>>,
    holder: Mutex<Option<JoinHandle<()>>>,
    runtime: Handle,
}

/// What was in the folder.
struct Opened {
    disk: Option<Arc<Disk>>,
    identity: Identity,
    cluster: ClusterId,
    log: LogStore,
    state_machine: StateMachine,
}

impl RaftNode {
    /// Opens the folder, if there is one, and takes up the part in the group that it tells of. The node answers peers as soon
    /// as its [`service`](Self::service) is served; it is no member before it has founded or joined.
    ///
    /// # Errors
    /// When the folder cannot be used, is of another cluster, or a setting cannot be.
    pub async fn open(me: Me, options: RaftOptions) -> Result<Self, GroupError> {
        let config = options.config(&me.cluster_name)?;
        let (folder, cluster_name) = (options.data.clone(), me.cluster_name.clone());
        let opened = tokio::task::spawn_blocking(move || open_folder(folder.as_deref(), &cluster_name)).await;
        let opened = opened.map_err(|error| GroupError::Ended(error.to_string()))??;
        let had_group = !opened.log.is_empty();
        let connect_timeout = Duration::from_millis(options.election_ms_min);
        let runtime = Handle::current();
        let peers = Arc::new(Peers::new(opened.identity.0, opened.cluster, connect_timeout, runtime.clone()));
        let (view, network) = (opened.state_machine.view(), Network(Arc::clone(&peers)));
        let raft = Raft::new(opened.identity.0, config, network, opened.log, opened.state_machine).await;
        let raft = raft.map_err(|error| GroupError::Ended(error.to_string()))?;
        let (asks, heard) = mpsc::channel(ASKS_MAX);
        let group = Arc::new(Group {
            me,
            identity: opened.identity,
            holding: Arc::new(Holding::new(options.lease())),
            heard: Heard::default(),
            options,
            raft,
            view,
            peers,
            asks,
            disk: opened.disk,
            standing: watch::Sender::new(Standing::Outside),
        });
        let leader = tokio::spawn(Leader::new(Arc::clone(&group), heard).run());
        let candidate = tokio::spawn(stand(Arc::clone(&group)));
        let watcher = tokio::spawn(watch_over(Arc::clone(&group)));
        Ok(Self { group, had_group, tasks: vec![leader, candidate, watcher], holder: Mutex::new(None), runtime })
    }

    /// What answers the group's calls, to be added to the routes of the control port.
    pub fn service(&self) -> GroupServer<GroupService> {
        GroupServer::new(GroupService { group: Arc::clone(&self.group) })
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Whether the folder tells of a group that the node has belonged to: then it joins again, and nobody founds.
    pub fn had_group(&self) -> bool {
        self.had_group
    }

    /// Who the node is in the group.
    pub fn identity(&self) -> Identity {
        self.group.identity
    }

    /// The cluster; 0 until it is known.
    pub fn cluster(&self) -> ClusterId {
        self.group.peers.cluster()
    }

    /// Whether this process leads the group, as far as it knows.
    pub fn is_leading(&self) -> bool {
        self.group.led(&self.group.raft.metrics().borrow()) == Led::Here
    }

    /// The identity of who leads the group, as far as this process knows.
    pub fn leader(&self) -> Option<Identity> {
        self.group.raft.metrics().borrow().current_leader.map(Identity)
    }

    /// Grows with each election.
    pub fn term(&self) -> u64 {
        self.group.raft.metrics().borrow().current_term
    }

    /// The identities of who votes in the group, as far as this process knows; `None` until a change of them is committed.
    pub fn voters(&self) -> Option<BTreeSet<Identity>> {
        settled_voters(&self.group.raft.metrics().borrow())
    }

    /// The view, as far as it has been told here; each one as it comes.
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.group.view.clone()
    }

    /// What the node is to the cluster.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.group.standing.subscribe()
    }

    /// The lease of this process for one shard, which says what views it has installed.
    pub fn lease(&self) -> LeaseCell {
        LeaseCell::new(&self.group.holding)
    }

    /// Founds a cluster of this node alone, with so many slots and copies of each; the node is its first member. If the
    /// folder tells of a cluster, the node is a member of that one again.
    ///
    /// # Errors
    /// When the folder fails, or those who vote in the cluster that the folder tells of do not answer in time.
    pub async fn found(
        &self,
        n_slots: u16,
        copies: u8,
        incarnation: Incarnation,
        within: Duration,
    ) -> Result<NodeId, GroupError> {
        let deadline = Instant::now() + within;
        let group = &self.group;
        if !self.had_group {
            if group.peers.cluster() == ClusterId(0) {
                group.adopt(ClusterId(rand::random::<u64>().max(1))).await?;
            }
            let alone = BTreeMap::from([(group.identity.0, group.me.address.clone())]);
            match group.raft.initialize(alone).await {
                Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
                Err(error) => return Err(group.failure(&error)),
            }
        }
        let mut metrics = group.raft.metrics();
        let is_led = metrics.wait_for(|metrics| metrics.current_leader.is_some());
        in_time(deadline, is_led, group).await?;
        if self.is_leading() {
            let confirmed = timeout_at(deadline, group.raft.ensure_linearizable()).await;
            if matches!(confirmed, Ok(Ok(_))) && group.view.borrow().cluster == ClusterId(0) {
                let found = ViewCommand::Found { cluster: group.peers.cluster(), n_slots, copies };
                group.raft.client_write(found).await.map_err(|error| group.failure(&error))?;
            }
        }
        self.join(&[], incarnation, deadline.saturating_duration_since(Instant::now())).await
    }

    /// Joins the cluster that the `seeds` belong to (control addresses), or the one that the folder tells of; also anew, when
    /// the cluster has given this node up.
    ///
    /// # Errors
    /// When the cluster refuses the node, or nobody lets it in in time.
    pub async fn join(
        &self,
        seeds: &[String],
        incarnation: Incarnation,
        within: Duration,
    ) -> Result<NodeId, GroupError> {
        // One at a time; the lease of the process before is void.
        let mut holder = self.holder.lock().await;
        if let Some(holder) = holder.take() {
            holder.abort();
            // It has ended when this is answered, so no grant comes after.
            let _ = holder.await;
        }
        let deadline = Instant::now() + within;
        loop {
            self.group.holding.forget();
            let admitted = self.ask_to_join(seeds, incarnation, deadline).await?;
            self.group.adopt(admitted.cluster).await?;
            // It counts as alive from now on, however long it takes until it has been told all that there is.
            self.group.standing.send_replace(Standing::Member(admitted.node));
            *holder = Some(self.runtime.spawn(hold(Arc::clone(&self.group), admitted.node)));
            if self.is_told(admitted.node, deadline).await? {
                tracing::info!(node = %admitted.node, cluster = admitted.cluster.0, "joined");
                return Ok(admitted.node);
            }
        }
    }

    /// Waits until the view here has this node as that member; `false` if the cluster has given it up before.
    async fn is_told(&self, node: NodeId, deadline: Instant) -> Result<bool, GroupError> {
        let (mut view, mut standing) = (self.group.view.clone(), self.group.standing.subscribe());
        let is_told = view.wait_for(|view| view.members.contains_key(&node));
        let is_out = standing.wait_for(|standing| *standing != Standing::Member(node));
        tokio::select! {
            told = in_time(deadline, is_told, &self.group) => told.map(|()| true),
            _ = is_out => Ok(false),
        }
    }

    async fn ask_to_join(
        &self,
        seeds: &[String],
        incarnation: Incarnation,
        deadline: Instant,
    ) -> Result<Admitted, GroupError> {
        let group = &self.group;
        let name_patience = Instant::now() + group.options.name_patience();
        let mut replaces = None;
        let mut last = None;
        loop {
            let mut places = vec![group.led(&group.raft.metrics().borrow())];
            places.extend(seeds.iter().filter(|seed| **seed != group.me.address).cloned().map(Led::At));
            for place in places.iter().filter(|place| **place != Led::Nowhere) {
                let question = Question::Join(self.join_request(incarnation, replaces));
                let asked = timeout(JOIN_TRY, async {
                    match place {
                        Led::At(address) => group.ask_there(address, &question).await,
                        Led::Here | Led::Nowhere => group.ask_here(&question).await,
                    }
                });
                match timeout_at(deadline, asked).await {
                    Ok(Ok(Ok(Answer::Admitted(admitted)))) => return Ok(admitted),
                    Ok(Ok(Err(GroupRefusal::Join(JoinRefusal::Replaces(node))))) => replaces = Some(node),
                    Ok(Ok(Err(taken @ GroupRefusal::Join(JoinRefusal::NameTaken { .. }))))
                        if Instant::now() < name_patience =>
                    {
                        last = Some(Box::new(taken));
                    }
                    Ok(Ok(Err(refusal))) if refusal.is_passing() => last = Some(Box::new(refusal)),
                    Ok(Ok(Err(refusal))) => return Err(refusal.into()),
                    Ok(Ok(Ok(_))) | Ok(Err(_)) | Err(_) => {}
                }
            }
            if let Standing::Failed(error) = &*group.standing.borrow() {
                return Err(error.clone());
            }
            if Instant::now() + JOIN_AGAIN >= deadline {
                return Err(GroupRefusal::Expired { last }.into());
            }
            tokio::time::sleep(JOIN_AGAIN).await;
        }
    }

    fn join_request(&self, incarnation: Incarnation, replaces: Option<NodeId>) -> JoinRequest {
        JoinRequest {
            wire_version: u32::from(WIRE_VERSION),
            cluster_name: self.group.me.cluster_name.clone(),
            cluster: self.group.peers.cluster().0,
            name: self.group.me.name.clone(),
            address: self.group.me.address.clone(),
            incarnation: incarnation.0,
            identity: self.group.identity.0,
            replaces: replaces.map(|node| node.0),
            now_ms: clock_ms(),
            forwarded: false,
        }
    }

    /// Proposes a change of the view to whoever leads, again until there is an answer or the time is over. Each command leaves
    /// alone what has changed meanwhile, so one that comes twice does no harm.
    ///
    /// # Errors
    /// Why it was not done, as far as that is known.
    pub async fn propose(&self, command: ViewCommand, within: Duration) -> Result<Changed, GroupRefusal> {
        match self.group.ask(&Question::Propose(command), within).await? {
            Answer::Changed(changed) => Ok(changed),
            other => Err(GroupRefusal::Malformed(format!("an answer to another question: {other:?}"))),
        }
    }

    /// Ends the node's part in the group, and closes its folder.
    pub async fn shutdown(self) {
        if self.group.raft.shutdown().await.is_err() {
            tracing::warn!("the group's task had ended before");
        }
    }
}

impl Drop for RaftNode {
    fn drop(&mut self) {
        let holder = self.holder.get_mut().take();
        self.tasks.iter().chain(&holder).for_each(JoinHandle::abort);
        self.group.holding.forget();
        if let Some(disk) = &self.group.disk {
            disk.close();
        }
        let raft = self.group.raft.clone();
        drop(self.runtime.spawn(async move { raft.shutdown().await }));
    }
}

/// Waits for something that the group's task announces.
async fn in_time<T>(
    deadline: Instant,
    announced: impl Future<Output = Result<T, watch::error::RecvError>>,
    group: &Group,
) -> Result<(), GroupError> {
    match timeout_at(deadline, announced).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(group.failure(&error)),
        Err(_) => Err(GroupRefusal::Expired { last: None }.into()),
    }
}

fn open_folder(folder: Option<&std::path::Path>, cluster_name: &str) -> Result<Opened, GroupError> {
    let disk = folder.map(Disk::open).transpose()?.map(Arc::new);
    let drawn = Identity(rand::random::<u64>().max(1));
    let (mut identity, mut cluster) = (drawn, ClusterId(0));
    if let Some(disk) = &disk {
        match disk.fact(IDENTITY)? {
            Some(known) => identity = known,
            None => disk.set_fact(IDENTITY, &drawn)?,
        }
        if let Some((known, name)) = disk.fact::<(ClusterId, String)>(CLUSTER)? {
            if name != cluster_name {
                return Err(GroupRefusal::OtherName { ours: name, theirs: cluster_name.to_owned() }.into());
            }
            cluster = known;
        }
    }
    let open = |disk: &Option<Arc<Disk>>| -> Result<_, DataError> {
        Ok((LogStore::open(disk.clone())?, StateMachine::open(disk.clone())?))
    };
    let (log, state_machine) = open(&disk)?;
    Ok(Opened { disk, identity, cluster, log, state_machine })
}

/// Says so when the node's part in the group ends by itself, as when its disk fails.
async fn watch_over(group: Arc<Group>) {
    let mut metrics = group.raft.metrics();
    let ended = metrics.wait_for(|metrics| metrics.running_state.is_err()).await;
    let why = match ended {
        Ok(metrics) => metrics.running_state.as_ref().err().map(ToString::to_string).unwrap_or_default(),
        Err(_) => "its task has ended".to_owned(),
    };
    let error = group.failure(&why);
    tracing::error!(%error, name = group.me.name, "the node takes no part in the group any more");
    group.holding.forget();
    group.standing.send_replace(Standing::Failed(error));
}
