//! Runs that have not begun.

use std::fmt;
use std::marker::PhantomData;

use greenroom_actors::{Erased, ReplyBody};

use super::builder::Builder;
use super::expand::Function;
use super::handle::JoinHandle;

/// A run of a function with its arguments, which has not begun: what `function::call(arguments)` returns.
#[must_use = "a call runs once it is spawned"]
pub struct Call<T, E = Erased> {
    pub(super) function: &'static Function,
    /// The encoded arguments, or why they cannot be encoded.
    pub(super) arguments: Result<Vec<u8>, String>,
    returns: PhantomData<fn() -> (T, E)>,
}

impl<T, E: ReplyBody<T>> Call<T, E> {
    pub(super) fn new(function: &'static Function, arguments: Result<Vec<u8>, String>) -> Self {
        Self { function, arguments, returns: PhantomData }
    }

    /// The function's name in its program.
    pub fn function(&self) -> &'static str {
        self.function.name
    }

    /// Begins the run, with the default settings.
    ///
    /// One that cannot begin says so when it is joined.
    pub fn spawn(self) -> JoinHandle<T, E> {
        Builder::new().spawn(self)
    }
}

impl<T, E> fmt::Debug for Call<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("function", &self.function.name).finish_non_exhaustive()
    }
}
