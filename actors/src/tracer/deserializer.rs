//! The deserializer that gives made-up values and writes down what was asked for.

use std::any::type_name;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::{Refused, Tracer};
use crate::schema::{Fields, Shape};

/// Deserializes one value, whose shape it puts into `shape`.
pub(super) struct Tracing<'t> {
    pub(super) tracer: &'t mut Tracer,
    pub(super) shape: &'t mut Shape,
}

impl Tracing<'_> {
    fn container<V>(
        self,
        name: &'static str,
        variants: Option<&'static [&'static str]>,
        visit: impl FnOnce(&mut Tracer, usize, &mut Fields) -> Result<V, Refused>,
    ) -> Result<V, Refused> {
        let container = self.tracer.place(type_name::<V>(), name, variants);
        *self.shape = Shape::Container(container);
        let variant = self.tracer.enter(container)?;
        let mut fields = Fields::Unit;
        let result = visit(self.tracer, variant, &mut fields);
        self.tracer.leave(fields, result.is_ok());
        result
    }
}

/// Gives `count` elements; those that were not taken are opaque.
fn elements<'de, V: Visitor<'de>>(
    tracer: &mut Tracer,
    count: usize,
    visitor: V,
) -> (Vec<Shape>, Result<V::Value, Refused>) {
    let mut shapes = Vec::new();
    let result = visitor.visit_seq(Elements { tracer, shapes: &mut shapes, left: count });
    shapes.resize(count, Shape::Opaque);
    (shapes, result)
}

fn positional<'de, V: Visitor<'de>>(
    tracer: &mut Tracer,
    count: usize,
    visitor: V,
    fields: &mut Fields,
) -> Result<V::Value, Refused> {
    let (shapes, result) = elements(tracer, count, visitor);
    *fields = Fields::Positional(shapes);
    result
}

fn named<'de, V: Visitor<'de>>(
    tracer: &mut Tracer,
    names: &'static [&'static str],
    visitor: V,
    fields: &mut Fields,
) -> Result<V::Value, Refused> {
    let (shapes, result) = elements(tracer, names.len(), visitor);
    *fields = Fields::Named(names.iter().copied().zip(shapes).collect());
    result
}

macro_rules! primitives {
    ($($deserialize:ident $visit:ident $name:literal |$tracer:ident| $value:expr;)*) => {
        $(fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            *self.shape = Shape::Primitive($name);
            let $tracer = self.tracer;
            visitor.$visit($value)
        })*
    };
}

impl<'de> Deserializer<'de> for Tracing<'_> {
    type Error = Refused;

    primitives! {
        deserialize_bool visit_bool "bool" |tracer| tracer.number != 0;
        deserialize_i8 visit_i8 "i8" |tracer| i8::try_from(tracer.number).unwrap_or(i8::MAX);
        deserialize_i16 visit_i16 "i16" |tracer| tracer.number.into();
        deserialize_i32 visit_i32 "i32" |tracer| tracer.number.into();
        deserialize_i64 visit_i64 "i64" |tracer| tracer.number.into();
        deserialize_i128 visit_i128 "i128" |tracer| tracer.number.into();
        deserialize_u8 visit_u8 "u8" |tracer| tracer.number;
        deserialize_u16 visit_u16 "u16" |tracer| tracer.number.into();
        deserialize_u32 visit_u32 "u32" |tracer| tracer.number.into();
        deserialize_u64 visit_u64 "u64" |tracer| tracer.number.into();
        deserialize_u128 visit_u128 "u128" |tracer| tracer.number.into();
        deserialize_f32 visit_f32 "f32" |tracer| tracer.number.into();
        deserialize_f64 visit_f64 "f64" |tracer| tracer.number.into();
        deserialize_char visit_char "char" |tracer| tracer.text.chars().next().unwrap_or(' ');
        deserialize_str visit_str "String" |tracer| tracer.text;
        deserialize_string visit_string "String" |tracer| tracer.text.to_owned();
        deserialize_bytes visit_bytes "bytes" |tracer| tracer.text.as_bytes();
        deserialize_byte_buf visit_byte_buf "bytes" |tracer| tracer.text.as_bytes().to_vec();
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.shape = Shape::Opaque;
        self.tracer.meet_any(type_name::<V::Value>());
        visitor.visit_unit()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.tracer.meet_name();
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.shape = Shape::Tuple(Vec::new());
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        if self.tracer.is_cut() {
            return visitor.visit_none();
        }
        let mut some = Shape::Opaque;
        let result = visitor.visit_some(Tracing { tracer: self.tracer, shape: &mut some });
        *self.shape = Shape::Option(some.into());
        result
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.tracer.meet_many(type_name::<V::Value>());
        let count = if self.tracer.is_cut() { 0 } else { 1 };
        let (mut shapes, result) = elements(self.tracer, count, visitor);
        *self.shape = Shape::Sequence(shapes.pop().unwrap_or(Shape::Opaque).into());
        result
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Refused> {
        let (shapes, result) = elements(self.tracer, count, visitor);
        *self.shape = Shape::Tuple(shapes);
        result
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let mut shapes = Vec::new();
        let map = type_name::<V::Value>();
        self.tracer.meet_many(map);
        let left = if self.tracer.is_cut() { 0 } else { 2 };
        let result =
            visitor.visit_map(Entries { map, elements: Elements { tracer: self.tracer, shapes: &mut shapes, left } });
        let value = if shapes.len() == 2 { shapes.pop() } else { None };
        let [key, value] = [shapes.pop(), value].map(|shape| shape.unwrap_or(Shape::Opaque).into());
        *self.shape = Shape::Map(key, value);
        result
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.container(name, None, |_, _, _| visitor.visit_unit())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.container(name, None, |tracer, _, fields| {
            let mut shape = Shape::Opaque;
            let result = visitor.visit_newtype_struct(Tracing { tracer, shape: &mut shape });
            *fields = Fields::Positional(vec![shape]);
            result
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.container(name, None, |tracer, _, fields| positional(tracer, count, visitor, fields))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.container(name, None, |tracer, _, fields| named(tracer, names, visitor, fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.container(name, Some(variants), |tracer, variant, fields| {
            visitor.visit_enum(Choice { tracer, variant, fields })
        })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of a sequence.
struct Elements<'t> {
    tracer: &'t mut Tracer,
    shapes: &'t mut Vec<Shape>,
    left: usize,
}

impl Elements<'_> {
    fn next<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut shape = Shape::Opaque;
        let result = seed.deserialize(Tracing { tracer: self.tracer, shape: &mut shape });
        self.shapes.push(shape);
        result.map(Some)
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The keys and values of a map in turn.
struct Entries<'t> {
    map: &'static str,
    elements: Elements<'t>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        self.elements.tracer.map = self.map;
        self.elements.next(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        self.elements.next(seed)?.ok_or(Refused)
    }
}

/// The variant of an enum that a run has chosen.
struct Choice<'t> {
    tracer: &'t mut Tracer,
    variant: usize,
    fields: &'t mut Fields,
}

impl<'de> EnumAccess<'de> for Choice<'_> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refused> {
        let number = u32::try_from(self.variant).map_err(de::Error::custom)?;
        let deserializer = IntoDeserializer::<Refused>::into_deserializer(number);
        Ok((seed.deserialize(deserializer)?, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refused> {
        let mut shape = Shape::Opaque;
        let result = seed.deserialize(Tracing { tracer: self.tracer, shape: &mut shape });
        *self.fields = Fields::Positional(vec![shape]);
        result
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Refused> {
        positional(self.tracer, count, visitor, self.fields)
    }

    fn struct_variant<V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, Refused> {
        named(self.tracer, names, visitor, self.fields)
    }
}
