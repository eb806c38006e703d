//! What the code that `#[cloud]` writes is made of. Not for people.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
pub use greenroom_actors::expand::{inventory, shape_of, travels};
use greenroom_actors::{ReplyBody, ThreadFailure, fingerprint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::function::Call;

/// A function that runs elsewhere, as its program knows it.
#[derive(Debug)]
pub struct Function {
    /// Its name in the program.
    pub name: &'static str,
    /// The shape of its arguments.
    pub arguments: fn() -> String,
    /// The shape of what it returns.
    pub result: fn() -> String,
    /// Runs it.
    pub run: Run,
}

/// The encoded result of a function, or why there is none.
pub type Outcome = Result<Bytes, ThreadFailure>;

/// An `async fn` that runs.
pub type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What runs a function on encoded arguments.
#[derive(Debug)]
pub enum Run {
    /// A `fn`.
    Blocking(fn(&[u8]) -> Outcome),
    /// An `async fn`.
    Async(fn(Vec<u8>) -> Running),
}

/// A function of this program.
#[derive(Debug)]
pub struct Registered(pub &'static Function);

inventory::collect!(Registered);

/// A function of this program that is triggered by events: its argument and its result are JSON texts.
#[derive(Debug)]
pub struct RegisteredEvent(pub &'static Function);

inventory::collect!(RegisteredEvent);

impl Function {
    /// What callers and the program that runs it must agree on: its name, its arguments and its result.
    pub(crate) fn shape(&self) -> String {
        format!("{}{} -> {}", self.name, (self.arguments)(), (self.result)())
    }

    /// The fingerprint of its shape: equal builds have equal ones.
    pub(crate) fn fingerprint(&self) -> u64 {
        fingerprint(&self.shape())
    }
}

/// The function of that name in this program, if it has the shape of that fingerprint.
///
/// # Errors
/// [`ThreadFailure::WrongBuild`] when there is none, or it has another shape.
#[cfg_attr(
    not(any(test, feature = "lambda")),
    expect(dead_code, reason = "for processes that are handed a function's name")
)]
pub(crate) fn find(name: &str, fingerprint: u64) -> Result<&'static Function, ThreadFailure> {
    let registered = || inventory::iter::<Registered>().map(|Registered(function)| *function);
    let wrong = |why: String| Err(ThreadFailure::WrongBuild { why });
    match registered().find(|function| function.name == name) {
        Some(function) if function.fingerprint() == fingerprint => Ok(function),
        Some(function) => wrong(format!(
            "the caller's build of `{name}` differs from that of the program that was to run it, which has `{}`",
            function.shape()
        )),
        None => {
            let known: Vec<&str> = registered().map(|function| function.name).collect();
            wrong(format!("the program that was to run it has no `{name}`; it has {}", known.join(", ")))
        }
    }
}

/// The function of this program that takes events: the one of that name, or the only one.
///
/// # Errors
/// When there is none, or several and no name.
#[cfg_attr(not(feature = "lambda"), expect(dead_code, reason = "for processes that a platform triggers"))]
pub(crate) fn find_event(name: Option<&str>) -> Result<&'static Function, String> {
    let registered = || inventory::iter::<RegisteredEvent>().map(|RegisteredEvent(function)| *function);
    let names = || registered().map(|function| function.name).collect::<Vec<_>>().join(", ");
    match (name, registered().count()) {
        (_, 0) => Err("the program has no `#[cloud(event)]` function".to_owned()),
        (None, 1) => registered().next().ok_or_else(String::new),
        (None, _) => Err(format!("GREENROOM_EVENT_FUNCTION is to name one of {}", names())),
        (Some(name), _) => registered()
            .find(|function| function.name == name)
            .ok_or_else(|| format!("the program has no `#[cloud(event)]` function `{name}`; it has {}", names())),
    }
}

/// Checks that no two functions of this program have one name: elsewhere they are known by it.
pub(crate) fn check_names() -> Result<(), String> {
    check(inventory::iter::<Registered>().map(|Registered(function)| function.name).collect())?;
    check(inventory::iter::<RegisteredEvent>().map(|RegisteredEvent(function)| function.name).collect())
}

fn check(mut names: Vec<&str>) -> Result<(), String> {
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two cloud functions are named `{}`: give one `#[cloud(name = \"…\")]`", pair[0])),
        None => Ok(()),
    }
}

/// A run that has not begun.
pub fn call<T, E: ReplyBody<T>, A: Serialize>(function: &'static Function, arguments: &A) -> Call<T, E> {
    Call::new(function, postcard::to_allocvec(arguments).map_err(|error| error.to_string()))
}

fn decoded<A: DeserializeOwned>(encoded: &[u8]) -> Result<A, ThreadFailure> {
    let why = |error| format!("the arguments do not decode: {error}");
    postcard::from_bytes(encoded).map_err(|error| ThreadFailure::WrongBuild { why: why(error) })
}

fn encoded<R: Serialize>(result: &R) -> Outcome {
    let encoded = postcard::to_allocvec(result);
    encoded.map(Bytes::from).map_err(|error| ThreadFailure::Result { why: format!("it cannot be encoded: {error}") })
}

/// Reads an event.
///
/// # Errors
/// When it is none of that kind.
pub fn event<E: DeserializeOwned>(text: &[u8]) -> Result<E, ThreadFailure> {
    let why = |error| format!("the event cannot be read as {}: {error}", std::any::type_name::<E>());
    serde_json::from_slice(text).map_err(|error| ThreadFailure::NotStarted { why: why(error) })
}

/// Writes the answer to an event.
///
/// # Errors
/// When the function has failed, or its answer cannot be written.
pub fn answer<R: Serialize, E: std::fmt::Display>(answer: Result<R, E>) -> Outcome {
    let answer = answer.map_err(|error| ThreadFailure::Event { why: error.to_string() })?;
    let why = |error: serde_json::Error| error.to_string();
    serde_json::to_vec(&answer).map(Into::into).map_err(|error| ThreadFailure::Result { why: why(error) })
}

/// Runs a `fn` on encoded arguments.
///
/// # Errors
/// When they do not decode, or the result cannot be encoded.
pub fn run<A: DeserializeOwned, R: Serialize>(arguments: &[u8], function: impl FnOnce(A) -> R) -> Outcome {
    encoded(&function(decoded(arguments)?))
}

/// Runs an `async fn` on encoded arguments.
///
/// # Errors
/// When they do not decode, or the result cannot be encoded.
pub async fn run_async<A: DeserializeOwned, R: Serialize, F: Future<Output = R>>(
    arguments: Vec<u8>,
    function: impl FnOnce(A) -> F,
) -> Outcome {
    encoded(&function(decoded(&arguments)?).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[crate::cloud(name = "the square")]
    fn square(number: u32) -> Result<u32, String> {
        number.checked_mul(number).ok_or_else(|| "too large".to_owned())
    }

    #[test]
    fn a_function_is_found_by_its_name_and_only_in_the_same_shape() {
        assert_eq!(square(3), Ok(9));
        let call = square::call(3);
        assert_eq!(call.function.shape(), "the square(u32) -> Result<u32, String>");
        let found = find("the square", call.function.fingerprint()).expect("it is here");
        assert_eq!(found.name, "the square");
        for (name, fingerprint, says) in [
            ("the square", 1, "which has `the square(u32) -> Result<u32, String>`"),
            ("the cube", call.function.fingerprint(), "has no `the cube`; it has"),
        ] {
            let failure = find(name, fingerprint).expect_err("is refused");
            assert!(matches!(failure, ThreadFailure::WrongBuild { .. }) && failure.has_run() == Some(false));
            assert!(failure.to_string().contains(says), "{failure}");
        }
    }

    #[test]
    fn two_functions_of_one_name_are_refused() {
        let refused = check(vec!["a::work", "b::work", "a::work"]).expect_err("they have one name");
        assert!(refused.contains("`a::work`"), "{refused}");
        assert_eq!(check(vec!["a::work", "b::work"]), Ok(()));
    }
}
