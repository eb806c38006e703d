//! Back ends: where cloud threads run.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use greenroom_actors::{Error, ThreadFailure, ThreadId};

use super::builder::Builder;
use super::expand::Function;
use super::local::Local;
use super::running::Running;

/// The variable that says where cloud threads run.
const BACKEND: &str = "GREENROOM_BACKEND";

/// A run that is to begin.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) thread: ThreadId,
    pub(crate) function: &'static Function,
    /// Encoded.
    pub(crate) arguments: Vec<u8>,
    /// What was said of the thread.
    pub(crate) settings: Builder,
}

/// What brings the logs of a run.
pub(crate) type LogsFuture = Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send>>;

/// What begins runs.
pub(crate) trait Start: Send + Sync {
    /// Begins a run. What comes of it is told by [`Running::end`], once, when nothing belongs to the run any more.
    ///
    /// # Errors
    /// When it cannot begin: then nothing is told.
    fn start(&self, spec: Spec, running: &Arc<Running>) -> Result<Box<dyn Started>, ThreadFailure>;
}

/// A run that has begun, as its back end knows it.
pub(crate) trait Started: Send + Sync {
    /// Asks it to end.
    fn cancel(&self);

    /// The last of what it has logged.
    fn logs(&self) -> LogsFuture;
}

/// Where cloud threads run.
///
/// The variable `GREENROOM_BACKEND` names it for the whole program, and [`Builder::backend`] for one thread:
///
/// | name | where |
/// |---|---|
/// | `local` | each is an operating system's thread of this process; the default |
/// | `lambda:FUNCTION` | each is an invocation of that Lambda function, whose program is this one |
/// | `local-lambda`, `local-lambda:N` | the same on this machine: a Lambda in this process, with at most N processes (100) |
///
/// The last two need the feature `lambda`.
///
/// ```
/// use greenroom::cloud::{Backend, BackendError};
///
/// let local: Backend = "local".parse()?;
/// assert_eq!(local.name(), "local");
/// assert!(matches!("moon".parse::<Backend>(), Err(BackendError::Unknown { .. })));
/// # Ok::<(), BackendError>(())
/// ```
#[derive(Clone)]
pub struct Backend {
    name: Arc<str>,
    start: Arc<dyn Start>,
}

/// Why there is no such back end. Nothing has run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// Nothing is known under that name.
    #[error("there is no back end `{name}` for cloud threads: name `local`, `lambda:FUNCTION` or `local-lambda`")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// What follows the name makes no sense.
    #[error("`{name}` is no back end for cloud threads: {why}")]
    Malformed {
        /// What was asked for.
        name: String,
        /// Why it is none.
        why: String,
    },
    /// The program was built without it.
    #[error("this program was built without the feature `lambda`, which the back end `{name}` for cloud threads needs")]
    NotBuiltIn {
        /// What was asked for.
        name: String,
    },
}

impl Backend {
    pub(super) fn of(name: String, start: Arc<dyn Start>) -> Self {
        Self { name: name.into(), start }
    }

    /// Threads of this process.
    pub fn local() -> Self {
        static LOCAL: OnceLock<Backend> = OnceLock::new();
        LOCAL.get_or_init(|| Self::of("local".to_owned(), Arc::new(Local))).clone()
    }

    /// The one that `GREENROOM_BACKEND` names, or `local` if it is not set. It is read once.
    ///
    /// # Errors
    /// When there is none of that name in this program.
    pub fn from_env() -> Result<Self, BackendError> {
        static CHOSEN: OnceLock<Result<Backend, BackendError>> = OnceLock::new();
        let choose = || match std::env::var(BACKEND).as_deref().map(str::trim) {
            Err(_) | Ok("") => Ok(Self::local()),
            Ok(name) => name.parse(),
        };
        CHOSEN.get_or_init(choose).clone()
    }

    /// The name by which it was chosen.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn start(&self, spec: Spec, running: &Arc<Running>) -> Result<Box<dyn Started>, ThreadFailure> {
        self.start.start(spec, running)
    }
}

impl FromStr for Backend {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<Self, BackendError> {
        let (kind, function) = name.split_once(':').unwrap_or((name, ""));
        match kind {
            "local" if function.is_empty() => Ok(Self::local()),
            "lambda" | "local-lambda" => elsewhere(name, kind, function),
            _ => Err(BackendError::Unknown { name: name.to_owned() }),
        }
    }
}

#[cfg(feature = "lambda")]
fn elsewhere(name: &str, kind: &str, of: &str) -> Result<Backend, BackendError> {
    /// As many as a local Lambda runs unless it is told otherwise.
    const PROCESSES_MAX: usize = 100;
    let malformed = |why: String| Err(BackendError::Malformed { name: name.to_owned(), why });
    match (kind, of) {
        ("lambda", "") => malformed("name the function: `lambda:FUNCTION`".to_owned()),
        ("lambda", function) => Ok(super::Lambda::function(function).backend()),
        (_, "") => local_lambda(name, PROCESSES_MAX),
        (_, number) => match number.parse() {
            Ok(0) => malformed("it would run nothing".to_owned()),
            Ok(processes_max) => local_lambda(name, processes_max),
            Err(error) => malformed(format!("`{number}` processes: {error}")),
        },
    }
}

#[cfg(all(feature = "lambda", target_os = "linux"))]
fn local_lambda(name: &str, processes_max: usize) -> Result<Backend, BackendError> {
    Ok(super::lambda::local(name, processes_max))
}

#[cfg(all(feature = "lambda", not(target_os = "linux")))]
fn local_lambda(name: &str, _processes_max: usize) -> Result<Backend, BackendError> {
    let why = "a Lambda on this machine needs Linux, to freeze and watch its processes".to_owned();
    Err(BackendError::Malformed { name: name.to_owned(), why })
}

#[cfg(not(feature = "lambda"))]
fn elsewhere(name: &str, _kind: &str, _of: &str) -> Result<Backend, BackendError> {
    Err(BackendError::NotBuiltIn { name: name.to_owned() })
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Backend").field(&self.name).finish()
    }
}
