//! `OnceCell<T>` and `Once`: what exactly one caller does.

use std::time::Duration;

use greenroom_actors::Error;
use greenroom_actors::objects::{Begun, Initializer, OnceObject, OnceObjectHandle, SetError};
use greenroom_macros::twins;

use super::guard::{existing, superseded};
use crate::face::face;
use crate::value::{Value, decode, encode, shape};

face! {
    /// A value that exactly one caller makes, at first need; the others wait for it.
    ///
    /// [`get_or_init`](Self::get_or_init) runs its closure where it is called, on its own thread: it may make blocking calls,
    /// and take as long as it needs. While it runs, other callers are parked in the object, in the order of their arrival. If
    /// it fails, panics or is given up, or its session ends, the next of them runs its own closure: there is no poisoning.
    /// If the session ends and the closure nevertheless comes to an end, its value is refused with [`Error::Superseded`]; so
    /// there is never more than one value, but work may have been begun more than once.
    ///
    /// A call of `get_or_init` is one round trip where there is a value, which it brings, and two for the caller that makes
    /// it. The value never changes, so keep what you got. A closure must not come back to its own cell: it would wait for
    /// itself, as in std.
    ///
    /// # Different from `std::sync::OnceLock` and `tokio::sync::OnceCell`
    /// It is named by a key, values are brought and not borrowed, and the error of
    /// [`get_or_try_init`](Self::get_or_try_init) arrives as [`Error::Method`]. A value that [`set`](Self::set) refuses is
    /// not given back: it is the caller's own.
    ///
    /// ```no_run
    /// use greenroom::sync::OnceCell;
    ///
    /// let primes = OnceCell::named("primes");
    /// let found: Vec<u64> = primes.get_or_init(|| vec![2, 3, 5, 7])?;
    /// assert_eq!(primes.get()?, Some(found));
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct OnceCell<T>(OnceObject);

    /// Something that exactly one caller does; the others wait until it is done.
    ///
    /// [`call_once`](Self::call_once) runs its closure where it is called; if that panics or is given up, or its session
    /// ends, the next caller runs its own: there is no poisoning, and no `call_once_force`. So what it does may have been
    /// begun before, but never after it was completed. See [`OnceCell`], whose object this is: a `Once` and a `OnceCell<()>`
    /// of one key are the same.
    ///
    /// One round trip where it is done, and two for the caller that does it, of some 60 bytes each way.
    ///
    /// ```no_run
    /// use greenroom::Counter;
    /// use greenroom::sync::Once;
    ///
    /// let start = Once::named("start");
    /// start.call_once(|| println!("one of all callers prints this"))?;
    /// assert!(start.is_completed()?);
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Once(OnceObject);
}

impl<T: Value> OnceCell<T> {
    /// The cell of that key, made without a value if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(OnceObject::named(key, shape::<T>()))
    }

    /// The value; the caller makes it by `init` if there is none and nobody else is about to.
    ///
    /// Blocks until it is done; [`get_or_init_async`](Self::get_or_init_async) does not.
    ///
    /// # Errors
    /// [`Error::Superseded`] when the caller's session ended while `init` ran: its value was not taken; [`Error::ObjectLost`]
    /// when the cell was deleted. [`Error::TimedOut`] at the end of the handle's timeout, if it has one, when another caller's
    /// closure ran for that long. And as every call's.
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> Result<T, Error> {
        self.go_on(self.handle.begin()?, || Ok(init()))
    }

    /// The value; the caller makes it by `init` if there is none and nobody else is about to.
    ///
    /// The twin of [`get_or_init`](Self::get_or_init) for async code. Dropping the future gives up, and the next caller
    /// makes the value.
    ///
    /// # Errors
    /// As [`get_or_init`](Self::get_or_init).
    pub async fn get_or_init_async<F: Future<Output = T>>(&self, init: impl FnOnce() -> F) -> Result<T, Error> {
        let begun = self.handle.begin_async().await?;
        self.go_on_async(begun, async || Ok(init().await)).await
    }

    /// As [`get_or_init`](Self::get_or_init), but waits at most that long for what another caller makes. The caller's own
    /// `init` takes as long as it needs.
    ///
    /// Blocks until it is done; [`get_or_init_timeout_async`](Self::get_or_init_timeout_async) does not.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when another caller's closure ran for all that time: `init` was not called. And as
    /// [`get_or_init`](Self::get_or_init).
    pub fn get_or_init_timeout(&self, timeout: Duration, init: impl FnOnce() -> T) -> Result<T, Error> {
        self.go_on(self.handle.with_timeout(timeout).begin()?, || Ok(init()))
    }

    /// As [`get_or_init_async`](Self::get_or_init_async), but waits at most that long for what another caller makes.
    ///
    /// The twin of [`get_or_init_timeout`](Self::get_or_init_timeout) for async code.
    ///
    /// # Errors
    /// As [`get_or_init_timeout`](Self::get_or_init_timeout).
    pub async fn get_or_init_timeout_async<F: Future<Output = T>>(
        &self,
        timeout: Duration,
        init: impl FnOnce() -> F,
    ) -> Result<T, Error> {
        let begun = self.handle.with_timeout(timeout).begin_async().await?;
        self.go_on_async(begun, async || Ok(init().await)).await
    }

    /// As [`get_or_init`](Self::get_or_init), with a closure that may fail: the next caller runs its own then.
    ///
    /// Blocks until it is done; [`get_or_try_init_async`](Self::get_or_try_init_async) does not.
    ///
    /// # Errors
    /// [`Error::Method`] with what `init` returned; and as [`get_or_init`](Self::get_or_init).
    pub fn get_or_try_init<E>(&self, init: impl FnOnce() -> Result<T, E>) -> Result<T, Error<E>> {
        self.go_on(self.handle.begin().map_err(Error::widen)?, || init().map_err(Error::Method))
    }

    /// As [`get_or_init_async`](Self::get_or_init_async), with a closure that may fail: the next caller runs its own then.
    ///
    /// The twin of [`get_or_try_init`](Self::get_or_try_init) for async code.
    ///
    /// # Errors
    /// As [`get_or_try_init`](Self::get_or_try_init).
    pub async fn get_or_try_init_async<E, F>(&self, init: impl FnOnce() -> F) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let begun = self.handle.begin_async().await.map_err(Error::widen)?;
        self.go_on_async(begun, async || init().await.map_err(Error::Method)).await
    }

    /// What a caller does that has been told so, by a closure of its own if it is its turn.
    fn go_on<E>(&self, begun: Begun, init: impl FnOnce() -> Result<T, Error<E>>) -> Result<T, Error<E>> {
        match begun {
            Begun::Value(value) => decode(&value, self.object()).map_err(Error::widen),
            Begun::Initialize(given) => {
                let turn = Initializing::of(&self.handle, given);
                let value = init()?;
                self.object().wait(turn.finish(value)).map_err(Error::widen)
            }
        }
    }

    async fn go_on_async<E>(
        &self,
        begun: Begun,
        init: impl AsyncFnOnce() -> Result<T, Error<E>>,
    ) -> Result<T, Error<E>> {
        match begun {
            Begun::Value(value) => decode(&value, self.object()).map_err(Error::widen),
            Begun::Initialize(given) => {
                let turn = Initializing::of(&self.handle, given);
                let value = init().await?;
                turn.finish(value).await.map_err(Error::widen)
            }
        }
    }
}

#[twins]
impl<T: Value> OnceCell<T> {
    /// Sets the value.
    ///
    /// # Errors
    /// [`SetError::AlreadySet`] when there is one; [`SetError::Initializing`] when another caller is about to make one. And as
    /// every call's.
    pub async fn set(&self, value: T) -> Result<(), Error<SetError>> {
        self.handle.set_async(encode(&value, self.object()).map_err(Error::widen)?).await
    }

    /// The value, if there is one. It does not wait for a caller that makes it.
    ///
    /// # Errors
    /// As every call's.
    pub async fn get(&self) -> Result<Option<T>, Error> {
        self.handle.get_async().await?.map(|value| decode(&value, self.object())).transpose()
    }

    /// Waits for the value, which others set or make; dropping the future leaves the queue.
    ///
    /// # Errors
    /// As every call's.
    pub async fn wait(&self) -> Result<T, Error> {
        decode(&self.handle.wait_async().await?, self.object())
    }

    /// Waits for the value at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when there was none; and as every call's.
    pub async fn wait_timeout(&self, timeout: Duration) -> Result<T, Error> {
        self.with_timeout(timeout).wait_async().await
    }

    /// Whether there is a value.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_initialized(&self) -> Result<bool, Error> {
        self.handle.is_initialized_async().await
    }
}

impl Once {
    /// The `Once` of that key, made if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(OnceObject::named(key, shape::<()>()))
    }

    /// Runs `call`, unless it was done before; waits while another caller does it.
    ///
    /// Blocks until it is done; [`call_once_async`](Self::call_once_async) does not.
    ///
    /// # Errors
    /// As [`OnceCell::get_or_init`].
    pub fn call_once(&self, call: impl FnOnce()) -> Result<(), Error> {
        self.cell().get_or_init(call)
    }

    /// Runs `call`, unless it was done before; waits while another caller does it.
    ///
    /// The twin of [`call_once`](Self::call_once) for async code. Dropping the future gives up, and the next caller does it.
    ///
    /// # Errors
    /// As [`OnceCell::get_or_init`].
    pub async fn call_once_async<F: Future<Output = ()>>(&self, call: impl FnOnce() -> F) -> Result<(), Error> {
        self.cell().get_or_init_async(call).await
    }

    /// As [`call_once`](Self::call_once), but waits at most that long for another caller who does it. The caller's own `call`
    /// takes as long as it needs.
    ///
    /// Blocks until it is done; [`call_once_timeout_async`](Self::call_once_timeout_async) does not.
    ///
    /// # Errors
    /// As [`OnceCell::get_or_init_timeout`].
    pub fn call_once_timeout(&self, timeout: Duration, call: impl FnOnce()) -> Result<(), Error> {
        self.cell().get_or_init_timeout(timeout, call)
    }

    /// As [`call_once_async`](Self::call_once_async), but waits at most that long for another caller who does it.
    ///
    /// The twin of [`call_once_timeout`](Self::call_once_timeout) for async code.
    ///
    /// # Errors
    /// As [`OnceCell::get_or_init_timeout`].
    pub async fn call_once_timeout_async<F: Future<Output = ()>>(
        &self,
        timeout: Duration,
        call: impl FnOnce() -> F,
    ) -> Result<(), Error> {
        self.cell().get_or_init_timeout_async(timeout, call).await
    }

    fn cell(&self) -> OnceCell<()> {
        OnceCell::of(self.handle.clone())
    }
}

#[twins]
impl Once {
    /// Whether it was done.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_completed(&self) -> Result<bool, Error> {
        self.handle.is_initialized_async().await
    }

    /// Waits until it is done, which others do; dropping the future leaves the queue.
    ///
    /// # Errors
    /// As every call's.
    pub async fn wait(&self) -> Result<(), Error> {
        self.cell().wait_async().await
    }

    /// Waits until it is done, at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it was not; and as every call's.
    pub async fn wait_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.cell().wait_timeout_async(timeout).await
    }
}

/// The turn to make a value. Dropping it lets the next caller make one.
struct Initializing {
    handle: OnceObjectHandle,
    given: Initializer,
    given_back: bool,
}

impl Initializing {
    fn of(handle: &OnceObjectHandle, given: Initializer) -> Self {
        Self { handle: existing(handle), given, given_back: false }
    }

    /// Ends the turn with its value, which it returns.
    async fn finish<T: Value>(mut self, value: T) -> Result<T, Error> {
        let raw = self.handle.object();
        let finished = self.handle.finish_async(self.given.grant, encode(&value, raw)?).await;
        // After any other outcome the value may or may not have arrived; a turn that is over is not ended again.
        self.given_back = matches!(finished, Ok(()) | Err(Error::Method(_)));
        finished.map(|()| value).map_err(|error| superseded(error, self.given.fence, raw))
    }
}

impl Drop for Initializing {
    fn drop(&mut self) {
        if !self.given_back {
            self.handle.object().cast("abandon", &(self.given.grant,));
        }
    }
}
