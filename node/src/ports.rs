//! The ports of a node, bound before anything starts, so that a failure leaves nothing behind.

use std::net::{IpAddr, SocketAddr, TcpListener};

use crate::options::NodeOptions;
use crate::server::NodeError;

/// The ports of a node.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) control: TcpListener,
    pub(crate) shards: Vec<TcpListener>,
    /// Where control calls are answered, as `host:port`.
    pub(crate) address: String,
    /// Where each shard listens.
    pub(crate) shard_addresses: Vec<String>,
}

impl Ports {
    pub(crate) fn bind(options: &NodeOptions) -> Result<Self, NodeError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let n_shards = options.shards.unwrap_or_else(|| u16::try_from(cores).unwrap_or(u16::MAX));
        if n_shards == 0 || options.slots < n_shards || options.slots == u16::MAX {
            let (slots, shards) = (options.slots, n_shards);
            return Err(NodeError::Settings(format!(
                "{slots} slots for {shards} shards: a shard needs a slot at least"
            )));
        }
        if options.mailbox_max == 0 || options.parked_max == 0 {
            return Err(NodeError::Settings("a mailbox and a waiting room need room for one call at least".to_owned()));
        }
        let control = bind(options.listen)?;
        let control_port = port(&control, options.listen)?;
        let mut shards = Vec::new();
        for shard in 0..n_shards {
            let port = match options.listen.port() {
                0 => Some(0),
                first => first.checked_add(1).and_then(|next| next.checked_add(shard)),
            };
            let port = port.ok_or_else(|| NodeError::Settings(format!("no port is left for shard {shard}")))?;
            shards.push(bind(SocketAddr::new(options.listen.ip(), port))?);
        }
        let host = host(options)?;
        let mut shard_addresses = Vec::new();
        for listener in &shards {
            shard_addresses.push(format!("{host}:{}", port(listener, options.listen)?));
        }
        Ok(Self { control, shards, address: format!("{host}:{control_port}"), shard_addresses })
    }
}

fn host(options: &NodeOptions) -> Result<String, NodeError> {
    match (&options.advertise, options.listen.ip()) {
        (Some(host), _) => Ok(host.clone()),
        (None, ip) if ip.is_unspecified() => {
            Err(NodeError::Settings(format!("nobody reaches a node at {ip}: say by --advertise what host to use")))
        }
        (None, IpAddr::V6(ip)) => Ok(format!("[{ip}]")),
        (None, IpAddr::V4(ip)) => Ok(ip.to_string()),
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, NodeError> {
    let listener = TcpListener::bind(address).map_err(|source| NodeError::Listen { address, source })?;
    listener.set_nonblocking(true).map_err(|source| NodeError::Listen { address, source })?;
    Ok(listener)
}

fn port(listener: &TcpListener, address: SocketAddr) -> Result<u16, NodeError> {
    Ok(listener.local_addr().map_err(|source| NodeError::Listen { address, source })?.port())
}
