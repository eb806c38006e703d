//! Ray, from PyPI, in an environment of its own, on as many cores as this machine has.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};
use greenroom::cloud::{Backend, Builder, Executor};
use greenroom::{Client, Counter};

use super::{Options, empty, versus};
use crate::report::{Figure, Goal, Section};
use crate::servers::Server;

/// Where Ray is installed, unless `RAY_PYTHON` names a Python that has it.
const FOLDER: &str = "target/ray";
const SCRIPT: &str = include_str!("../../peers/ray.py");
/// How much faster we mean to be.
const GOAL: Goal = Goal::AtLeast(10.0);

/// A driver of Ray, which measures what it is told to.
struct Ray {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
}

impl Drop for Ray {
    fn drop(&mut self) {
        // It has its own processes, which end with it; one that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ray {
    fn start() -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let python = python()?;
        let mut child = Command::new(&python)
            .args(["-c", SCRIPT, &cores.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", python.display()))?;
        let asks = child.stdin.take().context("has an input")?;
        let answers = BufReader::new(child.stdout.take().context("has an output")?);
        let mut ray = Self { child, asks, answers, version: String::new() };
        // Other lines before that are Ray's own.
        while !ray.version.starts_with("ready") {
            ray.version = ray.line()?;
        }
        ray.version = ray.version.trim_start_matches("ready").trim().to_owned();
        Ok(ray)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.answers.read_line(&mut line)? > 0, "Ray has ended; what it said is above");
        Ok(line.trim().to_owned())
    }

    /// How long so many take.
    fn run(&mut self, what: &str, n: u32) -> anyhow::Result<()> {
        writeln!(self.asks, "{what} {n}")?;
        let seconds = self.line()?;
        seconds.parse::<f64>().with_context(|| format!("Ray says `{seconds}`")).map(drop)
    }
}

/// A Python that has Ray; it is installed if need be.
fn python() -> anyhow::Result<PathBuf> {
    if let Some(python) = std::env::var_os("RAY_PYTHON") {
        return Ok(python.into());
    }
    let python = Path::new(FOLDER).join("bin/python");
    if !python.exists() {
        eprintln!("loadtest: installs Ray in {FOLDER}, which takes a minute or two");
        let done = |command: &mut Command| command.status().is_ok_and(|status| status.success());
        let is_there = done(Command::new("python3").args(["-m", "venv", FOLDER]))
            && done(Command::new(&python).args(["-m", "pip", "install", "--quiet", "ray"]));
        ensure!(is_there, "cannot install Ray: python3 -m venv {FOLDER} && {FOLDER}/bin/pip install ray");
    }
    Ok(python)
}

/// Tasks and calls of an actor, beside Ray's.
pub(super) fn section(options: &Options, lambda: &Backend) -> anyhow::Result<Section> {
    let mut ray = Ray::start()?;
    let n = options.peer_calls;
    let mut figures = Vec::new();
    let local = Backend::local();
    for (name, backend, goal) in
        [("threads of this process", &local, GOAL), ("processes of a local Lambda", lambda, Goal::None)]
    {
        let executor = Executor::with(Builder::new().backend(backend.clone()));
        let (ours, peer) = versus(
            options,
            || {
                executor.join_all((0..n).map(|_| empty::call()))?;
                Ok(())
            },
            || ray.run("tasks", n),
        )?;
        let rate = |seconds: f64| f64::from(n) / seconds;
        figures.push(Figure::ratio(format!("tasks, {name}"), rate(ours), rate(peer), peer / ours, "/s", goal));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let node = runtime.block_on(Server::node())?;
    let client = runtime.block_on(node.client())?;
    figures.extend(calls(options, &client, &runtime, &mut ray)?);
    Ok(Section { name: format!("beside Ray {}", ray.version), figures })
}

/// Calls of one actor in another process.
fn calls(
    options: &Options,
    client: &Client,
    runtime: &tokio::runtime::Runtime,
    ray: &mut Ray,
) -> anyhow::Result<[Figure; 2]> {
    let n = options.peer_calls;
    let counter = client.object(Counter::named("loadtest/calls"));
    let (ours, peer) = versus(
        options,
        || (0..n).try_for_each(|_| counter.increment().map(drop)).map_err(Into::into),
        || ray.run("one-call", n),
    )?;
    let each_us = |seconds: f64| seconds / f64::from(n) * 1e6;
    let one = Figure::ratio("a call and its answer", each_us(ours), each_us(peer), peer / ours, "µs", GOAL);
    let (ours, peer) = versus(
        options,
        || {
            let calls: Vec<_> = (0..n).map(|_| runtime.spawn(counter.increment_async())).collect();
            calls.into_iter().try_for_each(|call| {
                runtime.block_on(call)??;
                Ok(())
            })
        },
        || ray.run("calls", n),
    )?;
    let rate = |seconds: f64| f64::from(n) / seconds;
    Ok([one, Figure::ratio("calls that do not wait for each other", rate(ours), rate(peer), peer / ours, "/s", GOAL)])
}
