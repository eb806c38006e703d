//! What copies cost, and what they are worth: one copy beside two, nodes that die, and nodes that join.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use greenroom::{Client, Counter, Object as _};
use greenroom_actors::objects::CounterObject;
use greenroom_actors::{SlotId, SlotTable, hash_object};
use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinSet;

use crate::cluster::{Cluster, Shape};
use crate::probes::Probes;
use crate::report::{Figure, Goal, Report, Section, median};
use crate::workload::{Round, closed_loop};

const TIMEOUT: Duration = Duration::from_secs(30);
const MANY: usize = 256;
/// Callers whose latency is looked at while slots move, and how long each waits between two calls: no more than the machine does
/// with ease, since it does the moving too.
const WATCHERS: usize = 48;
const WATCH_PAUSE: Duration = Duration::from_millis(10);
/// How long the quiet before is watched.
const QUIET: Duration = Duration::from_secs(8);
/// Objects that are made at the same time.
const MAKERS: usize = 128;
/// Callers while nodes die.
const CALLERS: usize = 32;
const CALL_PAUSE: Duration = Duration::from_millis(5);
const PROBE_PAUSE: Duration = Duration::from_millis(25);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What copies cost, and what they are worth.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds of each case, one copy and two in turn.
    #[arg(long, default_value_t = 7)]
    rounds: usize,

    /// Length of a round, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    round_ms: u64,

    /// How many times one of three nodes is killed.
    #[arg(long, default_value_t = 20)]
    kills: usize,

    /// Small objects that are there when a node joins.
    #[arg(long, default_value_t = 100_000)]
    objects: usize,

    /// Shards of each node.
    #[arg(long, default_value_t = 2)]
    shards: u16,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut report = Report::new("replication", Some("the same with one copy".to_owned()));
    let mut add = |name: &str, figures: Vec<Figure>| {
        report.sections.push(Section { name: name.to_owned(), figures });
    };
    if options.rounds > 0 {
        add("two copies beside one, on two nodes each", runtime.block_on(costs(options))?);
    }
    if options.kills > 0 {
        add("kill -9 of one of three nodes under load", runtime.block_on(failovers(options))?);
    }
    if options.objects > 0 {
        add("a third node joins", runtime.block_on(moving(options))?);
    }
    Ok(report)
}

async fn start(options: &Options, copies: u8, n_nodes: usize) -> anyhow::Result<Cluster> {
    let name = format!("greenroom-replication-{}-{copies}-{n_nodes}", std::process::id());
    let shape = Shape { copies, slots: None, shards: options.shards, settings: Vec::new() };
    Cluster::start(shape, n_nodes, std::env::temp_dir().join(name), None).await
}

/// A call of a counter, waited for.
async fn add(counter: Counter) -> anyhow::Result<()> {
    counter.add_async(1).await.map(|_| ()).context("add")
}

async fn costs(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let (one, two) = (start(options, 1, 2).await?, start(options, 2, 2).await?);
    let mut figures = Vec::new();
    for callers in [1, MANY] {
        let one = counters(&one.door(TIMEOUT, TIMEOUT).client().await?, callers);
        let two = counters(&two.door(TIMEOUT, TIMEOUT).client().await?, callers);
        let time = Duration::from_millis(options.round_ms);
        let (mut with_one, mut with_two) = (Vec::new(), Vec::new());
        for round in 0..=options.rounds {
            let first = closed_loop(one.clone(), time, |counter| add(counter.clone())).await?;
            let second = closed_loop(two.clone(), time, |counter| add(counter.clone())).await?;
            // The first round warms both sides up.
            if round > 0 {
                with_one.push(first);
                with_two.push(second);
            }
        }
        let goals = match callers {
            1 => (Goal::AtMost(1.8), Goal::None),
            _ => (Goal::None, Goal::AtLeast(0.5)),
        };
        let name = if callers == 1 { "1 caller".to_owned() } else { format!("{callers} callers") };
        figures.push(ratio(format!("{name} p50"), &with_two, &with_one, Round::p50_us, "µs", goals.0));
        figures.push(ratio(format!("{name} throughput"), &with_two, &with_one, |r| r.throughput, "/s", goals.1));
    }
    one.forget();
    two.forget();
    Ok(figures)
}

/// That many counters, which are spread over the slots.
fn counters(client: &Client, count: usize) -> Vec<Counter> {
    (0..count).map(|number| client.object(Counter::named(format!("caller {number}")))).collect()
}

fn ratio(name: String, two: &[Round], one: &[Round], of: fn(&Round) -> f64, unit: &'static str, goal: Goal) -> Figure {
    let (two, one): (Vec<f64>, Vec<f64>) = (two.iter().map(of).collect(), one.iter().map(of).collect());
    let ratios: Vec<f64> = two.iter().zip(&one).map(|(two, one)| two / one).collect();
    Figure::ratio(name, median(&two), median(&one), median(&ratios), unit, goal)
}

/// Kills one of three nodes again and again, each time once the cluster is whole.
async fn failovers(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut random = SmallRng::seed_from_u64(1);
    let mut cluster = start(options, 2, 3).await?;
    let client = cluster.door(TIMEOUT, TIMEOUT).client().await?;
    let table = cluster.table().await.context("no node answers")?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for counter in counters(&client, CALLERS) {
        let stop = Arc::clone(&stop);
        callers.spawn(async move {
            let mut errors = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                errors += u64::from(counter.add_async(1).await.is_err());
                tokio::time::sleep(CALL_PAUSE).await;
            }
            errors
        });
    }
    // More probes than there is a need for would be most of the load.
    let probes = Probes::start_some(&client, &table, PROBE_PAUSE, 8);
    let (mut outage, mut whole) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    for number in 0..options.kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(500..1_000))).await;
        let at = Instant::now();
        cluster.kill(random.random_range(0..3))?;
        probes.all_answer(at, ANSWER_WITHIN, |_| true).await;
        let silence = probes.longest_silence(at, |_| true);
        outage.record(u64::try_from(silence.as_millis())?)?;
        cluster.settled().await?;
        whole.record(u64::try_from(at.elapsed().as_millis())?)?;
        println!("  kill {number}: {} ms, whole after {} ms", silence.as_millis(), at.elapsed().as_millis());
        cluster.add(false).await?;
        cluster.settled().await?;
    }
    stop.store(true, Ordering::Relaxed);
    let errors: u64 = callers.join_all().await.into_iter().sum();
    probes.stop().await;
    cluster.forget();
    let at = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64;
    Ok(vec![
        Figure::alone(
            format!("every call answered again, p50 of {}", outage.len()),
            at(&outage, 0.5),
            "ms",
            Goal::None,
        ),
        Figure::alone("every call answered again, p95", at(&outage, 0.95), "ms", Goal::AtMost(2_000.0)),
        Figure::alone("every call answered again, max", at(&outage, 1.0), "ms", Goal::None),
        Figure::alone("every slot has two copies again, p50", at(&whole, 0.5), "ms", Goal::None),
        Figure::alone("calls that ended in an error", errors as f64, "", Goal::AtMost(0.0)),
    ])
}

/// What a watcher saw: the latency of each call, with the time at which it began.
type Watched = Vec<(Instant, Duration)>;

/// A node joins a cluster with many objects; others are called meanwhile.
async fn moving(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut cluster = start(options, 2, 2).await?;
    let client = cluster.door(TIMEOUT, TIMEOUT).client().await?;
    fill(&client, options.objects).await?;
    let before = cluster.settled().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut watchers = JoinSet::new();
    for number in 0..WATCHERS {
        let key = format!("watched {number}");
        let slot = before.slot_of(hash_object(client.job(), CounterObject::NAME, &key));
        let counter = client.object(Counter::named(key));
        watchers.spawn(watch(slot, counter, Arc::clone(&stop)));
    }
    tokio::time::sleep(QUIET).await;
    let joined = Instant::now();
    cluster.add(false).await?;
    let after = cluster.settled().await?;
    let whole = Instant::now();
    stop.store(true, Ordering::Relaxed);
    let seen: Vec<(SlotId, Watched)> = watchers.join_all().await.into_iter().collect::<anyhow::Result<_>>()?;
    cluster.forget();

    let stays = |slot: SlotId| holders(&before, slot) == holders(&after, slot);
    let moved = (0..).map(SlotId).zip(&before.slots).filter(|(slot, _)| !stays(*slot)).count();
    let (mut quiet, mut during, mut of_moved) =
        (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    for (slot, calls) in &seen {
        for (from, latency) in calls {
            let is_during = *from + *latency >= joined;
            let latency = u64::try_from(latency.as_micros())?;
            // The first second warms up.
            match (is_during, stays(*slot)) {
                (true, true) if *from <= whole => during.record(latency)?,
                (true, false) if *from <= whole => of_moved.record(latency)?,
                (false, true) if *from + QUIET >= joined + Duration::from_secs(1) => quiet.record(latency)?,
                _ => {}
            }
        }
    }
    let p99 = |histogram: &Histogram<u64>| histogram.value_at_quantile(0.99) as f64;
    let share = moved as f64 / before.slots.len() as f64;
    let ratio = p99(&during) / p99(&quiet);
    Ok(vec![
        Figure::ratio(
            "p99 while slots move : quiet (objects that stay)",
            p99(&during),
            p99(&quiet),
            ratio,
            "µs",
            Goal::AtMost(3.0),
        ),
        Figure::alone("p99 of objects that move", p99(&of_moved), "µs", Goal::None),
        Figure::alone("longest call to an object that moves", of_moved.max() as f64 / 1000.0, "ms", Goal::None),
        Figure::alone("objects", options.objects as f64, "", Goal::None),
        Figure::alone("share of slots whose holders change", share, "", Goal::None),
        Figure::alone("until every slot is in its place", (whole - joined).as_secs_f64(), "s", Goal::None),
    ])
}

fn holders(table: &SlotTable, slot: SlotId) -> Option<BTreeSet<String>> {
    let place = table.place(slot)?;
    Some(place.in_sync.iter().filter_map(|node| table.member(*node)).map(|member| member.name.clone()).collect())
}

/// Makes that many small objects.
async fn fill(client: &Client, objects: usize) -> anyhow::Result<()> {
    let mut makers = JoinSet::new();
    for maker in 0..MAKERS {
        let client = client.clone();
        makers.spawn(async move {
            for number in (maker..objects).step_by(MAKERS) {
                client.object(Counter::named(format!("object {number}"))).add_async(1).await?;
            }
            anyhow::Ok(())
        });
    }
    makers.join_all().await.into_iter().collect()
}

async fn watch(slot: SlotId, counter: Counter, stop: Arc<AtomicBool>) -> anyhow::Result<(SlotId, Watched)> {
    let mut watched = Watched::new();
    while !stop.load(Ordering::Relaxed) {
        let from = Instant::now();
        counter.add_async(1).await?;
        watched.push((from, from.elapsed()));
        tokio::time::sleep(WATCH_PAUSE).await;
    }
    Ok((slot, watched))
}
