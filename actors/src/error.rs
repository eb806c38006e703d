//! Errors: what failed, on what object, whether it was applied, and what the caller may do.

mod refusal;

use std::any::Any;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{CallId, Fence};
use crate::thread_failure::ThreadFailure;

pub use refusal::{Fault, Refusal};

/// A method's own error whose type was given up, kept as its text.
///
/// It is what [`Error::Method`] holds in a plain [`Error`]: `?` turns an `Error<E>` of any method into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased(pub String);

/// Why a call did not return a value.
///
/// `E` is the method's own error; with [`Erased`], the default, it is only a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Error<E = Erased> {
    /// The method returned an error. It has run, and what it changed before that stays; most change nothing, as those of the
    /// library's types do unless their pages say otherwise. Of a cloud thread it is the function's own error.
    Method(E),
    /// A cloud thread has no result of its function.
    Thread {
        /// The thread, as `function, thread id`.
        thread: String,
        /// Why, and what has been run.
        failure: ThreadFailure,
    },
    /// The cluster refused the call. Nothing was applied; the refusal says what would help.
    Refused {
        /// The object, as `Type/key`.
        object: String,
        /// Why.
        refusal: Refusal,
    },
    /// The call never left this process. Nothing was applied: it may be made again.
    NotSent {
        /// The object, as `Type/key`.
        object: String,
        /// Why.
        why: String,
    },
    /// The call was sent and no answer came before its deadline. It may have been applied, at most once.
    Unknown {
        /// The object, as `Type/key`.
        object: String,
        /// The call's id, for questions about it.
        call: CallId,
        /// What happened last.
        why: String,
    },
    /// The call was sent and no answer came before its deadline. Its method only reads, so nothing was applied: it may be made
    /// again. (If there was no object, the call may have made it.)
    NoAnswer {
        /// The object, as `Type/key`.
        object: String,
        /// What happened last.
        why: String,
    },
    /// The call waited in the object until its deadline and then left the queue. Nothing was granted: it may be made again.
    TimedOut {
        /// The object, as `Type/key`.
        object: String,
    },
    /// The call was cancelled while it waited in the object. Nothing was granted.
    Cancelled {
        /// The object, as `Type/key`.
        object: String,
    },
    /// The method panicked. The object is as it was before the call, and the call will not be run again.
    Panicked {
        /// The object, as `Type/key`.
        object: String,
        /// The method's name.
        method: String,
        /// The panic's message.
        message: String,
    },
    /// The object dropped the waiter of this call, so no answer will come. The call was applied.
    Abandoned {
        /// The object, as `Type/key`.
        object: String,
    },
    /// The object is gone: deleted, or with all nodes that held its state. The call may have been applied before that. One that
    /// was lost answers so until somebody makes it anew (`create` or `force_new`), or deletes it.
    ObjectLost {
        /// The object, as `Type/key`.
        object: String,
    },
    /// The caller's grant was taken from it, as at the end of its session, or is that of an earlier object of the name.
    /// Nothing was applied; what the caller held is void.
    Superseded {
        /// The object, as `Type/key`.
        object: String,
        /// The fence of the void grant.
        fence: Fence,
    },
    /// The call was applied, but its reply does not decode as the expected type.
    Reply {
        /// The object, as `Type/key`.
        object: String,
        /// What the decoder said.
        why: String,
    },
    /// A blocking call was made on a thread that runs async tasks. It was not made: use the method's `_async` twin.
    Blocking {
        /// The object, as `Type/key`.
        object: String,
        /// Whether the call took a guard or the like, which is given back now as by a drop: without waiting, and with what
        /// was changed. Otherwise nothing was sent.
        given_back: bool,
    },
    /// A handle was called from inside a method of an object. Nothing was sent: use [`Turn::call`](crate::Turn::call).
    InsideMethod {
        /// The object, as `Type/key`.
        object: String,
    },
}

/// A method's own error: anything that displays, and [`Erased`].
pub trait MethodError {
    /// Writes the error as a lowercase fragment.
    ///
    /// # Errors
    /// When the formatter fails.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl<E: fmt::Display> MethodError for E {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt(f)
    }
}

// `Erased` has no `Display` of its own, so that this and the blanket above do not overlap.
impl MethodError for Erased {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E> Error<E> {
    /// Whether the call's effects are in the object: `Some(true)` yes, `Some(false)` no, `None` not known.
    ///
    /// Of an error that a method returned only its type knows whether it changed something first. `Some(true)` is said of
    /// calls that ran to their end, and of which only the answer is missing; one that only reads has changed nothing then.
    pub fn applied(&self) -> Option<bool> {
        match self {
            Self::Abandoned { .. } | Self::Reply { .. } => Some(true),
            Self::Method(_) | Self::Unknown { .. } | Self::ObjectLost { .. } => None,
            Self::Thread { failure, .. } => failure.has_run(),
            Self::Blocking { given_back: true, .. } => None,
            Self::Refused { .. }
            | Self::NotSent { .. }
            | Self::NoAnswer { .. }
            | Self::TimedOut { .. }
            | Self::Cancelled { .. }
            | Self::Panicked { .. }
            | Self::Superseded { .. }
            | Self::Blocking { .. }
            | Self::InsideMethod { .. } => Some(false),
        }
    }

    /// An error that is not a method's own, as one of a method with the error `F`.
    ///
    /// For what comes from elsewhere on the call path, where there is no [`Error::Method`]; one would become a [`Error::Reply`].
    pub fn widen<F>(self) -> Error<F>
    where
        E: MethodError,
    {
        /// Writes an error by its description.
        struct Described<'e, E>(&'e E);

        impl<E: MethodError> fmt::Display for Described<'_, E> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.describe(f)
            }
        }

        match self {
            Self::Method(error) => Error::Reply { object: String::new(), why: Described(&error).to_string() },
            other => other.map_method(|_| unreachable!("matched above")),
        }
    }

    /// The same error with the method's own error changed by `change`.
    pub fn map_method<F>(self, change: impl FnOnce(E) -> F) -> Error<F> {
        match self {
            Self::Method(error) => Error::Method(change(error)),
            Self::Thread { thread, failure } => Error::Thread { thread, failure },
            Self::Refused { object, refusal } => Error::Refused { object, refusal },
            Self::NotSent { object, why } => Error::NotSent { object, why },
            Self::Unknown { object, call, why } => Error::Unknown { object, call, why },
            Self::NoAnswer { object, why } => Error::NoAnswer { object, why },
            Self::TimedOut { object } => Error::TimedOut { object },
            Self::Cancelled { object } => Error::Cancelled { object },
            Self::Panicked { object, method, message } => Error::Panicked { object, method, message },
            Self::Abandoned { object } => Error::Abandoned { object },
            Self::ObjectLost { object } => Error::ObjectLost { object },
            Self::Superseded { object, fence } => Error::Superseded { object, fence },
            Self::Reply { object, why } => Error::Reply { object, why },
            Self::Blocking { object, given_back } => Error::Blocking { object, given_back },
            Self::InsideMethod { object } => Error::InsideMethod { object },
        }
    }
}

impl<E: fmt::Display + 'static> From<Error<E>> for Error {
    fn from(error: Error<E>) -> Self {
        // A function that a cloud thread ran has met an error of ours: that is what there is to be told.
        if let Error::Method(own) = &error
            && let Some(ours) = (own as &dyn Any).downcast_ref::<Self>()
        {
            return ours.clone();
        }
        error.map_method(|own| Erased(own.to_string()))
    }
}

impl<E: MethodError> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(error) => error.describe(f),
            Self::Thread { thread, failure } => write!(f, "cloud thread `{thread}` {failure}"),
            Self::Refused { object, refusal } => {
                write!(f, "`{object}` refused the call, nothing was applied: {refusal}")
            }
            Self::NotSent { object, why } => write!(f, "the call to `{object}` was not sent: {why}"),
            Self::Unknown { object, call, why } => {
                write!(f, "call {call} to `{object}` got no answer, it may have been applied: {why}")
            }
            Self::NoAnswer { object, why } => {
                write!(f, "the call to `{object}` got no answer, nothing was applied: {why}")
            }
            Self::TimedOut { object } => write!(f, "the wait in `{object}` ended at its deadline, nothing was granted"),
            Self::Cancelled { object } => write!(f, "the wait in `{object}` was cancelled, nothing was granted"),
            Self::Panicked { object, method, message } => {
                write!(f, "`{method}` of `{object}` panicked, the object is as it was before: {message}")
            }
            Self::Abandoned { object } => {
                write!(f, "`{object}` dropped the waiter of this call, so no answer will come")
            }
            Self::ObjectLost { object } => {
                write!(
                    f,
                    "`{object}` is gone: it was deleted, or lost with the nodes that held it; `create` makes it anew"
                )
            }
            Self::Superseded { object, fence } => {
                write!(
                    f,
                    "the grant {fence} of `{object}` is held no more: it was taken away, or the object was made anew; nothing was applied"
                )
            }
            Self::Reply { object, why } => {
                write!(f, "the call to `{object}` was applied, but its reply does not decode: {why}")
            }
            Self::Blocking { object, given_back } => {
                let how = if *given_back {
                    "was not waited for, what it gives back goes as by a drop"
                } else {
                    "was not made"
                };
                write!(
                    f,
                    "a blocking call to `{object}` on a thread that runs async tasks {how}: use the method's `_async` twin"
                )
            }
            Self::InsideMethod { object } => {
                write!(
                    f,
                    "a call to `{object}` from inside an object's method: use `turn.call(…)`, so that nothing blocks"
                )
            }
        }
    }
}

impl<E: MethodError + fmt::Debug> std::error::Error for Error<E> {}

/// How a reply's body becomes a method's result: `T` alone, or `Result<T, E>` for a method with an error of its own.
pub trait ReplyBody<T>: Sized {
    /// What the node encodes.
    type Body;

    /// The method's result as its caller sees it.
    ///
    /// # Errors
    /// The method's own.
    fn split(body: Self::Body) -> Result<T, Error<Self>>;
}

impl<T> ReplyBody<T> for Erased {
    type Body = T;

    fn split(body: T) -> Result<T, Error> {
        Ok(body)
    }
}

impl<T, E: fmt::Display> ReplyBody<T> for E {
    type Body = Result<T, E>;

    fn split(body: Result<T, E>) -> Result<T, Error<E>> {
        body.map_err(Error::Method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Insufficient(u64);

    impl fmt::Display for Insufficient {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} are missing", self.0)
        }
    }

    #[test]
    fn a_question_mark_erases_the_error_of_a_method() {
        fn typed() -> Result<(), Error<Insufficient>> {
            Insufficient::split(Err::<(), _>(Insufficient(3)))
        }
        fn plain() -> Result<(), Error> {
            typed()?;
            Ok(())
        }
        assert_eq!(typed(), Err(Error::Method(Insufficient(3))));
        assert_eq!(plain(), Err(Error::Method(Erased("3 are missing".into()))));
        assert_eq!(plain().expect_err("fails").to_string(), "3 are missing");
    }
}
