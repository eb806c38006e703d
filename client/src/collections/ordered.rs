//! Encoded keys that have the order of the keys: the format of the crate `memcomparable`, with errors where that panics.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use bytes::Buf;
use greenroom_actors::variants_max_of;
use serde::Serialize;

use crate::value::Value;

/// A variant is one byte of the format.
const VARIANTS_MAX: usize = 256;

/// Encodes a key that is of type `K`, or borrowed from one.
///
/// # Errors
/// When the format has no place for such keys.
pub(super) fn encode<K: Value, Q: Serialize + ?Sized>(key: &Q) -> Result<Vec<u8>, String> {
    let variants = variants_max::<K>();
    if variants > VARIANTS_MAX {
        return Err(format!("an enum in it has {variants} variants, and ordered keys have at most {VARIANTS_MAX}"));
    }
    memcomparable::to_vec(&key).map_err(|error| format!("ordered keys have no {error}"))
}

/// Decodes a key.
///
/// # Errors
/// When the bytes are not those of a key of that type.
pub(super) fn decode<K: Value>(bytes: &[u8]) -> Result<K, String> {
    let mut decoder = memcomparable::Deserializer::new(Padded { bytes, missing: 0 });
    let key = K::deserialize(&mut decoder).map_err(|error| error.to_string());
    let rest = decoder.into_inner();
    if rest.missing > 0 {
        return Err(format!("{} bytes are missing", rest.missing));
    }
    if !rest.bytes.is_empty() {
        return Err(format!("{} bytes too many", rest.bytes.len()));
    }
    key
}

/// The most variants that an enum in `K` has, worked out once for each type.
fn variants_max<K: Value>() -> usize {
    static KNOWN: OnceLock<RwLock<BTreeMap<TypeId, usize>>> = OnceLock::new();
    let known = KNOWN.get_or_init(RwLock::default);
    if let Some(&max) = known.read().unwrap_or_else(PoisonError::into_inner).get(&TypeId::of::<K>()) {
        return max;
    }
    let max = variants_max_of::<K>();
    known.write().unwrap_or_else(PoisonError::into_inner).insert(TypeId::of::<K>(), max);
    max
}

/// Bytes that go on with zeros behind their end, where the decoder would panic, and count them.
///
/// Zeros end every sequence and text, so the decoder comes to an end.
struct Padded<'a> {
    bytes: &'a [u8],
    missing: usize,
}

const ZEROS: &[u8] = &[0; 16];

impl Buf for Padded<'_> {
    fn remaining(&self) -> usize {
        usize::MAX
    }

    fn chunk(&self) -> &[u8] {
        if self.bytes.is_empty() { ZEROS } else { self.bytes }
    }

    fn advance(&mut self, count: usize) {
        let there = count.min(self.bytes.len());
        self.bytes = &self.bytes[there..];
        self.missing += count - there;
    }
}
