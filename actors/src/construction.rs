//! What an object was made with, kept so that a caller who names something else can be told the difference.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::caller::Construction;
use crate::entry::Wanted;
use crate::object::{Constructor, ObjectType};

/// Arguments up to this size are kept; of others only their hash and size.
const KEPT_BYTES_MAX: usize = 128;
/// What is longer is told by its length.
const SHOWN_ITEMS_MAX: usize = 16;
const SHOWN_CHARS_MAX: usize = 80;

/// The constructor's arguments of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Made {
    hash: u64,
    bytes: usize,
    /// The arguments, if they are small.
    arguments: Option<Box<[u8]>>,
}

impl Made {
    pub(crate) fn of(construction: &Construction) -> Self {
        let Construction { arguments, hash } = construction;
        let small = arguments.len() <= KEPT_BYTES_MAX;
        Self { hash: *hash, bytes: arguments.len(), arguments: small.then(|| (**arguments).into()) }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn for_people(&self, object_type: &ObjectType) -> String {
        match &self.arguments {
            Some(arguments) => object_type.construction_text(arguments),
            None => format!("others ({} bytes)", self.bytes),
        }
    }
}

impl Wanted {
    pub(crate) fn for_people(&self, object_type: &ObjectType) -> String {
        match self {
            Self::Anything => "none".to_owned(),
            Self::Hash(_) => "others".to_owned(),
            Self::Arguments(construction) => object_type.construction_text(&construction.arguments),
        }
    }
}

impl ObjectType {
    /// The arguments of a constructor for people, with their names: `{parties: 3}`.
    pub fn construction_text(&self, arguments: &[u8]) -> String {
        let Constructor::Arguments { names, to_json, .. } = &self.constructor else { return "none".to_owned() };
        match to_json(arguments) {
            Ok(Value::Array(values)) => {
                let parts: Vec<String> =
                    names.iter().zip(&values).map(|(name, value)| format!("{name}: {}", shown(name, value))).collect();
                format!("{{{}}}", parts.join(", "))
            }
            Ok(_) | Err(_) => format!("{} bytes", arguments.len()),
        }
    }
}

fn shown(name: &str, value: &Value) -> String {
    match value {
        // The fingerprint of the type of values.
        Value::Number(shape) if name == "shape" => {
            shape.as_u64().map_or_else(|| shape.to_string(), |shape| format!("{shape:016x}"))
        }
        Value::Array(items) if items.len() > SHOWN_ITEMS_MAX => format!("[{} items]", items.len()),
        value => {
            let text = value.to_string();
            let length = text.chars().count();
            if length > SHOWN_CHARS_MAX { format!("({length} characters)") } else { text }
        }
    }
}
