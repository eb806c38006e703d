//! What the code that `#[cloud]` writes is made of. Not for people.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
pub use greenroom_actors::expand::{inventory, shape_of, travels};
use greenroom_actors::{ReplyBody, ThreadFailure};
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

/// Checks that no two functions of this program have one name: elsewhere they are known by it.
pub(crate) fn check_names() -> Result<(), String> {
    let mut names: Vec<&str> = inventory::iter::<Registered>().map(|Registered(function)| function.name).collect();
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
    postcard::from_bytes(encoded)
        .map_err(|error| ThreadFailure::NotStarted { why: format!("the arguments do not decode: {error}") })
}

fn encoded<R: Serialize>(result: &R) -> Outcome {
    let encoded = postcard::to_allocvec(result);
    encoded.map(Bytes::from).map_err(|error| ThreadFailure::Result { why: format!("it cannot be encoded: {error}") })
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
