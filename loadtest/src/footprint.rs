//! Bytes of memory for each idle object, beside its state.

use std::time::Duration;

use anyhow::Context as _;
use greenroom::Counter;

use crate::report::{Figure, Goal, Report, Section};
use crate::servers::Server;

/// Bytes of memory for each idle object.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Objects to make.
    #[arg(long, default_value_t = 1_000_000)]
    objects: u64,

    /// Callers that make them.
    #[arg(long, default_value_t = 256)]
    callers: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(options))
}

async fn measure(options: &Options) -> anyhow::Result<Report> {
    let node = Server::node().await?;
    let client = node.client().await?;
    // What the node needs for its first objects and this client's lanes is not the objects'.
    make(&client, "warm", options.callers * 100, options.callers).await?;
    let before = node.resident_bytes()?;
    make(&client, "object", options.objects, options.callers).await?;
    let busy = node.resident_bytes()?;
    settle(&node).await?;
    let idle = node.resident_bytes()?;
    let each = |bytes: u64| bytes.saturating_sub(before) as f64 / options.objects as f64;
    let mut report = Report::new("footprint", None);
    let name = |what: &str| format!("{} objects, {what}", options.objects);
    let figures = vec![
        Figure::alone(name("right after their calls"), each(busy), "B each", Goal::None),
        Figure::alone(name("idle"), each(idle), "B each", Goal::AtMost(1024.0)),
    ];
    report.sections.push(Section { name: String::new(), figures });
    Ok(report)
}

async fn make(client: &greenroom::Client, prefix: &'static str, objects: u64, callers: u64) -> anyhow::Result<()> {
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let client = client.clone();
            tokio::spawn(async move {
                for number in (caller..objects).step_by(usize::try_from(callers)?) {
                    let counter = client.object(Counter::named(format!("{prefix}/{number}")));
                    counter.add_async(1).await.context("add")?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// Waits until the objects' actors have stopped, as idle ones do.
async fn settle(node: &Server) -> anyhow::Result<()> {
    for _ in 0..120 {
        if node.actors().await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    anyhow::bail!("the objects' actors do not stop")
}
