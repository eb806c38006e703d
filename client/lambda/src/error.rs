//! Why something was not done.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the local Lambda did not do what it was asked to. Nothing was started or changed.
#[derive(Debug, thiserror::Error)]
pub enum LambdaError {
    /// The address is taken or not of this machine. Choose another, or port 0.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The thread that serves, or its runtime, could not be started.
    #[error("cannot start the thread that serves")]
    Thread(#[source] io::Error),
    /// The function's binary is not there.
    #[error("binary {} of function {function}", binary.display())]
    NoBinary {
        /// The function.
        function: String,
        /// Where its binary was looked for.
        binary: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A function's name has other signs than letters, digits, `-` and `_`, or is not 1 to 64 long.
    #[error("function name {name:?} is not 1 to 64 letters, digits, '-' or '_'")]
    BadName {
        /// The name.
        name: String,
    },
    /// Two functions have this name.
    #[error("two functions are named {name}")]
    TwoFunctions {
        /// The name.
        name: String,
    },
    /// No function has this name.
    #[error("no function is named {name}")]
    NoSuchFunction {
        /// The name.
        name: String,
    },
    /// No process runs it, or no longer.
    #[error("no process runs {of}")]
    NotRunning {
        /// The id of a request, or the name of a process.
        of: String,
    },
    /// The local Lambda has been stopped.
    #[error("the local lambda has stopped")]
    Stopped,
    /// The signals that end the command cannot be listened for.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
}

/// Why an invocation over HTTP brought no answer of the function.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The file of the event cannot be read. Nothing was invoked.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No local Lambda answers there. Nothing was invoked.
    #[error("cannot connect to the local lambda at {address}")]
    Connect {
        /// Where it was looked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke. The function may have run.
    #[error("lost the connection to the local lambda at {address}; the function may have run")]
    Lost {
        /// Where it was.
        address: SocketAddr,
        /// What was seen.
        source: hyper::Error,
    },
    /// The function's name or the context do not fit into a request. Nothing was invoked.
    #[error("cannot be said in HTTP")]
    Request(#[from] hyper::http::Error),
    /// The local Lambda refused. Nothing was invoked.
    #[error("refused with status {status}, {error_type}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The name of the exception, as the SDK has it.
        error_type: String,
        /// What it said.
        message: String,
    },
}
