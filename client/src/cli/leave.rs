//! `greenroom leave`: a node goes in order.

use std::process::ExitCode;
use std::time::Duration;

use greenroom_actors::{MemberStatus, NodeId, View, ViewCommand};
use serde_json::json;

use super::propose::{ChangeArguments, member, propose, slots};
use super::signals::StopSignals;
use super::{Failure, Tool, client_runtime, output, readable};

/// How often it is looked whether the node has gone.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The words after `leave`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "What the node has moves to the others while calls go on; then its process ends, and this command with \
                        it. Ctrl-C ends only the waiting. The same happens to a node that gets SIGTERM, within its drain time."
)]
pub(super) struct LeaveCommand {
    /// The node's name.
    name: String,

    #[command(flatten)]
    arguments: ChangeArguments,
}

/// Has a node leave, and waits until it has.
pub(super) fn run(tool: &Tool, command: &LeaveCommand) -> Result<ExitCode, Failure> {
    let LeaveCommand { name, arguments } = command;
    let runtime = client_runtime()?;
    let left = runtime.block_on(async {
        let mut signals = StopSignals::listen()?;
        let view = arguments.view().await?;
        let node = check(tool, &view, name)?;
        arguments.confirm(&question(&view, node))?;
        propose(&view, &ViewCommand::Leave(node)).await?;
        tokio::select! {
            gone = until_gone(arguments, node) => gone.map(|()| node),
            () = signals.next() => Err(Failure::Interrupted("the node still leaves; `status` shows it".to_owned())),
        }
    });
    let (node, name) = (left?, readable::text(name));
    if arguments.json {
        output::json(&json!({ "left": name, "node": node.0 }));
    } else {
        output::line(format_args!("{name} has left"));
    }
    Ok(ExitCode::SUCCESS)
}

fn check(tool: &Tool, view: &View, name: &str) -> Result<NodeId, Failure> {
    let member = member(view, name)?;
    let n_others = view.members.values().filter(|other| other.node != member.node && view.is_up(other.node)).count();
    match member.status {
        MemberStatus::Suspect => Err(Failure::Failed(format!(
            "`{name}` does not answer, and has the last copy of {}: start it anew with its folder, or give up what only it \
             has with `{} forget {name}`",
            slots(n_last_copies(view, member.node)),
            tool.prompt
        ))),
        MemberStatus::Up | MemberStatus::Leaving if n_others == 0 => Err(Failure::Failed(format!(
            "`{name}` is the only node that stays: nobody could take what it has. A signal ends it, and the cluster with it"
        ))),
        MemberStatus::Up | MemberStatus::Leaving => Ok(member.node),
    }
}

/// The slots of which only that node has a copy.
pub(super) fn n_last_copies(view: &View, node: NodeId) -> usize {
    view.slots.iter().filter(|placement| placement.in_sync == [node]).count()
}

fn question(view: &View, node: NodeId) -> String {
    let name = view.members.get(&node).map(|member| readable::text(&member.name)).unwrap_or_default();
    let n_primary = view.slots.iter().filter(|placement| placement.primary == Some(node)).count();
    let n_copies = view.slots.iter().filter(|placement| placement.in_sync.contains(&node)).count();
    let n_stay = view.members.values().filter(|member| member.node != node && view.is_up(member.node)).count();
    let copies = usize::from(view.copies.max(1));
    let fewer =
        if n_stay < copies { format!(" Each object then has {n_stay} of {copies} copies.") } else { String::new() };
    format!(
        "{name} serves {} and has copies of {} more, which move to the {n_stay} others.{fewer} Shall {name} leave?",
        slots(n_primary),
        n_copies - n_primary.min(n_copies)
    )
}

async fn until_gone(arguments: &ChangeArguments, node: NodeId) -> Result<(), Failure> {
    loop {
        let view = arguments.view().await?;
        match view.members.get(&node).map(|member| member.status) {
            None => return Ok(()),
            Some(MemberStatus::Suspect) => {
                return Err(Failure::failed("the node has died before all that it has was moved: `status` says more"));
            }
            Some(MemberStatus::Up | MemberStatus::Leaving) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}
