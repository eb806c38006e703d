//! Applications come to the right result on a cluster of which a node dies and another joins while they run.

mod common;

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use common::{Dev, LIMIT, command, report, until};
use serde_json::Value;

/// Runs of a program that follow each other until nothing more happens to the nodes; their outputs.
struct Runs {
    enough: Arc<AtomicBool>,
    outputs: Receiver<Output>,
}

impl Runs {
    fn start(dev: &Dev, job: &str, arguments: &'static [&'static str]) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let (tell, outputs) = channel();
        let (is_enough, mut program) = (Arc::clone(&enough), dev.command(job));
        program.args(arguments);
        thread::spawn(move || {
            loop {
                let last = is_enough.load(Ordering::Acquire);
                let output = program.output().expect("the program can be started");
                if tell.send(output).is_err() || last {
                    return;
                }
            }
        });
        Self { enough, outputs }
    }

    /// The reports of all runs, of which the last one began when nothing more was to happen.
    fn reports(self) -> Vec<Value> {
        self.enough.store(true, Ordering::Release);
        let mut outputs = Vec::new();
        loop {
            match self.outputs.recv_timeout(LIMIT) {
                Ok(output) => outputs.push(report(&output)),
                Err(RecvTimeoutError::Disconnected) => return outputs,
                Err(RecvTimeoutError::Timeout) => panic!("a run does not end"),
            }
        }
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Release);
    }
}

/// Kills the node that founded the cluster while the program runs, and adds one; returns the reports of all runs.
fn run_while_nodes_come_and_go(
    program: &'static str,
    arguments: &'static [&'static str],
    progress: &str,
) -> Vec<Value> {
    let dev = Dev::start(program, 3);
    let runs = Runs::start(&dev, "runs", arguments);
    let number = || {
        let said = dev.command("runs").args(["greenroom", "call", progress, "get"]).output().expect("starts");
        String::from_utf8_lossy(&said.stdout).trim().parse::<i64>().unwrap_or_default()
    };
    until("the program is under way", || number() > 0);
    dev.kill(0);
    assert!(runs.outputs.try_recv().is_err(), "the first run is under way still");
    until("the others have copies of all", || dev.is_on(&["n2", "n3"]));
    let _added = dev.add();
    until("the new node has its share", || dev.is_on(&["n2", "n3", "n4"]));
    runs.reports()
}

#[test]
fn kmeans_is_exact_while_a_node_dies_and_another_joins() {
    let program = env!("CARGO_BIN_EXE_kmeans");
    // Nothing moves less far than that, so that each run has all its iterations.
    let arguments = &["--workers", "4", "--iterations", "60", "--tolerance=-1", "--json"];
    for report in run_while_nodes_come_and_go(program, arguments, "Counter/steps") {
        assert_eq!((&report["exact"], &report["difference"]), (&true.into(), &0.0.into()), "{report}");
    }
}

#[test]
fn montecarlo_counts_every_hit_once_while_a_node_dies_and_another_joins() {
    let program = env!("CARGO_BIN_EXE_montecarlo");
    let arguments = &["--workers", "4", "--points", "8000000", "--seed", "3", "--json"];
    let alone = report(&command(program).args(arguments).output().expect("starts"));
    for report in run_while_nodes_come_and_go(program, arguments, "Counter/hits") {
        assert_eq!((&report["hits"], &report["calls"]), (&alone["hits"], &80.into()), "{report}");
    }
}
