//! Object types: what `#[object]` registers, and the table of methods that a node runs.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Fault};
use crate::handle::RawHandle;
use crate::ids::{Fence, Owner, WaiterId};
use crate::schema;
use crate::turn::Turn;

/// A type of shared objects: plain state whose methods run beside it. Implemented by `#[object]`.
///
/// A method must be deterministic: what it does follows from the state, the arguments and the [`Turn`] alone.
pub trait Object: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The typed reference that clients use.
    type Handle: ObjectHandle;
    /// The name under which the type is registered; part of every object's identity.
    const NAME: &'static str;
    /// The type's registration.
    const TYPE: &'static ObjectType;
}

/// A typed, location-free reference to an object. Implemented by `#[object]`, and for the types of the library.
pub trait ObjectHandle: Clone + Send + Sync + fmt::Debug + Serialize + DeserializeOwned + 'static {
    /// The handle over an untyped one.
    fn from_raw(raw: RawHandle) -> Self;

    /// The untyped handle.
    fn raw(&self) -> &RawHandle;
}

/// The typed handle of an object type.
pub type Handle<T> = <T as Object>::Handle;

/// The state of an object, its type erased.
pub trait State: Any + Send + Sync {
    /// Appends the encoded state to `out`.
    ///
    /// # Errors
    /// When the type's `Serialize` fails.
    fn encode(&self, out: Vec<u8>) -> Result<Vec<u8>, postcard::Error>;

    /// How large the encoded state is. It goes through the state, and takes no memory.
    ///
    /// # Errors
    /// When the type's `Serialize` fails.
    fn encoded_bytes(&self) -> Result<usize, postcard::Error>;

    /// The state for people.
    ///
    /// # Errors
    /// When the type's `Serialize` fails, or it has map keys that JSON cannot hold.
    fn to_json(&self) -> Result<serde_json::Value, serde_json::Error>;
}

impl<T: Object> State for T {
    fn encode(&self, out: Vec<u8>) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_extend(self, out)
    }

    fn encoded_bytes(&self) -> Result<usize, postcard::Error> {
        postcard::serialize_with_flavor(self, postcard::ser_flavors::Size::default())
    }

    fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(self)
    }
}

/// How a method uses the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `&self`: neither logged nor replicated.
    Read,
    /// `&mut self`: ordered, logged, replicated.
    Write,
}

/// What a method left behind for its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// The encoded return value.
    Returned(Bytes),
    /// The caller waits: the method took its [`Waiter`](crate::Waiter).
    Parked,
}

/// Arguments that do not decode; holds what the decoder said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentsError(pub String);

/// Why an object could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// The type has neither a default nor got arguments.
    NoArguments,
    /// The arguments do not decode.
    Arguments(String),
    /// The constructor returned an error.
    Constructor(String),
}

/// Makes an object.
pub type CreateFn = fn(Option<&[u8]>) -> Result<Box<dyn State>, CreateError>;
/// Decodes a state.
pub type DecodeFn = fn(&[u8]) -> Result<Box<dyn State>, postcard::Error>;
type ReadFn = fn(&dyn Any, &[u8], &mut Turn) -> Result<Ran, ArgumentsError>;
type WriteFn = fn(&mut dyn Any, &[u8], &mut Turn) -> Result<Ran, ArgumentsError>;
type GuardFn = fn(&dyn Any, &[u8]) -> Result<bool, ArgumentsError>;
type ThenFn = fn(&mut dyn Any, Result<&[u8], Fault>, &[u8], &mut Turn) -> Result<(), ArgumentsError>;

/// The code of a method.
#[derive(Clone, Copy)]
pub enum Run {
    /// A method with `&self`.
    Read(ReadFn),
    /// A method with `&mut self`.
    Write(WriteFn),
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read(_) => "Read",
            Self::Write(_) => "Write",
        })
    }
}

/// An entry of an object type's method table.
pub struct Method {
    /// Its name in the source.
    pub name: &'static str,
    /// Whether a call may be parked: it takes a waiter, or has a guard.
    pub parks: bool,
    /// The condition of `#[when(…)]`.
    pub guard: Option<GuardFn>,
    /// Its code.
    pub run: Run,
    /// The shape of its arguments, as a tuple.
    pub arguments: fn() -> String,
    /// The shape of its reply.
    pub reply: fn() -> String,
    /// Encodes arguments that a person typed.
    pub arguments_from_json: fn(&[serde_json::Value]) -> Result<Vec<u8>, String>,
    /// Decodes a reply for a person.
    pub reply_to_json: fn(&[u8]) -> Result<serde_json::Value, String>,
}

impl Method {
    /// How the method uses the state. A guarded method is a write: its queue is part of the object.
    pub fn access(&self) -> Access {
        match self.run {
            Run::Read(_) if self.guard.is_none() && !self.parks => Access::Read,
            Run::Read(_) | Run::Write(_) => Access::Write,
        }
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Method").field("name", &self.name).field("run", &self.run).finish_non_exhaustive()
    }
}

/// A private method that receives the reply of a nested call; see [`Turn::call`].
#[derive(Debug)]
pub struct Continuation {
    /// Its name in the source.
    pub name: &'static str,
    /// Its code.
    pub run: ThenFn,
    /// The shape of the reply and of the context that it takes.
    pub arguments: fn() -> String,
}

/// How objects of a type are made.
#[derive(Debug)]
pub enum Constructor {
    /// By `Default`, at the first call.
    Default,
    /// By `new`, with the arguments that the handle carries.
    Arguments {
        /// The shape of the arguments, as a tuple.
        arguments: fn() -> String,
        /// The arguments' names.
        names: &'static [&'static str],
        /// Encodes arguments that a person typed.
        from_json: fn(&[serde_json::Value]) -> Result<Vec<u8>, String>,
        /// Decodes arguments for a person.
        to_json: fn(&[u8]) -> Result<serde_json::Value, String>,
    },
}

/// What the core calls on an object when something happens to one of its callers.
#[derive(Debug, Default)]
pub struct Hooks {
    /// A grant's caller gave up after the grant: take it back.
    pub grant_cancelled: Option<fn(&mut dyn Any, WaiterId, &mut Turn)>,
    /// An owner ended: release what it holds.
    pub owner_gone: Option<fn(&mut dyn Any, Owner, &mut Turn)>,
    /// A caller that waited gave up, or its owner ended: who waits behind it may be next.
    pub waiter_gone: Option<fn(&mut dyn Any, WaiterId, &mut Turn)>,
    /// What the object has given out, for people.
    pub holders: Option<fn(&dyn Any) -> Vec<Holder>>,
    /// The state for people, where the encoded one says little.
    pub summary: Option<fn(&dyn Any) -> serde_json::Value>,
}

/// Something that an object has given out, and that has to be given back, as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// What was given out: `lock`, `3 permits`, …
    pub what: String,
    /// Names the grant.
    pub grant: WaiterId,
    /// Who has it.
    pub owner: Owner,
    /// Grows with each grant.
    pub fence: Fence,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

/// The registration of an object type.
pub struct ObjectType {
    /// The name, the same in every process.
    pub name: &'static str,
    /// How objects are made.
    pub constructor: Constructor,
    /// Makes an object, from encoded constructor arguments if there are any.
    pub create: CreateFn,
    /// Decodes a state.
    pub decode: DecodeFn,
    /// The methods that clients call; a method's number is its place here.
    pub methods: &'static [Method],
    /// The methods that receive replies of nested calls.
    pub continuations: &'static [Continuation],
    /// What the core calls on an object by itself.
    pub hooks: Hooks,
    /// The shape of the state.
    pub state: fn() -> String,
    /// The shape and its fingerprint, worked out once.
    pub shape: ShapeCell,
}

/// Holds a type's shape once it has been worked out.
#[derive(Debug, Default)]
pub struct ShapeCell(OnceLock<(String, u64)>);

impl ShapeCell {
    /// An empty cell.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }
}

impl ObjectType {
    /// The type's shape as text: state, constructor, methods with arguments and replies.
    pub fn shape(&self) -> &str {
        &self.traced().0
    }

    /// The fingerprint of the shape: equal builds have equal fingerprints.
    pub fn fingerprint(&self) -> u64 {
        self.traced().1
    }

    /// The number of the method with that name.
    pub fn method_number(&self, name: &str) -> Option<u16> {
        let position = self.methods.iter().position(|method| method.name == name)?;
        u16::try_from(position).ok()
    }

    fn traced(&self) -> &(String, u64) {
        self.shape.0.get_or_init(|| {
            let mut parts = vec![format!("state {}", (self.state)())];
            if let Constructor::Arguments { arguments, .. } = &self.constructor {
                parts.push(format!("new{}", arguments()));
            }
            parts.extend(self.methods.iter().map(|method| {
                let access = if method.access() == Access::Read { "&" } else { "&mut " };
                format!("{access}{}{} -> {}", method.name, (method.arguments)(), (method.reply)())
            }));
            parts.extend(self.continuations.iter().map(|then| format!("{}{}", then.name, (then.arguments)())));
            let shape = format!("{} {{ {} }}", self.name, parts.join("; "));
            let fingerprint = schema::fingerprint(&shape);
            (shape, fingerprint)
        })
    }
}

impl fmt::Debug for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectType").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One entry of the program's list of object types; `#[object]` submits it.
#[derive(Debug)]
pub struct Registration(pub &'static ObjectType);

inventory::collect!(Registration);

/// Two object types with one name in a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two object types are named `{0}`: give one another name with #[object(name = \"…\")]")]
pub struct DuplicateType(pub String);

/// All object types of the program, by name.
#[derive(Clone, Debug)]
pub struct Registry {
    types: BTreeMap<&'static str, &'static ObjectType>,
}

impl Registry {
    /// Collects what `#[object]` registered in this program.
    ///
    /// # Errors
    /// When two types have one name.
    pub fn collect() -> Result<Self, DuplicateType> {
        Self::of(inventory::iter::<Registration>().map(|registration| registration.0))
    }

    /// A registry of the given types.
    ///
    /// # Errors
    /// When two types have one name.
    pub fn of(types: impl IntoIterator<Item = &'static ObjectType>) -> Result<Self, DuplicateType> {
        let mut by_name = BTreeMap::new();
        for object_type in types {
            if by_name.insert(object_type.name, object_type).is_some() {
                return Err(DuplicateType(object_type.name.to_owned()));
            }
        }
        Ok(Self { types: by_name })
    }

    /// The type of that name.
    pub fn get(&self, name: &str) -> Option<&'static ObjectType> {
        self.types.get(name).copied()
    }

    /// All types, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &'static ObjectType> + '_ {
        self.types.values().copied()
    }
}

/// The error of a reply that does not decode, on `object`.
pub(crate) fn undecodable<E>(object: String, why: &postcard::Error) -> Error<E> {
    Error::Reply { object, why: why.to_string() }
}
