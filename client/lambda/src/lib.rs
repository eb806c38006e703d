//! A local AWS Lambda: the Invoke API for callers and the Runtime API for functions, on loopback, with real processes.
//!
//! A function is a binary that speaks the Runtime API, as every binary of the crate `lambda_runtime` does.
//! Each concurrent invocation has a process of its own; between invocations the process is frozen with `SIGSTOP`.
//! Callers use any AWS SDK with its endpoint set to [`LocalLambda::address`].
//!
//! ```no_run
//! use greenroom_lambda::{Config, FunctionConfig, LocalLambda};
//!
//! # async fn example() -> Result<(), greenroom_lambda::LambdaError> {
//! let config = Config::default().with_function(FunctionConfig::new("hello", "target/debug/hello"));
//! let lambda = LocalLambda::start(config).await?;
//! println!("http://{}", lambda.address());
//! lambda.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Everything of one local Lambda happens on one thread, which also starts the processes: the kernel kills them when that
//! thread ends, however it ends. What differs from AWS is in the help of [`LambdaArgs`].

#[cfg(not(target_os = "linux"))]
compile_error!("the local Lambda freezes and watches processes by means of Linux; use another back end here");

mod api;
mod args;
mod capture;
mod completion;
mod config;
mod control;
mod dead_letter;
mod delivery;
mod error;
mod event_queue;
mod faults;
mod instance;
mod invocation;
mod invoker;
mod lambda;
mod log;
mod pool;
mod process;
mod service;

pub use args::{LambdaArgs, run};
pub use config::{ColdStart, Config, FunctionConfig};
pub use control::Running;
pub use error::{LambdaError, PostError};
pub use faults::{FaultRate, Faults};
pub use invoker::{InvocationType, Invoke, Invoked, invoke, post_event};
pub use lambda::LocalLambda;
pub use log::LogSink;
