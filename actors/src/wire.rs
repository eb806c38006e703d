//! Frames: what travels on a stream between a client and a shard.
//!
//! A frame is one byte of kind, one of version, and then postcard values. The headers of calls and replies begin with a set
//! of bits that says which optional parts follow, so an absent part costs a bit. Nothing is decoded that need not be:
//! arguments and replies stay slices of the batch in which they came.

mod greeting;

pub use greeting::{Hello, HelloRefusal, Welcome, encode_hello, encode_welcome};

use bytes::{Bytes, BytesMut};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use crate::durability::Durability;
use crate::error::Fault;
use crate::ids::{
    CallId, ClusterId, Epoch, Fence, JobId, Lane, LogIndex, NodeId, Sequence, SessionId, SlotId, TableVersion,
};
use crate::peer::PeerMessage;

/// The version of the frames that this build speaks.
pub const WIRE_VERSION: u8 = 2;
/// The longest call chain that travels; a longer one is refused as a cycle would be.
pub const CHAIN_MAX: usize = 32;

const KIND_HELLO: u8 = 1;
const KIND_WELCOME: u8 = 2;
const KIND_REQUEST: u8 = 3;
const KIND_REPLY: u8 = 4;
const KIND_TABLE: u8 = 5;
const KIND_GOODBYE: u8 = 6;
const KIND_PEER: u8 = 7;

/// Bits of a request's header: flags, and which optional parts follow.
pub mod parts {
    /// The method only reads: the call is neither logged nor deduplicated.
    pub const READ: u32 = 1;
    /// The call has been sent before.
    pub const RETRY: u32 = 1 << 1;
    /// Not a call: the caller of this id has given up. With [`QUERY`] it asks to be told once the id's lane is free.
    pub const CANCEL: u32 = 1 << 2;
    /// Not a call: what became of this id?
    pub const QUERY: u32 = 1 << 3;
    /// Not a call: an attempt of a cloud thread has ended, which the arguments name; see
    /// [`AttemptEnd`](super::AttemptEnd).
    pub const END: u32 = 1 << 17;
    /// Not a call, and not answered: the session of an attempt of a cloud thread is on this stream from now on.
    pub const KEEP: u32 = 1 << 18;
    /// What kind of request it is.
    pub(super) const FLAGS: u32 = READ | RETRY | CANCEL | QUERY | END | KEEP;
    pub(super) const CLUSTER: u32 = 1 << 4;
    pub(super) const JOB: u32 = 1 << 5;
    pub(super) const SESSION: u32 = 1 << 6;
    pub(super) const TABLE: u32 = 1 << 7;
    pub(super) const DEADLINE: u32 = 1 << 8;
    pub(super) const ATTEMPT_ENDS: u32 = 1 << 9;
    pub(super) const PARENT: u32 = 1 << 10;
    pub(super) const CHAIN: u32 = 1 << 11;
    pub(super) const ACKS: u32 = 1 << 12;
    pub(super) const CONSTRUCTION: u32 = 1 << 13;
    pub(super) const CONSTRUCTION_ARGUMENTS: u32 = 1 << 14;
    pub(super) const TRACE: u32 = 1 << 15;
    pub(super) const CREDENTIAL: u32 = 1 << 16;
    pub(super) const DURABILITY: u32 = 1 << 19;
    pub(super) const ALL: u32 = (1 << 20) - 1;

    pub(super) const APPLIED: u32 = 1;
    pub(super) const FAULT: u32 = 1 << 1;
    pub(super) const REPLY_SESSION: u32 = 1 << 2;
    pub(super) const INDEX: u32 = 1 << 3;
    pub(super) const REPLY_TABLE: u32 = 1 << 4;
    pub(super) const FENCE: u32 = 1 << 5;
    pub(super) const REPLY_ALL: u32 = (1 << 6) - 1;
}

/// Bytes that are not a frame of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The frame is shorter than its fixed part.
    #[error("the frame is cut short")]
    Truncated,
    /// No frame has this kind.
    #[error("no frame has kind {0}")]
    Kind(u8),
    /// The peer speaks another version.
    #[error("the frame has version {0}, and this program speaks version {WIRE_VERSION}")]
    Version(u8),
    /// The header names parts that this version does not have.
    #[error("the header names unknown parts: {0:#x}")]
    Parts(u32),
    /// A part does not decode.
    #[error("a part of the frame does not decode: {0}")]
    Postcard(#[from] postcard::Error),
}

/// A frame.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every frame is a request; a box would cost an allocation for each call"
)]
pub enum Frame<'a> {
    /// Opens a stream.
    Hello(Hello),
    /// Answers a `Hello`.
    Welcome(Welcome),
    /// A call, a cancellation or a question.
    Request(Request<'a>),
    /// The answer to one.
    Reply(Reply),
    /// The current slot table, encoded.
    Table(Bytes),
    /// The session ends here: forget it.
    Goodbye,
    /// What the copy of a slot on that node says to the one here.
    Peer(NodeId, PeerMessage),
}

/// The header of a call, with its arguments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request<'a> {
    /// [`parts::READ`], [`parts::RETRY`], [`parts::CANCEL`], [`parts::QUERY`], [`parts::END`], [`parts::KEEP`].
    pub flags: u32,
    /// The call's lane.
    pub lane: Lane,
    /// The call's number on its lane.
    pub sequence: Sequence,
    /// The slot of the object.
    pub slot: SlotId,
    /// The slot's epoch as the caller knows it.
    pub epoch: Epoch,
    /// The method's number.
    pub method: u16,
    /// The fingerprint of the caller's build of the object type.
    pub fingerprint: u64,
    /// The object's type.
    pub type_name: &'a str,
    /// The object's key.
    pub key: &'a str,
    /// The cluster, where it is not the stream's.
    pub cluster: Option<ClusterId>,
    /// The object's job; [`JobId::DEFAULT`] costs nothing.
    pub job: JobId,
    /// The call's session, where it is not the stream's.
    pub session: Option<SessionId>,
    /// The version of the caller's slot table.
    pub table: Option<TableVersion>,
    /// When the call ends by itself, in milliseconds since the Unix epoch.
    pub deadline_ms: Option<u64>,
    /// When the attempt of a cloud thread ends by itself that has the session, in milliseconds since the Unix epoch.
    pub attempt_ends_ms: Option<u64>,
    /// The call in whose turn this one was made.
    pub parent: Option<CallId>,
    /// The objects that wait for this call, as hashes, the first caller first.
    pub chain: Vec<u64>,
    /// Replies that have arrived, so that the node may drop them.
    pub acks: Vec<(SlotId, Lane, Sequence)>,
    /// The hash of the constructor's arguments.
    pub construction: Option<u64>,
    /// The constructor's arguments.
    pub construction_arguments: Option<Bytes>,
    /// What the caller's handle says about the object's copies.
    pub durability: Option<Durability>,
    /// W3C trace context: trace id, span id, flags.
    pub trace: Option<([u8; 16], [u8; 8], u8)>,
    /// What proves who the caller is.
    pub credential: Option<Bytes>,
    /// The encoded arguments.
    pub arguments: Bytes,
}

/// The end of an attempt of a cloud thread, for one slot: what it holds there is released, and its later calls are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptEnd {
    /// The attempt's session.
    pub session: SessionId,
    /// When the attempt would have ended by itself, in milliseconds since the Unix epoch: so long calls of it may come.
    pub ends_ms: Option<u64>,
    /// Whether the slot has to remember the end although it has never heard of the attempt.
    pub fence: bool,
}

impl AttemptEnd {
    /// The end as the arguments of a request.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        put(&mut out, self);
        out.freeze()
    }

    /// The end that a request's arguments name.
    ///
    /// # Errors
    /// When the bytes are none, or the session is not that of an attempt.
    pub fn decode(arguments: &[u8]) -> Result<Self, WireError> {
        let end: Self = take(&mut &*arguments)?;
        end.session.attempt().map(|_| end).ok_or(WireError::Postcard(postcard::Error::DeserializeBadEncoding))
    }
}

/// The part of a request's header that is always there.
#[derive(Serialize, Deserialize)]
struct RequestHead<'a> {
    parts: u32,
    lane: Lane,
    sequence: Sequence,
    slot: SlotId,
    epoch: Epoch,
    method: u16,
    fingerprint: [u8; 8],
    type_name: &'a str,
    key: &'a str,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The call's lane.
    pub lane: Lane,
    /// The call's number on its lane.
    pub sequence: Sequence,
    /// The call's session, where it is not the stream's.
    pub session: Option<SessionId>,
    /// Whether the call changed, or may have changed, the object.
    pub applied: bool,
    /// Its place in the slot's log.
    pub index: Option<LogIndex>,
    /// The version of the node's slot table, where the caller's is older.
    pub table: Option<TableVersion>,
    /// The fence of what was granted.
    pub fence: Option<Fence>,
    /// The encoded return value, or why there is none.
    pub result: Result<Bytes, Fault>,
}

struct Output<'a>(&'a mut BytesMut);

impl Flavor for Output<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.extend_from_slice(&[byte]);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn put<T: Serialize + ?Sized>(out: &mut BytesMut, value: &T) {
    // The output grows as needed, and nothing that is put here has a failing `Serialize`.
    postcard::serialize_with_flavor(value, Output(out)).expect("a header can be encoded");
}

fn put_part<T: Serialize>(out: &mut BytesMut, part: Option<&T>) {
    if let Some(value) = part {
        put(out, value);
    }
}

fn take<'a, T: Deserialize<'a>>(rest: &mut &'a [u8]) -> Result<T, WireError> {
    let (value, after) = postcard::take_from_bytes(rest)?;
    *rest = after;
    Ok(value)
}

fn take_part<'a, T: Deserialize<'a>>(present: u32, part: u32, rest: &mut &'a [u8]) -> Result<Option<T>, WireError> {
    if present & part == 0 { Ok(None) } else { take(rest).map(Some) }
}

/// Appends a frame with an encoded slot table to `out`.
pub fn encode_table(table: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(&[KIND_TABLE, WIRE_VERSION]);
    out.extend_from_slice(table);
}

/// Appends a frame with what a copy on node `from` says to another one to `out`.
pub fn encode_peer(from: NodeId, message: &PeerMessage, out: &mut BytesMut) {
    out.extend_from_slice(&[KIND_PEER, WIRE_VERSION]);
    put(out, &(from, message));
}

/// Appends a `Goodbye` frame to `out`.
pub fn encode_goodbye(out: &mut BytesMut) {
    out.extend_from_slice(&[KIND_GOODBYE, WIRE_VERSION]);
}

impl Request<'_> {
    fn parts(&self) -> u32 {
        let part = |present: bool, bit: u32| if present { bit } else { 0 };
        self.flags
            | part(self.cluster.is_some(), parts::CLUSTER)
            | part(self.job != JobId::DEFAULT, parts::JOB)
            | part(self.session.is_some(), parts::SESSION)
            | part(self.table.is_some(), parts::TABLE)
            | part(self.deadline_ms.is_some(), parts::DEADLINE)
            | part(self.attempt_ends_ms.is_some(), parts::ATTEMPT_ENDS)
            | part(self.parent.is_some(), parts::PARENT)
            | part(!self.chain.is_empty(), parts::CHAIN)
            | part(!self.acks.is_empty(), parts::ACKS)
            | part(self.construction.is_some(), parts::CONSTRUCTION)
            | part(self.construction_arguments.is_some(), parts::CONSTRUCTION_ARGUMENTS)
            | part(self.trace.is_some(), parts::TRACE)
            | part(self.credential.is_some(), parts::CREDENTIAL)
            | part(self.durability.is_some(), parts::DURABILITY)
    }

    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        let present = self.parts();
        out.reserve(64 + self.type_name.len() + self.key.len() + self.arguments.len());
        out.extend_from_slice(&[KIND_REQUEST, WIRE_VERSION]);
        let head = RequestHead {
            parts: present,
            lane: self.lane,
            sequence: self.sequence,
            slot: self.slot,
            epoch: self.epoch,
            method: self.method,
            fingerprint: self.fingerprint.to_le_bytes(),
            type_name: self.type_name,
            key: self.key,
        };
        put(out, &head);
        if present & !parts::FLAGS != 0 {
            self.encode_parts(present, out);
        }
        out.extend_from_slice(&self.arguments);
    }

    fn encode_parts(&self, present: u32, out: &mut BytesMut) {
        put_part(out, self.cluster.as_ref());
        put_part(out, Some(&self.job).filter(|_| present & parts::JOB != 0));
        put_part(out, self.session.as_ref());
        put_part(out, self.table.as_ref());
        put_part(out, self.deadline_ms.as_ref());
        put_part(out, self.attempt_ends_ms.as_ref());
        put_part(out, self.parent.as_ref());
        put_part(out, Some(&self.chain).filter(|_| present & parts::CHAIN != 0));
        put_part(out, Some(&self.acks).filter(|_| present & parts::ACKS != 0));
        put_part(out, self.construction.as_ref());
        put_part(out, self.construction_arguments.as_ref());
        put_part(out, self.trace.as_ref());
        put_part(out, self.credential.as_ref());
        put_part(out, self.durability.as_ref());
    }
}

fn decode_request<'a>(frame: &'a Bytes, mut rest: &'a [u8]) -> Result<Request<'a>, WireError> {
    let head: RequestHead<'a> = take(&mut rest)?;
    let present = head.parts;
    if present & !parts::ALL != 0 {
        return Err(WireError::Parts(present));
    }
    let rest = &mut rest;
    Ok(Request {
        flags: present & parts::FLAGS,
        lane: head.lane,
        sequence: head.sequence,
        slot: head.slot,
        epoch: head.epoch,
        method: head.method,
        fingerprint: u64::from_le_bytes(head.fingerprint),
        type_name: head.type_name,
        key: head.key,
        cluster: take_part(present, parts::CLUSTER, rest)?,
        job: take_part(present, parts::JOB, rest)?.unwrap_or_default(),
        session: take_part(present, parts::SESSION, rest)?,
        table: take_part(present, parts::TABLE, rest)?,
        deadline_ms: take_part(present, parts::DEADLINE, rest)?,
        attempt_ends_ms: take_part(present, parts::ATTEMPT_ENDS, rest)?,
        parent: take_part(present, parts::PARENT, rest)?,
        chain: take_part(present, parts::CHAIN, rest)?.unwrap_or_default(),
        acks: take_part(present, parts::ACKS, rest)?.unwrap_or_default(),
        construction: take_part(present, parts::CONSTRUCTION, rest)?,
        construction_arguments: take_part::<&[u8]>(present, parts::CONSTRUCTION_ARGUMENTS, rest)?
            .map(|bytes| frame.slice_ref(bytes)),
        trace: take_part(present, parts::TRACE, rest)?,
        credential: take_part::<&[u8]>(present, parts::CREDENTIAL, rest)?.map(|bytes| frame.slice_ref(bytes)),
        durability: take_part(present, parts::DURABILITY, rest)?,
        arguments: frame.slice_ref(rest),
    })
}

impl Reply {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        self.encode_head(out);
        if let Ok(body) = &self.result {
            out.extend_from_slice(body);
        }
    }

    /// Appends the frame without the value, which ends it, to `out`.
    pub fn encode_head(&self, out: &mut BytesMut) {
        let part = |present: bool, bit: u32| if present { bit } else { 0 };
        let present = part(self.applied, parts::APPLIED)
            | part(self.result.is_err(), parts::FAULT)
            | part(self.session.is_some(), parts::REPLY_SESSION)
            | part(self.index.is_some(), parts::INDEX)
            | part(self.table.is_some(), parts::REPLY_TABLE)
            | part(self.fence.is_some(), parts::FENCE);
        out.extend_from_slice(&[KIND_REPLY, WIRE_VERSION]);
        put(out, &(present, self.lane, self.sequence));
        put_part(out, self.session.as_ref());
        put_part(out, self.index.as_ref());
        put_part(out, self.table.as_ref());
        put_part(out, self.fence.as_ref());
        if let Err(fault) = &self.result {
            put(out, fault);
        }
    }
}

fn decode_reply(frame: &Bytes, mut rest: &[u8]) -> Result<Reply, WireError> {
    let (present, lane, sequence): (u32, Lane, Sequence) = take(&mut rest)?;
    if present & !parts::REPLY_ALL != 0 {
        return Err(WireError::Parts(present));
    }
    let session = take_part(present, parts::REPLY_SESSION, &mut rest)?;
    let index = take_part(present, parts::INDEX, &mut rest)?;
    let table = take_part(present, parts::REPLY_TABLE, &mut rest)?;
    let fence = take_part(present, parts::FENCE, &mut rest)?;
    let result = if present & parts::FAULT == 0 { Ok(frame.slice_ref(rest)) } else { Err(take(&mut rest)?) };
    Ok(Reply { lane, sequence, session, applied: present & parts::APPLIED != 0, index, table, fence, result })
}

/// Decodes a frame; what it holds are slices of `frame`.
///
/// # Errors
/// When the bytes are not a frame of this version.
pub fn decode(frame: &Bytes) -> Result<Frame<'_>, WireError> {
    let &[kind, version, ref rest @ ..] = frame.as_ref() else { return Err(WireError::Truncated) };
    if version != WIRE_VERSION {
        return Err(WireError::Version(version));
    }
    let mut rest = rest;
    match kind {
        KIND_HELLO => take(&mut rest).map(Frame::Hello),
        KIND_WELCOME => take(&mut rest).map(Frame::Welcome),
        KIND_REQUEST => decode_request(frame, rest).map(Frame::Request),
        KIND_REPLY => decode_reply(frame, rest).map(Frame::Reply),
        KIND_TABLE => Ok(Frame::Table(frame.slice_ref(rest))),
        KIND_GOODBYE => Ok(Frame::Goodbye),
        KIND_PEER => take(&mut rest).map(|(from, message)| Frame::Peer(from, message)),
        other => Err(WireError::Kind(other)),
    }
}
