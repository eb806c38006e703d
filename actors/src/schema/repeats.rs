//! Which types a few bytes can decode to any number of elements of.

use super::{Fields, Shape, Traced};

impl Traced {
    /// Whether a sequence or a map in it can claim more elements than it has bytes, because one may take none: then a few
    /// bytes decode to any number of them.
    pub(crate) fn repeats_nothing(&self) -> bool {
        let fields = self.containers.iter().flat_map(|container| &container.variants).filter_map(|(_, it)| it.as_ref());
        let mut ahead: Vec<&Shape> = fields.flat_map(Fields::shapes).collect();
        ahead.push(&self.root);
        while let Some(shape) = ahead.pop() {
            match shape {
                Shape::Opaque | Shape::Primitive(_) | Shape::Container(_) => {}
                Shape::Option(inside) => ahead.push(inside),
                Shape::Sequence(element) if self.may_take_nothing(element, &mut Vec::new()) => return true,
                Shape::Sequence(element) => ahead.push(element),
                Shape::Map(key, value) => {
                    if [key, value].iter().all(|shape| self.may_take_nothing(shape, &mut Vec::new())) {
                        return true;
                    }
                    ahead.extend([&**key, &**value]);
                }
                Shape::Tuple(shapes) => ahead.extend(shapes),
            }
        }
        false
    }

    /// Whether a value of that shape may be encoded as no bytes; `around` are the structs that it is in.
    fn may_take_nothing(&self, shape: &Shape, around: &mut Vec<usize>) -> bool {
        match shape {
            Shape::Opaque => true,
            Shape::Primitive(name) => *name == "()",
            Shape::Option(_) | Shape::Sequence(_) | Shape::Map(..) => false,
            Shape::Tuple(shapes) => shapes.iter().all(|shape| self.may_take_nothing(shape, around)),
            Shape::Container(place) => {
                let container = &self.containers[*place];
                if container.is_enum || around.contains(place) {
                    return !container.is_enum;
                }
                around.push(*place);
                let fields = container.variants.first().and_then(|(_, fields)| fields.as_ref());
                let is_empty = fields
                    .is_none_or(|fields| fields.shapes().into_iter().all(|shape| self.may_take_nothing(shape, around)));
                around.pop();
                is_empty
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use crate::tracer;

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Nothing {
        unit: (),
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Tree {
        color: Color,
        children: Vec<Self>,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    enum Color {
        Red,
        Mixed(Vec<Self>),
    }

    fn repeats_nothing<T: DeserializeOwned>() -> bool {
        tracer::trace::<T>().repeats_nothing()
    }

    #[test]
    fn what_can_claim_more_elements_than_bytes_is_told() {
        assert!(repeats_nothing::<Vec<()>>());
        assert!(repeats_nothing::<Option<(u8, Vec<Nothing>)>>());
        assert!(repeats_nothing::<Result<u8, HashMap<(), Nothing>>>());
        assert!(!repeats_nothing::<(Nothing, Option<()>, Vec<Option<()>>)>());
        assert!(!repeats_nothing::<Vec<(Nothing, Color)>>());
        assert!(!repeats_nothing::<HashMap<String, ()>>());
        assert!(!repeats_nothing::<Vec<Tree>>());
    }
}
