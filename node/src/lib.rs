//! A node of Greenroom: hosts objects as actix actors, one shard a core, and serves them over gRPC streams.
//!
//! What happens to an object is decided in `greenroom-actors`; this crate carries it out.

mod attempts;
mod control;
mod copies;
mod core;
mod inspection;
mod membership;
mod metering;
mod nesting;
mod object_actor;
mod options;
mod peers;
mod place;
mod ports;
pub mod raft;
mod running;
mod seats;
mod server;
mod sessions;
mod shard;
mod stream;
mod upkeep;

pub use metering::install_metrics;
pub use options::{MemberList, NodeOptions};
pub use server::{Node, NodeError};
