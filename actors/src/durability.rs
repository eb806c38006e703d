//! How many copies an object is to have, which is decided where it is made.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Refusal;

/// How many copies of an object a handle asks for.
///
/// It holds for objects that a call makes through the handle, and is checked against one that is there. A handle that says
/// nothing makes objects with as many copies as the cluster keeps of each, and takes what is there as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Durability {
    /// One: the state goes with the node that serves the object, and also when the object moves to another node.
    /// That the object is there, or was lost, is known to all nodes that would have copies.
    Ephemeral,
    /// So many at least. The cluster keeps the same number of each object, so this is a demand, and no wish for fewer.
    Replicated(u8),
}

impl Durability {
    /// Whether a cluster that keeps `copies` of each object can give it.
    pub(crate) fn check(self, copies: u8) -> Result<(), Refusal> {
        match self {
            Self::Replicated(asked) if asked > copies => Err(Refusal::TooFewCopies { asked, copies }),
            Self::Replicated(_) | Self::Ephemeral => Ok(()),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ephemeral => f.write_str("ephemeral"),
            Self::Replicated(copies) => write!(f, "replicated({copies})"),
        }
    }
}
