//! `greenroom node`: one node in this process, until it is told to stop.

use std::future::pending;
use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use greenroom_node::{Node, NodeOptions, install_metrics};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use super::signals::StopSignals;
use super::{Failure, output};

/// What a node's line on standard output begins with when it takes calls; `dev` waits for it.
pub(super) const READY: &str = "ready: ";
/// The variables that say what is logged, the first that is set; without either it is [`LOG_DEFAULT`].
const LOG_VARIABLES: [&str; 2] = ["GREENROOM_LOG", "RUST_LOG"];
/// The node says itself who leads and who is gone; the Raft library says it at every message.
const LOG_DEFAULT: &str = "info,openraft=off";

/// The words after `node`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct NodeCommand {
    #[command(flatten)]
    options: NodeOptions,

    /// Stop when standard input ends: whoever started the node holds its other end, and ends it by dying in any way.
    #[arg(long, hide = true)]
    stop_with_parent: bool,
}

/// Runs a node.
pub(super) fn run(command: &NodeCommand) -> Result<ExitCode, Failure> {
    install_log()?;
    let metrics = install_metrics().map_err(Failure::failed)?;
    let options = command.options.clone();
    let name = options.name.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    let mut signals = {
        let _inside = runtime.enter();
        StopSignals::listen()?
    };
    let parent_gone = command.stop_with_parent.then(watch_parent).transpose()?;
    let mut node = Node::start(options, Some(metrics)).map_err(Failure::failed)?;
    let n_shards = node.layout().shards.len();
    output::line(format_args!("{READY}{name} at {}, {n_shards} shards", node.address()));
    let ended = runtime.block_on(async {
        let stop: fn(Node) = tokio::select! {
            () = signals.next() => Node::stop,
            // Whoever started all nodes of a cluster, as `dev` does, ends them together: nobody would take what this one has.
            () = closed(parent_gone) => Node::stop_and_stay,
            ended = node.ended() => return ended.map(|()| ExitCode::SUCCESS).map_err(Failure::failed),
        };
        tracing::info!(node = name, "stopping");
        tokio::select! {
            _ = tokio::task::spawn_blocking(move || stop(node)) => Ok(ExitCode::SUCCESS),
            () = signals.next() => Err(Failure::Interrupted("stopped before everything under way was done".to_owned())),
        }
    });
    // After a second signal the first stop is still under way, and nobody waits for it.
    runtime.shutdown_background();
    ended
}

fn install_log() -> Result<(), Failure> {
    let given =
        LOG_VARIABLES.iter().find_map(|name| Some((name, std::env::var(name).ok().filter(|set| !set.is_empty())?)));
    let filter = match given {
        Some((name, text)) => {
            EnvFilter::try_new(&text).map_err(|error| Failure::Usage(format!("{name} is `{text}`: {error}")))?
        }
        None => EnvFilter::new(LOG_DEFAULT),
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // A log that nobody reads any more must not stop the node.
        .log_internal_errors(false);
    log.try_init().map_err(|error| Failure::Failed(format!("cannot log: {error}")))
}

/// Tells when standard input ends. Reading it blocks, so it has a thread of its own, which the process's end ends.
fn watch_parent() -> Result<oneshot::Receiver<()>, Failure> {
    let (gone, is_gone) = oneshot::channel::<()>();
    let watch = move || {
        let mut ignored = [0; 64];
        let mut input = std::io::stdin().lock();
        while !matches!(input.read(&mut ignored), Ok(0) | Err(_)) {}
        drop(gone);
    };
    let thread = std::thread::Builder::new().name("greenroom-parent".to_owned()).spawn(watch);
    thread.map_err(|error| Failure::Failed(format!("cannot start a thread: {error}")))?;
    Ok(is_gone)
}

async fn closed(parent_gone: Option<oneshot::Receiver<()>>) {
    match parent_gone {
        Some(parent_gone) => drop(parent_gone.await),
        None => pending().await,
    }
}
