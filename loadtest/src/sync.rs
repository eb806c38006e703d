//! Locks, semaphores, barriers and channels, beside the usual recipes on Redis.

mod barriers;
mod channels;
mod locks;
mod tokens;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use greenroom::Client;

use crate::report::{Figure, Goal, Report, Section, median};
use crate::servers::Server;
use crate::workload::{Round, closed_loop};

/// Locks, semaphores, barriers and channels, beside the usual recipes.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The peer to run beside.
    #[arg(long, value_enum)]
    peer: Option<Peer>,

    /// Rounds of each case, the two sides in turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// Length of a round, in milliseconds.
    #[arg(long, default_value_t = 500)]
    round_ms: u64,

    /// Callers that want one lock or one of a few permits at the same time.
    #[arg(long, default_value_t = 32)]
    callers: usize,

    /// Measure only these sections.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,

    /// Parties of the barriers.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 32, 200, 2_000])]
    parties: Vec<u32>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Peer {
    /// Redis, persistence off, through the crate `redis`.
    Redis,
}

/// A section of the report.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Lock,
    Token,
    Permit,
    Barrier,
    Channel,
}

impl Part {
    const ALL: [Self; 5] = [Self::Lock, Self::Token, Self::Permit, Self::Barrier, Self::Channel];

    fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock, and unlock with an answer; Redis: SET NX, woken by pub/sub",
            Self::Token => "the same lock; Redis: BLPOP and RPUSH of a token, without a lease",
            Self::Permit => "a permit of 8, and its release with an answer; Redis: BLPOP and RPUSH",
            Self::Barrier => "barrier, time from opening to opening; Redis: INCR and pub/sub",
            Self::Channel => "channel without a bound, a connection each; Redis: RPUSH and BLPOP",
        }
    }
}

/// Whether callers share a connection, as tasks of one process do, or have one each, as functions do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connections {
    Shared,
    Each,
}

/// Both servers, and how long to measure.
struct Bench<'a> {
    options: &'a Options,
    node: Server,
    redis: Option<Server>,
}

/// What is read off a round.
#[derive(Clone, Copy)]
enum Read {
    P50,
    Throughput,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(measure(options))
}

async fn measure(options: &Options) -> anyhow::Result<Report> {
    let peer = options.peer.map(|Peer::Redis| "the usual recipes on Redis (redis-rs, persistence off)".to_owned());
    let mut report = Report::new("sync", peer);
    let redis = match options.peer {
        Some(Peer::Redis) => Some(Server::redis().await?),
        None => None,
    };
    let bench = Bench { options, node: Server::node().await?, redis };
    for part in Part::ALL {
        if !options.only.is_empty() && !options.only.contains(&part) {
            continue;
        }
        let figures = match part {
            Part::Lock => bench.locks().await?,
            Part::Token => bench.token_locks().await?,
            Part::Permit => bench.semaphores().await?,
            Part::Barrier => bench.barriers().await?,
            Part::Channel => bench.channels().await?,
        };
        report.sections.push(Section { name: part.name().to_owned(), figures });
    }
    Ok(report)
}

impl Bench<'_> {
    /// Greenroom clients, one for each caller.
    async fn clients(&self, callers: usize, connections: Connections) -> anyhow::Result<Vec<Client>> {
        let shared = self.node.client().await?;
        let mut clients = Vec::new();
        for _ in 0..callers {
            clients.push(match connections {
                Connections::Shared => shared.clone(),
                Connections::Each => self.node.client().await?,
            });
        }
        Ok(clients)
    }

    /// Closed loops of both sides, in turn.
    async fn versus<A, B>(
        &self,
        name: &str,
        ours: Side<A>,
        theirs: Side<B>,
        read: Read,
        goal: Goal,
    ) -> anyhow::Result<Figure>
    where
        A: Clone + Send + 'static,
        B: Clone + Send + 'static,
    {
        let time = Duration::from_millis(self.options.round_ms);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for round in 0..=self.options.rounds {
            let one = ours.run(time).await?;
            let other = if self.redis.is_some() { Some(theirs.run(time).await?) } else { None };
            // The first round warms both sides up.
            if round > 0 {
                a.push(read.value(&one));
                b.extend(other.map(|other| read.value(&other)));
            }
        }
        Ok(figure(name, read.unit(), &a, self.redis.as_ref().map(|_| &b[..]), goal))
    }
}

/// The callers of one side, and what each does again and again.
struct Side<C> {
    callers: Vec<C>,
    call: Arc<dyn Fn(&mut C) -> Call + Send + Sync>,
}

type Call = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

impl<C: Clone + Send + 'static> Side<C> {
    fn new<R>(callers: Vec<C>, call: impl Fn(&mut C) -> R + Send + Sync + 'static) -> Self
    where
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self { callers, call: Arc::new(move |caller| Box::pin(call(caller))) }
    }

    async fn run(&self, time: Duration) -> anyhow::Result<Round> {
        let call = Arc::clone(&self.call);
        closed_loop(self.callers.clone(), time, move |caller| call(caller)).await
    }
}

impl Read {
    fn value(self, round: &Round) -> f64 {
        match self {
            Self::P50 => round.p50_us(),
            Self::Throughput => round.throughput,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::P50 => "µs",
            Self::Throughput => "/s",
        }
    }
}

fn figure(name: &str, unit: &'static str, ours: &[f64], theirs: Option<&[f64]>, goal: Goal) -> Figure {
    let Some(theirs) = theirs else { return Figure::alone(name, median(ours), unit, Goal::None) };
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    Figure::ratio(name, median(ours), median(theirs), median(&ratios), unit, goal)
}
