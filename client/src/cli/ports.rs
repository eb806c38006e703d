//! The ports of a cluster on one machine.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::Failure;

/// Free ports are looked for below those that systems give to outgoing connections (Linux: from 32768 on).
const SEARCHED: std::ops::Range<u16> = 15_000..32_000;
/// The search begins at every so many ports.
const PLACES_APART: u16 = 64;
/// How many places are tried.
const TRIES: u32 = 200;

/// Where the nodes of a cluster listen: node `i` at `first + i * stride`, and its shard `s` on the port plus `1 + s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    first: u16,
    stride: u16,
    n_nodes: u16,
    n_shards: u16,
}

impl Ports {
    /// Ports from `first` on, all of them free now; any free ones if `first` is 0.
    pub(super) fn find(first: u16, n_nodes: u16, n_shards: u16) -> Result<Self, Failure> {
        if first != 0 {
            let ports = Self::plan(first, n_nodes, n_shards)?;
            return ports.check().map(|()| ports).map_err(Failure::Failed);
        }
        let mut last_fault = Failure::Failed("no free ports".to_owned());
        for attempt in 0..TRIES {
            let ports = Self::plan(place(std::process::id(), attempt), n_nodes, n_shards)?;
            match ports.check() {
                Ok(()) => return Ok(ports),
                Err(why) => last_fault = Failure::Failed(format!("found no free ports, lastly because {why}")),
            }
        }
        Err(last_fault)
    }

    fn plan(first: u16, n_nodes: u16, n_shards: u16) -> Result<Self, Failure> {
        const STEP: u16 = 10;
        let stride = n_shards.checked_add(1).and_then(|wide| wide.checked_next_multiple_of(STEP));
        let fits = |stride: &u16| {
            let last = u32::from(first) + u32::from(n_nodes - 1) * u32::from(*stride) + u32::from(n_shards);
            last <= u32::from(u16::MAX)
        };
        match stride.filter(fits) {
            Some(stride) if n_shards > 0 => Ok(Self { first, stride, n_nodes, n_shards }),
            _ => Err(Failure::Usage(format!(
                "{n_nodes} nodes of {n_shards} shards do not fit on the ports from {first} to {}",
                u16::MAX
            ))),
        }
    }

    /// The addresses of the nodes, in their order.
    pub(super) fn nodes(self) -> impl Iterator<Item = SocketAddr> {
        (0..self.n_nodes).map(move |node| SocketAddr::from((Ipv4Addr::LOCALHOST, self.first + node * self.stride)))
    }

    /// Where one more node could listen, if there is room for it; nobody has looked whether its ports are free.
    pub(super) fn next(self) -> Option<SocketAddr> {
        let after = Self::plan(self.first, self.n_nodes + 1, self.n_shards).ok()?;
        after.nodes().last()
    }

    /// Whether all ports are free, by taking each and giving it back.
    fn check(self) -> Result<(), String> {
        for node in self.nodes() {
            for port in node.port()..=node.port() + self.n_shards {
                let address = SocketAddr::new(node.ip(), port);
                TcpListener::bind(address).map_err(|error| format!("{address} cannot be listened on: {error}"))?;
            }
        }
        Ok(())
    }
}

/// Where a process looks for free ports. Processes that start together look at different places, so that none takes a
/// port between another's look and its use of it.
fn place(process: u32, attempt: u32) -> u16 {
    /// Further than the numbers of processes that start together.
    const NEXT_ATTEMPT: u32 = 101;
    let n_places = (SEARCHED.end - SEARCHED.start) / PLACES_APART;
    let number = process.wrapping_add(attempt.wrapping_mul(NEXT_ATTEMPT)) % u32::from(n_places);
    SEARCHED.start + u16::try_from(number).unwrap_or(0) * PLACES_APART
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_lie_ten_ports_apart_or_as_many_more_as_their_shards_need() {
        let ports = |n_shards| {
            let ports = Ports::plan(7400, 3, n_shards).expect("fits");
            ports.nodes().map(|address| address.port()).collect::<Vec<_>>()
        };
        assert_eq!(ports(1), [7400, 7410, 7420]);
        assert_eq!(ports(9), [7400, 7410, 7420]);
        assert_eq!(ports(10), [7400, 7420, 7440]);
        let next = |first| Ports::plan(first, 3, 1).expect("fits").next().map(|address| address.port());
        assert_eq!((next(7400), next(65_514)), (Some(7430), None));
    }

    #[test]
    fn ports_end_at_the_last_one() {
        assert!(Ports::plan(65_514, 3, 1).is_ok());
        assert!(Ports::plan(65_515, 3, 1).is_err());
        assert!(Ports::plan(7400, 1, u16::MAX).is_err());
        assert!(Ports::plan(7400, 1, 0).is_err());
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("binds");
        let address = taken.local_addr().expect("is bound");
        let Err(Failure::Failed(why)) = Ports::find(address.port(), 1, 1) else { panic!("the port is taken") };
        assert!(why.starts_with(&address.to_string()), "{why}");
    }

    #[test]
    fn free_ports_are_found() {
        let ports = Ports::find(0, 3, 2).expect("finds");
        assert!(ports.nodes().all(|address| SEARCHED.contains(&address.port())));
    }

    #[test]
    fn processes_look_for_ports_apart_from_each_other() {
        let near: std::collections::BTreeSet<u16> = (0..100).map(|process| place(40_000 + process, 0)).collect();
        assert_eq!(near.len(), 100);
        assert!(near.iter().all(|first| SEARCHED.contains(first)));
        assert_ne!(place(7, 0), place(7, 1));
    }
}
