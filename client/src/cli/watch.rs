//! `greenroom watch`: what an object says of itself, each time that it changes.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::reach::NoAnswer;
use super::report::{Link, Look, News};
use super::signals::StopSignals;
use super::target::{JobArgument, Target};
use super::{ClusterArgument, Failure, Tool, client_runtime, names, output};

/// Moves to the top left of a terminal, and clears it.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// The words after `watch`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "On a terminal the description is drawn again; elsewhere each change is a line, with --json a JSON object.\n\
                        The node encodes the state only when something has happened to the object.\n\
                        What changes and changes back between two looks is not seen.\n\n\
                        Exit status: 0 at Ctrl-C, 1 if the cluster does not answer at first, 2 if no such type is known."
)]
pub(super) struct WatchCommand {
    /// The object: its type, and its key. It need not exist yet.
    #[arg(value_name = "TYPE/KEY")]
    object: Target,

    #[command(flatten)]
    job: JobArgument,

    /// How often to look, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..))]
    interval_ms: u64,

    #[command(flatten)]
    cluster: ClusterArgument,

    /// Print JSON for programs, an object a line.
    #[arg(long)]
    json: bool,
}

/// How changes are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Display {
    /// Drawn over what was there, with times that go on.
    Redrawn,
    /// A line of text each.
    Lines,
    /// A line of JSON each.
    Json,
}

/// What whoever watches has been told.
#[derive(Debug)]
struct Screen {
    display: Display,
    last: Option<Look>,
    /// What a terminal shows.
    drawn: String,
    /// The last trouble that was told, until it is over.
    trouble: Option<String>,
}

/// Watches an object until Ctrl-C.
pub(super) fn run(tool: &Tool, command: &WatchCommand) -> Result<ExitCode, Failure> {
    let display = match command.json {
        true => Display::Json,
        false if std::io::stdout().is_terminal() => Display::Redrawn,
        false => Display::Lines,
    };
    let runtime = client_runtime()?;
    let watched = runtime.block_on(async {
        let mut signals = StopSignals::listen()?;
        tokio::select! {
            ended = watch(tool, command, display) => ended,
            () = signals.next() => Ok(()),
        }
    });
    runtime.shutdown_background();
    watched.map(|()| ExitCode::SUCCESS)
}

/// Looks again and again; ends when nobody reads any more.
async fn watch(tool: &Tool, command: &WatchCommand, display: Display) -> Result<(), Failure> {
    let WatchCommand { object, job, cluster, .. } = command;
    let mut link = Link::open(cluster, object, &job.job).await?;
    let mut screen = Screen { display, last: None, drawn: String::new(), trouble: None };
    let mut interval = tokio::time::interval(Duration::from_millis(command.interval_ms));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let known = screen.last.as_ref().map(|look| look.version);
        let is_read = match link.look(known).await {
            Ok(news) => screen.tell(news),
            Err(NoAnswer::Senseless(why)) => {
                return Err(Failure::Usage(names::unknown_type(&tool.registry, &object.type_name, why)));
            }
            Err(NoAnswer::Down(why)) if screen.last.is_none() => {
                return Err(Failure::Failed(format!("`{object}` cannot be asked: {why}")));
            }
            Err(NoAnswer::Down(why)) => {
                screen.complain(why);
                true
            }
        };
        if !is_read {
            return Ok(());
        }
    }
}

impl Screen {
    /// Shows what is new, if anything is; returns whether somebody still reads.
    fn tell(&mut self, news: News) -> bool {
        if self.trouble.take().is_some() {
            output::note("the node answers again");
            // What a terminal shows is drawn anew, without the words about the trouble.
            self.drawn.clear();
        }
        let (look, now_ms, is_new) = match (news, self.last.take()) {
            (News::Changed(look), last) => {
                let now_ms = look.now_ms;
                let is_new = last.is_none_or(|last| !last.says_the_same(&look));
                (look, now_ms, is_new)
            }
            (News::Same { now_ms }, Some(last)) => (last, now_ms, false),
            (News::Same { .. }, None) => return true,
        };
        let is_read = match self.display {
            Display::Redrawn => self.draw(look.text(now_ms)),
            Display::Lines => !is_new || output::try_line(look.line()),
            Display::Json => !is_new || output::try_line(look.json()),
        };
        self.last = Some(look);
        is_read
    }

    fn draw(&mut self, text: String) -> bool {
        if text == self.drawn {
            return true;
        }
        let is_read = output::try_line(format_args!("{CLEAR}{text}"));
        self.drawn = text;
        is_read
    }

    /// Tells of a trouble once.
    fn complain(&mut self, why: String) {
        if self.trouble.as_ref() != Some(&why) {
            output::note(format_args!("{why}; looking again"));
            self.trouble = Some(why);
        }
    }
}
