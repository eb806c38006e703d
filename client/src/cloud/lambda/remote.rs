//! A cloud thread that runs elsewhere, as its driver knows it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use greenroom_actors::objects::{CloudThreadObject, CloudThreadObjectHandle, Progress, ThreadSpec};
use greenroom_actors::{Erased, Error, ObjectHandle, ThreadFailure, ThreadId};
use tokio::sync::oneshot;

use super::Function;
use super::event::Event;
use super::invocation::{Told, invoke};
use crate::client::Client;
use crate::cloud::attempt::Attempt;
use crate::cloud::backend::{LogsFuture, Spec, Started};
use crate::cloud::expand::Outcome;
use crate::cloud::running::Running;
use crate::time::{FUNCTION_MAX, clock_ms, millis};

/// Encoded arguments up to this size travel with the event. Queued events may have 256 KiB, in base64.
const ARGUMENTS_BYTES_MAX: usize = 128 << 10;
/// How long an attempt may take to begin whose invocation was lost on the way.
const BEGIN_WITHIN: Duration = Duration::from_secs(30);
/// How long the platform may take to say how a process has ended whose end the nodes have told already.
const STATUS_WITHIN: Duration = Duration::from_secs(2);

/// What the platform will say of an invocation.
type Word = oneshot::Receiver<Told>;

/// Begins a thread on the function.
pub(super) fn begin(
    function: &Arc<Function>,
    spec: Spec,
    running: &Arc<Running>,
) -> Result<Box<dyn Started>, ThreadFailure> {
    let not_started = |why: String| ThreadFailure::NotStarted { why };
    let client = crate::client().map_err(not_started)?;
    if !client.outlives_process() && !function.is_here() {
        let why = "its objects are in this process, where no function reaches them: set GREENROOM_CLUSTER".to_owned();
        return Err(not_started(why));
    }
    let Spec { thread, function: called, arguments, settings } = spec;
    let object = CloudThreadObject::named(format!("{:x}", thread.0));
    let object = client.object(object);
    let mut event = Event::new(called.name, called.fingerprint(), thread, client.job());
    (event.cluster, event.timeout_ms) = (client.addresses(), settings.timeout.map(millis));
    event.gate = settings.gate;
    event.stack_bytes = settings.stack_size.map(|bytes| bytes as u64);
    let travels = arguments.len() <= ARGUMENTS_BYTES_MAX;
    if travels {
        event.set_arguments(&arguments);
    }
    let spec = ThreadSpec {
        thread,
        function: called.name.to_owned(),
        arguments: (!travels).then(|| Bytes::from(arguments)),
        retries: settings.retries,
        is_detached: settings.is_detached,
    };
    let remote = Remote { client: client.clone(), object: object.clone(), is_detached: settings.is_detached };
    let driver = Driver { function: Arc::clone(function), client, object, thread, event };
    let running = Arc::clone(running);
    remote.client.shared().spawn(async move {
        let outcome = driver.drive(spec, &running).await;
        running.end(outcome);
    });
    Ok(Box::new(remote))
}

/// What is asked of a thread while it runs. Its object goes with it: nobody else asks for the outcome.
struct Remote {
    client: Client,
    object: CloudThreadObjectHandle,
    is_detached: bool,
}

impl Started for Remote {
    fn cancel(&self) {
        let cancel = self.object.cancel_async();
        self.client.shared().spawn(async move {
            if let Err(error) = cancel.await {
                tracing::warn!(%error, "a cloud thread is not told that it is cancelled");
            }
        });
    }

    fn logs(&self) -> LogsFuture {
        Box::pin(self.object.logs_async())
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if !self.is_detached {
            // Also at the end of the process, which waits for what is on its way.
            self.object.raw().cast_delete();
        }
    }
}

/// Brings a thread from its submission to its outcome.
struct Driver {
    function: Arc<Function>,
    client: Client,
    object: CloudThreadObjectHandle,
    thread: ThreadId,
    event: Event,
}

impl Driver {
    async fn drive(self, spec: ThreadSpec, running: &Arc<Running>) -> Outcome {
        self.object.submit_async(spec).await.map_err(|error| {
            let why = format!("the cluster does not take it: {error}");
            ThreadFailure::NotStarted { why }
        })?;
        let mut attempt = 1;
        loop {
            let (progress, word) =
                self.attempt(attempt, running).await.map_err(|error| self.out_of_sight(attempt, &error))?;
            let lost = match progress {
                Progress::Done => return self.outcome(attempt, word).await,
                Progress::Lost(lost) => lost,
            };
            // Until it can do nothing more, the next one must not begin.
            self.fence(lost).await.map_err(|why| ThreadFailure::Lost {
                attempt: lost,
                why: format!("it cannot be begun again before the lost attempt is ended: {why}"),
            })?;
            let retried = self.object.retry_async(lost).await.map_err(|error| self.out_of_sight(lost, &error))?;
            attempt = retried.unwrap_or(lost);
        }
    }

    /// Has an attempt run, until its thread's object knows what has become of it. The platform may not have said it yet.
    async fn attempt(&self, attempt: u8, running: &Arc<Running>) -> Result<(Progress, Option<Word>), Error> {
        let supervised = self.object.supervise_async();
        let mut supervised = std::pin::pin!(supervised);
        let mut word = self.invoke(attempt, running);
        let told = tokio::select! {
            biased;
            progress = &mut supervised => return Ok((progress?, Some(word))),
            told = &mut word => told.unwrap_or_else(|_| Told::Lost("the client is shutting down".to_owned())),
        };
        match told {
            Told::Nothing => {}
            Told::Failure(failure) => self.object.fail_async(attempt, failure, Bytes::new()).await?,
            Told::Lost(why) => {
                tokio::select! {
                    biased;
                    progress = &mut supervised => return Ok((progress?, None)),
                    () = tokio::time::sleep(BEGIN_WITHIN) => {}
                }
                // An attempt that has begun is not touched by that.
                self.object.fail_async(attempt, ThreadFailure::NotStarted { why }, Bytes::new()).await?;
            }
        }
        Ok((supervised.await?, None))
    }

    /// Invokes the function. The invocation goes on when nobody waits for its word: a connection that was given up in the
    /// middle of an answer could not be used again.
    fn invoke(&self, attempt: u8, running: &Arc<Running>) -> Word {
        let (tell, told) = oneshot::channel();
        let (function, running, client) =
            (Arc::clone(&self.function), Arc::clone(running), Arc::clone(self.client.shared()));
        let event = self.event.of_attempt(attempt).to_json();
        self.client.shared().spawn(async move {
            // Its outcome may be known already.
            let _ = tell.send(invoke(&function, &event, attempt, &running, &client).await);
        });
        told
    }

    /// The outcome of a thread that is done. What was lost on the way to it holds nothing any more then.
    async fn outcome(&self, attempt: u8, word: Option<Word>) -> Outcome {
        let outcome = self.object.try_join_async().await.map_err(|error| self.out_of_sight(attempt, &error))?;
        let mut outcome = outcome.unwrap_or(Err(ThreadFailure::Cancelled));
        if let Err(ThreadFailure::Lost { attempt, .. } | ThreadFailure::TimedOut { attempt }) = &outcome
            && let Err(why) = self.fence(*attempt).await
        {
            tracing::warn!(thread = %self.object.raw().name(), why, "what a lost cloud thread held is released after its deadline");
        }
        // A process that calls `exit` says goodbye to the nodes before the platform sees its status.
        if let Err(ThreadFailure::Lost { why, .. }) = &mut outcome
            && let Some(word) = word
            && let Ok(Ok(Told::Failure(ThreadFailure::Lost { why: said, .. }))) =
                tokio::time::timeout(STATUS_WITHIN, word).await
        {
            *why = said;
        }
        outcome
    }

    /// Ends an attempt that is lost, wherever it may still run.
    async fn fence(&self, attempt: u8) -> Result<(), String> {
        let ends_ms = clock_ms().saturating_add(millis(FUNCTION_MAX));
        Attempt::fence(&self.client, self.thread, attempt, Some(ends_ms)).await
    }

    /// The thread's object does not answer.
    fn out_of_sight(&self, attempt: u8, error: &Error<Erased>) -> ThreadFailure {
        ThreadFailure::Lost { attempt, why: format!("what became of it is not known: {error}") }
    }
}
