//! What senders, receivers and queues share: the calls of a channel's object, with values of a type.

use bytes::Bytes;
use greenroom_actors::objects::{ChannelItem, ChannelObject, NotTaken, RecvError, RegisteredSender, TryRecvError};
use greenroom_actors::{Erased, Error, Fence, Handle, ObjectHandle, RawHandle};

use super::{SendError, TrySendError};
use crate::value::{Value, decode, encode};

/// A call that sends many values has about so many bytes.
const PAGE_BYTES: usize = 1 << 20;
/// What a value counts for beyond its own bytes.
const VALUE_BYTES: usize = 16;

/// What became of values on their way in.
enum Sent {
    All,
    /// The channel is full.
    None,
    /// The channel is closed; the first so many were taken in before that.
    Closed(u64),
}

fn sent(
    result: Result<(), Error<NotTaken>>,
    sender: Option<RegisteredSender>,
    object: &RawHandle,
) -> Result<Sent, Error> {
    match result {
        Ok(()) => Ok(Sent::All),
        Err(Error::Method(NotTaken::Full)) => Ok(Sent::None),
        Err(Error::Method(NotTaken::Closed { taken })) => Ok(Sent::Closed(taken)),
        Err(Error::Method(NotTaken::NotRegistered)) => {
            let fence = sender.map_or(Fence(0), |sender| sender.fence);
            Err(Error::Superseded { object: object.name(), fence })
        }
        Err(other) => Err(other.into()),
    }
}

/// Sends a value, and waits for room.
pub(crate) async fn send<T: Value>(
    channel: &Handle<ChannelObject>,
    sender: Option<RegisteredSender>,
    value: T,
) -> Result<(), Error<SendError<T>>> {
    let values = vec![encode(&value, channel.raw()).map_err(Error::widen)?];
    let result = channel.send_async(sender.map(|sender| sender.grant), values).await;
    match sent(result, sender, channel.raw()).map_err(Error::widen)? {
        Sent::All => Ok(()),
        Sent::None | Sent::Closed(_) => Err(Error::Method(SendError(value))),
    }
}

/// Sends a value, if there is room.
pub(crate) async fn try_send<T: Value>(
    channel: &Handle<ChannelObject>,
    sender: Option<RegisteredSender>,
    value: T,
) -> Result<(), Error<TrySendError<T>>> {
    let encoded = encode(&value, channel.raw()).map_err(Error::widen)?;
    let result = channel.try_send_async(sender.map(|sender| sender.grant), encoded).await;
    match sent(result, sender, channel.raw()).map_err(Error::widen)? {
        Sent::All => Ok(()),
        Sent::None => Err(Error::Method(TrySendError::Full(value))),
        Sent::Closed(_) => Err(Error::Method(TrySendError::Closed(value))),
    }
}

/// Sends values in order, page by page, and waits for room.
pub(crate) async fn send_all<T: Value>(
    channel: &Handle<ChannelObject>,
    sender: Option<RegisteredSender>,
    values: impl IntoIterator<Item = T>,
) -> Result<(), Error<SendError<Vec<T>>>> {
    let mut values = values.into_iter();
    let mut next = None;
    loop {
        let (mut page, encoded) = page(&mut next, &mut values, channel.raw()).map_err(Error::widen)?;
        if page.is_empty() {
            return Ok(());
        }
        let result = channel.send_async(sender.map(|sender| sender.grant), encoded).await;
        if let Sent::Closed(taken) = sent(result, sender, channel.raw()).map_err(Error::widen)? {
            page.drain(..usize::try_from(taken).unwrap_or(usize::MAX).min(page.len()));
            page.extend(next.map(|(value, _)| value));
            page.extend(values);
            return Err(Error::Method(SendError(page)));
        }
    }
}

/// The values of one call, with their encodings; `next` is the one that did not fit into the call before.
fn page<T: Value>(
    next: &mut Option<(T, Bytes)>,
    values: &mut impl Iterator<Item = T>,
    object: &RawHandle,
) -> Result<(Vec<T>, Vec<Bytes>), Error> {
    let (mut page, mut encoded, mut bytes) = (Vec::new(), Vec::new(), 0);
    loop {
        if next.is_none() {
            *next = match values.next() {
                Some(value) => Some(encode(&value, object).map(|bytes| (value, bytes))?),
                None => return Ok((page, encoded)),
            };
        }
        bytes += next.as_ref().map_or(0, |(_, value)| value.len() + VALUE_BYTES);
        if !page.is_empty() && bytes > PAGE_BYTES {
            return Ok((page, encoded));
        }
        if let Some((value, bytes)) = next.take() {
            page.push(value);
            encoded.push(bytes);
        }
    }
}

/// Waits for a value.
pub(crate) async fn recv<T: Value>(channel: &Handle<ChannelObject>) -> Result<T, Error<RecvError>> {
    let items = channel.recv_async(1).await?;
    one(items, channel.raw()).map_err(Error::widen)
}

/// Waits for a value, and takes those that are there with it.
pub(crate) async fn recv_many<T: Value>(
    channel: &Handle<ChannelObject>,
    max: usize,
) -> Result<Vec<T>, Error<RecvError>> {
    if max == 0 {
        return Ok(Vec::new());
    }
    let items = channel.recv_async(count(max)).await?;
    all(items, channel.raw()).map_err(Error::widen)
}

/// Takes a value that is there.
pub(crate) async fn try_recv<T: Value>(channel: &Handle<ChannelObject>) -> Result<T, Error<TryRecvError>> {
    let items = channel.try_recv_async(1).await?;
    one(items, channel.raw()).map_err(Error::widen)
}

/// Takes the values that are there.
pub(crate) async fn try_recv_many<T: Value>(
    channel: &Handle<ChannelObject>,
    max: usize,
) -> Result<Vec<T>, Error<TryRecvError>> {
    if max == 0 {
        return Ok(Vec::new());
    }
    let items = channel.try_recv_async(count(max)).await?;
    all(items, channel.raw()).map_err(Error::widen)
}

fn count(max: usize) -> u32 {
    u32::try_from(max).unwrap_or(u32::MAX)
}

fn one<T: Value>(mut items: Vec<ChannelItem>, object: &RawHandle) -> Result<T, Error> {
    match items.pop() {
        Some(item) => decode(&item.value, object),
        None => Err(Error::Reply::<Erased> { object: object.name(), why: "it has no value".to_owned() }),
    }
}

fn all<T: Value>(items: Vec<ChannelItem>, object: &RawHandle) -> Result<Vec<T>, Error> {
    items.iter().map(|item| decode(&item.value, object)).collect()
}
