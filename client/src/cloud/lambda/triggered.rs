//! Invocations by events of the platform: they run the `#[cloud(event)]` function of this program.

use greenroom_actors::{JobId, ThreadFailure, ThreadId};
use greenroom_aws::{Failed, Invocation};

use super::serve::{NOT_STARTED, run_on_thread};
use crate::client::Client;
use crate::cloud::attempt::Attempt;
use crate::cloud::expand::find_event;
use crate::settings::{Cluster, Settings};

/// The variable that names the function that takes events.
const EVENT_FUNCTION: &str = "GREENROOM_EVENT_FUNCTION";

/// Runs the function on the event. What it holds is released at its end.
pub(super) async fn handle(invocation: Invocation) -> Result<String, Failed> {
    let not_started = |message: String| Failed { kind: NOT_STARTED, message };
    let name = std::env::var(EVENT_FUNCTION).ok().filter(|name| !name.is_empty());
    let function = find_event(name.as_deref()).map_err(not_started)?;
    let client = client().await.map_err(not_started)?;
    // The platform may deliver the event again, and that is another run: this one's session ends with it.
    let thread = ThreadId::from_random(rand::random());
    let attempt = Attempt::begin(&client, thread, 1, Some(invocation.deadline_ms), None);
    let outcome =
        run_on_thread(&attempt, None, move |attempt| attempt.run(function, invocation.event.as_bytes(), None));
    let outcome = outcome.await;
    if let Err(why) = attempt.end().await {
        eprintln!("greenroom: what {} held is released after its deadline: {why}", function.name);
    }
    let failed = |kind: &'static str, message: String| Failed { kind, message };
    match outcome {
        Ok(answer) => String::from_utf8(answer.to_vec()).map_err(|error| failed("Greenroom.Result", error.to_string())),
        Err(ThreadFailure::Event { why }) => Err(failed("Greenroom.Event", why)),
        Err(ThreadFailure::NotStarted { why }) => Err(not_started(why)),
        Err(failure @ ThreadFailure::Panicked { .. }) => Err(failed("Greenroom.Panicked", failure.to_string())),
        Err(failure) => Err(failed("Greenroom.Result", failure.to_string())),
    }
}

/// The client of this process, for events: their objects outlast it.
async fn client() -> Result<Client, String> {
    let mut settings = Settings::from_env()?;
    if settings.cluster == Cluster::Embedded {
        return Err("GREENROOM_CLUSTER is not set: objects inside this process would be of no use".to_owned());
    }
    settings.job = settings.job.or_else(|| Some(JobId::named("default")));
    super::serve::client_of(settings).await
}
