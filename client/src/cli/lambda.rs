//! `greenroom lambda`: a local Lambda, and events for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use greenroom_lambda::{InvocationType, LambdaArgs, post_event};

use super::{Failure, client_runtime, output};

/// The words after `lambda`.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct LambdaCommand {
    #[command(subcommand)]
    post: Option<PostCommand>,

    #[command(flatten)]
    run: Option<LambdaArgs>,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum PostCommand {
    /// Invoke a function of a local Lambda with the event in a file, such as one of client/lambda/events
    Event(EventCommand),
}

#[derive(Clone, Debug, clap::Args)]
struct EventCommand {
    /// The file, which has a JSON text.
    file: PathBuf,

    /// The function.
    #[arg(long, value_name = "NAME")]
    function: String,

    /// Where the local Lambda is.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9100")]
    at: SocketAddr,

    /// Have it queued, and do not wait for the answer.
    #[arg(long)]
    queued: bool,
}

/// Runs a local Lambda until a signal, or posts an event to one.
pub(super) fn run(command: &LambdaCommand) -> Result<ExitCode, Failure> {
    let runtime = client_runtime()?;
    let Some(PostCommand::Event(event)) = &command.post else {
        let Some(arguments) = &command.run else {
            return Err(Failure::Usage("name a function: --function NAME=BINARY".to_owned()));
        };
        return match runtime.block_on(greenroom_lambda::run(arguments)) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(Failure::failed(error)),
        };
    };
    let kind = if event.queued { InvocationType::Event } else { InvocationType::RequestResponse };
    let posted = runtime.block_on(post_event(event.at, &event.function, &event.file, kind)).map_err(Failure::failed)?;
    output::line(String::from_utf8_lossy(&posted.payload));
    match posted.function_error {
        Some(_) => Ok(ExitCode::FAILURE),
        None => Ok(ExitCode::SUCCESS),
    }
}
