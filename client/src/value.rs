//! Values of any type inside library objects: opaque bytes at the node, checked by the fingerprint of their type.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use greenroom_actors::{Error, RawHandle, fingerprint, shape_of};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What can be the value of a generic object: whatever serde can carry.
///
/// Values are compared as they are encoded: a guard's, to see whether it was changed; those with which callers name one object;
/// and in `compare_exchange`. So take types that encode equal values alike: a `BTreeMap` or `BTreeSet`. A `HashMap` of several
/// entries has another order in each process, even in each map: it counts as changed, or as another one, by chance.
pub trait Value: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// The fingerprint of `T`'s shape, worked out once for each type.
pub(crate) fn shape<T: Value>() -> u64 {
    static KNOWN: OnceLock<Mutex<HashMap<TypeId, u64>>> = OnceLock::new();
    let mut known = KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    *known.entry(TypeId::of::<T>()).or_insert_with(|| fingerprint(&shape_of::<T>()))
}

/// Encodes a value that becomes part of a constructor.
///
/// # Panics
/// When `T`'s `Serialize` fails.
pub(crate) fn encode_initial<T: Value>(value: &T) -> Bytes {
    postcard::to_allocvec(value).expect("an initial value can be encoded").into()
}

pub(crate) fn encode<T: Value>(value: &T, object: &RawHandle) -> Result<Bytes, Error> {
    match postcard::to_allocvec(value) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => {
            Err(Error::NotSent { object: object.name(), why: format!("the value cannot be encoded: {error}") })
        }
    }
}

pub(crate) fn decode<T: Value>(bytes: &[u8], object: &RawHandle) -> Result<T, Error> {
    postcard::from_bytes(bytes).map_err(|error| Error::Reply { object: object.name(), why: error.to_string() })
}
