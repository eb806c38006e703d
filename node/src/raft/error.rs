//! Why a node cannot take part in the group.

use std::path::PathBuf;

use greenroom_rpc::group::GroupRefusal;

/// Why a node's folder cannot be used. The node takes no part in the group then: it must not forget what it has promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The folder is not there, is no folder, or is not this user's.
    #[error("cannot write to the folder {}: {why}", .folder.display())]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Another process uses the folder.
    #[error("another process uses the folder {}", .folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The disk is full. What was to be written was not acknowledged.
    #[error("the disk of {} is full", .file.display())]
    Full {
        /// The file.
        file: PathBuf,
    },
    /// The file does not hold what was written. A node without it is another one: let the cluster forget this one, and start
    /// with an empty folder.
    #[error("{} is damaged: {why}", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file cannot be read or written. What was to be written was not acknowledged.
    #[error("cannot use {}: {why}", .file.display())]
    Failed {
        /// The file.
        file: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The node has stopped.
    #[error("{} is closed", .file.display())]
    Closed {
        /// The file.
        file: PathBuf,
    },
}

/// Why a node takes no part in the group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The group has refused it.
    #[error(transparent)]
    Refused(#[from] GroupRefusal),
    /// A setting cannot be.
    #[error("{0}")]
    Settings(String),
    /// The node's part of the group has ended, for this reason.
    #[error("the node takes no part in the group any more: {0}")]
    Ended(String),
}
