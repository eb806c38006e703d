//! Being the function: this process runs attempts of cloud threads, one after the other, as the platform hands them to it.

use std::sync::Arc;

use greenroom_actors::objects::{CloudThreadObject, CloudThreadObjectHandle, Start};
use greenroom_actors::{Error, JobId, ObjectHandle, Refusal, ThreadFailure, ThreadId};
use greenroom_aws::{Failed, Invocation};
use tokio::sync::oneshot;

use super::event::{Done, Event};
use crate::client::Client;
use crate::cloud::attempt::Attempt;
use crate::cloud::expand::{Outcome, find};
use crate::settings::{Cluster, Settings};
use crate::time::{clock_ms, left_until};

/// The kind of the error by which a process says that it has run nothing.
pub(super) const NOT_STARTED: &str = "Greenroom.NotStarted";
/// The kind of the error by which a process says that it runs nothing, though the thread's object may have been told so.
const START_UNKNOWN: &str = "Greenroom.StartUnknown";

/// Takes events until the platform ends the process.
///
/// # Errors
/// When the platform's API does not behave.
pub(crate) fn serve() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start a runtime: {error}"))?;
    runtime.block_on(greenroom_aws::serve(handle))
}

fn not_started(message: String) -> Failed {
    Failed { kind: NOT_STARTED, message }
}

async fn handle(invocation: Invocation) -> Result<String, Failed> {
    let event = match Event::from_json(&invocation.event) {
        Ok(Some(event)) => event,
        Ok(None) => return super::triggered::handle(invocation).await,
        Err(why) => return Err(not_started(format!("the event cannot be read: {why}"))),
    };
    let arguments = event.arguments().map_err(not_started)?;
    let client = client(&event).await.map_err(not_started)?;
    let thread = ThreadId(event.thread);
    let object = CloudThreadObject::named(format!("{:x}", thread.0));
    let object = client.object(object);
    let of_timeout = event.timeout_ms.map_or(u64::MAX, |timeout_ms| clock_ms().saturating_add(timeout_ms));
    let ends_ms = invocation.deadline_ms.min(of_timeout);
    let kept = match start(&object, event.attempt, ends_ms).await? {
        Start::Run { arguments } => arguments,
        Start::Duplicate => return Ok(Done::Duplicate.to_json()),
        Start::Cancelled => return Ok(Done::Cancelled.to_json()),
        Start::Superseded => return Ok(Done::Superseded.to_json()),
    };
    let arguments = arguments.or_else(|| kept.map(|kept| kept.to_vec())).unwrap_or_default();
    let attempt = Attempt::begin(&client, thread, event.attempt, Some(ends_ms), Some(client.job()));
    run(&client, &object, &attempt, &event, arguments).await;
    Ok(Done::Ran.to_json())
}

/// Asks whether to run the attempt: in the session of this process, which two deliveries of one event do not share.
async fn start(object: &CloudThreadObjectHandle, attempt: u8, ends_ms: u64) -> Result<Start, Failed> {
    /// Of one delivery the object gives the same answer each time.
    const TRIES: u32 = 3;
    let (delivery, mut tries) = (rand::random(), 0);
    loop {
        tries += 1;
        let error = match object.start_async(attempt, delivery, Some(ends_ms)).await {
            Ok(start) => return Ok(start),
            Err(Error::Unknown { .. }) if tries < TRIES => continue,
            Err(error) => error,
        };
        let message = format!("the cluster does not say whether to run: {error}");
        // If the object takes the attempt to run, it must hear that it does not: so this is a loss there.
        let kind = if matches!(error, Error::Unknown { .. }) { START_UNKNOWN } else { NOT_STARTED };
        return Err(Failed { kind, message });
    }
}

/// The client of this process, for the job of that event. It outlives the invocation.
async fn client(event: &Event) -> Result<Client, String> {
    let mut settings = Settings::from_env()?;
    if settings.cluster == Cluster::Embedded {
        settings.cluster = Cluster::Nodes(event.cluster.clone());
    }
    (settings.job, settings.job_name) = (Some(JobId(event.job)), None);
    client_of(settings).await
}

/// The client of this process, with these settings. What is called without an attempt, as by threads that a function starts
/// itself, means the objects of its job: for another job there is another client.
pub(super) async fn client_of(settings: Settings) -> Result<Client, String> {
    let client = crate::process::client_with(|| Ok(settings.clone()))?;
    if Some(client.job()) == settings.job {
        // Before the first call: the process may have been frozen since its last invocation, and its session be over.
        client.shared().check_frozen();
        return Ok(client);
    }
    drop(client);
    let ended = tokio::task::spawn_blocking(crate::shutdown).await;
    ended.map_err(|error| format!("the session of another job does not end: {error}"))?;
    crate::process::client_with(|| Ok(settings))
}

/// Runs the attempt, and brings its outcome to its thread's object.
async fn run(
    client: &Client,
    object: &CloudThreadObjectHandle,
    attempt: &Arc<Attempt>,
    event: &Event,
    arguments: Vec<u8>,
) {
    watch(client, object, attempt);
    let stack_bytes = event.stack_bytes.and_then(|bytes| usize::try_from(bytes).ok());
    let (name, fingerprint, gate) = (event.function.clone(), event.fingerprint, event.gate.clone());
    let body = move |attempt: &Arc<Attempt>| {
        find(&name, fingerprint).and_then(|function| attempt.run(function, &arguments, gate.as_ref()))
    };
    let outcome = run_on_thread(attempt, stack_bytes, body).await;
    finish(object, attempt, outcome).await;
}

/// Runs a function on a thread of its own, which it may block.
pub(super) async fn run_on_thread(
    attempt: &Arc<Attempt>,
    stack_bytes: Option<usize>,
    run: impl FnOnce(&Arc<Attempt>) -> Outcome + Send + 'static,
) -> Outcome {
    let (tell, told) = oneshot::channel();
    let running = Arc::clone(attempt);
    let body = move || {
        // The process may be about to end.
        let _ = tell.send(run(&running));
    };
    let mut thread = std::thread::Builder::new().name("cloud-thread".to_owned());
    if let Some(bytes) = stack_bytes {
        thread = thread.stack_size(bytes);
    }
    let lost = || ThreadFailure::Lost { attempt: attempt.number(), why: "it has ended without a word".to_owned() };
    match thread.spawn(body) {
        Ok(_) => told.await.unwrap_or_else(|_| Err(lost())),
        Err(error) => Err(ThreadFailure::NotStarted { why: format!("the system starts no more threads: {error}") }),
    }
}

/// Has the attempt hear of its thread's cancellation, and of its own timeout.
fn watch(client: &Client, object: &CloudThreadObjectHandle, attempt: &Arc<Attempt>) {
    let watched = attempt.around(object.watch_async());
    let attempt = Arc::downgrade(attempt);
    client.shared().spawn(async move {
        let Some(ends_ms) = attempt.upgrade().and_then(|attempt| attempt.ends_ms()) else { return };
        tokio::select! {
            // Also when that fails for good: then the nodes have given the attempt up.
            _ = watched => {}
            () = tokio::time::sleep(left_until(ends_ms)) => {}
        }
        if let Some(attempt) = attempt.upgrade() {
            attempt.cancel();
        }
    });
}

/// Tells the outcome, and ends the attempt: what it held is free before its thread is done.
async fn finish(object: &CloudThreadObjectHandle, attempt: &Arc<Attempt>, outcome: Outcome) {
    // Also of one that was cancelled.
    attempt.conclude();
    let logs = attempt.kept_logs().bytes();
    let mut finished = attempt.around(object.finish_async(attempt.number(), outcome, logs.clone())).await;
    if let Err(Error::Refused { refusal: refusal @ Refusal::TooLarge { .. }, .. }) = &finished {
        let why = format!("it is too large to be brought: {refusal}");
        let too_large = Err(ThreadFailure::Result { why });
        finished = attempt.around(object.finish_async(attempt.number(), too_large, logs)).await;
    }
    match finished {
        Ok(true) => {}
        Ok(false) => {
            eprintln!("greenroom: {} has ended otherwise meanwhile; this outcome is dropped", object.raw().name())
        }
        Err(error) => eprintln!("greenroom: the outcome of {} is lost: {error}", object.raw().name()),
    }
    if let Err(why) = attempt.end_last_at(object.raw()).await {
        eprintln!("greenroom: what {} held is released after its deadline: {why}", object.raw().name());
    }
}
