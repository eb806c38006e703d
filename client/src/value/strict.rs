//! A serializer that leaves out no field, over one that would: whoever reads counts on all of them.

use std::cell::Cell;
use std::fmt::Display;

use serde::ser::{
    Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant,
};
use serde::{Serialize, Serializer};

/// The field that a value leaves out. It is kept beside the error, whose text not every format keeps.
#[derive(Debug, Default)]
pub(super) struct LeftOut(Cell<Option<(&'static str, &'static str)>>);

impl LeftOut {
    /// The struct and the field, if one was left out.
    pub(super) fn field(&self) -> Option<(&'static str, &'static str)> {
        self.0.get()
    }
}

/// The serializer, or a part of it, or a value that goes to it.
pub(super) struct Strict<'a, T> {
    pub(super) inside: T,
    pub(super) left_out: &'a LeftOut,
}

/// The fields of a struct, or of a variant.
pub(super) struct Fields<'a, T> {
    inside: T,
    name: &'static str,
    left_out: &'a LeftOut,
}

impl<T> Fields<'_, T> {
    fn leave_out<E: Error>(&self, field: &'static str) -> Result<(), E> {
        self.left_out.0.set(Some((self.name, field)));
        Err(E::custom("a field is left out"))
    }
}

impl<T: Serialize + ?Sized> Serialize for Strict<'_, &T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inside.serialize(Strict { inside: serializer, left_out: self.left_out })
    }
}

macro_rules! forward {
    ($($serialize:ident($($argument:ident: $kind:ty),*))*) => {
        $(fn $serialize(self, $($argument: $kind),*) -> Result<S::Ok, S::Error> {
            self.inside.$serialize($($argument),*)
        })*
    };
}

macro_rules! compound {
    ($($serialize:ident($($argument:ident: $kind:ty),*) -> $compound:ident;)*) => {
        $(fn $serialize(self, $($argument: $kind),*) -> Result<Self::$compound, S::Error> {
            Ok(Strict { inside: self.inside.$serialize($($argument),*)?, left_out: self.left_out })
        })*
    };
}

impl<'a, S: Serializer> Serializer for Strict<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Strict<'a, S::SerializeSeq>;
    type SerializeTuple = Strict<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Strict<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Strict<'a, S::SerializeTupleVariant>;
    type SerializeMap = Strict<'a, S::SerializeMap>;
    type SerializeStruct = Fields<'a, S::SerializeStruct>;
    type SerializeStructVariant = Fields<'a, S::SerializeStructVariant>;

    forward! {
        serialize_bool(value: bool)
        serialize_i8(value: i8)
        serialize_i16(value: i16)
        serialize_i32(value: i32)
        serialize_i64(value: i64)
        serialize_i128(value: i128)
        serialize_u8(value: u8)
        serialize_u16(value: u16)
        serialize_u32(value: u32)
        serialize_u64(value: u64)
        serialize_u128(value: u128)
        serialize_f32(value: f32)
        serialize_f64(value: f64)
        serialize_char(value: char)
        serialize_str(value: &str)
        serialize_bytes(value: &[u8])
        serialize_none()
        serialize_unit()
        serialize_unit_struct(name: &'static str)
        serialize_unit_variant(name: &'static str, number: u32, variant: &'static str)
    }

    compound! {
        serialize_seq(count: Option<usize>) -> SerializeSeq;
        serialize_tuple(count: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, count: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, number: u32, variant: &'static str, count: usize) -> SerializeTupleVariant;
        serialize_map(count: Option<usize>) -> SerializeMap;
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inside.collect_str(value)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inside.serialize_some(&Strict { inside: value, left_out: self.left_out })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.inside.serialize_newtype_struct(name, &Strict { inside: value, left_out: self.left_out })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        number: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = Strict { inside: value, left_out: self.left_out };
        self.inside.serialize_newtype_variant(name, number, variant, &value)
    }

    fn serialize_struct(self, name: &'static str, count: usize) -> Result<Self::SerializeStruct, S::Error> {
        Ok(Fields { inside: self.inside.serialize_struct(name, count)?, name, left_out: self.left_out })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        number: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let inside = self.inside.serialize_struct_variant(name, number, variant, count)?;
        Ok(Fields { inside, name: variant, left_out: self.left_out })
    }

    fn is_human_readable(&self) -> bool {
        self.inside.is_human_readable()
    }
}

macro_rules! elements {
    ($($of:ident { $($serialize:ident),* })*) => {
        $(impl<S: $of> $of for Strict<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            $(fn $serialize<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                self.inside.$serialize(&Strict { inside: value, left_out: self.left_out })
            })*

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inside.end()
            }
        })*
    };
}

elements! {
    SerializeSeq { serialize_element }
    SerializeTuple { serialize_element }
    SerializeTupleStruct { serialize_field }
    SerializeTupleVariant { serialize_field }
    SerializeMap { serialize_key, serialize_value }
}

macro_rules! fields {
    ($($of:ident)*) => {
        $(impl<S: $of> $of for Fields<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Result<(), S::Error> {
                self.inside.serialize_field(field, &Strict { inside: value, left_out: self.left_out })
            }

            fn skip_field(&mut self, field: &'static str) -> Result<(), S::Error> {
                self.leave_out(field)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inside.end()
            }
        })*
    };
}

fields! { SerializeStruct SerializeStructVariant }
