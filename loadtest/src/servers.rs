//! The servers that an experiment starts, each a process of its own on the loopback interface, ended with it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use greenroom::{Client, Cluster, JobId, Settings};

const START_WITHIN: Duration = Duration::from_secs(10);

/// A process that ends with this value.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Redis from Debian, without persistence.
    pub(crate) async fn redis() -> anyhow::Result<Self> {
        let port = free_ports(1)?;
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start redis-server: install it (Debian: apt-get install redis-server)")?;
        let server = Self { child, address: format!("127.0.0.1:{port}") };
        let client = redis::Client::open(format!("redis://{}/", server.address))?;
        let deadline = Instant::now() + START_WITHIN;
        while client.get_multiplexed_async_connection().await.is_err() {
            if Instant::now() > deadline {
                bail!("redis-server does not answer on {}", server.address);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(server)
    }

    /// A Greenroom node: this very program in the role `node`.
    pub(crate) async fn node() -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let port = free_ports(u16::try_from(cores + 1)?)?;
        let address = format!("127.0.0.1:{port}");
        let child = Command::new(std::env::current_exe()?)
            .args(["greenroom", "node", "--listen", &address])
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start a node")?;
        let server = Self { child, address };
        let deadline = Instant::now() + START_WITHIN;
        while greenroom_rpc::describe(&server.address, Duration::from_secs(1)).await.is_err() {
            if Instant::now() > deadline {
                bail!("the node does not answer on {}", server.address);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(server)
    }

    /// A client of the node.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        let settings = Settings {
            cluster: Cluster::Nodes(vec![self.address.clone()]),
            job: Some(JobId::DEFAULT),
            ..Settings::default()
        };
        Ok(Client::with_settings(settings).await?)
    }

    /// How many objects of the node have a running actor.
    pub(crate) async fn actors(&self) -> anyhow::Result<u64> {
        let channel = greenroom_rpc::dial(&self.address, START_WITHIN).await?;
        let status = greenroom_rpc::proto::control_client::ControlClient::new(channel)
            .status(greenroom_rpc::proto::StatusRequest {})
            .await?;
        Ok(status.into_inner().shards.iter().map(|shard| shard.actors).sum())
    }

    /// Resident memory of the process in bytes.
    pub(crate) fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kibibytes: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kibibytes * 1024)
    }
}

/// A port with as many free ports from it on.
pub(crate) fn free_ports(count: u16) -> anyhow::Result<u16> {
    for _ in 0..100 {
        let first = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if first.checked_add(count).is_some() && (first..first + count).all(free) {
            return Ok(first);
        }
    }
    bail!("no {count} free ports in a row")
}
