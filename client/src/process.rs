//! The client of this process: what handles use that name no client, and the runtime it runs on.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use greenroom_actors::{Caller, DefaultCaller};

use crate::client::Client;
use crate::settings::Settings;

/// The process's own client and the runtime on which its tasks run.
struct Process {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

static PROCESS: Mutex<Option<Process>> = Mutex::new(None);

inventory::submit! {
    DefaultCaller(|| client().map(|client| Arc::new(client) as Arc<dyn Caller>))
}

/// The client of this process, made at first use as the environment says.
///
/// # Errors
/// When a setting cannot be read, or the embedded node cannot be started.
pub fn client() -> Result<Client, String> {
    let mut process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(process) = &*process {
        return Ok(process.client.clone());
    }
    let settings = Settings::from_env()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("greenroom-client")
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the client's thread: {error}"))?;
    let client = Client::lazy(settings, runtime.handle().clone()).map_err(|error| error.to_string())?;
    *process = Some(Process { client: client.clone(), runtime });
    Ok(client)
}

/// Ends the process's session, if it has begun one: what it holds is released at once, and a job of its own ends.
///
/// Handles that are used later begin a new one.
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
