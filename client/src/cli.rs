//! The operator's tool: the command `greenroom`, and the same in every program as `my-app greenroom …`.

mod accept_loss;
mod call;
mod delete;
mod describe;
#[cfg(feature = "embedded")]
mod dev;
mod forget;
mod jobs;
#[cfg(all(feature = "lambda", target_os = "linux"))]
mod lambda;
mod leave;
mod names;
#[cfg(feature = "embedded")]
mod node;
mod objects;
mod output;
#[cfg(feature = "embedded")]
mod ports;
mod propose;
mod reach;
mod readable;
mod report;
mod signals;
mod status;
mod table;
mod target;
mod types;
mod watch;

use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{CommandFactory, FromArgMatches};
use greenroom_actors::Registry;
use serde_json::json;

use crate::settings::parse_nodes;

/// Where a cluster is looked for when nobody says: the first node of `dev`.
const CLUSTER_DEFAULT: &str = "127.0.0.1:7400";

/// Runs and operates clusters of shared objects.
#[derive(Debug, clap::Parser)]
#[command(name = "greenroom", version, no_binary_name = true, arg_required_else_help = true)]
struct Words {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run one node of a cluster, until Ctrl-C or SIGTERM
    #[cfg(feature = "embedded")]
    Node(Box<node::NodeCommand>),
    /// Run a cluster of several nodes on this machine, stopped together
    #[cfg(feature = "embedded")]
    Dev(dev::DevCommand),
    /// Run functions on this machine as AWS Lambda does, or post an event to one
    #[cfg(all(feature = "lambda", target_os = "linux"))]
    Lambda(Box<lambda::LambdaCommand>),
    /// Show the nodes of a cluster, their shards, and what they do
    Status(status::StatusCommand),
    /// Have a node leave its cluster: what it has moves to others first, then it stops
    Leave(leave::LeaveCommand),
    /// Give up a node that is gone for good, with what only it had
    Forget(forget::ForgetCommand),
    /// Let slots whose data is lost begin anew, empty
    AcceptLoss(accept_loss::AcceptLossCommand),
    /// Call a method of an object: TYPE/KEY METHOD ARGUMENTS…
    Call(call::CallCommand),
    /// List the objects of a cluster, of any type, also of types that only its nodes know
    Objects(objects::ObjectsCommand),
    /// Show an object: its state, who holds something of it, who waits in it
    Describe(describe::DescribeCommand),
    /// Show an object again whenever it changes, until Ctrl-C
    Watch(watch::WatchCommand),
    /// Remove an object; calls that wait in it end with an error
    Delete(delete::DeleteCommand),
    /// List the jobs that have cloud threads on a platform
    Jobs(jobs::JobsCommand),
    /// Show the cloud threads of a job, or cancel them
    Job(jobs::JobCommand),
    /// List the object types of this program, with their methods
    Types(types::TypesCommand),
}

/// Which cluster is meant.
#[derive(Clone, Debug, clap::Args)]
struct ClusterArgument {
    /// Nodes of the cluster; any that answers will do.
    #[arg(long, value_name = "HOST:PORT,…", env = "GREENROOM_CLUSTER", default_value = CLUSTER_DEFAULT)]
    cluster: Nodes,
}

/// A list of nodes.
#[derive(Clone, Debug)]
struct Nodes(Vec<String>);

impl FromStr for Nodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A variable that is set to nothing is as good as none.
        let list = if text.trim().is_empty() { CLUSTER_DEFAULT } else { text };
        parse_nodes(list).map(Self)
    }
}

/// Why the tool did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Failure {
    /// The words make no sense. Exit status 2.
    Usage(String),
    /// It was tried, and failed. Exit status 1.
    Failed(String),
    /// Whoever asked has pressed Ctrl-C, or the process was told to end. Exit status 130, as shells have it.
    Interrupted(String),
}

impl Failure {
    fn failed(why: impl ToString) -> Self {
        Self::Failed(why.to_string())
    }

    /// Says why: with `--json` as `error`, for programs.
    fn report(&self, json: bool) -> ExitCode {
        let (why, status) = match self {
            Self::Usage(why) => (why, 2),
            Self::Failed(why) => (why, 1),
            Self::Interrupted(why) => (why, 130),
        };
        if json {
            output::json(&json!({ "error": why }));
        } else {
            output::complain(why);
        }
        ExitCode::from(status)
    }
}

/// The operator's tool of a program.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    /// What a person types to reach the tool: `greenroom`, or `my-app greenroom`.
    prompt: String,
    /// The first argument by which a process of this program becomes the tool, where one is needed.
    leading: Option<&'static str>,
    registry: Registry,
}

impl Tool {
    /// The tool inside a user's program, reached by the word `leading`.
    pub(crate) fn of_program(program: &str, leading: &'static str, registry: Registry) -> Self {
        Self { prompt: format!("{program} {leading}"), leading: Some(leading), registry }
    }

    /// Does what `words` say.
    pub(crate) fn run(&self, words: Vec<OsString>) -> ExitCode {
        // Also where the words make no sense otherwise.
        let json = words.iter().take_while(|word| *word != "--").any(|word| word == "--json");
        let syntax = Words::command().bin_name(&self.prompt).after_help(self.first_steps());
        let parsed = syntax.try_get_matches_from(words).and_then(|matches| Words::from_arg_matches(&matches));
        match parsed {
            Ok(words) => self.obey(&words.command).unwrap_or_else(|failure| failure.report(json)),
            Err(error) if json && error.use_stderr() => {
                let text = error.render().to_string();
                Failure::Usage(text.trim_end().trim_start_matches("error: ").to_owned()).report(json)
            }
            Err(error) => {
                // Where nobody reads, there is nothing to say.
                let _ = error.print();
                ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
            }
        }
    }

    fn obey(&self, command: &Command) -> Result<ExitCode, Failure> {
        match command {
            #[cfg(feature = "embedded")]
            Command::Node(command) => node::run(command),
            #[cfg(feature = "embedded")]
            Command::Dev(command) => dev::run(self, command),
            #[cfg(all(feature = "lambda", target_os = "linux"))]
            Command::Lambda(command) => lambda::run(command),
            Command::Status(command) => status::run(self, command),
            Command::Leave(command) => leave::run(self, command),
            Command::Forget(command) => forget::run(self, command),
            Command::AcceptLoss(command) => accept_loss::run(command),
            Command::Call(command) => call::run(self, command),
            Command::Objects(command) => objects::run(self, command),
            Command::Describe(command) => describe::run(self, command),
            Command::Watch(command) => watch::run(self, command),
            Command::Delete(command) => delete::run(self, command),
            Command::Jobs(command) => jobs::list(command),
            Command::Job(command) => jobs::show(command),
            Command::Types(command) => types::run(self, command),
        }
    }

    fn first_steps(&self) -> String {
        let prompt = &self.prompt;
        format!(
            "First steps:\n  \
             {prompt} dev --nodes 3               a cluster on this machine\n  \
             {prompt} status                      in another terminal: who is there\n  \
             {prompt} call Counter/hits add 5     calls an object, made at its first call\n  \
             {prompt} objects                     what there is now\n  \
             {prompt} describe Counter/hits       its state, who holds it, who waits in it\n  \
             {prompt} types                       what else there is to call\n\n\
             Programs with #[greenroom::main] have this tool too, with their own object types: my-app greenroom call …\n\
             Programs reach a cluster through GREENROOM_CLUSTER=HOST:PORT,…"
        )
    }
}

/// Runs the stock command `greenroom`, which knows the built-in object types.
#[doc(hidden)]
pub fn stock_main() -> ExitCode {
    let registry = match Registry::collect() {
        Ok(registry) => registry,
        Err(duplicate) => return Failure::failed(duplicate).report(false),
    };
    let tool = Tool { prompt: "greenroom".to_owned(), leading: None, registry };
    tool.run(std::env::args_os().skip(1).collect())
}

/// What to say when no node answers.
fn no_cluster(why: impl Display) -> String {
    format!("{why}\nIs a cluster running? --cluster or GREENROOM_CLUSTER says where; `dev` starts one on this machine")
}

/// A runtime for a few calls.
fn client_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    built.map_err(|error| Failure::Failed(format!("cannot start a thread: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_syntax_is_sound() {
        Words::command().debug_assert();
    }
}
