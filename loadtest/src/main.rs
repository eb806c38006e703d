//! Experiments: Greenroom beside its peers, in one run, as ratios.

mod chaos;
mod cloud;
mod cluster;
mod footprint;
mod machine;
mod micro;
mod network;
mod probes;
mod recipes;
mod replication;
mod report;
mod servers;
mod stages;
mod sync;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Experiments: Greenroom beside its peers, in one run, as ratios.
#[derive(Parser)]
#[command(name = "loadtest", version)]
struct Arguments {
    #[command(subcommand)]
    experiment: Experiment,

    /// Write what was measured to this file, as JSON.
    #[arg(long, global = true)]
    json: Option<PathBuf>,

    /// Hold each figure against its goal; the exit status is 1 where one is missed.
    #[arg(long, global = true)]
    check: bool,
}

#[derive(Subcommand)]
enum Experiment {
    /// Increments of a counter: latency of one caller, throughput of many.
    Micro(micro::Options),
    /// Nodes that are killed, paused, cut off and started anew under load, and what their clients see.
    Chaos(chaos::Options),
    /// Cloud threads: what it costs to begin and join one, how many there can be, what a computation loses.
    Cloud(cloud::Options),
    /// Bytes of memory for each idle object.
    Footprint(footprint::Options),
    /// What copies cost and what they are worth: latency, throughput, failover, and a node that joins.
    Replication(replication::Options),
    /// Locks, semaphores, barriers and channels, beside the usual recipes.
    Sync(sync::Options),
    /// What the stages of a call cost, without the network.
    Stages(stages::Options),
}

#[greenroom::main]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let measured = match &arguments.experiment {
        Experiment::Micro(options) => micro::run(options),
        Experiment::Chaos(options) => chaos::run(options),
        Experiment::Cloud(options) => cloud::run(options),
        Experiment::Footprint(options) => footprint::run(options),
        Experiment::Replication(options) => replication::run(options),
        Experiment::Sync(options) => sync::run(options),
        Experiment::Stages(options) => stages::run(options),
    };
    // What is lost or doubled is no figure to look at.
    let check = arguments.check || matches!(arguments.experiment, Experiment::Chaos(_));
    let outcome = measured.and_then(|report| report.finish(arguments.json.as_deref(), check));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(2)
        }
    }
}
