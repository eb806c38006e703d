//! Increments of a counter, beside Redis's INCR: one caller, 64 connections, 256 callers on one connection.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use greenroom::Counter;
use greenroom::sync::Barrier;
use redis::aio::MultiplexedConnection;

use crate::report::{Figure, Goal, Report, Section, median};
use crate::servers::Server;
use crate::workload::{Round, closed_loop};

/// Increments of a counter: latency of one caller, throughput of many.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The peer to run beside.
    #[arg(long, value_enum)]
    peer: Option<Peer>,

    /// Rounds of each case, the two sides in turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// Length of a round, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    round_ms: u64,

    /// Callers that meet at one barrier.
    #[arg(long, default_value_t = 10_000)]
    barrier: usize,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Peer {
    /// Redis, persistence off, through the crate `redis`.
    Redis,
}

/// A case: how many connections, and how many callers share each.
struct Case {
    name: &'static str,
    connections: usize,
    callers_each: usize,
    goal: Goal,
}

const CASES: [Case; 3] = [
    Case { name: "1 caller", connections: 1, callers_each: 1, goal: Goal::AtMost(1.15) },
    Case { name: "64 connections, 1 caller each", connections: 64, callers_each: 1, goal: Goal::AtLeast(0.8) },
    Case { name: "256 callers on 1 connection", connections: 1, callers_each: 256, goal: Goal::AtLeast(2.5) },
];

/// The runtime on which both sides' clients run: it decides much, so all are shown. The goals are about the first.
const RUNTIMES: [(&str, Option<usize>); 3] =
    [("one worker thread", Some(1)), ("current thread", None), ("two worker threads", Some(2))];

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let peer = options.peer.map(|Peer::Redis| "Redis (redis-rs, persistence off)".to_owned());
    let mut report = Report::new("micro", peer);
    for (number, (name, workers)) in RUNTIMES.into_iter().enumerate() {
        let runtime = match workers {
            Some(workers) => {
                tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?
            }
            None => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        };
        let judged = number == 0;
        // Spawned, so that the callers are tasks of the runtime's workers.
        let figures = runtime.block_on(measure(options, judged))?;
        report.sections.push(Section { name: format!("clients on tokio, {name}"), figures });
    }
    Ok(report)
}

async fn measure(options: &Options, judged: bool) -> anyhow::Result<Vec<Figure>> {
    let node = Server::node().await?;
    let redis = match options.peer {
        Some(Peer::Redis) => Some(Server::redis().await?),
        None => None,
    };
    let mut figures = Vec::new();
    for case in &CASES {
        figures.extend(measure_case(case, options, judged, &node, redis.as_ref()).await?);
    }
    if judged {
        figures.push(barrier(options.barrier, &node).await?);
    }
    Ok(figures)
}

async fn measure_case(
    case: &Case,
    options: &Options,
    judged: bool,
    node: &Server,
    redis: Option<&Server>,
) -> anyhow::Result<Vec<Figure>> {
    let time = Duration::from_millis(options.round_ms);
    let mut counters = Vec::new();
    for _ in 0..case.connections {
        let client = node.client().await?;
        counters.extend(vec![client.object(Counter::named("hits")); case.callers_each]);
    }
    let mut connections: Vec<MultiplexedConnection> = Vec::new();
    if let Some(redis) = redis {
        let client = redis::Client::open(format!("redis://{}/", redis.address))?;
        for _ in 0..case.connections {
            let connection = client.get_multiplexed_async_connection().await?;
            connections.extend(vec![connection; case.callers_each]);
        }
    }
    let (mut ours, mut theirs): (Vec<Round>, Vec<Round>) = (Vec::new(), Vec::new());
    for round in 0..=options.rounds {
        let one = closed_loop(counters.clone(), time, |counter| {
            let call = counter.add_async(1);
            async move { call.await.map(|_| ()).context("add") }
        });
        let one = one.await?;
        let other = if redis.is_some() {
            let loops = closed_loop(connections.clone(), time, |connection| {
                let mut connection = connection.clone();
                async move {
                    let _: i64 = redis::cmd("INCR").arg("hits").query_async(&mut connection).await?;
                    Ok(())
                }
            });
            Some(loops.await?)
        } else {
            None
        };
        // The first round warms both sides up.
        if round > 0 {
            ours.push(one);
            theirs.extend(other);
        }
    }
    Ok(figures(case, judged, &ours, &theirs))
}

fn figures(case: &Case, judged: bool, ours: &[Round], theirs: &[Round]) -> Vec<Figure> {
    let of = |rounds: &[Round], value: fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<f64>>();
    let figure = |name: String, unit: &'static str, goal: Goal, value: fn(&Round) -> f64| {
        let (a, b) = (of(ours, value), of(theirs, value));
        if b.is_empty() {
            return Figure::alone(name, median(&a), unit, Goal::None);
        }
        let ratios: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a / b).collect();
        Figure::ratio(name, median(&a), median(&b), median(&ratios), unit, goal)
    };
    let (latency, throughput) = match case.goal {
        _ if !judged => (Goal::None, Goal::None),
        goal @ Goal::AtMost(_) => (goal, Goal::None),
        goal => (Goal::None, goal),
    };
    vec![
        figure(format!("{} p50", case.name), "µs", latency, Round::p50_us),
        figure(format!("{} throughput", case.name), "/s", throughput, |round| round.throughput),
    ]
}

/// That many callers in one process wait at one barrier; all are released.
async fn barrier(callers: usize, node: &Server) -> anyhow::Result<Figure> {
    let client = node.client().await?;
    let gate = client.object(Barrier::named(format!("gate of {callers}"), callers));
    let started = Instant::now();
    let waits: Vec<_> = (0..callers).map(|_| tokio::spawn(gate.wait_async())).collect();
    let mut leaders = 0;
    for wait in waits {
        leaders += u32::from(wait.await??.is_leader());
    }
    anyhow::ensure!(leaders == 1, "{leaders} leaders at the barrier");
    let time = started.elapsed().as_secs_f64() * 1000.0;
    Ok(Figure::alone(format!("{callers} callers through a barrier"), time, "ms", Goal::None))
}
