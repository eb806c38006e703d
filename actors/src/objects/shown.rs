//! Values for people: library objects hold them encoded, and know of their type only the fingerprint.
//!
//! A node can show those of types that its own program knows: numbers, texts, options, lists and maps of them, and
//! whatever a method of a registered object type returns.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::object::Registration;
use crate::schema::{fingerprint, shape_of};

/// Larger values are not shown.
const SHOWN_BYTES_MAX: usize = 64 * 1024;

type ToJson = fn(&[u8]) -> Result<Value, String>;

/// The value for people, if the node's program knows its type, and it is not large.
pub(super) fn shown(shape: u64, bytes: &[u8]) -> Option<Value> {
    static KNOWN: OnceLock<HashMap<u64, ToJson>> = OnceLock::new();
    if bytes.len() > SHOWN_BYTES_MAX {
        return None;
    }
    KNOWN.get_or_init(known).get(&shape)?(bytes).ok()
}

fn to_json<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Value, String> {
    match postcard::take_from_bytes::<T>(bytes) {
        Ok((value, [])) => serde_json::to_value(value).map_err(|error| error.to_string()),
        Ok(_) => Err("there are bytes too many".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn known() -> HashMap<u64, ToJson> {
    fn add<T: Serialize + DeserializeOwned>(known: &mut HashMap<u64, ToJson>) {
        known.insert(fingerprint(&shape_of::<T>()), to_json::<T>);
    }

    fn add_all<T: Serialize + DeserializeOwned>(known: &mut HashMap<u64, ToJson>) {
        add::<T>(known);
        add::<Option<T>>(known);
        add::<Vec<T>>(known);
        add::<BTreeMap<String, T>>(known);
    }

    let mut known = HashMap::new();
    for object_type in inventory::iter::<Registration>().map(|registration| registration.0) {
        for method in object_type.methods {
            known.insert(fingerprint(&(method.reply)()), method.reply_to_json);
        }
    }
    macro_rules! add_all {
        ($($of:ty)*) => { $(add_all::<$of>(&mut known);)* };
    }
    // No lists of units, of which a few bytes can claim any number.
    add::<()>(&mut known);
    add::<Option<()>>(&mut known);
    add_all!(bool char String i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64);
    known
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Private {
        x: u64,
    }

    fn show<T: Serialize + DeserializeOwned>(value: &T) -> Option<Value> {
        shown(fingerprint(&shape_of::<T>()), &postcard::to_allocvec(value).expect("encodes"))
    }

    #[derive(Serialize, Deserialize)]
    struct Nothing {
        unit: (),
    }

    /// An object with a method that returns elements of no bytes.
    #[greenroom_macros::object(name = "Nothings")]
    #[derive(Default, Serialize, Deserialize)]
    struct Nothings;

    #[greenroom_macros::object]
    impl Nothings {
        pub fn all(&self) -> Vec<Nothing> {
            vec![Nothing { unit: () }]
        }
    }

    #[test]
    fn a_few_bytes_that_claim_any_number_of_elements_are_not_shown() {
        // 2^40 as a varint.
        let claimed = [0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
        for shape in [shape_of::<Vec<()>>(), shape_of::<Vec<Nothing>>()] {
            assert_eq!(shown(fingerprint(&shape), &claimed), None, "{shape}");
        }
        assert_eq!(show(&()), Some(json!(null)));
        assert_eq!(show(&Some(())), Some(json!(null)));
    }

    #[test]
    fn values_of_types_that_the_program_knows_are_shown() {
        assert_eq!(show(&7_u64), Some(json!(7)));
        assert_eq!(show(&vec!["a".to_owned()]), Some(json!(["a"])));
        assert_eq!(show(&BTreeMap::from([("a".to_owned(), 0.5)])), Some(json!({ "a": 0.5 })));
        assert_eq!(show(&Private { x: 1 }), None);
        assert_eq!(show(&"x".repeat(SHOWN_BYTES_MAX)), None);
        assert_eq!(shown(fingerprint(&shape_of::<u64>()), &[1, 2]), None, "it is no value of that type");
    }
}
