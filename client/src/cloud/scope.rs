//! Scopes: no thread outlives one.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use greenroom_actors::{Error, ReplyBody};

use super::function::Call;
use super::handle::JoinHandle;
use super::running::Running;
use crate::client::must_not_block;

/// Where threads are begun that end before the [`scope`] does.
#[derive(Debug, Default)]
pub struct Scope {
    threads: Mutex<Vec<Arc<Running>>>,
}

impl Scope {
    /// Begins a run. Its handle may be joined in the scope, or left to it.
    ///
    /// [`Builder::spawn_scoped`](super::Builder::spawn_scoped) does the same with settings.
    pub fn spawn<T, E: ReplyBody<T>>(&self, call: Call<T, E>) -> JoinHandle<T, E> {
        self.keep(call.spawn())
    }

    pub(super) fn keep<T, E>(&self, thread: JoinHandle<T, E>) -> JoinHandle<T, E> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&thread.running));
        thread
    }
}

/// Runs `body`, and waits at its end until each thread that was begun in the scope has ended. If `body` panics they are
/// cancelled first, and then the panic goes on.
///
/// ```no_run
/// use greenroom::{Error, cloud};
///
/// #[cloud]
/// fn square(number: u64) -> u64 {
///     number * number
/// }
///
/// # fn main() -> Result<(), Error> {
/// let sum = cloud::scope(|scope| {
///     let threads: Vec<_> = (0..4).map(|number| scope.spawn(square::call(number))).collect();
///     threads.into_iter().map(|thread| thread.join()).sum::<Result<u64, Error>>()
/// })??;
/// assert_eq!(sum, 14);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Blocking`] on a thread that runs async tasks; nothing has run then.
pub fn scope<R>(body: impl FnOnce(&Scope) -> R) -> Result<R, Error> {
    if must_not_block() {
        return Err(Error::Blocking { object: "a scope of cloud threads".to_owned(), given_back: false });
    }
    let scope = Scope::default();
    let returned = catch_unwind(AssertUnwindSafe(|| body(&scope)));
    let threads = scope.threads.into_inner().unwrap_or_else(PoisonError::into_inner);
    if returned.is_err() {
        threads.iter().for_each(|thread| thread.cancel());
    }
    for thread in &threads {
        pollster::block_on(thread.finished());
    }
    returned.map_err(|panic| resume_unwind(panic))
}
