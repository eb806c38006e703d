//! `greenroom jobs` and `greenroom job`: the cloud threads that run elsewhere than in their driver, by job.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use greenroom_actors::objects::{CloudThreadObject, CloudThreadObjectHandle};
use greenroom_actors::{Object, ObjectHandle, RawHandle};
use serde::Serialize;
use serde_json::Value;

use super::objects::threads;
use super::table::{self, Align};
use super::target::Job;
use super::{ClusterArgument, Failure, client_runtime, output, readable};
use crate::client::Client;
use crate::settings::{Cluster, Settings};

/// The words after `jobs`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Threads of the back end `local` live in their driver's process and are not shown, nor are those whose \
                        handles are gone."
)]
pub(super) struct JobsCommand {
    #[command(flatten)]
    cluster: ClusterArgument,

    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

/// The words after `job`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Exit status: 0 if the job has threads, 1 if it has none or cannot be asked.")]
pub(super) struct JobCommand {
    /// The job: its name, or the id that `jobs` shows.
    job: Job,

    /// Cancel its threads that have not ended.
    #[arg(long)]
    cancel: bool,

    #[command(flatten)]
    cluster: ClusterArgument,

    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

/// A thread, as `--json` shows it.
#[derive(Debug, Serialize)]
struct ThreadPart {
    id: String,
    function: String,
    /// `waiting`, `running`, `lost`, `ended` or `failed`.
    state: &'static str,
    /// The attempt that waits, runs or was lost; how large the result is; or why it failed.
    detail: String,
    /// Whether it was asked to end, by anybody.
    cancelled: bool,
}

/// The threads of a job, counted.
#[derive(Debug, Default, Serialize)]
struct JobPart {
    job: String,
    waiting: u64,
    running: u64,
    ended: u64,
    failed: u64,
}

/// Lists the jobs that have threads.
pub(super) fn list(command: &JobsCommand) -> Result<ExitCode, Failure> {
    let jobs = client_runtime()?.block_on(async {
        let client = connect(&command.cluster).await?;
        let mut jobs: BTreeMap<String, JobPart> = BTreeMap::new();
        for (job, thread) in look(&client, threads(&command.cluster, None).await?).await {
            let part = jobs.entry(job.clone()).or_default();
            part.job = job;
            match thread.state {
                "waiting" | "lost" => part.waiting += 1,
                "running" => part.running += 1,
                "ended" => part.ended += 1,
                _ => part.failed += 1,
            }
        }
        client.close().await;
        Ok::<_, Failure>(jobs.into_values().collect::<Vec<_>>())
    })?;
    if command.json {
        output::json(&jobs);
        return Ok(ExitCode::SUCCESS);
    }
    let columns = [
        ("JOB", Align::Left),
        ("WAITING", Align::Right),
        ("RUNNING", Align::Right),
        ("ENDED", Align::Right),
        ("FAILED", Align::Right),
    ];
    let cells = |part: &JobPart| {
        let numbers = [part.waiting, part.running, part.ended, part.failed].map(|number| number.to_string());
        [vec![part.job.clone()], numbers.to_vec()].concat()
    };
    output::line(table::render(&columns, &jobs.iter().map(cells).collect::<Vec<_>>()));
    Ok(ExitCode::SUCCESS)
}

/// Shows the threads of a job, or cancels them.
pub(super) fn show(command: &JobCommand) -> Result<ExitCode, Failure> {
    let parts = client_runtime()?.block_on(async {
        let client = connect(&command.cluster).await?;
        let found = threads(&command.cluster, Some(command.job.id)).await?;
        if command.cancel {
            for (job, key) in &found {
                let object = RawHandle::named(CloudThreadObject::TYPE, key.clone()).in_job(job.id);
                let thread = client.object(CloudThreadObjectHandle::from_raw(object.existing()));
                // One that has gone meanwhile has ended.
                if let Err(error) = thread.cancel_async().await {
                    output::note(format_args!("{}: {error}", readable::text(key)));
                }
            }
        }
        let parts: Vec<_> = look(&client, found).await.into_iter().map(|(_, thread)| thread).collect();
        client.close().await;
        Ok::<_, Failure>(parts)
    })?;
    if parts.is_empty() {
        return Err(Failure::Failed(format!("the job `{}` has no threads that run elsewhere", command.job)));
    }
    if command.json {
        output::json(&parts);
        return Ok(ExitCode::SUCCESS);
    }
    let columns = [("THREAD", Align::Left), ("FUNCTION", Align::Left), ("STATE", Align::Left), ("DETAIL", Align::Left)];
    let cells = |part: &ThreadPart| {
        let state = if part.cancelled { format!("{}, cancelled", part.state) } else { part.state.to_owned() };
        vec![part.id.clone(), part.function.clone(), state, part.detail.clone()]
    };
    output::line(table::render(&columns, &parts.iter().map(cells).collect::<Vec<_>>()));
    Ok(ExitCode::SUCCESS)
}

async fn connect(cluster: &ClusterArgument) -> Result<Client, Failure> {
    let settings = Settings { cluster: Cluster::Nodes(cluster.cluster.0.clone()), ..Settings::default() };
    Client::with_settings(settings).await.map_err(|error| Failure::Failed(super::no_cluster(error)))
}

/// Asks each thread what has become of it; those that have gone meanwhile are left out.
async fn look(client: &Client, found: Vec<(Job, String)>) -> Vec<(String, ThreadPart)> {
    let describe = |(job, key): (Job, String)| {
        let object = RawHandle::named(CloudThreadObject::TYPE, key.clone()).in_job(job.id).existing();
        let described = object.through(Arc::new(client.clone())).describe_async();
        tokio::spawn(async move { Some((job.to_string(), ThreadPart::new(key, &described.await.ok()?))) })
    };
    let asked: Vec<_> = found.into_iter().map(describe).collect();
    let mut parts = Vec::new();
    for answer in asked {
        parts.extend(answer.await.ok().flatten());
    }
    parts
}

impl ThreadPart {
    /// What the thread's object says of itself.
    fn new(id: String, described: &Value) -> Self {
        let said = &described["state"];
        let state = &said["state"];
        let (kind, detail) = match state {
            Value::String(failure) => ("failed", readable::text(failure)),
            _ if state.get("submitted").is_some() => ("waiting", format!("attempt {}", state["submitted"])),
            _ if state.get("running").is_some() => ("running", format!("attempt {}", state["running"])),
            _ if state.get("lost").is_some() => ("lost", format!("attempt {}", state["lost"])),
            _ => ("ended", format!("{} bytes", state["result_bytes"])),
        };
        Self {
            id,
            function: readable::text(said["function"].as_str().unwrap_or("?")),
            state: kind,
            detail,
            cancelled: said["cancelled"] == true,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_thread_is_shown_by_what_its_object_says() {
        let part = |state: Value| {
            let described = json!({ "state": { "function": "app::work", "state": state, "cancelled": true } });
            let part = ThreadPart::new("7".to_owned(), &described);
            (part.function, part.state, part.detail, part.cancelled)
        };
        let shown = |state: &'static str, detail: &str| ("app::work".to_owned(), state, detail.to_owned(), true);
        assert_eq!(part(json!({ "submitted": 1 })), shown("waiting", "attempt 1"));
        assert_eq!(part(json!({ "running": 2, "ends_ms": 5 })), shown("running", "attempt 2"));
        assert_eq!(part(json!({ "result_bytes": 3 })), shown("ended", "3 bytes"));
        assert_eq!(part(json!("was cancelled")), shown("failed", "was cancelled"));
    }
}
