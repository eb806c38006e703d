//! Bugs that are planted on purpose, to see whether the simulator finds them. Only built with the feature `mutations`.

use std::sync::atomic::{AtomicU8, Ordering};

/// A bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutation {
    /// An entry is committed without the backups' acknowledgements.
    SkipAck = 1,
    /// A lease that is over counts.
    ReadAfterLease,
    /// The reply table is left out of a transfer.
    ForgetReplies,
    /// Of each object, one waiter is dropped when a slot is taken over.
    DropWaiter,
    /// A backup takes entries of an epoch that is over.
    AcceptOldEpoch,
    /// What is given back to a semaphore counts twice.
    ReleaseTwice,
    /// A node renews its lease by itself, whoever it reaches.
    ServeInMinority,
    /// A node that is started again goes on as the member that it was.
    KeepIncarnation,
    /// A copy keeps entries that its primary does not have.
    KeepTail,
    /// A call that may set waiters free is applied before it is committed.
    ReplyBeforeCommit,
    /// A duplicate that is older than what its lane has seen runs.
    RunOldDuplicate,
    /// A new Raft leader does not wait until leases that it does not know of are over.
    SkipLeaseWait,
    /// Where another copy made an ephemeral object, it is there as it was then.
    FreshEphemeral,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::SkipAck,
        Self::ReadAfterLease,
        Self::ForgetReplies,
        Self::DropWaiter,
        Self::AcceptOldEpoch,
        Self::ReleaseTwice,
        Self::ServeInMinority,
        Self::KeepIncarnation,
        Self::KeepTail,
        Self::ReplyBeforeCommit,
        Self::RunOldDuplicate,
        Self::SkipLeaseWait,
        Self::FreshEphemeral,
    ];

    /// Plants a bug in this process, and no other; `None` plants none.
    pub fn plant(mutation: Option<Self>) {
        PLANTED.store(mutation.map_or(0, |mutation| mutation as u8), Ordering::Relaxed);
    }

    /// Whether this one is planted.
    pub fn is_planted(self) -> bool {
        PLANTED.load(Ordering::Relaxed) == self as u8
    }
}

static PLANTED: AtomicU8 = AtomicU8::new(0);
