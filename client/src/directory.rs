//! What a client knows of its cluster: the slot table, and how the processes of the nodes are divided.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use greenroom_actors::{Epoch, Incarnation, NodeId, NodeLayout, ShardId, SlotId, SlotPlace, SlotTable, TableVersion};
use greenroom_rpc::describe;
use hashbrown::HashMap;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::connection::{Connection, Target};

const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Nodes that are asked for a newer table at a time.
const ASKED_MAX: usize = 4;

/// The table, and the connections to the processes that are known.
#[derive(Debug)]
pub(crate) struct Routes {
    table: Arc<SlotTable>,
    nodes: HashMap<NodeId, Arc<Process>>,
    /// The connection to each slot's shard, where its process is known.
    by_slot: Vec<Option<Route>>,
}

/// A process of a node.
#[derive(Debug)]
struct Process {
    layout: NodeLayout,
    connections: Vec<Arc<Connection>>,
}

/// Where a slot is served.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) epoch: Epoch,
    pub(crate) generation: u32,
    pub(crate) connection: Arc<Connection>,
}

/// What a client knows of its cluster, refreshed when it proves wrong.
#[derive(Debug)]
pub(crate) struct Directory {
    seeds: Vec<String>,
    runtime: tokio::runtime::Handle,
    routes: ArcSwapOption<Routes>,
    /// The version of the newest table, for those who wait for a newer one.
    newest: watch::Sender<TableVersion>,
    /// Held while somebody asks that node (`None`: the seeds), so that others wait for the answer instead of asking too.
    asking: Mutex<HashMap<Option<NodeId>, Arc<tokio::sync::Mutex<Asked>>>>,
}

/// When that node was last asked in vain, and why it was in vain: who came before that need not ask again.
type Asked = Option<(Instant, String)>;

impl Directory {
    pub(crate) fn new(seeds: Vec<String>, runtime: tokio::runtime::Handle) -> Self {
        Self {
            seeds,
            runtime,
            routes: ArcSwapOption::empty(),
            newest: watch::Sender::new(TableVersion(0)),
            asking: Mutex::default(),
        }
    }

    /// The addresses by which the cluster was found.
    pub(crate) fn seeds(&self) -> &[String] {
        &self.seeds
    }

    /// The slot table, if it is known.
    pub(crate) fn table(&self) -> Option<Arc<SlotTable>> {
        self.routes.load().as_ref().map(|routes| Arc::clone(&routes.table))
    }

    /// The version of the table, if one is known.
    pub(crate) fn version(&self) -> Option<TableVersion> {
        self.routes.load().as_ref().map(|routes| routes.table.version)
    }

    /// Tells of newer tables.
    pub(crate) fn versions(&self) -> watch::Receiver<TableVersion> {
        self.newest.subscribe()
    }

    /// Who serves `slot`, and in which epoch, if that is known.
    pub(crate) fn place(&self, slot: SlotId) -> Option<(NodeId, Epoch)> {
        let routes = self.routes.load();
        routes.as_ref()?.table.place(slot).map(|place| (place.primary, place.epoch))
    }

    /// How many slots the cluster has, if that is known.
    pub(crate) fn table_size(&self) -> Option<usize> {
        self.routes.load().as_ref().map(|routes| routes.by_slot.len())
    }

    /// Where `slot` is served, if that is known.
    pub(crate) fn route(&self, slot: SlotId) -> Option<Route> {
        self.routes.load().as_ref()?.by_slot.get(usize::from(slot.0))?.clone()
    }

    /// Every connection that there is.
    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        let routes = self.routes.load();
        let Some(routes) = routes.as_ref() else { return Vec::new() };
        routes
            .table
            .members
            .iter()
            .filter_map(|member| routes.nodes.get(&member.node))
            .flat_map(|process| process.connections.iter().map(Arc::clone))
            .collect()
    }

    /// Every connection to a process that is or was known, those of nodes that are gone among them.
    pub(crate) fn all_connections(&self) -> Vec<Arc<Connection>> {
        let routes = self.routes.load();
        let Some(routes) = routes.as_ref() else { return Vec::new() };
        let mut processes: Vec<_> = routes.nodes.iter().collect();
        processes.sort_unstable_by_key(|(node, _)| **node);
        processes.into_iter().flat_map(|(_, process)| process.connections.iter().map(Arc::clone)).collect()
    }

    /// Asks the other nodes whether they have a newer table, until one has.
    ///
    /// Some are asked at a time, since those that are gone may take long not to answer; and whoever comes while others are
    /// being asked waits for that only.
    pub(crate) async fn refresh(self: &Arc<Self>) {
        let (directory, came) = (Arc::clone(self), Instant::now());
        // At the end of the client nobody needs an answer.
        let _ = self.on_runtime(async move { directory.ask_others(came).await }).await;
    }

    async fn ask_others(&self, came: Instant) {
        let Some(known) = self.table() else { return };
        let asking = self.asking(None);
        let mut last = asking.lock().await;
        if last.as_ref().is_some_and(|(at, _)| *at >= came)
            || self.table().is_some_and(|table| table.version > known.version)
        {
            return;
        }
        let mut addresses: Vec<&String> = known.members.iter().map(|member| &member.address).collect();
        addresses.extend(self.seeds.iter().filter(|seed| known.members.iter().all(|member| member.address != **seed)));
        let first = rand::random_range(0..addresses.len().max(1));
        let mut left = addresses.iter().cycle().skip(first).take(addresses.len());
        let mut asked = JoinSet::new();
        let ask = |address: &String, asked: &mut JoinSet<_>| {
            let address = address.clone();
            asked.spawn_on(async move { describe(&address, DESCRIBE_TIMEOUT).await }, &self.runtime);
        };
        left.by_ref().take(ASKED_MAX).for_each(|address| ask(address, &mut asked));
        while let Some(answer) = asked.join_next().await {
            if let Ok(Ok((table, layout))) = answer
                && table.cluster == known.cluster
                && table.is_sound()
            {
                let newer = table.version > known.version;
                self.install(Arc::new(table), Some(layout));
                if newer {
                    return;
                }
            }
            if let Some(address) = left.next() {
                ask(address, &mut asked);
            }
        }
        *last = Some((Instant::now(), self.silence()));
    }

    /// Asks any node of the cluster for the table, unless it is known.
    pub(crate) async fn ensure_table(self: &Arc<Self>) -> Result<Arc<SlotTable>, String> {
        if let Some(table) = self.table() {
            return Ok(table);
        }
        let directory = Arc::clone(self);
        self.on_runtime(async move { directory.ask_seeds().await }).await?
    }

    async fn ask_seeds(&self) -> Result<Arc<SlotTable>, String> {
        let asking = self.asking(None);
        let _asking = asking.lock().await;
        if let Some(table) = self.table() {
            return Ok(table);
        }
        let mut faults = Vec::new();
        for seed in &self.seeds {
            match describe(seed, DESCRIBE_TIMEOUT).await {
                Ok((table, layout)) => {
                    self.install(Arc::new(table), Some(layout));
                    return self.table().ok_or_else(|| "the table is gone".to_owned());
                }
                Err(why) => faults.push(why.to_string()),
            }
        }
        Err(format!("no node of the cluster answers: {}", faults.join("; ")))
    }

    /// Asks the primary of `slot` how its process is divided, unless that is known.
    pub(crate) async fn ensure_route(self: &Arc<Self>, slot: SlotId) -> Result<Route, String> {
        if let Some(route) = self.route(slot) {
            return Ok(route);
        }
        let came = Instant::now();
        let table = self.ensure_table().await?;
        let directory = Arc::clone(self);
        self.on_runtime(async move { directory.ask_primary(slot, &table, came).await }).await?
    }

    async fn ask_primary(&self, slot: SlotId, table: &SlotTable, came: Instant) -> Result<Route, String> {
        let place = table.place(slot).ok_or("the cluster has no such slot")?;
        let asking = self.asking(Some(place.primary));
        let mut last = asking.lock().await;
        if let Some(route) = self.route(slot) {
            return Ok(route);
        }
        if let Some((_, why)) = last.as_ref().filter(|(at, _)| *at >= came) {
            return Err(why.clone());
        }
        if self.table().is_some_and(|newest| newest.version > table.version) {
            return Err("the table has changed".to_owned());
        }
        let member = table.member(place.primary).ok_or("the slot's node is not a member")?;
        let described = describe(&member.address, DESCRIBE_TIMEOUT).await.map_err(|error| error.to_string());
        let (newest, layout) = described.inspect_err(|why| *last = Some((Instant::now(), why.clone())))?;
        if newest.cluster != table.cluster || layout.node != member.node {
            return Err(format!("{} is another node than the table says", member.address));
        }
        self.install(Arc::new(newest), Some(layout));
        self.route(slot).ok_or_else(|| "the node does not serve the slot".to_owned())
    }

    /// Asks on the client's own runtime: calls may be polled by any executor, and one that is not polled any more while it
    /// asks for all holds up no other.
    async fn on_runtime<T: Send + 'static>(&self, ask: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
        self.runtime.spawn(ask).await.map_err(|error| format!("the client is shutting down: {error}"))
    }

    fn asking(&self, node: Option<NodeId>) -> Arc<tokio::sync::Mutex<Asked>> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(asking.entry(node).or_default())
    }

    /// What to say when none of the seeds answers in time.
    pub(crate) fn silence(&self) -> String {
        format!("no node of the cluster answers: {}", self.seeds.join(", "))
    }

    /// Takes a newer table; says whether it is one.
    pub(crate) fn learn(&self, table: SlotTable) -> bool {
        let is_newer = table.is_sound() && self.table().is_none_or(|known| known.version < table.version);
        if is_newer {
            self.install(Arc::new(table), None);
        }
        is_newer
    }

    /// A process is gone: its node has to be asked again.
    pub(crate) fn forget(&self, node: NodeId, incarnation: Incarnation) {
        self.routes.rcu(|routes| {
            let routes = routes.as_ref()?;
            let mut nodes = routes.nodes.clone();
            if nodes.get(&node).is_some_and(|process| process.layout.incarnation == incarnation) {
                nodes.remove(&node);
            }
            Some(Arc::new(Routes::new(Arc::clone(&routes.table), nodes)))
        });
    }

    fn install(&self, table: Arc<SlotTable>, layout: Option<NodeLayout>) {
        let process = layout.map(|layout| Arc::new(Process::new(&table, layout)));
        self.routes.rcu(|routes| {
            let mut nodes = routes.as_ref().map(|routes| routes.nodes.clone()).unwrap_or_default();
            let newest = match routes {
                Some(known) if known.table.version > table.version => Arc::clone(&known.table),
                _ => Arc::clone(&table),
            };
            if let Some(process) = &process {
                let node = process.layout.node;
                let known = nodes.get(&node).is_some_and(|known| known.layout == process.layout);
                if !known {
                    nodes.insert(node, Arc::clone(process));
                }
            }
            Some(Arc::new(Routes::new(newest, nodes)))
        });
        let newest = self.version().unwrap_or_default();
        self.newest.send_if_modified(|known| {
            *known < newest && {
                *known = newest;
                true
            }
        });
    }
}

impl Routes {
    fn new(table: Arc<SlotTable>, nodes: HashMap<NodeId, Arc<Process>>) -> Self {
        let route = |(slot, place): (SlotId, &SlotPlace)| {
            let process = nodes.get(&place.primary)?;
            let shard = process.layout.shard_of(slot);
            let connection = Arc::clone(process.connections.get(usize::from(shard.0))?);
            Some(Route { epoch: place.epoch, generation: place.generation, connection })
        };
        let by_slot = (0..).map(SlotId).zip(&table.slots).map(route).collect();
        Self { table, nodes, by_slot }
    }
}

impl Process {
    fn new(table: &SlotTable, layout: NodeLayout) -> Self {
        let target = |(shard, address): (u16, &String)| {
            Connection::new(Target {
                address: address.clone(),
                cluster: table.cluster,
                node: layout.node,
                incarnation: layout.incarnation,
                shard: ShardId(shard),
            })
        };
        let connections = (0..).zip(&layout.shards).map(target).collect();
        Self { layout, connections }
    }
}
