//! Processes of the tests: started with a clean environment, read with deadlines, ended with the test.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take that should happen at once.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A command that sees no setting of the shell in which the tests run.
pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GREENROOM_")) {
        command.env_remove(name);
    }
    command
}

/// What a command that ended said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("prints UTF-8");
        Self { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Said {
    command.stdin(Stdio::null()).output().expect("starts").into()
}

/// A process that goes on until it is told to stop.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("starts");
        let (tell, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("is piped"));
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let mut stderr = child.stderr.take().expect("is piped");
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            // What cannot be read is not compared.
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self { child, lines, errors: Some(errors) }
    }

    /// Waits for a line that begins so, and returns the rest of it.
    pub(crate) fn line(&mut self, beginning: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(rest) = line.trim_start().strip_prefix(beginning) {
                        return rest.to_owned();
                    }
                }
                Err(error) => panic!("no line begins with `{beginning}`: {error}; its log: {}", self.kill()),
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("can be asked").is_some()
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> (ExitStatus, String) {
        let mut ended = None;
        until("the process ends", || {
            ended = self.child.try_wait().expect("can be asked");
            ended.is_some()
        });
        let errors = self.errors.take().map(|errors| errors.join().expect("reads")).unwrap_or_default();
        (ended.expect("just seen"), errors)
    }

    fn kill(&mut self) -> String {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.errors.take().map(|errors| errors.join().unwrap_or_default()).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().expect("starts");
    assert!(sent.success(), "cannot signal {process}");
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + DEADLINE;
    while !so() {
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

/// Whether nobody listens on that port.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The first of so many free ports in a row, which nobody else is given soon.
pub(crate) fn free_ports(count: u16) -> u16 {
    const PORTS: Range<u16> = 11_000..15_000;
    const APART: u16 = 32;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    assert!(count <= APART);
    let places = std::iter::repeat_with(|| {
        let place = std::process::id().wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        PORTS.start + u16::try_from(place % u32::from((PORTS.end - PORTS.start) / APART)).expect("is small") * APART
    });
    let found = places.take(PORTS.len()).find(|&first| (first..first + count).all(is_free));
    found.expect("some ports are free")
}

/// The ports of a list `host:port,…`.
pub(crate) fn ports(cluster: &str) -> Vec<u16> {
    let port = |node: &str| node.rsplit_once(':').expect("has a port").1.parse().expect("is a number");
    cluster.split(',').map(port).collect()
}
