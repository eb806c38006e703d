//! The client of this process: what handles use that name no client, and the runtime it runs on.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use greenroom_actors::{Caller, DefaultCaller};

use crate::client::Client;
use crate::settings::Settings;

/// The process's own client and the runtime on which its tasks run.
struct Process {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

static PROCESS: Mutex<Option<Process>> = Mutex::new(None);

/// How long a process that ends waits for the nodes' word that they have heard its last.
const EXIT_PATIENCE: Duration = Duration::from_secs(3);
/// The process whose end is looked after; 0 is none.
static AT_EXIT_OF: AtomicU32 = AtomicU32::new(0);

inventory::submit! {
    DefaultCaller(|| client().map(|client| Arc::new(client) as Arc<dyn Caller>))
}

/// The client of this process, made at first use as the environment says.
///
/// # Errors
/// When a setting cannot be read, or the embedded node cannot be started.
pub fn client() -> Result<Client, String> {
    client_with(Settings::from_env)
}

/// Makes the client of this process with these settings, where the environment is not to say them: to be called first.
///
/// # Errors
/// When there is a client already, a setting cannot be used, or the embedded node cannot be started.
pub fn init(settings: Settings) -> Result<Client, String> {
    let mut is_first = false;
    let client = client_with(|| {
        is_first = true;
        Ok(settings)
    })?;
    if is_first {
        Ok(client)
    } else {
        Err("this process has a client already: call `init` before the first use".to_owned())
    }
}

/// The client of this process, made at first use with these settings.
pub(crate) fn client_with(settings: impl FnOnce() -> Result<Settings, String>) -> Result<Client, String> {
    let mut process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(process) = &*process {
        return Ok(process.client.clone());
    }
    let settings = settings()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("greenroom-client")
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the client's thread: {error}"))?;
    let client = Client::lazy(settings, runtime.handle().clone()).map_err(|error| error.to_string())?;
    *process = Some(Process { client: client.clone(), runtime });
    if AT_EXIT_OF.swap(std::process::id(), Ordering::AcqRel) == 0 && !shutdown_hooks::add_shutdown_hook(at_exit) {
        tracing::debug!("nothing will be sent at the end of this process: call `greenroom::shutdown()` last");
    }
    Ok(client)
}

/// Ends the process's session, if it has begun one: what it holds is released at once, and a job of its own ends.
///
/// Handles that are used later begin a new one. A process that returns from `main`, or calls `std::process::exit`, does the
/// same by itself, as far as the nodes answer within seconds; one that aborts or is killed does not.
pub fn shutdown() {
    let process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(Process { client, runtime }) = process {
        runtime.block_on(client.close());
        runtime.shutdown_background();
    }
}

/// What operators see of this process: its id and its host, such as `4711@host`.
pub(crate) fn process_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        // Linux has a file for it; elsewhere the environment may say it.
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
        let host = host.map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
        format!("{}@{}", std::process::id(), host.as_deref().unwrap_or("unknown"))
    })
}

/// Sends what has not left yet, such as the changes of guards that were dropped, and ends the session.
///
/// The C library calls it when `main` returns or panics, and in `std::process::exit`. The exiting thread may have lost its
/// thread-locals by then, and may be a worker of the user's runtime: so the client's own thread does all of it, and what
/// this one waits by needs none.
extern "C" fn at_exit() {
    // A process that was forked off has neither that thread nor a session of its own.
    if AT_EXIT_OF.load(Ordering::Acquire) != std::process::id() {
        return;
    }
    let (client, runtime) = match &*PROCESS.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(process) if process.client.outlives_process() => {
            (process.client.clone(), process.runtime.handle().clone())
        }
        _ => return,
    };
    let ended = Arc::new((Mutex::new(false), Condvar::new()));
    let tell = Arc::clone(&ended);
    runtime.spawn(async move {
        client.close().await;
        *tell.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        tell.1.notify_one();
    });
    let has_ended = ended.0.lock().unwrap_or_else(PoisonError::into_inner);
    // If the nodes do not answer, the session ends with its grace period.
    let _ = ended.1.wait_timeout_while(has_ended, EXIT_PATIENCE, |has_ended| !*has_ended);
}
