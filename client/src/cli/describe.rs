//! `greenroom describe`: what an object says of itself.

use std::process::ExitCode;

use super::reach::NoAnswer;
use super::report::{Link, Look, News};
use super::target::{JobArgument, Target};
use super::{ClusterArgument, Failure, client_runtime, output};

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
pub(super) fn run(command: &DescribeCommand) -> Result<ExitCode, Failure> {
    let DescribeCommand { object, job, cluster, json } = command;
    let look = client_runtime()?.block_on(async {
        let mut link = Link::open(cluster, object, job.job).await?;
        match link.look(None).await {
            Ok(News::Changed(look)) => Ok(look),
            Ok(News::Same { .. }) => Err(Failure::Failed(format!("the node does not describe `{object}`"))),
            Err(NoAnswer::Down(why)) => Err(Failure::Failed(format!("`{object}` cannot be asked: {why}"))),
            Err(NoAnswer::Senseless(why)) => Err(Failure::Usage(why)),
        }
    })?;
    show(&look, *json)
}

fn show(look: &Look, json: bool) -> Result<ExitCode, Failure> {
    if json {
        output::json(look.json());
        return Ok(if look.exists() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if let Some(why) = look.absence() {
        return Err(Failure::Failed(why));
    }
    output::line(look.text(look.now_ms));
    Ok(ExitCode::SUCCESS)
}
