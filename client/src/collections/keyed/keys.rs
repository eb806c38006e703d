//! How keys are encoded: shortly, or in their order.

use std::borrow::Borrow;
use std::fmt;
use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use greenroom_actors::objects::KeyEncoding;
use greenroom_actors::{Error, RawHandle};
use serde::Serialize;

use super::ordered;
use crate::value::{Value, ValueType};

/// Keys in no particular order: what makes a [`KeyedMap`](super::KeyedMap) a [`Map`](super::Map).
#[derive(Clone, Copy, Debug)]
pub enum Unordered {}

/// Keys in their order: what makes a [`KeyedMap`](super::KeyedMap) an [`OrderedMap`](super::OrderedMap).
#[derive(Clone, Copy, Debug)]
pub enum Ordered {}

/// [`Unordered`] or [`Ordered`].
pub trait KeyOrder: Send + Sync + 'static {
    #[doc(hidden)]
    const ENCODING: KeyEncoding;
    #[doc(hidden)]
    fn encode<K: Value, Q: Serialize + ?Sized>(key: &Q) -> Result<Vec<u8>, String>;
    #[doc(hidden)]
    fn decode<K: Value>(bytes: &[u8]) -> Result<K, String>;
}

impl KeyOrder for Unordered {
    const ENCODING: KeyEncoding = KeyEncoding::Compact;

    fn encode<K: Value, Q: Serialize + ?Sized>(key: &Q) -> Result<Vec<u8>, String> {
        postcard::to_allocvec(key).map_err(|error| error.to_string())
    }

    fn decode<K: Value>(bytes: &[u8]) -> Result<K, String> {
        match postcard::take_from_bytes(bytes) {
            Ok((key, [])) => Ok(key),
            Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl KeyOrder for Ordered {
    const ENCODING: KeyEncoding = KeyEncoding::Ordered;

    fn encode<K: Value, Q: Serialize + ?Sized>(key: &Q) -> Result<Vec<u8>, String> {
        ordered::encode::<K, Q>(key)
    }

    fn decode<K: Value>(bytes: &[u8]) -> Result<K, String> {
        ordered::decode(bytes)
    }
}

/// Encodes a key, and makes sure that it can come back.
///
/// A key that is borrowed in another form (`[u8]` of `[u8; 4]`) may be encoded otherwise, and would not be found; one
/// whose type decodes otherwise than it encodes could never be read again; and equal ones that are encoded otherwise would
/// be several. None of them is sent.
pub(super) fn encode_key<K, Q, O>(key: &Q, object: &RawHandle) -> Result<Bytes, Error>
where
    K: Value + Borrow<Q>,
    Q: Serialize + ?Sized,
    O: KeyOrder,
{
    ValueType::of::<K>().check_key().map_err(|why| not_sent(object, &why))?;
    let encoded = O::encode::<K, Q>(key).map_err(|why| not_sent(object, &why))?;
    let back: K = O::decode(&encoded).map_err(|why| not_sent(object, &format!("it would not decode again: {why}")))?;
    match O::encode::<K, Q>(back.borrow()) {
        Ok(again) if again == encoded => Ok(encoded.into()),
        Ok(_) | Err(_) => Err(not_sent(object, &"it would not decode as the same key")),
    }
}

/// Encodes the bounds of a range.
pub(super) fn encode_range<K: Value, O: KeyOrder>(
    range: &impl RangeBounds<K>,
    object: &RawHandle,
) -> Result<(Bound<Bytes>, Bound<Bytes>), Error> {
    let encode = |bound: Bound<&K>| -> Result<Bound<Bytes>, Error> {
        Ok(match bound {
            Bound::Included(key) => Bound::Included(encode_key::<K, K, O>(key, object)?),
            Bound::Excluded(key) => Bound::Excluded(encode_key::<K, K, O>(key, object)?),
            Bound::Unbounded => Bound::Unbounded,
        })
    };
    Ok((encode(range.start_bound())?, encode(range.end_bound())?))
}

/// Decodes a key that the object sent.
pub(super) fn decode_key<K: Value, O: KeyOrder>(bytes: &[u8], object: &RawHandle) -> Result<K, Error> {
    O::decode(bytes).map_err(|why| Error::Reply { object: object.name(), why: format!("a key: {why}") })
}

fn not_sent(object: &RawHandle, why: &dyn fmt::Display) -> Error {
    Error::NotSent { object: object.name(), why: format!("the key cannot be encoded: {why}") }
}
