//! The back end `lambda`: each attempt of a cloud thread is an invocation of a Lambda function whose program is this one.
//!
//! What becomes of a thread is kept by its object, of the type `CloudThread`: the driver submits it and invokes the function, and
//! the function's process asks it whether to run, and brings the outcome to it. So an event that is delivered twice runs
//! once, and an outcome is told also where the platform's answer is lost.

mod event;
#[cfg(target_os = "linux")]
mod here;
mod invocation;
mod remote;
pub(crate) mod serve;
mod triggered;

use std::fmt;
use std::sync::Arc;

use greenroom_actors::ThreadFailure;
use greenroom_aws::{Delivery, Invoker, InvokerSettings};
use tokio::sync::{Notify, OnceCell};

use super::backend::{Backend, Spec, Start, Started};
use super::running::Running;

/// A Lambda function that runs cloud threads: its program is this one, built for it.
///
/// Credentials, the region and, if need be, an endpoint come from where all of AWS' tools have them: `AWS_REGION`,
/// `AWS_PROFILE`, `AWS_ENDPOINT_URL_LAMBDA`, …
///
/// ```no_run
/// use greenroom::cloud::{Builder, Lambda};
/// use greenroom::{Error, cloud};
///
/// #[cloud]
/// fn work(part: u64) -> u64 {
///     part + 1
/// }
///
/// # fn main() -> Result<(), Error> {
/// let function = Lambda::function("my-app").region("eu-central-1").backend();
/// let thread = Builder::new().backend(function).spawn(work::call(3));
/// assert_eq!(thread.join()?, 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is used as a back end"]
pub struct Lambda {
    function: String,
    settings: InvokerSettings,
    delivery: Delivery,
}

impl Lambda {
    /// The function of that name or ARN, which may end in a version or alias (`name:live`).
    pub fn function(name: impl Into<String>) -> Self {
        Self { function: name.into(), settings: InvokerSettings::default(), delivery: Delivery::Synchronous }
    }

    /// The region of the function.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.settings.region = Some(region.into());
        self
    }

    /// The address of the Invoke API, such as that of `greenroom lambda`; one on this machine is asked without credentials.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.settings.no_credentials = is_here(&url);
        self.settings.endpoint = Some(url);
        self
    }

    /// Has the platform queue the events, and does not wait for its answers: no connection is kept open while a thread runs.
    ///
    /// The platform then takes no notice of how many run, tries an event that failed again by itself (which runs a thread
    /// that has begun no second time), and does not tell when a process crashes: the cluster does, seconds later.
    pub fn queued(mut self) -> Self {
        self.delivery = Delivery::Queued;
        self
    }

    /// The back end.
    pub fn backend(self) -> Backend {
        Backend::of(format!("lambda:{}", self.function), Arc::new(Invoking::new(Target::There(self))))
    }
}

/// A Lambda in this process.
#[cfg(target_os = "linux")]
type Local = greenroom_lambda::LocalLambda;
#[cfg(not(target_os = "linux"))]
type Local = std::convert::Infallible;

/// The back end `local-lambda`, with so many processes at most.
#[cfg(target_os = "linux")]
pub(super) fn local(name: &str, concurrency_max: usize) -> Backend {
    Backend::of(name.to_owned(), Arc::new(Invoking::new(Target::Here { concurrency_max })))
}

/// Whether an address is of this machine.
fn is_here(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|here| host.starts_with(here))
}

/// Where the function is that is invoked.
#[derive(Debug)]
enum Target {
    There(Lambda),
    /// In a local Lambda of this process, whose function is this program.
    #[cfg(target_os = "linux")]
    Here {
        concurrency_max: usize,
    },
}

/// A function, as it is invoked.
struct Function {
    target: Target,
    reached: OnceCell<Reached>,
    /// Tells that an invocation of ours has ended: there may be room for another.
    room: Notify,
}

/// A function that can be invoked.
struct Reached {
    function: String,
    delivery: Delivery,
    invoker: Invoker,
    /// It, and its processes, end with this process.
    _local: Option<Local>,
}

impl Function {
    /// The function, made ready at its first use.
    async fn reached(&self) -> Result<&Reached, String> {
        let reach = async || match &self.target {
            Target::There(Lambda { function, settings, delivery }) => Ok(Reached {
                function: function.clone(),
                delivery: *delivery,
                invoker: Invoker::new(settings).await,
                _local: None,
            }),
            #[cfg(target_os = "linux")]
            Target::Here { concurrency_max } => here::start(*concurrency_max).await,
        };
        self.reached.get_or_try_init(reach).await
    }

    /// Whether the function's processes are on this machine.
    fn is_here(&self) -> bool {
        match &self.target {
            #[cfg(target_os = "linux")]
            Target::Here { .. } => true,
            Target::There(lambda) => {
                let variable = || std::env::var("AWS_ENDPOINT_URL_LAMBDA").ok();
                lambda.settings.endpoint.clone().or_else(variable).is_some_and(|url| is_here(&url))
            }
        }
    }
}

/// The back end: what its threads share.
struct Invoking(Arc<Function>);

impl Invoking {
    fn new(target: Target) -> Self {
        Self(Arc::new(Function { target, reached: OnceCell::new(), room: Notify::new() }))
    }
}

impl Start for Invoking {
    fn start(&self, spec: Spec, running: &Arc<Running>) -> Result<Box<dyn Started>, ThreadFailure> {
        remote::begin(&self.0, spec, running)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("target", &self.target).finish_non_exhaustive()
    }
}
