//! A local Lambda whose function is this program, clusters, and the files by which functions speak that no object hears.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use greenroom::cloud::{Backend, Builder, Call, JoinHandle, Lambda};
use greenroom::{Cluster, Counter, Error, Settings, ThreadFailure};
use greenroom_lambda::{Config, FunctionConfig, LocalLambda, Running};
use greenroom_node::{Node, NodeOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::support::{self, command, until};

/// How long anything may take that should happen at once. No session ends by itself in that time on the [shared](shared) nodes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);
/// How long a session outlives its streams on the shared nodes: what is free within [`DEADLINE`] is so for another reason.
const NEVER_MS: u64 = 3_600_000;
/// The same where sessions are to end.
pub(crate) const SHORT_MS: u64 = 300;
/// The largest call or reply on these nodes.
pub(crate) const FRAME_BYTES_MAX: usize = 4 << 20;
/// The name of the function.
pub(crate) const SAMPLE: &str = "sample";
/// Set for a test that runs in a process of its own.
const ALONE: &str = "FAULTS_ALONE";

/// A local Lambda with the function [`SAMPLE`], which is this program.
pub(crate) struct Stage {
    pub(crate) lambda: LocalLambda,
    runtime: tokio::runtime::Runtime,
    folder: PathBuf,
}

impl Stage {
    /// With the nodes that all tests of this process share.
    pub(crate) fn shared(change: impl FnOnce(&mut Config)) -> Self {
        Self::at(shared(), change)
    }

    /// With those nodes.
    pub(crate) fn at(nodes: &[String], change: impl FnOnce(&mut Config)) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("greenroom-faults-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("makes a folder");
        let mut config = Config { init_timeout: DEADLINE, ..Config::default() }.with_function(sample(nodes));
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        let lambda = runtime.block_on(LocalLambda::start(config)).expect("starts");
        Self { lambda, runtime, folder }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.lambda.address())
    }

    pub(crate) fn backend(&self) -> Backend {
        backend(&self.endpoint())
    }

    pub(crate) fn builder(&self) -> Builder {
        Builder::new().backend(self.backend())
    }

    pub(crate) fn spawn<T, E: greenroom::expand::ReplyBody<T>>(&self, call: Call<T, E>) -> JoinHandle<T, E> {
        self.builder().spawn(call)
    }

    /// Waits for something of the local Lambda.
    pub(crate) fn soon<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        let in_time = self.runtime.block_on(async { tokio::time::timeout(DEADLINE, future).await });
        in_time.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
    }

    /// Waits until so many invocations run.
    pub(crate) fn until_running(&self, count: usize) -> Vec<Running> {
        self.soon("so many run", self.lambda.running_when(|running| running.len() == count))
    }

    /// A file of this stage that need not be there.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What stays is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn backend(endpoint: &str) -> Backend {
    Lambda::function(SAMPLE).region("local").endpoint(endpoint).backend()
}

/// The function, whose objects are on those nodes.
fn sample(nodes: &[String]) -> FunctionConfig {
    let mut function = FunctionConfig::new(SAMPLE, std::env::current_exe().expect("has a path"));
    function.arguments = ["function_process", "--exact", "--nocapture"].map(str::to_owned).into();
    (function.timeout, function.memory_mb) = (DEADLINE, 1024);
    let timeout_ms = DEADLINE.as_millis().to_string();
    let environment = [("GREENROOM_CLUSTER", nodes.join(",")), ("GREENROOM_TIMEOUT_MS", timeout_ms)];
    function.environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
    function
}

/// Three nodes in this process that the process's client is given, and on which no session ends by itself.
pub(crate) fn shared() -> &'static [String] {
    static SHARED: OnceLock<(Vec<Node>, Vec<String>)> = OnceLock::new();
    let (_, addresses) = SHARED.get_or_init(|| {
        let nodes = three_nodes(NEVER_MS);
        let addresses = addresses(&nodes);
        drive(&addresses);
        (nodes, addresses)
    });
    addresses
}

/// Gives the process's client those nodes.
pub(crate) fn drive(nodes: &[String]) {
    let cluster = Cluster::Nodes(nodes.to_vec());
    let settings = Settings { cluster, timeout: DEADLINE, patience: DEADLINE, ..Settings::default() };
    greenroom::init(settings).expect("is the first client");
}

pub(crate) fn addresses(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(|node| node.address().to_owned()).collect()
}

/// Three nodes in this process, with two copies of each slot.
pub(crate) fn three_nodes(grace_ms: u64) -> Vec<Node> {
    let start = |name: &str, join: Vec<String>| {
        let mut options = NodeOptions::embedded().expect("the environment can be read");
        (options.name, options.join, options.alone) = (name.to_owned(), join, false);
        (options.shards, options.slots, options.session_grace_ms) = (Some(1), 16, grace_ms);
        options.frame_bytes_max = FRAME_BYTES_MAX;
        // On a machine that is busy with all processes of these tests nobody is to take a late node for a dead one.
        (options.group.heartbeat_ms, options.group.lease_ms) = (300, 5_000);
        (options.group.election_ms_min, options.group.election_ms_max) = (2_000, 3_000);
        Node::start(options, None).expect("starts")
    };
    let mut nodes = vec![start("n1", Vec::new())];
    let seed = nodes[0].address().to_owned();
    nodes.extend(["n2", "n3"].map(|name| start(name, vec![seed.clone()])));
    until("every slot has its copies", || {
        let table = nodes[0].table();
        table.members.len() == 3 && table.slots.iter().all(|place| place.in_sync.len() == 2)
    });
    nodes
}

/// Runs the test of that name in a process of its own, which has a client of its own.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let mut process = command(std::env::current_exe().expect("is known"));
    process.args([test, "--exact", "--nocapture"]).env(ALONE, "1");
    let said = support::run(&mut process);
    assert!(said.status == Some(0) && said.out.contains("1 passed"), "{said:?}");
}

/// Joins a thread, which must end in time.
pub(crate) fn join<T, E>(thread: JoinHandle<T, E>) -> Result<T, Error<E>>
where
    E: greenroom::expand::ReplyBody<T, Body: DeserializeOwned>,
{
    long_until("the thread ends", || thread.is_finished());
    thread.join()
}

/// Why a thread has no result.
pub(crate) fn failure<T: std::fmt::Debug, E>(joined: Result<T, Error<E>>) -> ThreadFailure
where
    E: std::fmt::Debug + Serialize,
{
    match joined {
        Err(Error::Thread { failure, .. }) => failure,
        other => panic!("it has ended otherwise: {other:?}"),
    }
}

/// Waits until something is so that may take as long as a session needs to end.
pub(crate) fn long_until(what: &str, mut so: impl FnMut() -> bool) {
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    let deadline = std::time::Instant::now() + DEADLINE;
    while !so() {
        assert!(std::time::Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

/// How often something was counted.
pub(crate) fn count(key: &str) -> i64 {
    Counter::named(key).get().expect("answers")
}

/// Waits until something was counted so often.
pub(crate) fn until_count(key: &str, wanted: i64) {
    long_until(&format!("{key} is {wanted}"), || count(key) == wanted);
}

/// In a function: waits until there is such a file. Nothing wakes it then.
pub(crate) fn wait_for_file(path: &str) {
    while !Path::new(path).exists() {
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// In a function: makes a file with that text at once.
pub(crate) fn write_file(path: &str, text: &str) {
    let beside = format!("{path}.new");
    std::fs::write(&beside, text).expect("writes");
    std::fs::rename(beside, path).expect("renames");
}

/// Waits for the file that a function makes, and returns its text.
pub(crate) fn text_of(path: &str) -> String {
    long_until("there is a file", || Path::new(path).exists());
    std::fs::read_to_string(path).expect("reads")
}
