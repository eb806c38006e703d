//! A network of its own for each node, so that it can be cut: network namespaces, joined by a bridge.
//!
//! The program runs itself again in namespaces of its own, where it may do so without being root; nothing outside is touched,
//! and everything is gone with its processes.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// Set for a program that runs in namespaces of its own.
const INSIDE: &str = "LOADTEST_INSIDE_NAMESPACES";
const BRIDGE: &str = "hub";
const UNSHARE_WITHIN: Duration = Duration::from_secs(5);
/// The port of each node, which has an address of its own.
const PORT: u16 = 7400;

/// The network that this program and its nodes are in.
#[derive(Clone, Debug)]
pub(crate) struct Network(());

impl Network {
    /// The network, if this process runs in namespaces of its own.
    pub(crate) fn inside() -> anyhow::Result<Option<Self>> {
        if std::env::var_os(INSIDE).is_none() {
            return Ok(None);
        }
        ip(&["link", "set", "lo", "up"])?;
        ip(&["link", "add", BRIDGE, "type", "bridge"])?;
        ip(&["address", "add", "10.77.0.254/24", "dev", BRIDGE])?;
        ip(&["link", "set", BRIDGE, "up"])?;
        Ok(Some(Self(())))
    }

    /// Runs this program again in namespaces of its own; `None` if that is not allowed here.
    pub(crate) fn run_again() -> anyhow::Result<Option<ExitStatus>> {
        let namespaces = ["--map-root-user", "--net", "--fork", "--kill-child"];
        let allowed = Command::new("unshare")
            .args(namespaces)
            .args(["sh", "-c", "ip link add one type bridge && ip link add two type veth peer name three"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !allowed.is_ok_and(|status| status.success()) {
            return Ok(None);
        }
        let mut command = Command::new("unshare");
        command.args(namespaces).arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(INSIDE, "1");
        Ok(Some(command.status()?))
    }

    /// Where the node of that number listens.
    pub(crate) fn address(number: u8) -> String {
        format!("{}:{PORT}", host(number))
    }

    /// A command that runs `program` in a namespace of its own, once a line has come on its standard input.
    pub(crate) fn command(program: &Path) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "read -r _ && exec \"$0\" \"$@\""]).arg(program);
        command
    }

    /// Connects the namespace of a process, which is about to make it, with the bridge.
    pub(crate) fn connect(&self, process: u32, number: u8) -> anyhow::Result<()> {
        let of = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net"));
        let (own, deadline) = (of("self")?, Instant::now() + UNSHARE_WITHIN);
        while of(&process.to_string())? == own {
            ensure!(Instant::now() < deadline, "process {process} makes no namespace");
            std::thread::sleep(Duration::from_millis(2));
        }
        let (link, process) = (link(number), process.to_string());
        ip(&["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &process])?;
        ip(&["link", "set", &link, "master", BRIDGE, "up"])?;
        within(&process, &["link", "set", "lo", "up"])?;
        within(&process, &["address", "add", &format!("{}/24", host(number)), "dev", "eth0"])?;
        within(&process, &["link", "set", "eth0", "up"])
    }

    /// Pulls the plug of a node.
    pub(crate) fn cut(&self, number: u8) -> anyhow::Result<()> {
        ip(&["link", "set", &link(number), "down"])
    }

    /// Puts it in again.
    pub(crate) fn mend(&self, number: u8) -> anyhow::Result<()> {
        ip(&["link", "set", &link(number), "up"])
    }

    /// What a process sends to that node goes nowhere, so that neither gets an answer of the other.
    pub(crate) fn deafen(&self, process: u32, number: u8) -> anyhow::Result<()> {
        within(&process.to_string(), &["route", "add", "blackhole", &format!("{}/32", host(number))])
    }

    /// It goes there again.
    pub(crate) fn undeafen(&self, process: u32, number: u8) -> anyhow::Result<()> {
        within(&process.to_string(), &["route", "delete", "blackhole", &format!("{}/32", host(number))])
    }
}

fn host(number: u8) -> String {
    format!("10.77.0.{number}")
}

fn link(number: u8) -> String {
    format!("node{number}")
}

fn ip(words: &[&str]) -> anyhow::Result<()> {
    run(Command::new("ip").args(words), words)
}

/// Runs `ip` in the network of a process.
fn within(process: &str, words: &[&str]) -> anyhow::Result<()> {
    run(Command::new("nsenter").args(["--net", "--target", process, "ip"]).args(words), words)
}

fn run(command: &mut Command, words: &[&str]) -> anyhow::Result<()> {
    let output = command.output().context("cannot run `ip`")?;
    if !output.status.success() {
        bail!("`ip {}`: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
