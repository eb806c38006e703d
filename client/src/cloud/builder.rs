//! Settings of a cloud thread.

use std::time::Duration;

use greenroom_actors::ReplyBody;

use super::function::Call;
use super::handle::JoinHandle;
use super::local;

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
}

impl Builder {
    /// The default settings: no name of its own, no timeout, and the stack that `std::thread` gives.
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

    /// The size of the thread's stack, in bytes.
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

    /// Begins the run. One that cannot begin says so when it is joined.
    pub fn spawn<T, E: ReplyBody<T>>(self, call: Call<T, E>) -> JoinHandle<T, E> {
        JoinHandle::new(local::start(self, call.function, call.arguments))
    }
}
