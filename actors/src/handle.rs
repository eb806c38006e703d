//! Handles: references to objects by type and key, and the small trait through which they reach the cluster.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Construction, DefaultCaller, KeyText, OutgoingCall, system};
use crate::durability::Durability;
use crate::error::{Erased, Error, ReplyBody};
use crate::ids::JobId;
use crate::object::{Constructor, ObjectType, undecodable};
use crate::turn::{Message, RawMessage};
use crate::waiter::inside_turn;

thread_local! {
    /// How many casts this thread has made.
    static CASTS: Cell<u64> = const { Cell::new(0) };
}

/// An untyped handle: what the handles that `#[object]` makes are made of. Cloning it is cheap.
#[derive(Clone)]
pub struct RawHandle {
    object_type: &'static ObjectType,
    key: KeyText,
    construction: Option<Arc<Construction>>,
    durability: Option<Durability>,
    job: Option<JobId>,
    timeout: Option<Duration>,
    caller: Option<Arc<dyn Caller>>,
}

/// A handle on the wire: objects hold and pass each other's.
#[derive(Serialize, Deserialize)]
struct HandleParts {
    key: String,
    construction: Option<Bytes>,
    durability: Option<Durability>,
}

impl RawHandle {
    /// The object of that type and key, for a `static`.
    pub const fn shared(object_type: &'static ObjectType, key: &'static str) -> Self {
        Self::of(object_type, KeyText::Static(key))
    }

    const fn of(object_type: &'static ObjectType, key: KeyText) -> Self {
        let (construction, durability) = (None, None);
        Self { object_type, key, construction, durability, job: None, timeout: None, caller: None }
    }

    /// The object of that type and key.
    pub fn named(object_type: &'static ObjectType, key: impl Into<String>) -> Self {
        Self::of(object_type, KeyText::Shared(key.into().into()))
    }

    /// The object of that type and key, made with `arguments` (a tuple) if it is not there.
    ///
    /// # Panics
    /// When the arguments' `Serialize` fails.
    pub fn constructed<A: Serialize>(object_type: &'static ObjectType, key: impl Into<String>, arguments: &A) -> Self {
        let arguments = postcard::to_allocvec(arguments).expect("constructor arguments can be encoded");
        let construction = Some(Arc::new(Construction::new(arguments.into())));
        Self { construction, ..Self::named(object_type, key) }
    }

    /// The same object, reached through `caller`.
    #[must_use]
    pub fn through(mut self, caller: Arc<dyn Caller>) -> Self {
        self.caller = Some(caller);
        self
    }

    /// The same object; each call waits at most `timeout`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The same object, with one copy: made so if a call through this handle makes it. One that is there and has more is
    /// refused as [`Refusal::OtherDurability`](crate::Refusal::OtherDurability).
    ///
    /// Calls cost no other node anything. The state goes with the node that serves the object, and also when the object
    /// moves to another node, as when one joins. Then every call, and all that wait in it, end with
    /// [`Error::ObjectLost`], until the object is made anew by [`create`](Self::create) or
    /// [`force_new`](Self::force_new), or deleted. A call that was out and is not known to have been applied ends with
    /// [`Error::Unknown`] or `ObjectLost`: it is never applied to the new object.
    #[must_use]
    pub fn ephemeral(mut self) -> Self {
        self.durability = Some(Durability::Ephemeral);
        self
    }

    /// The same object, with `copies` at least: where the cluster keeps fewer of each object, calls are refused as
    /// [`Refusal::TooFewCopies`](crate::Refusal::TooFewCopies), and where the object is ephemeral, as
    /// [`Refusal::OtherDurability`](crate::Refusal::OtherDurability).
    ///
    /// The cluster keeps the same number of every object (`greenroom node --copies`), so a smaller number here asks for nothing less.
    #[must_use]
    pub fn replicated(mut self, copies: u8) -> Self {
        self.durability = Some(Durability::Replicated(copies));
        self
    }

    /// The same object, which no call through this handle makes: where it is not there, a call is refused as `NotCreated`.
    #[must_use]
    pub fn existing(mut self) -> Self {
        self.construction = match self.object_type.constructor {
            Constructor::Default => Some(Arc::new(Construction::none())),
            Constructor::Arguments { .. } => None,
        };
        self
    }

    /// The arguments that make the object, if it takes any.
    fn construction_arguments(&self) -> Option<Bytes> {
        self.construction.as_ref().filter(|made| made.makes()).map(|made| made.arguments.clone())
    }

    /// The object of the same type and key in another job.
    #[must_use]
    pub fn in_job(mut self, job: JobId) -> Self {
        self.job = Some(job);
        self
    }

    /// The object's key.
    pub fn key(&self) -> &str {
        self.key.as_str()
    }

    /// The object's type.
    pub fn object_type(&self) -> &'static ObjectType {
        self.object_type
    }

    /// Whether both name the same object, as far as handles can tell: type, key, and the job if they say one.
    pub fn is_same_object(&self, other: &Self) -> bool {
        self.object_type.name == other.object_type.name && self.key() == other.key() && self.job == other.job
    }

    /// The object, as `Type/key`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.object_type.name, self.key.as_str())
    }

    /// Makes the object now, if it is not there; returns whether it was made by this call.
    ///
    /// # Errors
    /// As every call's; [`Refusal::DifferentArguments`](crate::Refusal::DifferentArguments) when it exists, made with others.
    pub fn create(&self) -> Result<bool, Error> {
        self.wait(self.create_async())
    }

    /// The twin of [`create`](Self::create) for async code.
    ///
    /// # Errors
    /// As [`create`](Self::create)'s.
    pub fn create_async(&self) -> impl Future<Output = Result<bool, Error>> + Send + use<> {
        self.call_once(system::CREATE, &())
    }

    /// Makes the object anew from its constructor, whatever was there. Calls parked in the old one end with `ObjectLost`.
    ///
    /// # Errors
    /// As every call's.
    pub fn force_new(&self) -> Result<(), Error> {
        self.wait(self.force_new_async())
    }

    /// The twin of [`force_new`](Self::force_new) for async code.
    ///
    /// # Errors
    /// As every call's.
    pub fn force_new_async(&self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.call_once(system::FORCE_NEW, &())
    }

    /// Removes the object; returns whether it was there. Calls parked in it end with `ObjectLost`.
    ///
    /// # Errors
    /// As every call's.
    pub fn delete(&self) -> Result<bool, Error> {
        self.wait(self.delete_async())
    }

    /// The twin of [`delete`](Self::delete) for async code.
    ///
    /// # Errors
    /// As every call's.
    pub fn delete_async(&self) -> impl Future<Output = Result<bool, Error>> + Send + use<> {
        self.call_once(system::DELETE, &())
    }

    /// What the object says of itself to people: its `state`, its `holders`, and the calls that are `parked` in it.
    ///
    /// # Errors
    /// As every call's.
    pub fn describe(&self) -> Result<serde_json::Value, Error> {
        self.wait(self.describe_async())
    }

    /// The twin of [`describe`](Self::describe) for async code.
    ///
    /// # Errors
    /// As every call's.
    pub fn describe_async(&self) -> impl Future<Output = Result<serde_json::Value, Error>> + Send + use<> {
        let (described, object) = (self.call_once::<_, String, Erased>(system::DESCRIBE, &()), self.name());
        async move {
            serde_json::from_str(&described.await?).map_err(|error| Error::Reply { object, why: error.to_string() })
        }
    }

    /// Calls the method of that number and blocks until its reply is there.
    ///
    /// # Errors
    /// As the call's.
    pub fn call<P, T, E>(&self, method: u16, arguments: &P) -> Result<T, Error<E>>
    where
        P: Serialize,
        E: ReplyBody<T>,
        E::Body: DeserializeOwned,
    {
        self.wait(self.call_once(method, arguments))
    }

    /// Blocks this thread until `future`, which makes calls of the object, is done.
    ///
    /// # Errors
    /// The future's; and [`Error::Blocking`] on a thread that runs async tasks, where it is dropped and has made no call. What
    /// it would have given back, such as a guard, is given back all the same, as by a drop.
    pub fn wait<T, E>(&self, future: impl Future<Output = Result<T, Error<E>>>) -> Result<T, Error<E>> {
        if inside_turn() {
            return Err(Error::InsideMethod { object: self.name() });
        }
        let caller = self.caller().map_err(Error::widen)?;
        let casts_before = CASTS.get();
        let mut output = None;
        {
            let task = std::pin::pin!(async { output = Some(future.await) });
            caller.block_on(task);
        }
        // What the future owned has been dropped by now.
        output.unwrap_or_else(|| Err(Error::Blocking { object: self.name(), given_back: CASTS.get() != casts_before }))
    }

    /// Calls the method of that number. The call is made at the first poll.
    ///
    /// # Errors
    /// As the call's.
    pub fn call_async<P, T, E>(
        &self,
        method: u16,
        arguments: &P,
    ) -> impl Future<Output = Result<T, Error<E>>> + Send + use<P, T, E>
    where
        P: Serialize,
        T: Send,
        E: ReplyBody<T> + Send,
        E::Body: DeserializeOwned,
    {
        self.call_once(method, arguments)
    }

    fn call_once<P, T, E>(&self, method: u16, arguments: &P) -> impl Future<Output = Result<T, Error<E>>> + use<P, T, E>
    where
        P: Serialize,
        E: ReplyBody<T>,
        E::Body: DeserializeOwned,
    {
        let ready = self.outgoing(method, arguments).and_then(|outgoing| Ok((self.caller()?, outgoing)));
        let (object_type, key) = (self.object_type, self.key.clone());
        async move {
            let (caller, outgoing) = ready.map_err(Error::widen)?;
            let body = caller.call(outgoing).await.map_err(Error::widen)?;
            decode(object_type, &key, &body)
        }
    }

    /// The call of the method of that number, for [`Turn::call`](crate::Turn::call).
    ///
    /// # Panics
    /// When the arguments' `Serialize` fails.
    pub fn message<P: Serialize, A, E>(&self, method: u16, arguments: &P) -> Message<A, E> {
        let arguments = postcard::to_allocvec(arguments).expect("arguments can be encoded").into();
        Message::new(RawMessage {
            object_type: self.object_type,
            key: self.key().to_owned(),
            construction: self.construction_arguments(),
            durability: self.durability,
            method,
            arguments,
        })
    }

    /// Makes a call whose arguments are encoded already, and returns the encoded reply.
    ///
    /// # Errors
    /// As the call's.
    pub fn call_encoded(&self, method: u16, arguments: Bytes) -> Result<Bytes, Error> {
        let (caller, outgoing) = (self.caller()?, self.outgoing_encoded(method, arguments));
        self.wait(caller.call(outgoing))
    }

    /// Calls the method of that name without waiting; nobody learns what comes of it.
    ///
    /// It is for clean-up, where there is nobody left to tell: it has no deadline, whatever the handle's timeout, and is
    /// tried for as long as the caller's session lives.
    pub fn cast<P: Serialize>(&self, method: &str, arguments: &P) {
        self.cast_or(method, arguments, None);
    }

    /// [`cast`](Self::cast); if the call is refused, as one that is too large for the object's node, it is made with the
    /// arguments `otherwise` in its place.
    pub fn cast_or<P: Serialize>(&self, method: &str, arguments: &P, otherwise: Option<&P>) {
        let Some(number) = self.object_type.method_number(method) else { return };
        let outgoing = |arguments| {
            let call = self.outgoing(number, arguments);
            call.map(|call| OutgoingCall { timeout: None, ..call })
        };
        if let (Ok(call), Ok(otherwise), Ok(caller)) =
            (outgoing(arguments), otherwise.map(outgoing).transpose(), self.caller())
        {
            CASTS.set(CASTS.get() + 1);
            caller.cast(call, otherwise);
        }
    }

    /// Removes the object without waiting, as [`cast`](Self::cast) calls a method.
    pub fn cast_delete(&self) {
        if let (Ok(call), Ok(caller)) = (self.outgoing(system::DELETE, &()), self.caller()) {
            CASTS.set(CASTS.get() + 1);
            caller.cast(OutgoingCall { timeout: None, ..call }, None);
        }
    }

    fn outgoing<P: Serialize>(&self, method: u16, arguments: &P) -> Result<OutgoingCall, Error> {
        if inside_turn() {
            return Err(Error::InsideMethod { object: self.name() });
        }
        match postcard::to_allocvec(arguments) {
            Ok(bytes) => Ok(self.outgoing_encoded(method, bytes.into())),
            Err(error) => {
                Err(Error::NotSent { object: self.name(), why: format!("the arguments cannot be encoded: {error}") })
            }
        }
    }

    fn outgoing_encoded(&self, method: u16, arguments: Bytes) -> OutgoingCall {
        let entry = self.object_type.methods.get(usize::from(method));
        OutgoingCall {
            object_type: self.object_type,
            key: self.key.clone(),
            job: self.job,
            construction: self.construction.clone(),
            durability: self.durability,
            method,
            read: entry.is_some_and(|entry| entry.access() == crate::object::Access::Read),
            parks: entry.is_some_and(|entry| entry.parks),
            arguments,
            timeout: self.timeout,
        }
    }

    fn caller(&self) -> Result<Arc<dyn Caller>, Error> {
        if let Some(caller) = &self.caller {
            return Ok(Arc::clone(caller));
        }
        let found = match inventory::iter::<DefaultCaller>().next() {
            Some(default) => (default.0)(),
            None => Err("no client is linked into this program: depend on the crate `greenroom`".to_owned()),
        };
        found.map_err(|why| Error::NotSent { object: self.name(), why })
    }
}

fn decode<T, E>(object_type: &ObjectType, key: &KeyText, body: &[u8]) -> Result<T, Error<E>>
where
    E: ReplyBody<T>,
    E::Body: DeserializeOwned,
{
    match postcard::from_bytes::<E::Body>(body) {
        Ok(body) => E::split(body),
        Err(error) => Err(undecodable(format!("{}/{}", object_type.name, key.as_str()), &error)),
    }
}

impl fmt::Debug for RawHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.object_type.name, self.key())
    }
}

impl RawHandle {
    /// Encodes the handle for its typed wrapper.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, construction) = (self.key().to_owned(), self.construction_arguments());
        let parts = HandleParts { key, construction, durability: self.durability };
        // The name costs nothing on the wire, and makes handles of two types two shapes.
        serializer.serialize_newtype_struct(self.object_type.name, &parts)
    }

    /// Decodes a handle of `object_type` for its typed wrapper.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(
        object_type: &'static ObjectType,
        deserializer: D,
    ) -> Result<Self, D::Error> {
        let parts = deserializer.deserialize_newtype_struct(object_type.name, HandleVisitor)?;
        let construction = parts.construction.map(|arguments| Arc::new(Construction::new(arguments)));
        Ok(Self { construction, durability: parts.durability, ..Self::named(object_type, parts.key) })
    }
}

struct HandleVisitor;

impl<'de> serde::de::Visitor<'de> for HandleVisitor {
    type Value = HandleParts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a handle of an object")
    }

    fn visit_newtype_struct<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<HandleParts, D::Error> {
        HandleParts::deserialize(deserializer)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut parts: A) -> Result<HandleParts, A::Error> {
        parts.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(0, &self))
    }
}
