//! `greenroom accept-loss`: slots whose data is lost begin anew.

use std::process::ExitCode;

use greenroom_actors::{Changed, ViewCommand};
use serde_json::json;

use super::propose::{ChangeArguments, propose, slots};
use super::{Failure, client_runtime, output};

/// The words after `accept-loss`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Calls to objects of lost slots answer `DataLost`, so that nobody takes an empty object for the one that \
                        was there. This ends that: the next call makes an object anew. It concerns slots that are lost now."
)]
pub(super) struct AcceptLossCommand {
    #[command(flatten)]
    arguments: ChangeArguments,
}

/// Lets lost slots begin anew.
pub(super) fn run(command: &AcceptLossCommand) -> Result<ExitCode, Failure> {
    let arguments = &command.arguments;
    let begun = client_runtime()?.block_on(async {
        let view = arguments.view().await?;
        let lost: Vec<_> =
            view.iter().filter(|(_, at)| at.primary.is_none()).map(|(slot, at)| (slot, at.epoch)).collect();
        let n_lost = lost.len();
        if n_lost == 0 {
            return Ok(0);
        }
        let (are, their) = if n_lost == 1 { ("is", "its") } else { ("are", "their") };
        let lost_slots = slots(n_lost);
        arguments.confirm(&format!("{lost_slots} {are} lost, with all {their} objects. Begin anew, empty?"))?;
        match propose(&view, &ViewCommand::AcceptLoss(lost)).await? {
            Changed::Yes => Ok(n_lost),
            _ => Err(Failure::failed("nothing was done: others have begun anew what was lost, or no node is up")),
        }
    });
    let n_begun = begun?;
    if arguments.json {
        output::json(&json!({ "slots_begun": n_begun }));
    } else if n_begun == 0 {
        output::line("no slot is lost");
    } else {
        output::line(format_args!(
            "{} begun anew, empty",
            if n_begun == 1 { "1 slot has".to_owned() } else { format!("{n_begun} slots have") }
        ));
    }
    Ok(ExitCode::SUCCESS)
}
