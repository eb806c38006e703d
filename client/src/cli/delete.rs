//! `greenroom delete`: removes an object.

use std::process::ExitCode;

use bytes::Bytes;
use greenroom_actors::{
    Constructor, CreateError, Error, Hooks, KeyText, ObjectType, OutgoingCall, Refusal, ShapeCell, system,
};
use serde_json::json;

use super::signals::StopSignals;
use super::target::{JobArgument, Target};
use super::{ClusterArgument, Failure, Tool, call, client_runtime, names, output};

/// The words after `delete`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Calls that wait in the object end with `ObjectLost`. The next call to it makes it anew.\n\n\
                        Exit status: 0 if it was there, 1 if it was not or the call failed, 2 if no such type is known.")]
pub(super) struct DeleteCommand {
    /// The object: its type, and its key.
    #[arg(value_name = "TYPE/KEY")]
    object: Target,

    #[command(flatten)]
    job: JobArgument,

    #[command(flatten)]
    cluster: ClusterArgument,

    /// Print JSON for programs: whether it was `deleted`, or `error` and `applied`.
    #[arg(long)]
    json: bool,
}

/// Deletes an object, whether this program knows its type or only the node's does.
pub(super) fn run(tool: &Tool, command: &DeleteCommand) -> Result<ExitCode, Failure> {
    let DeleteCommand { object, job, cluster, json } = command;
    let runtime = client_runtime()?;
    let deleted = runtime.block_on(async {
        let mut signals = StopSignals::listen()?;
        let mut target = object.clone();
        let mut answer = delete(tool, command, &target, &mut signals).await?;
        if let Err(Error::Refused { refusal: Refusal::UnknownType { .. }, .. }) = &answer
            && let Some(behind) = names::type_behind(&target.type_name)
        {
            target.type_name = behind.to_owned();
            answer = delete(tool, command, &target, &mut signals).await?;
        }
        let hint = if answer.as_ref().is_ok_and(|deleted| !deleted) && !json {
            names::meant(cluster, &target, &job.job).await
        } else {
            String::new()
        };
        Ok((answer, target, hint))
    });
    runtime.shutdown_background();
    let (answer, target, hint) = deleted?;
    match answer {
        Ok(deleted) => {
            if *json {
                output::json(&json!({ "deleted": deleted }));
            } else if deleted {
                output::line(format_args!("deleted `{target}`"));
            } else {
                output::complain(format_args!("`{target}` does not exist{hint}"));
            }
            Ok(if deleted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(Error::Refused { refusal: refusal @ Refusal::UnknownType { .. }, .. }) => {
            Err(Failure::Usage(names::unknown_type(&tool.registry, &object.type_name, refusal.to_string())))
        }
        Err(error) => {
            call::show_failure(error.to_string(), error.applied(), None, *json);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Deletes the object of that very name; returns whether it was there.
async fn delete(
    tool: &Tool,
    command: &DeleteCommand,
    target: &Target,
    signals: &mut StopSignals,
) -> Result<Result<bool, Error>, Failure> {
    let delete = OutgoingCall {
        object_type: tool.registry.get(&target.type_name).unwrap_or_else(|| stand_in(&target.type_name)),
        key: KeyText::Shared(target.key.as_str().into()),
        job: None,
        construction: None,
        durability: None,
        method: system::DELETE,
        read: false,
        parks: false,
        arguments: Bytes::new(),
        timeout: None,
    };
    let interrupted = || format!("interrupted: `{target}` may have been deleted or not");
    let answer = call::make(&command.cluster, &command.job.job, delete, signals, interrupted).await?;
    match answer {
        Ok(reply) => {
            let unreadable = |error| Failure::Failed(format!("the reply is not readable: {error}"));
            postcard::from_bytes(&reply).map(Ok).map_err(unreadable)
        }
        Err(error) => Ok(Err(error)),
    }
}

/// A type that has only its name, for a call that decodes nothing of the type. It lives as long as the process.
fn stand_in(name: &str) -> &'static ObjectType {
    Box::leak(Box::new(ObjectType {
        name: Box::leak(name.to_owned().into_boxed_str()),
        constructor: Constructor::Default,
        create: |_| Err(CreateError::NoArguments),
        decode: |_| Err(postcard::Error::WontImplement),
        methods: &[],
        continuations: &[],
        hooks: Hooks::default(),
        state: || "not known here".to_owned(),
        shape: ShapeCell::new(),
    }))
}
