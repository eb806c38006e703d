//! The faults, one at a time.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use greenroom_actors::{NodeId, SlotId, SlotTable};
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;

use crate::cluster::Cluster;
use crate::probes::Probes;

/// The lease of a node at default settings: who is away for longer is replaced.
const LEASE_MS: u64 = 500;
/// How long it is waited for answers after a fault, before that is taken for an outage without end.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);

/// What can be done to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A process is killed, and does not come back; another node joins later.
    Kill,
    /// A process does nothing for longer than its lease.
    Pause,
    /// A process is killed and started again at once.
    Restart,
    /// A node is told to stop, and moves its slots first; another node joins later.
    Leave,
    /// A node joins.
    Join,
    /// Nobody hears a node for longer than its lease.
    Cut,
    /// A node and the other nodes do not hear each other for longer than its lease, and clients hear all.
    Isolate,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Kill, Self::Pause, Self::Restart, Self::Leave, Self::Cut, Self::Isolate];

    /// Whether it needs a network that can be cut.
    pub(crate) fn cuts(self) -> bool {
        matches!(self, Self::Cut | Self::Isolate)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill -9",
            Self::Pause => "pause",
            Self::Restart => "restart",
            Self::Leave => "leave",
            Self::Join => "join",
            Self::Cut => "cut off",
            Self::Isolate => "cut off from nodes",
        })
    }
}

/// Draws each kind once before any comes again.
pub(crate) struct Bag {
    kinds: Vec<Kind>,
    left: Vec<Kind>,
    rounds: u32,
}

impl Bag {
    pub(crate) fn new(wanted: &[Kind], can_cut: bool) -> Self {
        let kinds = if wanted.is_empty() { Kind::ALL.to_vec() } else { wanted.to_vec() };
        // Joins follow of the kills.
        let kinds = kinds.into_iter().filter(|kind| *kind != Kind::Join && (can_cut || !kind.cuts())).collect();
        Self { kinds, left: Vec::new(), rounds: 0 }
    }

    pub(crate) fn draw(&mut self, random: &mut SmallRng) -> Kind {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
            self.left.shuffle(random);
            self.rounds += 1;
        }
        self.left.pop().unwrap_or(Kind::Pause)
    }

    /// Whether each kind was drawn once at least.
    pub(crate) fn has_been_through(&self) -> bool {
        self.rounds > 1 || self.rounds == 1 && self.left.is_empty()
    }
}

/// What came of a fault.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    pub(crate) kind: Kind,
    what: String,
    /// The longest time for which a slot did not answer.
    pub(crate) silence: Duration,
    /// Until every slot had its copies again.
    pub(crate) healed: Duration,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, silence, healed) = (self.kind.to_string(), self.silence.as_millis(), self.healed.as_secs_f64());
        write!(f, "{kind:<18} {:<26} no answer for {silence:>5} ms, whole after {healed:.1} s", self.what)
    }
}

/// Makes a fault, and waits until the cluster is whole again.
pub(crate) async fn make(
    kind: Kind,
    cluster: &mut Cluster,
    probes: &Probes,
    random: &mut SmallRng,
) -> anyhow::Result<Outage> {
    let table = cluster.table().await.context("no node answers")?;
    let node = random.random_range(0..cluster.nodes.len());
    let (name, id) = (cluster.nodes[node].name.clone(), cluster.id(node, &table));
    let with_data = if cluster.nodes[node].has_data() { "with its disk" } else { "without a disk" };
    let away = Duration::from_millis(random.random_range(LEASE_MS * 2..LEASE_MS * 7));
    let (whole, lost) = (format!("{name} for {} ms", away.as_millis()), |slot| is_primary(&table, slot, id));
    let at = Instant::now();
    let what = match kind {
        Kind::Kill => {
            cluster.kill(node)?;
            name
        }
        Kind::Pause => {
            cluster.pause(node)?;
            tokio::time::sleep(away).await;
            cluster.resume(node)?;
            whole
        }
        Kind::Restart => {
            let gone = cluster.kill(node)?;
            cluster.restart(gone).await?;
            format!("{name} {with_data}")
        }
        Kind::Leave => {
            cluster.leave(node).await?;
            name
        }
        Kind::Join => {
            let with_data = random.random();
            cluster.add(with_data).await?;
            cluster.nodes.last().map(|node| node.name.clone()).unwrap_or_default()
        }
        Kind::Cut => {
            cluster.cut_off(node)?;
            tokio::time::sleep(away).await;
            cluster.mend(node)?;
            whole
        }
        Kind::Isolate => {
            cluster.isolate(node)?;
            tokio::time::sleep(away).await;
            cluster.rejoin(node)?;
            whole
        }
    };
    cluster.settled().await?;
    let healed = at.elapsed();
    let concerned = |slot| matches!(kind, Kind::Join | Kind::Leave) || lost(slot);
    probes.all_answer(Instant::now(), ANSWER_WITHIN, |_| true).await;
    Ok(Outage { kind, what, silence: probes.longest_silence(at, concerned), healed })
}

fn is_primary(table: &SlotTable, slot: SlotId, node: Option<NodeId>) -> bool {
    table.place(slot).map(|place| place.primary) == node
}
