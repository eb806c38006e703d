//! Changes of who belongs to a cluster that an operator asks for.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use greenroom_actors::{Changed, View, ViewCommand, ViewMember};
use greenroom_rpc::group::{self, GroupRefusal};

use super::{ClusterArgument, Failure, reach, readable};

/// How long one node may take to have a change agreed on.
const PROPOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What every such command is told.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ChangeArguments {
    #[command(flatten)]
    pub(super) cluster: ClusterArgument,

    /// Do it without a question.
    #[arg(long)]
    yes: bool,

    /// Print JSON for programs.
    #[arg(long)]
    pub(super) json: bool,
}

impl ChangeArguments {
    /// The view of the cluster, if its members come and go.
    pub(super) async fn view(&self) -> Result<View, Failure> {
        let view = reach::find_view(&self.cluster.cluster.0).await?.view;
        if view.is_fixed() {
            let why = "the members of this cluster are fixed (--members): none leaves, and none is replaced";
            return Err(Failure::failed(why));
        }
        Ok(view)
    }

    /// Asks whoever sits there; without a terminal the words must have said so.
    pub(super) fn confirm(&self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::Usage(format!("{question} Say so by --yes; nothing was done")));
        }
        let mut answer = String::new();
        let asked = write!(std::io::stderr().lock(), "{question} [y/N] ");
        let answered = asked.and_then(|()| std::io::stdin().lock().read_line(&mut answer));
        match answered {
            Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
            Ok(_) => Err(Failure::failed("nothing was done")),
            Err(error) => Err(Failure::Failed(format!("cannot ask: {error}; nothing was done"))),
        }
    }
}

/// The member of that name.
pub(super) fn member<'v>(view: &'v View, name: &str) -> Result<&'v ViewMember, Failure> {
    view.named(name).ok_or_else(|| {
        let names: Vec<_> = view.members.values().map(|member| readable::text(&member.name)).collect();
        Failure::Failed(format!("no member is named `{}`; there are {}", readable::text(name), names.join(", ")))
    })
}

/// Has the cluster agree on a change; any member that answers will do.
pub(super) async fn propose(view: &View, command: &ViewCommand) -> Result<Changed, Failure> {
    let mut faults = Vec::new();
    for member in view.members.values() {
        match group::propose(&member.address, view.cluster, command, PROPOSE_TIMEOUT).await {
            Ok(changed) => return Ok(changed),
            Err(GroupRefusal::MayBeAlive(_)) => {
                return Err(Failure::failed("the node may be alive: its lease is not over yet. Nothing was done"));
            }
            Err(refusal) if refusal.is_passing() => faults.push(format!("{}: {refusal}", member.name)),
            Err(refusal) => return Err(Failure::failed(refusal)),
        }
    }
    let why =
        "the nodes do not agree on it within a few seconds: most of those who vote must answer. It may still be done";
    Err(Failure::Failed(format!("{why}; {}", faults.join("; "))))
}

/// A number of slots, for people.
pub(super) fn slots(count: usize) -> String {
    if count == 1 { "1 slot".to_owned() } else { format!("{count} slots") }
}
