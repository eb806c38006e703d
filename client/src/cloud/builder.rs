//! Settings of a cloud thread.

use std::time::Duration;

use greenroom_actors::ReplyBody;

use super::backend::Backend;
use super::function::Call;
use super::gang::Gate;
use super::handle::JoinHandle;
use super::running::Running;
use super::scope::Scope;

/// What can be said of a cloud thread before it begins, as with `std::thread::Builder`.
///
/// ```no_run
/// use std::time::Duration;
///
/// use greenroom::cloud::Builder;
/// use greenroom::{Error, cloud};
///
/// #[cloud]
/// fn work(part: u64) -> u64 {
///     part + 1
/// }
///
/// # fn main() -> Result<(), Error> {
/// let thread = Builder::new().name("part 3").timeout(Duration::from_secs(60)).spawn(work::call(3));
/// assert_eq!(thread.join()?, 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing before it spawns"]
pub struct Builder {
    pub(super) name: Option<String>,
    pub(super) stack_size: Option<usize>,
    pub(super) timeout: Option<Duration>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) retries: u8,
    pub(crate) is_detached: bool,
    pub(super) backend: Option<Backend>,
    /// What holds it until all of its gang have started.
    pub(crate) gate: Option<Gate>,
}

impl Builder {
    /// The default settings: no name of its own, no timeout, no retries, the stack that `std::thread` gives, and the back end
    /// that `GREENROOM_BACKEND` names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the thread; a debugger shows at most 15 bytes of it.
    ///
    /// # Panics
    /// When the name has a zero byte.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(!name.contains('\0'), "a thread's name has no zero bytes");
        self.name = Some(name);
        self
    }

    /// The size of the thread's stack, in bytes, where it is one of this process. Memory is taken only for what is used of it.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Cancels the thread when it has run for so long; a second later the nodes release what it still holds, and refuse what
    /// it still calls.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How much memory the thread will need, in bytes: a hint for back ends that choose a function by it. Others ignore it.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory_bytes = Some(bytes);
        self
    }

    /// How many more attempts there may be after one that is lost, as when its process crashes or runs out of time; none
    /// without this. A panic or an `Err` of the function is an outcome, and is not tried again. A thread of this process is
    /// lost only together with it, so there is nothing to try again.
    ///
    /// Of a lost attempt a part has run, and its effects stay. So ask for retries where running a part twice does no harm:
    /// have the function write results under keys that follow from its arguments (`map.insert(part, …)`), instead of adding to
    /// what is there. The lost attempt is ended before the next begins: it holds nothing any more, and what it still calls is
    /// refused.
    pub fn retries(mut self, retries: u8) -> Self {
        self.retries = retries;
        self
    }

    /// Lets the thread go on when this process ends, where it is none of this process; otherwise it is cancelled then, or after
    /// the session's grace period. Nobody tries it again if it is lost then, and its object stays as long as its job.
    pub fn detached(mut self) -> Self {
        self.is_detached = true;
        self
    }

    /// Where the thread is to run.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Begins the run. One that cannot begin says so when it is joined.
    pub fn spawn<T, E: ReplyBody<T>>(self, call: Call<T, E>) -> JoinHandle<T, E> {
        JoinHandle::new(Running::begin(self, call.function, call.arguments))
    }

    /// Begins a run that ends before the scope does.
    pub fn spawn_scoped<T, E: ReplyBody<T>>(self, scope: &Scope, call: Call<T, E>) -> JoinHandle<T, E> {
        scope.keep(self.spawn(call))
    }
}
