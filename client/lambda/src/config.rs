//! The settings of a local Lambda.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::error::LambdaError;
use crate::faults::Faults;
use crate::log::LogSink;

/// The settings of a local Lambda.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the Invoke API is served; port 0 is any free port.
    pub listen: SocketAddr,
    /// The functions, each with a name of its own.
    pub functions: Vec<FunctionConfig>,
    /// How many invocations may run at once, of all functions together; one more is throttled. At least 1.
    pub concurrency_max: usize,
    /// How long a process may be idle before it is ended.
    pub idle_timeout: Duration,
    /// How long an invocation waits for a process that has answered another and not yet asked for its next event, before a
    /// further process is started. Without it, a caller that invokes again as soon as it has its answer would need two.
    pub finishing_wait: Duration,
    /// How long a process may take until it asks for its first event. Not part of the function's timeout.
    pub init_timeout: Duration,
    /// The pauses before the further tries of an asynchronous event that failed, one for each further try.
    pub retry_delays: Vec<Duration>,
    /// How many asynchronous events may wait or run; one more is throttled.
    pub event_queue_max: usize,
    /// The file that a line is appended to for each asynchronous event whose tries have all failed.
    pub dead_letters: Option<PathBuf>,
    /// How much longer than the process itself a cold start takes.
    pub cold_start: ColdStart,
    /// What goes wrong, and how often.
    pub faults: Faults,
    /// What the faults and the jitter of cold starts are drawn from.
    pub seed: u64,
    /// Where the lines go that functions print.
    pub log: LogSink,
}

impl Default for Config {
    /// Any free port of the loopback, no function, no delay, no fault, and lines to the standard error.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            functions: Vec::new(),
            concurrency_max: 100,
            idle_timeout: Duration::from_secs(300),
            finishing_wait: Duration::from_millis(100),
            init_timeout: Duration::from_secs(10),
            retry_delays: vec![Duration::from_secs(1), Duration::from_secs(2)],
            event_queue_max: 10_000,
            dead_letters: None,
            cold_start: ColdStart::default(),
            faults: Faults::default(),
            seed: 0,
            log: LogSink::stderr(),
        }
    }
}

impl Config {
    /// The same with one more function.
    #[must_use]
    pub fn with_function(mut self, function: FunctionConfig) -> Self {
        self.functions.push(function);
        self
    }

    /// Finds what could only fail later, and makes the paths of the binaries absolute.
    pub(crate) fn checked(mut self) -> Result<Self, LambdaError> {
        for place in 0..self.functions.len() {
            let (before, rest) = self.functions.split_at_mut(place);
            let function = &mut rest[0];
            let name = function.name.clone();
            let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
                return Err(LambdaError::BadName { name });
            }
            if before.iter().any(|earlier| earlier.name == name) {
                return Err(LambdaError::TwoFunctions { name });
            }
            let binary = function.binary.clone();
            function.binary =
                binary.canonicalize().map_err(|source| LambdaError::NoBinary { function: name, binary, source })?;
        }
        Ok(self)
    }
}

/// One function: a binary and what it may use.
#[derive(Clone, Debug)]
pub struct FunctionConfig {
    /// The name by which it is invoked: letters, digits, `-` and `_`, at most 64.
    pub name: String,
    /// The program that each process of it runs.
    pub binary: PathBuf,
    /// What the program is started with.
    pub arguments: Vec<String>,
    /// Its memory, in MiB. A process that is seen above it is killed.
    pub memory_mb: u32,
    /// How long an invocation may run before its process is killed.
    pub timeout: Duration,
    /// Environment variables of its processes, beside those of the platform.
    pub environment: Vec<(String, String)>,
    /// How many of its invocations may run at once; without it, as many as the local Lambda has room for.
    pub concurrency_max: Option<usize>,
}

impl FunctionConfig {
    /// A function with AWS' defaults: 128 MiB and 3 seconds.
    pub fn new(name: impl Into<String>, binary: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            binary: binary.into(),
            arguments: Vec::new(),
            memory_mb: 128,
            timeout: Duration::from_secs(3),
            environment: Vec::new(),
            concurrency_max: None,
        }
    }
}

/// How much longer than the process itself a cold start takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ColdStart {
    /// The part that every cold start has.
    pub fixed: Duration,
    /// At most this much more, evenly drawn for each.
    pub jitter: Duration,
}
