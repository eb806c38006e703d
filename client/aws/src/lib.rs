//! What Greenroom needs of AWS: [`Invoker`] invokes a Lambda function, [`serve`] makes the process one.
//!
//! Events and answers are JSON texts. This is the only crate that compiles AWS' SDK and the Lambda runtime.

mod error;
mod invoker;
mod runtime;

pub use error::InvokeError;
pub use invoker::{Delivery, Invoked, Invoker, InvokerSettings};
pub use runtime::{Failed, Invocation, is_function, serve};
