//! `greenroom delete`: removes an object.

use std::process::ExitCode;

use bytes::Bytes;
use greenroom_actors::{
    Constructor, CreateError, Error, Hooks, KeyText, ObjectType, OutgoingCall, Refusal, ShapeCell, system,
};
use serde_json::json;

use super::signals::StopSignals;
use super::target::{JobArgument, Target};
use super::{ClusterArgument, Failure, Tool, call, client_runtime, output};

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
    let delete = OutgoingCall {
        object_type: tool.registry.get(&object.type_name).unwrap_or_else(|| stand_in(&object.type_name)),
        key: KeyText::Shared(object.key.as_str().into()),
        job: None,
        construction: None,
        method: system::DELETE,
        read: false,
        parks: false,
        arguments: Bytes::new(),
        timeout: None,
    };
    let runtime = client_runtime()?;
    let answer = runtime.block_on(async {
        let mut signals = StopSignals::listen()?;
        call::make(cluster, job.job, delete, &mut signals, || {
            format!("interrupted: `{object}` may have been deleted or not")
        })
        .await
    });
    runtime.shutdown_background();
    match answer? {
        Ok(reply) => {
            let deleted: bool = postcard::from_bytes(&reply)
                .map_err(|error| Failure::Failed(format!("the reply is not readable: {error}")))?;
            if *json {
                output::json(&json!({ "deleted": deleted }));
            } else if deleted {
                output::line(format_args!("deleted `{object}`"));
            } else {
                output::complain(format_args!("`{object}` does not exist"));
            }
            Ok(if deleted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(Error::Refused { refusal: refusal @ Refusal::UnknownType { .. }, .. }) => {
            Err(Failure::Usage(refusal.to_string()))
        }
        Err(error) => {
            call::show_failure(error.to_string(), error.applied(), None, *json);
            Ok(ExitCode::FAILURE)
        }
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
