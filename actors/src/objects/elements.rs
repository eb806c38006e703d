//! Numbers in a row, of a type that the node knows, so that it can calculate with them.
//!
//! Encoded they are packed, little-endian bytes: copying them is all that encoding costs, and a loop over them is a loop over
//! a slice. For people (JSON) they are lists of numbers.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::merging::{By, function, merge};
use super::pages::OutOfRange;
use crate::combine::{CombineError, Number};

/// The number types that vectors and matrices are made of: `f64`, `f32`, `i64`, `u64`, `i32` and `u32`.
pub trait Element: Number + Default + PartialEq + fmt::Debug {
    /// The type's name.
    #[doc(hidden)]
    const NAME: &'static str;
    #[doc(hidden)]
    fn wrap(values: Vec<Self>) -> Elements;
    #[doc(hidden)]
    fn from_elements(elements: Elements) -> Option<Vec<Self>>;
    #[doc(hidden)]
    fn pack(values: &[Self]) -> Vec<u8>;
    #[doc(hidden)]
    fn unpack(bytes: &[u8]) -> Option<Vec<Self>>;
}

/// What an array of numbers looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// A vector of that length.
    Vector(usize),
    /// A matrix of so many rows and columns.
    Matrix(usize, usize),
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vector(length) => write!(f, "length {length}"),
            Self::Matrix(rows, columns) => write!(f, "{rows} rows of {columns} columns"),
        }
    }
}

/// Why a vector or a matrix did not do what was asked. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// There is no such element, or no such range.
    #[error(transparent)]
    Index(OutOfRange),
    /// There is no such row, or no such range of rows.
    #[error("row {0}")]
    Row(OutOfRange),
    /// There is no such column.
    #[error("column {0}")]
    Column(OutOfRange),
    /// What came has another shape.
    #[error("what came has {found}, and {expected} was expected")]
    Shape {
        /// The shape that is needed.
        expected: Shape,
        /// The shape of what came.
        found: Shape,
    },
    /// What came has elements of another type; the typed handles do not let that happen.
    #[error("what came has elements of type {found}, and {expected} was expected")]
    Type {
        /// The type of the elements that are there.
        expected: String,
        /// The type of those that came.
        found: String,
    },
    /// It was changed during each of so many attempts to read it whole: read it in smaller ranges, or when fewer write.
    #[error("it was changed during each of {attempts} attempts to read it whole")]
    Changing {
        /// How many attempts were made.
        attempts: u32,
    },
    /// The function by which elements were to be combined is not there, or not one of such elements.
    #[error(transparent)]
    Combine(#[from] CombineError),
}

macro_rules! elements {
    ($($variant:ident $number:ident $bytes:literal)*) => {
        /// Numbers of one type, in a row.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum Elements {
            $(
                #[doc = concat!("Of type `", stringify!($number), "`.")]
                $variant(#[serde(with = "packed")] Vec<$number>),
            )*
        }

        $(
            impl Element for $number {
                const NAME: &'static str = stringify!($number);

                fn wrap(values: Vec<Self>) -> Elements {
                    Elements::$variant(values)
                }

                fn from_elements(elements: Elements) -> Option<Vec<Self>> {
                    if let Elements::$variant(values) = elements { Some(values) } else { None }
                }

                fn pack(values: &[Self]) -> Vec<u8> {
                    let mut bytes = vec![0; values.len() * $bytes];
                    for (packed, value) in bytes.as_chunks_mut::<$bytes>().0.iter_mut().zip(values) {
                        *packed = value.to_le_bytes();
                    }
                    bytes
                }

                fn unpack(bytes: &[u8]) -> Option<Vec<Self>> {
                    let (packed, rest) = bytes.as_chunks::<$bytes>();
                    rest.is_empty().then(|| packed.iter().map(|&packed| Self::from_le_bytes(packed)).collect())
                }
            }
        )*

    };
}

elements! {
    F64 f64 8
    F32 f32 4
    I64 i64 8
    U64 u64 8
    I32 i32 4
    U32 u32 4
}

/// Runs `$body` on the numbers, whatever their type.
macro_rules! each {
    ($elements:expr, |$values:ident| $body:expr) => {
        match $elements {
            Elements::F64($values) => $body,
            Elements::F32($values) => $body,
            Elements::I64($values) => $body,
            Elements::U64($values) => $body,
            Elements::I32($values) => $body,
            Elements::U32($values) => $body,
        }
    };
}

/// Runs `$body` on the numbers of both, if they are of one type.
macro_rules! both {
    ($there:expr, $came:expr, |$values:ident, $others:ident| $body:expr) => {
        match ($there, $came) {
            (Elements::F64($values), Elements::F64($others)) => Ok($body),
            (Elements::F32($values), Elements::F32($others)) => Ok($body),
            (Elements::I64($values), Elements::I64($others)) => Ok($body),
            (Elements::U64($values), Elements::U64($others)) => Ok($body),
            (Elements::I32($values), Elements::I32($others)) => Ok($body),
            (Elements::U32($values), Elements::U32($others)) => Ok($body),
            (there, came) => {
                Err(ArrayError::Type { expected: there.type_name().to_owned(), found: came.type_name().to_owned() })
            }
        }
    };
}

impl Elements {
    /// How many there are.
    pub fn len(&self) -> usize {
        each!(self, |values| values.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the numbers.
    pub fn type_name(&self) -> &'static str {
        fn of<E: Element>(_: &[E]) -> &'static str {
            E::NAME
        }
        each!(self, |values| of(values))
    }

    /// How many bytes one of them has.
    pub(super) fn element_bytes(&self) -> usize {
        fn of<E: Element>(_: &[E]) -> usize {
            size_of::<E>()
        }
        each!(self, |values| of(values))
    }

    /// So many times the first of them, or zero if there is none.
    pub(super) fn repeated(&self, length: usize) -> Self {
        each!(self, |values| Element::wrap(vec![first(values); length]))
    }

    /// Those at every `step`th place of `range`.
    pub(super) fn every(&self, range: Range<usize>, step: usize) -> Self {
        each!(self, |values| Element::wrap(values[range].iter().step_by(step).copied().collect()))
    }

    /// Those in `range`.
    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        each!(self, |values| Element::wrap(values[range].to_vec()))
    }

    /// Combines each from `start` on with the one of `delta` in its place; there must be as many.
    pub(super) fn merge(&mut self, start: usize, delta: &Self, by: &By) -> Result<(), ArrayError> {
        both!(self, delta, |values, others| merge(&mut values[start..start + others.len()], others, by)?)
    }

    /// Combines the one at each of `indices` with the one of `delta` in that index's place; all must be there.
    pub(super) fn merge_at(&mut self, indices: &[usize], delta: &Self, by: &By) -> Result<(), ArrayError> {
        both!(self, delta, |values, others| {
            let combine = function(by)?;
            for (&index, &other) in indices.iter().zip(others) {
                combine(&mut values[index], other);
            }
        })
    }

    /// Sets those in `range` to the first of `value`.
    pub(super) fn fill(&mut self, range: Range<usize>, value: &Self) -> Result<(), ArrayError> {
        both!(self, value, |values, others| values[range].fill(first(others)))
    }

    /// Their sum.
    pub(super) fn sum(&self) -> Self {
        each!(self, |values| Element::wrap(vec![sum(values)]))
    }
}

fn first<E: Element>(values: &[E]) -> E {
    values.first().copied().unwrap_or_default()
}

fn sum<E: Element>(values: &[E]) -> E {
    values.iter().fold(E::default(), |sum, &value| sum.sum(value))
}

/// Numbers on the wire: packed for machines, a list for people.
mod packed {
    use super::{Deserialize, Deserializer, Element, PackedVisitor, PhantomData, Serialize, Serializer};

    pub(super) fn serialize<E: Element, S: Serializer>(values: &[E], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            values.serialize(serializer)
        } else {
            serializer.serialize_bytes(&E::pack(values))
        }
    }

    pub(super) fn deserialize<'de, E: Element, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<E>, D::Error> {
        if deserializer.is_human_readable() {
            Vec::deserialize(deserializer)
        } else {
            deserializer.deserialize_bytes(PackedVisitor(PhantomData))
        }
    }
}

struct PackedVisitor<E>(PhantomData<E>);

impl<E: Element> Visitor<'_> for PackedVisitor<E> {
    type Value = Vec<E>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "packed numbers of type {}", E::NAME)
    }

    fn visit_bytes<R: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<E>, R> {
        E::unpack(bytes).ok_or_else(|| R::invalid_length(bytes.len(), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::super::merging::Op;
    use super::*;

    #[test]
    fn elements_are_packed_bytes_for_machines_and_lists_for_people() {
        let elements = Elements::I32(vec![1, -1]);
        let bytes = postcard::to_allocvec(&elements).expect("encodes");
        assert_eq!(bytes, [4, 8, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        assert_eq!(postcard::from_bytes::<Elements>(&bytes), Ok(elements.clone()));
        assert!(postcard::from_bytes::<Elements>(&[4, 3, 1, 0, 0]).is_err(), "three bytes are no `i32`");
        let text = serde_json::to_string(&elements).expect("encodes");
        assert_eq!(text, r#"{"I32":[1,-1]}"#);
        assert_eq!(serde_json::from_str::<Elements>(&text).expect("decodes"), elements);
    }

    #[test]
    fn the_type_of_the_numbers_is_part_of_a_shape() {
        let shape = crate::shape_of::<Elements>();
        assert!(shape.contains("F64(bytes), F32(bytes)"), "{shape}");
    }

    #[test]
    fn numbers_of_two_types_are_not_combined() {
        let mut elements = Elements::I32(vec![1]);
        let error = ArrayError::Type { expected: "i32".to_owned(), found: "u32".to_owned() };
        assert_eq!(elements.merge(0, &Elements::U32(vec![1]), &By::Op(Op::Sum)), Err(error));
        assert_eq!(elements, Elements::I32(vec![1]));
    }
}
