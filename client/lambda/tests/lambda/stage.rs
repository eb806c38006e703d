//! A local Lambda with the function of the tests, a client of AWS' SDK for it, and files that functions wait for.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use greenroom_lambda::{Config, FunctionConfig, LocalLambda, LogSink, Running};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take that should happen at once.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) type Answer = Result<InvokeOutput, SdkError<InvokeError>>;

pub(crate) struct Stage {
    pub(crate) lambda: LocalLambda,
    pub(crate) client: Client,
    pub(crate) files: TempDir,
    pub(crate) log: Log,
}

/// The lines that the local Lambda was told to write here.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("is UTF-8")
    }
}

/// The function of the tests, under this name.
pub(crate) fn sample(name: &str) -> FunctionConfig {
    let mut function = FunctionConfig::new(name, std::env::current_exe().expect("has a path"));
    function.arguments = ["function_process", "--exact", "--nocapture"].map(str::to_owned).into();
    function.timeout = DEADLINE;
    function.memory_mb = 512;
    function
}

/// A local Lambda with the function `sample`, after these changes.
pub(crate) async fn stage(change: impl FnOnce(&mut Config)) -> Stage {
    let log = Log::default();
    let mut config = Config { log: LogSink::new(log.clone()), ..Config::default() }.with_function(sample("sample"));
    change(&mut config);
    println!("seed {}", config.seed);
    let lambda = LocalLambda::start(config).await.expect("starts");
    let client = client(&lambda);
    Stage { lambda, client, files: TempDir::new().expect("makes a folder"), log }
}

pub(crate) fn client(lambda: &LocalLambda) -> Client {
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "tests"))
        .endpoint_url(format!("http://{}", lambda.address()))
        .retry_config(aws_sdk_lambda::config::retry::RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

impl Stage {
    pub(crate) async fn invoke(&self, event: Value) -> InvokeOutput {
        self.try_invoke("sample", event).await.expect("is accepted")
    }

    pub(crate) async fn try_invoke(&self, function: &str, event: Value) -> Answer {
        let invocation = self.client.invoke().function_name(function).log_type(LogType::Tail);
        let answer = invocation.payload(Blob::new(event.to_string())).send();
        tokio::time::timeout(DEADLINE, answer).await.expect("is answered in time")
    }

    pub(crate) async fn post(&self, event: Value) -> Answer {
        let invocation = self.client.invoke().function_name("sample").invocation_type(InvocationType::Event);
        invocation.payload(Blob::new(event.to_string())).send().await
    }

    /// Invokes the function in the background.
    pub(crate) fn begin(&self, event: Value) -> tokio::task::JoinHandle<Answer> {
        let invocation = self.client.invoke().function_name("sample").payload(Blob::new(event.to_string()));
        tokio::spawn(async move { invocation.send().await })
    }

    /// An event whose invocation runs until [`release`](Self::release), and then says so in the file `then`.
    pub(crate) fn waiting(&self) -> Value {
        json!({ "do": "wait", "until": self.file("go"), "then": self.file("then") })
    }

    pub(crate) fn release(&self) {
        std::fs::write(self.file("go"), "").expect("writes");
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// The lines of a file; none if it is not there.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.file(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) async fn until_running(&self, n: usize) -> Vec<Running> {
        let running = self.lambda.running_when(|running| running.len() == n);
        tokio::time::timeout(DEADLINE, running).await.expect("run in time")
    }
}

pub(crate) fn payload(output: &InvokeOutput) -> Value {
    serde_json::from_slice(output.payload().expect("has a payload").as_ref()).expect("is JSON")
}

/// The kind and message of a function's error.
pub(crate) fn error(output: &InvokeOutput) -> (String, String) {
    assert_eq!(output.function_error(), Some("Unhandled"));
    let payload = payload(output);
    let text = |key: &str| payload[key].as_str().expect("is a text").to_owned();
    (text("errorType"), text("errorMessage"))
}

pub(crate) fn pid(output: &InvokeOutput) -> u32 {
    u32::try_from(payload(output).as_u64().expect("is a number")).expect("is an id")
}

/// The state of a process as the system has it: `T` is stopped; nothing if it is gone.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = stat.rsplit_once(") ")?.1.chars().next();
    // One that only its parent has not waited for yet is gone.
    state.filter(|&state| state != 'Z')
}

/// Waits until something is so that nobody tells of.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + DEADLINE;
    while !so() {
        assert!(std::time::Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        tokio::task::yield_now().await;
    }
}

pub(crate) fn distinct<T: Ord>(all: impl IntoIterator<Item = T>) -> usize {
    all.into_iter().collect::<BTreeSet<_>>().len()
}
