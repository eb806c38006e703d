//! Identifiers: one newtype for each thing that has a number.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($number:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $number);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

id!(
    /// A cluster: a hash of its name, its members and its number of slots, so that two clusters with different plans never mix.
    ClusterId(u64)
);
id!(
    /// A node of the cluster: in a cluster of fixed members by its place in their list, else one number for each process that
    /// joins, never given to another.
    NodeId(u32)
);
id!(
    /// Who a node is in the Raft group of its cluster: kept on its disk with its votes, or drawn anew where there is no disk.
    Identity(u64)
);
id!(
    /// One start of a node's process. Drawn at random; never reused; 0 means "any".
    Incarnation(u64)
);
id!(
    /// One core's share of a node, from 0.
    ShardId(u16)
);
id!(
    /// A fixed share of the key space: the unit of placement, of the log and of transfer.
    SlotId(u16)
);
id!(
    /// The number of a slot's view; it only grows.
    Epoch(u64)
);
id!(
    /// The version of the slot table; it only grows.
    TableVersion(u64)
);
id!(
    /// A position in a slot's log, from 1; 0 is "before the first entry".
    LogIndex(u64)
);
id!(
    /// Per-client state on the servers. Drawn at random by the client.
    SessionId(u64)
);
id!(
    /// A sequence of calls of one session, of which one is outstanding at a time.
    Lane(u32)
);
id!(
    /// The number of a call on its lane, from 1.
    Sequence(u64)
);
id!(
    /// Grows with each owner of a grant; an object refuses an older one.
    Fence(u64)
);
id!(
    /// A call that waits in an object for another call to complete it: the call's position in its slot's log.
    WaiterId(u64)
);
id!(
    /// A namespace of objects and cloud threads that ends together: a hash of its name.
    JobId(u64)
);
id!(
    /// One run of a user's function in a serverless function.
    ThreadId(u64)
);

impl NodeId {
    /// No node: the primary of a slot whose data is lost.
    pub const NOBODY: Self = Self(u32::MAX);
}

impl JobId {
    /// The job `default`, which lasts as long as the cluster.
    pub const DEFAULT: Self = Self(0);

    /// The job of that name. `default` is [`JobId::DEFAULT`].
    pub fn named(name: &str) -> Self {
        if name == "default" {
            return Self::DEFAULT;
        }
        // 0 is taken by `default`.
        Self(xxh3_64(name.as_bytes()).max(1))
    }
}

impl SessionId {
    const OBJECT: u64 = 1 << 63;
    const ATTEMPT: u64 = 1 << 62;

    /// The session in which an object makes its nested calls, from its hash and what tells it from an earlier one.
    pub fn of_object(mixed: u64) -> Self {
        Self(mixed | Self::OBJECT)
    }

    /// The session of a client, from random bits.
    pub fn of_client(random: u64) -> Self {
        Self((random & !(Self::OBJECT | Self::ATTEMPT)).max(1))
    }

    /// The session in which an attempt of a cloud thread makes its calls, whichever process runs it.
    pub fn of_attempt(thread: ThreadId, attempt: u8) -> Self {
        Self(Self::ATTEMPT | (thread.0 & ThreadId::MAX) << u8::BITS | u64::from(attempt))
    }

    /// The cloud thread whose attempt has the session, and the attempt's number, if it is one of those.
    pub fn attempt(self) -> Option<(ThreadId, u8)> {
        let is_attempt = self.0 & (Self::OBJECT | Self::ATTEMPT) == Self::ATTEMPT;
        let [attempt, ..] = self.0.to_le_bytes();
        is_attempt.then_some((ThreadId(self.0 >> u8::BITS & ThreadId::MAX), attempt))
    }

    /// Whether an object has the session, and not a client.
    pub fn is_object(self) -> bool {
        self.0 & Self::OBJECT != 0
    }
}

impl ThreadId {
    /// The largest id: 54 bits.
    const MAX: u64 = (1 << 54) - 1;

    /// The id of a new cloud thread, from random bits.
    pub fn from_random(random: u64) -> Self {
        Self(random & Self::MAX)
    }
}

/// Names one call for ever: a retry carries the same id, so it is never executed twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId {
    /// The client that made it.
    pub session: SessionId,
    /// The sequence of calls that it belongs to.
    pub lane: Lane,
    /// Its number on the lane.
    pub sequence: Sequence,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}.{}", self.session.0, self.lane, self.sequence)
    }
}

/// Who a grant belongs to, for its clean-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Owner {
    /// A process, or an attempt of a cloud thread, known by its session.
    Session(SessionId),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(session) => match session.attempt() {
                Some((thread, attempt)) => write!(f, "cloud thread {:x}, attempt {attempt}", thread.0),
                None => write!(f, "session {:x}", session.0),
            },
        }
    }
}

/// The longest key of an object, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// The longest type name of an object, in bytes.
pub const TYPE_NAME_BYTES_MAX: usize = 128;

/// Why a key cannot name an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum KeyError {
    /// The key has no bytes.
    #[error("the key is empty")]
    Empty,
    /// The key is longer than [`KEY_BYTES_MAX`].
    #[error("the key has {0} bytes, and at most {KEY_BYTES_MAX} are allowed")]
    TooLong(u64),
}

/// Checks the key of an object.
///
/// # Errors
/// When it is empty or longer than [`KEY_BYTES_MAX`].
pub fn check_key(key: &str) -> Result<(), KeyError> {
    match key.len() {
        0 => Err(KeyError::Empty),
        length if length > KEY_BYTES_MAX => Err(KeyError::TooLong(length as u64)),
        _ => Ok(()),
    }
}

/// The place of an object in the key space, from 64 hashed bits: the same on every node and client.
///
/// The hash is XXH3 (64 bits) over the job, the type's name, a zero byte and the key.
pub fn hash_object(job: JobId, type_name: &str, key: &str) -> u64 {
    let length = 9 + type_name.len() + key.len();
    let mut bytes = [0; 256];
    if length > bytes.len() {
        let mut long = Vec::with_capacity(length);
        long.extend_from_slice(&job.0.to_le_bytes());
        long.extend_from_slice(type_name.as_bytes());
        long.push(0);
        long.extend_from_slice(key.as_bytes());
        return xxh3_64(&long);
    }
    let type_end = 8 + type_name.len();
    bytes[..8].copy_from_slice(&job.0.to_le_bytes());
    bytes[8..type_end].copy_from_slice(type_name.as_bytes());
    bytes[type_end + 1..length].copy_from_slice(key.as_bytes());
    xxh3_64(&bytes[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_long_and_short_names_follows_one_rule() {
        let reference = |job: JobId, type_name: &str, key: &str| {
            let mut bytes = job.0.to_le_bytes().to_vec();
            bytes.extend_from_slice(type_name.as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(key.as_bytes());
            xxh3_64(&bytes)
        };
        for length in [1, 200, 238, 239, 240, 241, 900] {
            let key = "k".repeat(length);
            assert_eq!(hash_object(JobId(7), "Counter", &key), reference(JobId(7), "Counter", &key));
        }
    }

    #[test]
    fn a_session_tells_whose_it_is() {
        let thread = ThreadId::from_random(u64::MAX);
        let session = SessionId::of_attempt(thread, 3);
        assert_eq!(session.attempt(), Some((thread, 3)));
        assert!(!session.is_object());
        for other in [SessionId::of_client(u64::MAX), SessionId::of_object(u64::MAX), SessionId::of_object(0)] {
            assert_eq!(other.attempt(), None);
        }
        assert_eq!(Owner::Session(session).to_string(), "cloud thread 3fffffffffffff, attempt 3");
    }

    #[test]
    fn keys_are_bounded() {
        assert_eq!(check_key(""), Err(KeyError::Empty));
        assert_eq!(check_key("a"), Ok(()));
        assert_eq!(check_key(&"a".repeat(10_000)), Err(KeyError::TooLong(10_000)));
    }
}
