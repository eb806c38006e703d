//! What the code that `#[object]` writes is made of. Not for people.

use std::any::Any;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use inventory;
pub use serde;

pub use crate::caller::Caller;
pub use crate::combine::{Combine, Combiner, run as combine};
pub use crate::error::{Erased, Error, Fault, ReplyBody};
pub use crate::handle::RawHandle;
use crate::ids::CallId;
pub use crate::ids::{Owner, WaiterId};
pub use crate::object::{
    ArgumentsError, Constructor, Continuation, CreateError, Holder, Hooks, Method, Object, ObjectHandle, ObjectType,
    Ran, Registration, Run, ShapeCell, State,
};
pub use crate::schema::shape_of;
pub use crate::turn::{Message, Then, Turn};
pub use crate::waiter::Waiter;

fn arguments<A: DeserializeOwned>(bytes: &[u8]) -> Result<A, ArgumentsError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(ArgumentsError(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(ArgumentsError(error.to_string())),
    }
}

fn returned<R: Serialize>(value: &R) -> Ran {
    Ran::Returned(postcard::to_allocvec(value).expect("a return value can be encoded").into())
}

fn object<T: Object>(state: &dyn Any) -> &T {
    state.downcast_ref().expect("a method table is used with its own type")
}

fn object_mut<T: Object>(state: &mut dyn Any) -> &mut T {
    state.downcast_mut().expect("a method table is used with its own type")
}

/// Runs a method with `&self`.
///
/// # Errors
/// When the arguments do not decode.
pub fn read<T: Object, A: DeserializeOwned, R: Serialize>(
    state: &dyn Any,
    encoded: &[u8],
    turn: &mut Turn,
    method: impl FnOnce(&T, A, &mut Turn) -> R,
) -> Result<Ran, ArgumentsError> {
    Ok(returned(&method(object(state), arguments(encoded)?, turn)))
}

/// Runs a method with `&mut self`.
///
/// # Errors
/// When the arguments do not decode.
pub fn write<T: Object, A: DeserializeOwned, R: Serialize>(
    state: &mut dyn Any,
    encoded: &[u8],
    turn: &mut Turn,
    method: impl FnOnce(&mut T, A, &mut Turn) -> R,
) -> Result<Ran, ArgumentsError> {
    Ok(returned(&method(object_mut(state), arguments(encoded)?, turn)))
}

/// Runs a method that takes a waiter.
///
/// # Errors
/// When the arguments do not decode.
pub fn park<T: Object, A: DeserializeOwned, R>(
    state: &mut dyn Any,
    encoded: &[u8],
    turn: &mut Turn,
    method: impl FnOnce(&mut T, A, Waiter<R>, &mut Turn),
) -> Result<Ran, ArgumentsError> {
    let arguments = arguments(encoded)?;
    let waiter = Waiter::new(turn.grant());
    method(object_mut(state), arguments, waiter, turn);
    Ok(Ran::Parked)
}

/// Evaluates a guard that needs no arguments.
///
/// # Errors
/// Never.
pub fn guard<T: Object>(state: &dyn Any, condition: impl FnOnce(&T) -> bool) -> Result<bool, ArgumentsError> {
    Ok(condition(object(state)))
}

/// Evaluates a guard that names arguments of its method.
///
/// # Errors
/// When the arguments do not decode.
pub fn guard_with<T: Object, A: DeserializeOwned>(
    state: &dyn Any,
    encoded: &[u8],
    condition: impl FnOnce(&T, A) -> bool,
) -> Result<bool, ArgumentsError> {
    Ok(condition(object(state), arguments(encoded)?))
}

/// Runs a `then_…` method.
///
/// # Errors
/// When the reply or the context does not decode.
pub fn then<T: Object, A, E, C>(
    state: &mut dyn Any,
    reply: Result<&[u8], Fault>,
    context: &[u8],
    turn: &mut Turn,
    method: impl FnOnce(&mut T, Result<A, Error<E>>, C, &mut Turn),
) -> Result<(), ArgumentsError>
where
    E: ReplyBody<A>,
    E::Body: DeserializeOwned,
    C: DeserializeOwned,
{
    let context = arguments(context)?;
    let reply = match reply {
        Ok(body) => postcard::from_bytes::<E::Body>(body)
            .map_err(|error| Error::Reply { object: String::new(), why: error.to_string() })
            .and_then(E::split),
        Err(fault) => Err(fault.into_error(String::new(), CallId::default())),
    };
    method(object_mut(state), reply, context, turn);
    Ok(())
}

/// Makes an object by `Default`; arguments are refused.
///
/// # Errors
/// When there are arguments.
pub fn create_default<T: Object + Default>(encoded: Option<&[u8]>) -> Result<Box<dyn State>, CreateError> {
    match encoded {
        None => Ok(Box::new(T::default())),
        Some(_) => Err(CreateError::Arguments("the type's constructor takes none".to_owned())),
    }
}

/// Makes an object by a constructor without arguments; arguments are refused.
///
/// # Errors
/// When there are arguments, or when the constructor fails.
pub fn create_without<T: Object>(
    encoded: Option<&[u8]>,
    constructor: impl FnOnce() -> Result<T, String>,
) -> Result<Box<dyn State>, CreateError> {
    match encoded {
        None => Ok(Box::new(constructor().map_err(CreateError::Constructor)?)),
        Some(_) => Err(CreateError::Arguments("the type's constructor takes none".to_owned())),
    }
}

/// Makes an object by its constructor.
///
/// # Errors
/// When there are no arguments, when they do not decode, or when the constructor fails.
pub fn create_with<T: Object, A: DeserializeOwned>(
    encoded: Option<&[u8]>,
    constructor: impl FnOnce(A) -> Result<T, String>,
) -> Result<Box<dyn State>, CreateError> {
    let encoded = encoded.ok_or(CreateError::NoArguments)?;
    let arguments = arguments(encoded).map_err(|error| CreateError::Arguments(error.0))?;
    let object = constructor(arguments).map_err(CreateError::Constructor)?;
    Ok(Box::new(object))
}

/// Decodes a state.
///
/// # Errors
/// When the bytes are not such a state.
pub fn decode<T: Object>(encoded: &[u8]) -> Result<Box<dyn State>, postcard::Error> {
    Ok(Box::new(postcard::from_bytes::<T>(encoded)?))
}

/// Gives a hook its object.
pub fn hook<T: Object>(state: &mut dyn Any, run: impl FnOnce(&mut T)) {
    run(object_mut(state));
}

/// Asks an object what it has given out.
pub fn holders<T: Object>(state: &dyn Any, run: impl FnOnce(&T) -> Vec<Holder>) -> Vec<Holder> {
    run(object(state))
}

/// Asks an object for its state as people see it.
pub fn summary<T: Object>(state: &dyn Any, run: impl FnOnce(&T) -> serde_json::Value) -> serde_json::Value {
    run(object(state))
}

/// Stands for the demand that values of the type can be sent.
pub fn travels<T: DeserializeOwned + Serialize>() {}

/// Encodes arguments (a tuple) that a person typed.
///
/// # Errors
/// When a value does not fit its argument.
pub fn from_json<A: DeserializeOwned + Serialize>(values: &[serde_json::Value]) -> Result<Vec<u8>, String> {
    let value = if values.is_empty() { serde_json::Value::Null } else { serde_json::Value::Array(values.to_vec()) };
    let arguments: A = serde_json::from_value(value).map_err(|error| error.to_string())?;
    postcard::to_allocvec(&arguments).map_err(|error| error.to_string())
}

/// Decodes a reply for a person.
///
/// # Errors
/// When the bytes are not such a reply, JSON cannot hold it, or a few bytes could decode to any number of elements.
pub fn to_json<R: DeserializeOwned + Serialize>(encoded: &[u8]) -> Result<serde_json::Value, String> {
    if crate::tracer::trace::<R>().repeats_nothing() {
        return Err("its type can have more elements than bytes".to_owned());
    }
    let value: R = postcard::from_bytes(encoded).map_err(|error| error.to_string())?;
    serde_json::to_value(value).map_err(|error| error.to_string())
}
