//! The local Lambda as a command: its words, and its run until a signal.

mod parse;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use self::parse::{FaultWords, FunctionWords, Scoped, parse_duration, parse_share, parse_variable};
use crate::config::{ColdStart, Config, FunctionConfig};
use crate::error::LambdaError;
use crate::faults::Faults;
use crate::lambda::LocalLambda;
use crate::log::LogSink;

/// How the local Lambda differs from AWS, for whoever asks for help.
const DIFFERENCES: &str = "\
How it differs from AWS:
  - Only Invoke is served; no InvokeWithResponseStream, no management of functions, no extensions, layers, SnapStart or
    Managed Instances. A streamed response is collected and returned whole.
  - Nothing is signed or checked: any credentials will do, and whoever reaches the port may invoke.
  - All qualifiers mean the one version that there is; a number is only repeated as the executed version.
  - A process is a plain process of this machine: it sees its files, its network and all its cores. The memory size limits
    what its first process has resident, is looked at every 50 ms, and does not scale the share of a core.
  - A cold start takes as long as the process does, a few milliseconds; --cold-start adds what you want.
  - Concurrency rises at once to its limit, and the limit is 100 by default (AWS: 1,000, rising by steps).
  - Events that fail are tried again after 1 and 2 seconds (AWS: 1 and 2 minutes), and those that wait do not outlive it.
    They never expire. With no --dead-letters, those that failed to the end are only logged.
  - A start that takes too long or fails fails its invocation; AWS starts the process once more first.
  - An idle process is ended after 5 minutes; AWS does so when it likes.
  - Faults happen as often as you say, and on request under /greenroom: GET running, POST running/ID/freeze, thaw, kill or
    outlive-deadline, POST functions/NAME/duplicate-next.";

/// Run functions on this machine as AWS Lambda does, for its SDKs and for tests, until Ctrl-C or SIGTERM.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = DIFFERENCES)]
pub struct LambdaArgs {
    /// A function and its program, with arguments after blanks; may be given many times.
    #[arg(long = "function", value_name = "NAME=BINARY [ARGUMENT…]", required = true)]
    functions: Vec<FunctionWords>,

    /// Where the Invoke API is served; port 0 is any free port.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9100")]
    listen: SocketAddr,

    /// Memory of all functions, or of one, in MiB; a process above it is killed. By default 128.
    #[arg(long, value_name = "[NAME=]MIB")]
    memory: Vec<Scoped<u32>>,

    /// Time of an invocation, of all functions or of one, as 3s or 500ms. By default 3s.
    #[arg(long, value_name = "[NAME=]TIME", value_parser = parse::scoped_duration)]
    timeout: Vec<Scoped<Duration>>,

    /// How many invocations of a function may run at once.
    #[arg(long, value_name = "NAME=N")]
    reserve: Vec<Scoped<usize>>,

    /// A variable in the environment of all functions, or of one. Of this command's own they have PATH and little more.
    #[arg(long, value_name = "[NAME:]VARIABLE=VALUE", value_parser = parse_variable)]
    env: Vec<Scoped<(String, String)>>,

    /// How many invocations may run at once, of all functions together.
    #[arg(long, value_name = "N", default_value_t = 100)]
    concurrency: usize,

    /// How long a process may be idle before it is ended.
    #[arg(long, value_name = "TIME", default_value = "300s", value_parser = parse_duration)]
    idle: Duration,

    /// How long a process may take until it asks for its first event.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    init_timeout: Duration,

    /// The pauses before further tries of an event that failed; there are as many further tries.
    #[arg(long, value_name = "TIME,…", value_delimiter = ',', default_value = "1s,2s", value_parser = parse_duration)]
    retry_delays: Vec<Duration>,

    /// The file that a line is appended to for each event whose tries have all failed.
    #[arg(long, value_name = "FILE")]
    dead_letters: Option<PathBuf>,

    /// How much longer each cold start takes.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    cold_start: Duration,

    /// At most this much longer still, drawn for each cold start.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    cold_start_jitter: Duration,

    /// The share of invocations that are delivered twice, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    duplicate: f64,

    /// The share of invocations whose process is frozen, after a time, for a time.
    #[arg(long, value_name = "SHARE,AFTER,FOR", default_value = "0,0s,0s")]
    freeze: FaultWords<2>,

    /// The share of invocations whose process is killed, after a time.
    #[arg(long, value_name = "SHARE,AFTER", default_value = "0,0s")]
    kill: FaultWords<1>,

    /// The share of starts that take longer, by a time.
    #[arg(long, value_name = "SHARE,FOR", default_value = "0,0s")]
    slow_start: FaultWords<1>,

    /// What faults and jitter are drawn from; printed, and by default drawn itself.
    #[arg(long)]
    seed: Option<u64>,
}

impl LambdaArgs {
    /// The settings that the words mean.
    ///
    /// # Errors
    ///
    /// A setting is for a function that there is not.
    pub fn config(&self) -> Result<Config, LambdaError> {
        let functions: Vec<_> = self.functions.iter().map(|words| self.function(words)).collect();
        let scopes = self.memory.iter().map(Scoped::function).chain(self.timeout.iter().map(Scoped::function));
        let scopes =
            scopes.chain(self.reserve.iter().map(Scoped::function)).chain(self.env.iter().map(Scoped::function));
        for name in scopes.flatten() {
            if functions.iter().all(|function| function.name != name) {
                return Err(LambdaError::NoSuchFunction { name: name.to_owned() });
            }
        }
        Ok(Config {
            listen: self.listen,
            functions,
            concurrency_max: self.concurrency,
            idle_timeout: self.idle,
            init_timeout: self.init_timeout,
            retry_delays: self.retry_delays.clone(),
            dead_letters: self.dead_letters.clone(),
            cold_start: ColdStart { fixed: self.cold_start, jitter: self.cold_start_jitter },
            faults: Faults {
                duplicate: self.duplicate,
                freeze: self.freeze.rate(),
                kill: self.kill.rate(),
                slow_start: self.slow_start.rate(),
            },
            seed: self.seed.unwrap_or_else(rand::random),
            log: LogSink::stderr(),
            ..Config::default()
        })
    }

    fn function(&self, words: &FunctionWords) -> FunctionConfig {
        let name = words.name.as_str();
        let mut function = FunctionConfig::new(name, &words.binary);
        function.arguments.clone_from(&words.arguments);
        function.memory_mb = parse::last(&self.memory, name).copied().unwrap_or(function.memory_mb);
        function.timeout = parse::last(&self.timeout, name).copied().unwrap_or(function.timeout);
        function.concurrency_max = parse::last(&self.reserve, name).copied();
        function.environment =
            self.env.iter().filter(|scoped| scoped.is_for(name)).map(|scoped| scoped.value.clone()).collect();
        function
    }
}

/// Runs a local Lambda until Ctrl-C or SIGTERM, and then leaves no process behind.
///
/// # Errors
///
/// The words make no sense together, or as for [`LocalLambda::start`].
pub async fn run(args: &LambdaArgs) -> Result<(), LambdaError> {
    // Before the first process is there, so that none is left behind.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(LambdaError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(LambdaError::Signals)?;
    let config = args.config()?;
    let (log, seed) = (config.log.clone(), config.seed);
    let names: Vec<_> = config.functions.iter().map(|function| function.name.clone()).collect();
    let lambda = LocalLambda::start(config).await?;
    log.line("lambda", &format!("seed {seed}"));
    log.line("lambda", &format!("serves {} at http://{}", names.join(", "), lambda.address()));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    lambda.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests;
