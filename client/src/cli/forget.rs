//! `greenroom forget`: a node that is gone for good is given up.

use std::process::ExitCode;

use greenroom_actors::{Changed, MemberStatus, ViewCommand};
use serde_json::json;

use super::leave::n_last_copies;
use super::propose::{ChangeArguments, member, propose, slots};
use super::{Failure, Tool, client_runtime, output, readable};

/// The words after `forget`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "A node that dies is removed without a person, unless it has the last copy of something: then the \
                        cluster waits for it. If its disk and process are gone for good, this says so. What only it had is \
                        lost, and its objects answer `DataLost` until `accept-loss`."
)]
pub(super) struct ForgetCommand {
    /// The node's name.
    name: String,

    #[command(flatten)]
    arguments: ChangeArguments,
}

/// Gives a node up.
pub(super) fn run(tool: &Tool, command: &ForgetCommand) -> Result<ExitCode, Failure> {
    let ForgetCommand { name, arguments } = command;
    let forgotten = client_runtime()?.block_on(async {
        let view = arguments.view().await?;
        let member = member(&view, name)?;
        if member.status != MemberStatus::Suspect {
            return Err(Failure::Failed(format!(
                "`{name}` is not known to be gone: a node that dies is removed by itself, and only one that has the last copy \
                 of something is waited for (`{0} status` calls it suspect). A living one goes by `{0} leave {name}`",
                tool.prompt
            )));
        }
        let n_lost = n_last_copies(&view, member.node);
        arguments.confirm(&format!(
            "{} has the last copy of {}: what is in them is lost for good, even if the node comes back. Forget it?",
            readable::text(name),
            slots(n_lost)
        ))?;
        match propose(&view, &ViewCommand::Forget(member.node)).await? {
            Changed::Yes => Ok((member.node, n_lost)),
            _ => Err(Failure::failed("nothing was done: the node is back, or was forgotten before")),
        }
    });
    let (node, n_lost) = forgotten?;
    if arguments.json {
        output::json(&json!({ "forgotten": readable::text(name), "node": node.0, "slots_lost": n_lost }));
    } else {
        output::line(format_args!(
            "{} is forgotten; {} lost. `{} accept-loss` lets lost slots begin anew",
            readable::text(name),
            if n_lost == 1 { "1 slot is".to_owned() } else { format!("{n_lost} slots are") },
            tool.prompt
        ));
    }
    Ok(ExitCode::SUCCESS)
}
