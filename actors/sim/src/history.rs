//! A history: every call of a run and what came of it, in the order in which they began to be recorded.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::call::{Call, ObjectType, Reply};

/// One of the clients of a run; it may have several calls open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId(pub u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}", self.0)
    }
}

/// The place of an object in its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectIndex(pub u32);

/// The place of an operation in its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationId(pub usize);

/// An object that is called in a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Names it.
    pub key: String,
    /// What it is, and was made of.
    pub object_type: ObjectType,
}

/// What came of a call. Times are in the unit of [`Operation::invoked_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was applied, and answered then.
    Returned(Reply, u64),
    /// The client was told then that nothing was or will be applied.
    NotApplied(u64),
    /// The client gave up then, not knowing: it may have been applied, or be applied at any later time, or never.
    Unknown(u64),
    /// It was never answered; as for its effects, this is `Unknown`.
    Open,
}

/// One call of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Who called.
    pub client: ClientId,
    /// What was called.
    pub object: ObjectIndex,
    /// With what.
    pub call: Call,
    /// When it began, in a unit of the caller's choice, on one clock for the whole history. Two operations of which one ends
    /// when the other begins overlap: only a strictly earlier end comes before.
    pub invoked_at: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// The calls of a run. Operations are only appended, and each is given an outcome once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    pub(crate) objects: Vec<Object>,
    pub(crate) operations: Vec<Operation>,
}

impl History {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty history with room for so many operations, of some 100 bytes each.
    pub fn with_capacity(operations: usize) -> Self {
        Self { objects: Vec::new(), operations: Vec::with_capacity(operations) }
    }

    /// Names an object that will be called; the same key is the same object, and keeps the type that it was first given.
    pub fn object(&mut self, key: impl Into<String>, object_type: ObjectType) -> ObjectIndex {
        let key = key.into();
        let known = self.objects.iter().position(|object| object.key == key);
        let index = known.unwrap_or_else(|| {
            self.objects.push(Object { key, object_type });
            self.objects.len() - 1
        });
        ObjectIndex(u32::try_from(index).expect("a history has fewer than 2^32 objects"))
    }

    /// A client begins a call.
    pub fn invoke(&mut self, client: ClientId, object: ObjectIndex, call: Call, at: u64) -> OperationId {
        self.operations.push(Operation { client, object, call, invoked_at: at, outcome: Outcome::Open });
        OperationId(self.operations.len() - 1)
    }

    /// The call was applied and answered.
    pub fn returned(&mut self, operation: OperationId, reply: Reply, at: u64) {
        self.conclude(operation, Outcome::Returned(reply, at));
    }

    /// The client was told that the call is not and will not be applied.
    pub fn not_applied(&mut self, operation: OperationId, at: u64) {
        self.conclude(operation, Outcome::NotApplied(at));
    }

    /// The client gave up, without knowing.
    pub fn unknown(&mut self, operation: OperationId, at: u64) {
        self.conclude(operation, Outcome::Unknown(at));
    }

    /// An owner has ended: from now on each lock and semaphore that was named so far may free what this client holds of it.
    pub fn owner_ended(&mut self, owner: ClientId, at: u64) {
        for index in 0..self.objects.len() {
            if let ObjectType::Mutex | ObjectType::Semaphore { .. } = self.objects[index].object_type {
                let object = ObjectIndex(u32::try_from(index).expect("a history has fewer than 2^32 objects"));
                self.invoke(owner, object, Call::OwnerEnded(owner), at);
            }
        }
    }

    /// The objects, in the order in which they were named.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The operations, in the order in which they were recorded.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    fn conclude(&mut self, operation: OperationId, outcome: Outcome) {
        let operation = &mut self.operations[operation.0];
        debug_assert_eq!(operation.outcome, Outcome::Open, "an operation has one outcome");
        operation.outcome = outcome;
    }
}

/// One line: times, client, call, and what came of it.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (end, result) = match self.outcome {
            Outcome::Returned(reply, at) => (at.to_string(), reply.to_string()),
            Outcome::NotApplied(at) => (at.to_string(), "not applied".to_owned()),
            Outcome::Unknown(at) => (at.to_string(), "unknown".to_owned()),
            Outcome::Open => ("-".to_owned(), "no answer".to_owned()),
        };
        let (client, call) = (self.client.to_string(), self.call.to_string());
        write!(f, "{:>12} {end:>12}  {client:<12} {call:<40} {result}", self.invoked_at)
    }
}

/// A table for each object, its operations in the order in which they began.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_object = vec![Vec::new(); self.objects.len()];
        for operation in &self.operations {
            by_object[operation.object.0 as usize].push(operation);
        }
        for (object, mut operations) in self.objects.iter().zip(by_object) {
            writeln!(f, "{} ({:?})", object.key, object.object_type)?;
            operations.sort_by_key(|operation| operation.invoked_at);
            for operation in operations {
                writeln!(f, "{operation}")?;
            }
        }
        Ok(())
    }
}
