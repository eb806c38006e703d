//! `greenroom describe`: what an object says of itself.

use std::process::ExitCode;

use super::reach::NoAnswer;
use super::report::{Link, News};
use super::target::{JobArgument, Target};
use super::{ClusterArgument, Failure, Tool, client_runtime, names, output};

/// The words after `describe`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "The description follows every call that was answered before. A large state is told by its size only.\n\n\
                        Exit status: 0 if the object exists, 1 if it does not or cannot be asked, 2 if no such type is known."
)]
pub(super) struct DescribeCommand {
    /// The object: its type, and its key.
    #[arg(value_name = "TYPE/KEY")]
    object: Target,

    #[command(flatten)]
    job: JobArgument,

    #[command(flatten)]
    cluster: ClusterArgument,

    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

/// Describes an object.
pub(super) fn run(tool: &Tool, command: &DescribeCommand) -> Result<ExitCode, Failure> {
    let DescribeCommand { object, job, cluster, json } = command;
    let look = client_runtime()?.block_on(async {
        let mut link = Link::open(cluster, object, &job.job).await?;
        match link.look(None).await {
            Ok(News::Changed(look)) => match look.absence() {
                Some(why) if !json => Err(Failure::Failed(why + &names::meant(cluster, link.target(), &job.job).await)),
                Some(_) | None => Ok(look),
            },
            Ok(News::Same { .. }) => Err(Failure::Failed(format!("the node does not describe `{object}`"))),
            Err(NoAnswer::Down(why)) => Err(Failure::Failed(format!("`{object}` cannot be asked: {why}"))),
            Err(NoAnswer::Senseless(why)) => {
                Err(Failure::Usage(names::unknown_type(&tool.registry, &object.type_name, why)))
            }
        }
    })?;
    if *json {
        output::json(look.json());
    } else {
        output::line(look.text(look.now_ms));
    }
    Ok(if look.exists() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
