//! Cloud threads beside plain ones: what it costs to begin and join one, how many there can be, what a computation loses.

mod lambda;
mod ray;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::ensure;
use greenroom::cloud::{Backend, Builder, Executor};
use greenroom::sync::Latch;
use greenroom::{Counter, Error, cloud};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::report::{Figure, Goal, Report, Section, median};

/// Cloud threads, beside `std::thread`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds, after one that warms up.
    #[arg(long, default_value_t = 7)]
    rounds: usize,

    /// Threads that are begun and joined one after the other, in each round.
    #[arg(long, default_value_t = 2_000)]
    spawns: u32,

    /// Threads that are in flight at once.
    #[arg(long, default_value_t = 10_000)]
    in_flight: u32,

    /// Points of the computation, in each round.
    #[arg(long, default_value_t = 100_000_000)]
    points: u64,

    /// Invocations of the local Lambda, one after the other, in each round.
    #[arg(long, default_value_t = 100)]
    invocations: u32,

    /// What it is compared with, beside plain threads.
    #[arg(long)]
    peer: Option<Peer>,

    /// Tasks, and calls of an actor, on the peer and here, in each round.
    #[arg(long, default_value_t = 1_000)]
    peer_calls: u32,
}

/// Another system of this kind.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Peer {
    /// Ray from PyPI; `RAY_PYTHON` names a Python that has it, else it is installed in `target/ray`.
    Ray,
}

/// How much stack a thread has of which thousands wait, in bytes.
const SMALL_STACK: usize = 128 << 10;
/// How often a worker of the computation adds what it has found.
const CHUNKS: u64 = 20;

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::new("cloud", Some("std::thread".to_owned()));
    let local = Backend::local();
    let figures = vec![
        one_after_the_other(options, &local)?,
        many_at_once(options, &local)?,
        in_flight(options, &local)?,
        computation(options, &local)?,
    ];
    report.sections.push(Section { name: "back end `local`".to_owned(), figures });
    let stage = lambda::Stage::start(&greenroom::client().map_err(anyhow::Error::msg)?)?;
    report.sections.push(stage.section(options)?);
    if let Some(Peer::Ray) = options.peer {
        report.sections.push(ray::section(options, &stage.backend)?);
    }
    stage.stop();
    Ok(report)
}

#[cloud]
fn empty() {}

/// The rounds of both sides in turn, without the first: seconds of ours, and of the peer's.
fn versus(
    options: &Options,
    mut ours: impl FnMut() -> anyhow::Result<()>,
    mut theirs: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<(f64, f64)> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for round in 0..=options.rounds {
        let began = Instant::now();
        ours()?;
        let between = Instant::now();
        theirs()?;
        if round > 0 {
            a.push((between - began).as_secs_f64());
            b.push(between.elapsed().as_secs_f64());
        }
    }
    Ok((median(&a), median(&b)))
}

fn joined<T>(thread: thread::JoinHandle<T>) -> anyhow::Result<T> {
    thread.join().map_err(|_panic| anyhow::anyhow!("a plain thread panicked"))
}

fn one_after_the_other(options: &Options, backend: &Backend) -> anyhow::Result<Figure> {
    let (ours, peer) = versus(
        options,
        || {
            for _ in 0..options.spawns {
                Builder::new().backend(backend.clone()).spawn(empty::call()).join()?;
            }
            Ok(())
        },
        || (0..options.spawns).try_for_each(|_| joined(thread::spawn(|| ()))),
    )?;
    let each_us = |seconds: f64| seconds / f64::from(options.spawns) * 1e6;
    let name = "begin and join an empty thread";
    Ok(Figure::ratio(name, each_us(ours), each_us(peer), ours / peer, "µs", Goal::AtMost(5.0)))
}

fn many_at_once(options: &Options, backend: &Backend) -> anyhow::Result<Figure> {
    let executor = Executor::with(Builder::new().backend(backend.clone()));
    let (ours, peer) = versus(
        options,
        || {
            executor.join_all((0..options.spawns).map(|_| empty::call()))?;
            Ok(())
        },
        || {
            let threads: Vec<_> = (0..options.spawns).map(|_| thread::spawn(|| ())).collect();
            threads.into_iter().try_for_each(joined)
        },
    )?;
    let each_us = |seconds: f64| seconds / f64::from(options.spawns) * 1e6;
    let name = format!("the same, {} by an executor", options.spawns);
    Ok(Figure::ratio(name, each_us(ours), each_us(peer), ours / peer, "µs", Goal::None))
}

/// Says that it is there, and waits until all are.
#[cloud]
fn wait_for_all(there: Latch, all: Latch) -> Result<(), Error> {
    there.count_down()?;
    all.wait()
}

fn in_flight(options: &Options, backend: &Backend) -> anyhow::Result<Figure> {
    let there = Latch::named("loadtest/there", u64::from(options.in_flight));
    let all = Latch::named("loadtest/all", 1);
    let settings = Builder::new().backend(backend.clone()).stack_size(SMALL_STACK);
    let began = Instant::now();
    let threads: Vec<_> = (0..options.in_flight)
        .map(|_| settings.clone().spawn(wait_for_all::call(there.clone(), all.clone())))
        .collect();
    there.wait()?;
    all.count_down()?;
    for thread in threads {
        thread.join()?;
    }
    let name = format!("{} in flight at once, from first to last", options.in_flight);
    Ok(Figure::alone(name, began.elapsed().as_secs_f64(), "s", Goal::None))
}

/// Counts the random points in a quarter circle, and tells how many after each chunk.
fn hits<E>(part: u64, points: u64, mut add: impl FnMut(i64) -> Result<(), E>) -> Result<(), E> {
    let mut random = SmallRng::seed_from_u64(part);
    for _ in 0..CHUNKS {
        let mut inside = 0;
        for _ in 0..points / CHUNKS {
            let (x, y): (f64, f64) = random.random();
            inside += i64::from(x * x + y * y <= 1.0);
        }
        add(inside)?;
    }
    Ok(())
}

#[cloud]
fn montecarlo(part: u64, points: u64, total: Counter) -> Result<(), Error> {
    hits(part, points, |inside| total.add(inside).map(drop))
}

fn computation(options: &Options, backend: &Backend) -> anyhow::Result<Figure> {
    let workers = thread::available_parallelism()?.get() as u64;
    let points = options.points / workers;
    let executor = Executor::with(Builder::new().backend(backend.clone()));
    let (shared, plain) = (Counter::named("loadtest/hits"), Arc::new(AtomicI64::new(0)));
    let (ours, peer) = versus(
        options,
        || {
            executor.join_all((0..workers).map(|part| montecarlo::call(part, points, shared.clone())))?;
            Ok(())
        },
        || {
            let begin = |part| {
                let plain = Arc::clone(&plain);
                thread::spawn(move || {
                    hits(part, points, |inside| {
                        plain.fetch_add(inside, Ordering::Relaxed);
                        Ok::<_, std::convert::Infallible>(())
                    })
                })
            };
            let threads: Vec<_> = (0..workers).map(begin).collect();
            threads.into_iter().try_for_each(|thread| joined(thread)?.map_err(Into::into))
        },
    )?;
    ensure!(shared.get()? == plain.load(Ordering::Relaxed), "both must find the same");
    let speed = |seconds: f64| options.points as f64 / seconds / 1e6;
    let name = format!("montecarlo on {workers} threads");
    let ratio = Goal::AtLeast(0.95);
    Ok(Figure::ratio(name, speed(ours), speed(peer), peer / ours, "M/s", ratio))
}
