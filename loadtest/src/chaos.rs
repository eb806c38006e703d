//! Faults under load: node processes are killed, paused, cut off, started anew, told to leave; what clients see is written down
//! and checked.

mod ending;
mod faults;
mod load;
mod scribe;
mod tasks;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use greenroom::Client;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use self::faults::{Bag, Kind, Outage};
use self::load::Load;
use self::scribe::Book;
use crate::cluster::{Cluster, Shape};
use crate::network::Network;
use crate::probes::Probes;
use crate::report::Report;

/// Sessions of the load.
const SESSIONS: usize = 4;
/// How long a call may take, unless it waits for others: then for ever.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long such a call bears a cluster that cannot be reached.
const PATIENCE: Duration = Duration::from_secs(60);
const PROBE_PAUSE: Duration = Duration::from_millis(40);

/// Faults under load: what is lost, doubled or forgotten, and how long there is no service.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long faults are made, in minutes; each kind is made once at least.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,

    /// Nodes of the cluster.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=9))]
    nodes: u8,

    /// What the faults and the load are drawn from; by default another one at each run.
    #[arg(long)]
    seed: Option<u64>,

    /// The kinds of faults; by default all that are possible here.
    #[arg(long, value_enum, value_delimiter = ',')]
    faults: Vec<Kind>,

    /// Slots of the cluster.
    #[arg(long, default_value_t = 48)]
    slots: u16,

    /// Shards of each node.
    #[arg(long, default_value_t = 2)]
    shards: u16,

    /// Where the nodes' logs are written, and the history of a failed run; a good run removes both.
    #[arg(long)]
    folder: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let wants_cuts = options.faults.is_empty() || options.faults.iter().any(|kind| kind.cuts());
    let network = Network::inside()?;
    if network.is_none() && wants_cuts {
        if let Some(status) = Network::run_again()? {
            // The run is over, and has been reported.
            std::process::exit(status.code().unwrap_or(2));
        }
        println!("network namespaces are not allowed here: nothing is cut");
    }
    let seed = options.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    println!("seed {seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(chaos(options, seed, network))
}

async fn chaos(options: &Options, seed: u64, network: Option<Network>) -> anyhow::Result<Report> {
    let mut random = SmallRng::seed_from_u64(seed);
    let name = format!("greenroom-chaos-{seed}-{}", std::process::id());
    let folder = options.folder.clone().unwrap_or_else(std::env::temp_dir).join(name);
    let shape = Shape { copies: 2, slots: Some(options.slots), shards: options.shards, settings: Vec::new() };
    let mut bag = Bag::new(&options.faults, network.is_some());
    let mut cluster = Cluster::start(shape, usize::from(options.nodes), folder.clone(), network).await?;
    println!("{} nodes run, with {} slots; logs in {}", options.nodes, options.slots, folder.display());

    let book = Arc::new(Book::new());
    let door = cluster.door(TIMEOUT, PATIENCE);
    let mut sessions: Vec<Client> = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(door.client().await?);
    }
    let load = Load::start(&book, sessions, &door, random.random()).await?;
    let prober = door.client().await?;
    let table = cluster.table().await.context("no node answers")?;
    let probes = Probes::start(&prober, &table, PROBE_PAUSE);
    tokio::time::sleep(Duration::from_secs(1)).await;

    let end = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let mut outages: Vec<Outage> = Vec::new();
    let mut trouble = None;
    while Instant::now() < end || !bag.has_been_through() || cluster.nodes.len() < usize::from(options.nodes) {
        let kind = if cluster.nodes.len() < usize::from(options.nodes) { Kind::Join } else { bag.draw(&mut random) };
        match faults::make(kind, &mut cluster, &probes, &mut random).await {
            Ok(outage) => {
                println!("{:>7.1} s  {outage}", seconds(book.now()));
                outages.push(outage);
            }
            Err(error) => {
                println!("{:>7.1} s  {kind}: {error:#}", seconds(book.now()));
                trouble = Some(format!("{kind}: {error:#}"));
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(500..1_500))).await;
    }
    println!("{:>7.1} s  the load ends", seconds(book.now()));
    let last = load.finish().await;
    tokio::time::timeout(TIMEOUT, probes.stop()).await.ok();
    drop(prober);
    let report = verdict::judge(&book, last, &outages, trouble, &folder)?;
    if report.is_met() {
        cluster.forget();
    } else {
        println!("logs and history are in {}", cluster.folder().display());
    }
    Ok(report)
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
