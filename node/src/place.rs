//! What all shards of a node know.

use bytes::Bytes;
use greenroom_actors::{Incarnation, NodeLayout, ObjectType, Refusal, Registry, SlotTable};

use crate::options::NodeOptions;

/// What all shards of a node know.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) options: NodeOptions,
    pub(crate) registry: Registry,
    pub(crate) table: SlotTable,
    /// The table, encoded once.
    pub(crate) table_bytes: Bytes,
    pub(crate) layout: NodeLayout,
}

impl Place {
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.layout.incarnation
    }

    /// The type of that name in this program.
    pub(crate) fn object_type(&self, name: &str) -> Result<&'static ObjectType, Refusal> {
        self.registry.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.registry.iter().map(|known| known.name).collect();
            Refusal::UnknownType { name: name.to_owned(), known: known.join(", ") }
        })
    }
}
