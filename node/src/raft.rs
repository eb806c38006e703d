//! The Raft group of the nodes: it holds the view, which says who belongs to the cluster and who holds which slot.
//!
//! Every member is in the group; one, three or five of them vote, the others follow. Whoever leads is the coordinator, and
//! grants the leases. What a command does is decided in `greenroom-actors`; here its entries are agreed on, kept, and sent.
//!
//! **Invariant**: nothing outside of this module names `openraft` or `redb`.
//!
//! Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", USENIX ATC 2014.

mod candidacy;
mod disk;
mod error;
mod group;
mod holder;
mod leader;
mod leading;
mod lease_cell;
mod log_store;
mod membership;
mod network;
mod node;
mod options;
mod questions;
mod service;
mod state_machine;
mod types;

pub use error::{DataError, GroupError};
pub use group::Standing;
pub use lease_cell::LeaseCell;
pub use network::FROM_HEADER;
pub use node::{Me, RaftNode};
pub use options::RaftOptions;
pub use service::GroupService;
