//! One node process of a local cluster.

use std::ffi::OsStr;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::cli::{node, output};

/// Longer lines of a node are passed on in pieces of so many bytes.
const LINE_BYTES_MAX: u64 = 16 << 10;
/// Variables that are meant for this process and not for its nodes.
const NOT_PASSED_ON: [&str; 6] = [
    "GREENROOM_ROLE",
    "GREENROOM_ADVERTISE",
    "GREENROOM_CLUSTER",
    "GREENROOM_JOIN",
    "GREENROOM_MEMBERS",
    // Nodes cannot share a folder.
    "GREENROOM_DATA",
];

/// A node process. Dropping it ends its standard input, by which it knows that it should stop.
#[derive(Debug)]
pub(super) struct Child {
    /// The number of its process.
    pub(super) process: u32,
    _input: Option<ChildStdin>,
}

/// Something happened to a node.
#[derive(Debug)]
pub(super) enum Event {
    /// It takes calls.
    Ready,
    /// Its process is gone.
    Ended(Ended),
}

/// The end of a node's process.
#[derive(Debug)]
pub(super) struct Ended {
    /// The node's number, from 0.
    pub(super) place: usize,
    /// How it ended, for people.
    pub(super) how: String,
}

/// A node's place in the cluster.
#[derive(Debug)]
pub(super) struct Place {
    /// The node's number, from 0.
    pub(super) place: usize,
    pub(super) name: String,
    pub(super) tell: mpsc::Sender<Event>,
    /// Turns true when the process is to be killed.
    pub(super) kill: watch::Receiver<bool>,
}

impl Child {
    /// Starts a process of this program as a node, with tasks that watch it and pass on what it says.
    pub(super) fn spawn<S: AsRef<OsStr>>(
        at: Place,
        leading: Option<&'static str>,
        arguments: impl Iterator<Item = S>,
        tasks: &mut JoinSet<()>,
    ) -> std::io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(leading).args(["node", "--stop-with-parent"]).args(arguments);
        for variable in NOT_PASSED_ON {
            command.env_remove(variable);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C in a terminal goes to a whole group: the nodes are told by `dev` alone, and once.
        command.process_group(0);
        let mut process = command.spawn()?;
        let number = process.id().unwrap_or_default();
        // Waiting for a process would close the input that it still has.
        let input = process.stdin.take();
        if let Some(stdout) = process.stdout.take() {
            tasks.spawn(pass_on_output(stdout, at.name.clone(), at.tell.clone()));
        }
        if let Some(stderr) = process.stderr.take() {
            tasks.spawn(pass_on_log(stderr, at.name.clone()));
        }
        tasks.spawn(watch_process(process, at));
        Ok(Self { process: number, _input: input })
    }
}

async fn watch_process(mut process: tokio::process::Child, mut at: Place) {
    let ended = tokio::select! {
        ended = process.wait() => Some(ended),
        // If nobody can say so any more, it is time too.
        () = told(&mut at.kill) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => match process.start_kill() {
            Ok(()) => process.wait().await,
            Err(error) => Err(error),
        },
    };
    let how = ended.map_or_else(|error| error.to_string(), |status: ExitStatus| status.to_string());
    // Nobody listens when `dev` itself is at its end.
    let _ = at.tell.send(Event::Ended(Ended { place: at.place, how })).await;
}

async fn told(kill: &mut watch::Receiver<bool>) {
    let _ = kill.wait_for(|kill| *kill).await;
}

async fn pass_on_output(stdout: impl AsyncRead + Unpin, name: String, tell: mpsc::Sender<Event>) {
    let mut lines = Lines::new(stdout);
    let mut ready = false;
    while let Some(line) = lines.next().await {
        output::line(format_args!("{name} | {line}"));
        if !ready && line.starts_with(node::READY) {
            ready = true;
            let _ = tell.send(Event::Ready).await;
        }
    }
}

async fn pass_on_log(stderr: impl AsyncRead + Unpin, name: String) {
    let mut lines = Lines::new(stderr);
    while let Some(line) = lines.next().await {
        output::note(format_args!("{name} | {line}"));
    }
}

/// The lines of a stream, each of a bounded length.
struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), line: Vec::new() }
    }

    /// The next line without its end, or piece of a long one; `None` when the stream ends or breaks.
    async fn next(&mut self) -> Option<String> {
        self.line.clear();
        let read = (&mut self.reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line).await;
        match read {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(String::from_utf8_lossy(&self.line).trim_end_matches(['\r', '\n']).to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_without_end_comes_in_pieces() {
        let long = "x".repeat(20 << 10);
        let text = format!("one\r\n{long}\nlast");
        let mut lines = Lines::new(text.as_bytes());
        let mut lengths = Vec::new();
        while let Some(line) = lines.next().await {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [3, 16 << 10, 4 << 10, 4]);
    }
}
