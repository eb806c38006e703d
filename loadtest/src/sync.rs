//! Locks, semaphores, barriers and channels, beside the usual recipes on Redis.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use greenroom::Client;
use greenroom::sync::{Barrier, Mutex};

use crate::recipes::{self, Listener, Lock, Party};
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

    /// Parties of the barriers.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 32, 200, 2_000])]
    parties: Vec<u32>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Peer {
    /// Redis, persistence off, through the crate `redis`.
    Redis,
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
    let mut section = |name: &str, figures| report.sections.push(Section { name: name.to_owned(), figures });
    section("lock, and unlock with an answer; Redis: SET NX, woken by pub/sub", bench.locks().await?);
    section("barrier, time from opening to opening; Redis: INCR and pub/sub", bench.barriers().await?);
    Ok(report)
}

impl Bench<'_> {
    async fn locks(&self) -> anyhow::Result<Vec<Figure>> {
        let many = self.options.callers;
        let goal = Goal::AtLeast(5.0);
        Ok(vec![
            self.lock("1 caller, p50", 1, Connections::Shared, Read::P50, Goal::None).await?,
            self.lock(&format!("{many} callers, a connection each"), many, Connections::Each, Read::Throughput, goal)
                .await?,
            self.lock(&format!("{many} callers on 1 connection"), many, Connections::Shared, Read::Throughput, goal)
                .await?,
            self.counting(&format!("{many} callers add to what is locked"), many, goal).await?,
        ])
    }

    /// Taking and giving back one lock.
    async fn lock(
        &self,
        name: &str,
        callers: usize,
        connections: Connections,
        read: Read,
        goal: Goal,
    ) -> anyhow::Result<Figure> {
        let key = format!("lock {name}");
        let ours = self.clients(callers, connections).await?.into_iter().map(|client| mutex(&client, &key));
        let theirs = self.redis_locks(&key, callers, connections).await?;
        let ours = Side::new(ours.collect(), |mutex: &mut Mutex<u64>| {
            let mutex = mutex.clone();
            async move { Ok(mutex.lock_async().await?.unlock_async().await?) }
        });
        let theirs = Side::new(theirs, |lock: &mut Lock| {
            let mut lock = lock.clone();
            async move {
                lock.lock().await?;
                lock.unlock().await
            }
        });
        self.versus(name, ours, theirs, read, goal).await
    }

    /// Adding one to a number under a lock, which is what locks are for.
    async fn counting(&self, name: &str, callers: usize, goal: Goal) -> anyhow::Result<Figure> {
        let key = format!("counting {name}");
        let ours = self.clients(callers, Connections::Each).await?.into_iter().map(|client| mutex(&client, &key));
        let theirs = self.redis_locks(&key, callers, Connections::Each).await?;
        let ours = Side::new(ours.collect(), |mutex: &mut Mutex<u64>| {
            let mutex = mutex.clone();
            async move {
                let mut guard = mutex.lock_async().await?;
                *guard += 1;
                Ok(guard.unlock_async().await?)
            }
        });
        let theirs = Side::new(theirs, |lock: &mut Lock| {
            let mut lock = lock.clone();
            async move {
                lock.lock().await?;
                lock.add_one().await?;
                lock.unlock().await
            }
        });
        self.versus(name, ours, theirs, Read::Throughput, goal).await
    }

    async fn barriers(&self) -> anyhow::Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for &parties in &self.options.parties {
            for (connections, text) in
                [(Connections::Each, "a connection each"), (Connections::Shared, "on 1 connection")]
            {
                // A barrier of two is not contended; the goal is about many.
                let goal =
                    if parties >= 32 && connections == Connections::Each { Goal::AtMost(0.2) } else { Goal::None };
                figures.push(self.barrier(&format!("{parties} parties, {text}"), parties, connections, goal).await?);
            }
        }
        Ok(figures)
    }

    async fn barrier(&self, name: &str, parties: u32, connections: Connections, goal: Goal) -> anyhow::Result<Figure> {
        let (key, count) = (format!("barrier {name}"), usize::try_from(parties)?);
        let laps = (40_000 / count).clamp(5, 500);
        let clients = self.clients(count, connections).await?;
        let ours: Vec<_> = clients.iter().map(|client| client.object(Barrier::named(key.as_str(), parties))).collect();
        let mut theirs = Vec::new();
        if let Some(redis) = &self.redis {
            let shared = Party {
                commands: recipes::connect(&redis.address).await?,
                opened: Listener::subscribe(&redis.address, &key).await?,
                key: key.clone(),
                parties: parties.into(),
            };
            for _ in 0..count {
                theirs.push(match connections {
                    Connections::Shared => shared.clone(),
                    Connections::Each => Party {
                        commands: recipes::connect(&redis.address).await?,
                        opened: Listener::subscribe(&redis.address, &key).await?,
                        ..shared.clone()
                    },
                });
            }
        }
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for round in 0..=self.options.rounds {
            let one = lap_us(&ours, laps, |gate| {
                let gate = gate.clone();
                async move { gate.wait_async().await.map(|_| ()).context("wait") }
            })
            .await?;
            let other = lap_us(&theirs, laps, |party| {
                let mut party = party.clone();
                async move { party.wait().await }
            })
            .await?;
            // The first round warms both sides up.
            if round > 0 {
                a.push(one);
                b.push(other);
            }
        }
        Ok(figure(name, "µs", &a, self.redis.as_ref().map(|_| &b[..]), goal))
    }

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

    async fn redis_locks(&self, key: &str, callers: usize, connections: Connections) -> anyhow::Result<Vec<Lock>> {
        let Some(redis) = &self.redis else { return Ok(Vec::new()) };
        let commands = recipes::connect(&redis.address).await?;
        let released = Listener::subscribe(&redis.address, key).await?;
        let mut locks = Vec::new();
        for token in 0..callers {
            locks.push(match connections {
                Connections::Shared => Lock::new(commands.clone(), released.clone(), key, token),
                Connections::Each => {
                    let commands = recipes::connect(&redis.address).await?;
                    Lock::new(commands, Listener::subscribe(&redis.address, key).await?, key, token)
                }
            });
        }
        Ok(locks)
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

fn mutex(client: &Client, key: &str) -> Mutex<u64> {
    Mutex::named(key, 0).through(Arc::new(client.clone()))
}

/// The time of one lap in microseconds, of callers that each make so many, and wait for each other in each.
async fn lap_us<C, R>(callers: &[C], laps: usize, lap: impl Fn(&C) -> R + Clone + Send + 'static) -> anyhow::Result<f64>
where
    C: Clone + Send + 'static,
    R: Future<Output = anyhow::Result<()>> + Send,
{
    let started = Instant::now();
    let tasks: Vec<_> = callers
        .iter()
        .cloned()
        .map(|caller| {
            let lap = lap.clone();
            tokio::spawn(async move {
                for _ in 0..laps {
                    lap(&caller).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / laps as f64)
}

fn figure(name: &str, unit: &'static str, ours: &[f64], theirs: Option<&[f64]>, goal: Goal) -> Figure {
    let Some(theirs) = theirs else { return Figure::alone(name, median(ours), unit, Goal::None) };
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    Figure::ratio(name, median(ours), median(theirs), median(&ratios), unit, goal)
}
