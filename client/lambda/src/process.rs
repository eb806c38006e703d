//! A process of a function: how it is started, stopped, and looked at.

use std::ffi::OsStr;
use std::io::{self, PipeReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use crate::config::FunctionConfig;

/// The region that functions are told that they are in.
pub(crate) const REGION: &str = "us-east-1";
/// The account in the names of functions.
const ACCOUNT: &str = "000000000000";
/// The only version of every function.
pub(crate) const VERSION: &str = "$LATEST";
/// What of the environment of the local Lambda its functions have too; as on AWS, the rest is not theirs.
const INHERITED: [&str; 7] = ["PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "RUST_BACKTRACE", "RUST_LOG"];

/// The program that has the kernel kill what it starts when the thread that started it ends.
///
/// Only the process itself can ask the kernel for that, after the fork and before the program: without `unsafe` it takes
/// another program to do so, and this one of util-linux replaces itself by the function's, under the same process id.
#[derive(Clone, Debug)]
pub(crate) struct Leash(Option<PathBuf>);

impl Leash {
    /// Looks for the program.
    pub(crate) fn find() -> Self {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        Self(std::env::split_paths(&paths).map(|folder| folder.join("setpriv")).find(|path| path.is_file()))
    }

    /// Whether processes may outlive a local Lambda that is killed.
    pub(crate) fn is_missing(&self) -> bool {
        self.0.is_none()
    }

    fn command(&self, program: &Path) -> Command {
        match &self.0 {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            None => Command::new(program),
        }
    }
}

/// The full name of a function.
pub(crate) fn arn(function: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}")
}

/// Starts a process of the function, in a process group of its own: what it starts is frozen and killed with it.
///
/// To be called on a thread that lives as long as the process may.
pub(crate) fn spawn(
    function: &FunctionConfig,
    stream: &str,
    runtime_api: SocketAddr,
    leash: &Leash,
) -> io::Result<(Child, PipeReader)> {
    let (output, input) = io::pipe()?;
    let mut command = leash.command(&function.binary);
    command.args(&function.arguments).env_clear();
    let inherited = INHERITED.iter().filter_map(|&name| Some((name, std::env::var_os(name)?)));
    command.envs(inherited);
    command.envs(function.environment.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value))));
    command
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", &function.name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", VERSION)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string())
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", stream)
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023")
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("_HANDLER", "bootstrap")
        .env("TZ", ":UTC");
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    command.process_group(0).kill_on_drop(true);
    Ok((command.spawn()?, output))
}

/// The process group of a process that has not been waited for, by the id of its first process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group(Pid);

impl Group {
    /// The group that this child leads.
    pub(crate) fn of(child: &Child) -> Option<Self> {
        Pid::from_raw(child.id()?.cast_signed()).map(Self)
    }

    pub(crate) fn pid(self) -> u32 {
        self.0.as_raw_nonzero().get().cast_unsigned()
    }

    /// Sends a signal to all of the group. That none is left is no fault: they end by themselves, too.
    fn send(self, signal: Signal) {
        let _ = kill_process_group(self.0, signal);
    }

    pub(crate) fn freeze(self) {
        self.send(Signal::STOP);
    }

    pub(crate) fn thaw(self) {
        self.send(Signal::CONT);
    }

    /// Frozen processes are killed as well.
    pub(crate) fn kill(self) {
        self.send(Signal::KILL);
    }

    /// The memory that the first process has in use, where the system tells.
    pub(crate) fn resident_bytes(self) -> Option<u64> {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.0)).ok()?;
        let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }
}
