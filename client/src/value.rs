//! Values of any type inside library objects: opaque bytes at the node, checked by the fingerprint of their type.

mod strict;

use std::any::{TypeId, type_name};
use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use greenroom_actors::{Error, Profile, RawHandle, fingerprint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::strict::{LeftOut, Strict};

/// What can be the value of a generic object: whatever serde can carry in a fixed shape.
///
/// The bytes of a value do not describe themselves, so the type must read all that it writes, in its order. Enums with serde's
/// `untagged` or `tag`, fields with `flatten`, types of any content (`serde_json::Value`), and fields that are left out
/// (`skip_serializing_if`) cannot be read again. Such a value is refused before anything is sent, with [`Error::NotSent`], which
/// names the object and the type; as an initial value it panics.
///
/// Values are compared as they are encoded: a guard's, to see whether it was changed; those with which callers name one object;
/// and in `compare_exchange`. So take types that encode equal values alike: a `BTreeMap` or `BTreeSet`. A `HashMap` of several
/// entries has another order in each process, even in each map: it counts as changed, or as another one, by chance. In keys of
/// maps and sets it is refused.
pub trait Value: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// What is known of a type of values.
#[derive(Debug)]
pub(crate) struct ValueType {
    shape: u64,
    /// The most variants that an enum in it has.
    pub(crate) variants_max: usize,
    /// Why values of it could not be read.
    unreadable: Option<String>,
    /// Why equal values of it need not be encoded alike.
    unordered: Option<String>,
}

impl ValueType {
    /// What is known of `T`: it is worked out once, and kept as long as the process.
    pub(crate) fn of<T: Value>() -> &'static Self {
        static KNOWN: OnceLock<RwLock<BTreeMap<TypeId, &'static ValueType>>> = OnceLock::new();
        let known = KNOWN.get_or_init(RwLock::default);
        if let Some(value_type) = known.read().unwrap_or_else(PoisonError::into_inner).get(&TypeId::of::<T>()) {
            return value_type;
        }
        let fresh = Self::work_out::<T>();
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(TypeId::of::<T>()).or_insert_with(|| Box::leak(Box::new(fresh)))
    }

    fn work_out<T: Value>() -> Self {
        let mut unreadable = None;
        let profile = Profile::of::<T>(|value| {
            if unreadable.is_none() {
                unreadable = why_unreadable(&value);
            }
        });
        let name = type_name::<T>();
        let unreadable = profile.unreadable.or(unreadable);
        Self {
            shape: fingerprint(&profile.shape),
            variants_max: profile.variants_max,
            unreadable: unreadable.map(|why| format!("nobody could read a `{name}`: {why}")),
            unordered: profile.unordered.map(|part| {
                format!(
                    "equal values of `{name}` need not be encoded alike: take an ordered type for the `{part}` in it"
                )
            }),
        }
    }

    /// # Errors
    /// When values of the type could not be read.
    pub(crate) fn check_readable(&self) -> Result<(), String> {
        self.unreadable.clone().map_or(Ok(()), Err)
    }

    /// # Errors
    /// When values of the type cannot be keys: as [`check_readable`](Self::check_readable), or equal ones may be several.
    pub(crate) fn check_key(&self) -> Result<(), String> {
        self.check_readable()?;
        self.unordered.clone().map_or(Ok(()), Err)
    }
}

/// What is wrong with the type of a made-up value. Whether such a value can be encoded says nothing of others.
fn why_unreadable<T: Value>(value: &T) -> Option<String> {
    match to_bytes(value) {
        Ok(bytes) => match postcard::take_from_bytes::<T>(&bytes) {
            Ok((_, [])) => None,
            Ok(_) => Some("it writes more than it reads".to_owned()),
            Err(error) => Some(format!("it reads otherwise than it writes: {error}")),
        },
        Err(Unencoded::LeftOut(why)) => Some(why),
        Err(Unencoded::Failed(_)) => None,
    }
}

/// Why a value was not encoded.
enum Unencoded {
    /// It leaves out a field.
    LeftOut(String),
    /// Its `Serialize` fails.
    Failed(postcard::Error),
}

fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, Unencoded> {
    let left_out = LeftOut::default();
    let encoded = postcard::to_allocvec(&Strict { inside: value, left_out: &left_out });
    encoded.map_err(|error| match left_out.field() {
        Some((name, field)) => {
            Unencoded::LeftOut(format!("`{name}` leaves out its field `{field}` (serde's `skip_serializing_if`)"))
        }
        None => Unencoded::Failed(error),
    })
}

fn checked_bytes<T: Value>(value: &T) -> Result<Bytes, String> {
    ValueType::of::<T>().check_readable()?;
    to_bytes(value).map(Bytes::from).map_err(|why| match why {
        Unencoded::LeftOut(why) => format!("nobody could read this `{}`: {why}", type_name::<T>()),
        Unencoded::Failed(error) => error.to_string(),
    })
}

/// The fingerprint of `T`'s shape.
pub(crate) fn shape<T: Value>() -> u64 {
    ValueType::of::<T>().shape
}

/// Encodes a value that becomes part of a constructor.
///
/// # Panics
/// When nobody could read it, or `T`'s `Serialize` fails.
pub(crate) fn encode_initial<T: Value>(value: &T) -> Bytes {
    match checked_bytes(value) {
        Ok(bytes) => bytes,
        Err(why) => panic!("an initial value cannot be encoded: {why}"),
    }
}

pub(crate) fn encode<T: Value>(value: &T, object: &RawHandle) -> Result<Bytes, Error> {
    checked_bytes(value)
        .map_err(|why| Error::NotSent { object: object.name(), why: format!("the value cannot be encoded: {why}") })
}

pub(crate) fn decode<T: Value>(bytes: &[u8], object: &RawHandle) -> Result<T, Error> {
    postcard::from_bytes(bytes).map_err(|error| Error::Reply { object: object.name(), why: error.to_string() })
}
