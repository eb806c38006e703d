//! Shapes: what a type looks like on the wire, read off its serde implementation.
//!
//! A shape is a text such as `Vec<Point> where Point { x: f64, y: f64 }`: named types are listed once, by name, so that
//! equal types have equal texts in every build. What serde does not show is `opaque`.

mod repeats;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use crate::tracer;

/// Tuples of more elements are arrays in the text; serde does not tell the two apart.
const TUPLE_MAX: usize = 16;

/// The shape of `T` as text. Equal shapes have equal texts.
pub fn shape_of<T: DeserializeOwned>() -> String {
    tracer::trace::<T>().text()
}

/// The fingerprint of a shape's text.
pub fn fingerprint(shape: &str) -> u64 {
    xxh3_64(shape.as_bytes())
}

/// The shape of a type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Not known: serde does not show it, or refused all made-up values before it.
    Opaque,
    Primitive(&'static str),
    Option(Box<Self>),
    Sequence(Box<Self>),
    Map(Box<Self>, Box<Self>),
    Tuple(Vec<Self>),
    /// A named type, by its place in [`Traced::containers`].
    Container(usize),
}

/// What a struct or a variant holds.
#[derive(Clone, Debug)]
pub(crate) enum Fields {
    Unit,
    Positional(Vec<Shape>),
    Named(Vec<(&'static str, Shape)>),
}

impl Fields {
    fn shapes(&self) -> Vec<&Shape> {
        match self {
            Self::Unit => Vec::new(),
            Self::Positional(shapes) => shapes.iter().collect(),
            Self::Named(fields) => fields.iter().map(|(_, shape)| shape).collect(),
        }
    }
}

/// A named type.
pub(crate) struct Container {
    pub(crate) name: &'static str,
    pub(crate) is_enum: bool,
    /// Whether it is the `Result` of the standard library, which is written like a built-in type.
    pub(crate) is_result: bool,
    /// A struct has one, without a name. No fields means that they are not known.
    pub(crate) variants: Vec<(&'static str, Option<Fields>)>,
}

impl Container {
    /// The shapes of the two sides of a `Result`.
    fn result(&self) -> Option<[&Shape; 2]> {
        match &self.variants[..] {
            [(_, Some(Fields::Positional(ok))), (_, Some(Fields::Positional(err)))] if self.is_result => {
                Some([ok.first()?, err.first()?])
            }
            _ => None,
        }
    }
}

/// A traced type: its shape, and the named types that it mentions.
pub(crate) struct Traced {
    pub(crate) root: Shape,
    pub(crate) containers: Vec<Container>,
    /// Why only a format that describes itself can be read, if that is so.
    pub(crate) unreadable: Option<String>,
    /// A type in it whose equal values need not be encoded alike.
    pub(crate) unordered: Option<&'static str>,
}

impl Traced {
    pub(crate) fn text(&self) -> String {
        let mut names = Names { containers: &self.containers, given: BTreeMap::new(), count: BTreeMap::new() };
        names.give(&self.root);
        let mut definitions: Vec<_> = names.given.iter().map(|(place, name)| names.definition(*place, name)).collect();
        definitions.sort();
        let root = names.text(&self.root);
        if definitions.is_empty() { root } else { format!("{root} where {}", definitions.join(", ")) }
    }
}

/// The names of containers in a text; of two that have one name, the second to appear gets a number.
struct Names<'t> {
    containers: &'t [Container],
    given: BTreeMap<usize, String>,
    count: BTreeMap<&'static str, usize>,
}

impl Names<'_> {
    /// Names all containers in `shape`, in the order of their appearance.
    fn give(&mut self, shape: &Shape) {
        match shape {
            Shape::Opaque | Shape::Primitive(_) => {}
            Shape::Option(inside) | Shape::Sequence(inside) => self.give(inside),
            Shape::Map(key, value) => {
                self.give(key);
                self.give(value);
            }
            Shape::Tuple(shapes) => shapes.iter().for_each(|shape| self.give(shape)),
            Shape::Container(place) => self.give_container(*place),
        }
    }

    fn give_container(&mut self, place: usize) {
        let container = &self.containers[place];
        if let Some(sides) = container.result() {
            sides.into_iter().for_each(|shape| self.give(shape));
            return;
        }
        if self.given.contains_key(&place) {
            return;
        }
        let count = self.count.entry(container.name).or_default();
        *count += 1;
        let name = if *count == 1 { container.name.to_owned() } else { format!("{}#{count}", container.name) };
        self.given.insert(place, name);
        let fields = container.variants.iter().filter_map(|(_, fields)| fields.as_ref());
        fields.flat_map(Fields::shapes).for_each(|shape| self.give(shape));
    }

    fn text(&self, shape: &Shape) -> String {
        match shape {
            Shape::Opaque => "opaque".to_owned(),
            Shape::Primitive(name) => (*name).to_owned(),
            Shape::Option(some) => format!("Option<{}>", self.text(some)),
            Shape::Sequence(element) => format!("Vec<{}>", self.text(element)),
            Shape::Map(key, value) => format!("Map<{}, {}>", self.text(key), self.text(value)),
            Shape::Tuple(shapes) => match &shapes[..] {
                [first, ..] if shapes.len() > TUPLE_MAX && shapes.iter().all(|shape| shape == first) => {
                    format!("[{}; {}]", self.text(first), shapes.len())
                }
                shapes => self.tuple(shapes),
            },
            Shape::Container(place) => match self.containers[*place].result() {
                Some([ok, err]) => format!("Result<{}, {}>", self.text(ok), self.text(err)),
                None => self.given[place].clone(),
            },
        }
    }

    fn tuple(&self, shapes: &[Shape]) -> String {
        let texts: Vec<_> = shapes.iter().map(|shape| self.text(shape)).collect();
        format!("({})", texts.join(", "))
    }

    fn definition(&self, place: usize, name: &str) -> String {
        let container = &self.containers[place];
        if container.is_enum {
            let variants: Vec<_> =
                container.variants.iter().map(|(name, fields)| self.fields(name, fields.as_ref())).collect();
            return format!("{name} {{ {} }}", variants.join(", "));
        }
        self.fields(name, container.variants.first().and_then(|(_, fields)| fields.as_ref()))
    }

    fn fields(&self, name: &str, fields: Option<&Fields>) -> String {
        match fields {
            None => format!("{name} opaque"),
            Some(Fields::Unit) => name.to_owned(),
            Some(Fields::Positional(shapes)) => format!("{name}{}", self.tuple(shapes)),
            Some(Fields::Named(fields)) => {
                let texts: Vec<_> =
                    fields.iter().map(|(name, shape)| format!("{name}: {}", self.text(shape))).collect();
                format!("{name} {{ {} }}", texts.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::num::NonZeroU32;
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Point {
        x: f64,
        y: f64,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    enum Color {
        Red,
        Green(u8),
        Mixed { of: Vec<Self>, at: Option<Point> },
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Tree {
        children: Vec<Self>,
        parent: Option<Box<Self>>,
        color: Color,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    enum Expression {
        Sum(Box<Self>, Box<Self>),
        Call(Call),
        Number(i64),
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Call {
        function: Function,
        argument: Box<Expression>,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    enum Function {
        Lambda(Box<Expression>),
        BuiltIn(char),
    }

    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Email;

    impl TryFrom<String> for Email {
        type Error = String;

        fn try_from(text: String) -> Result<Self, String> {
            if text.contains('@') { Ok(Self) } else { Err("no @".to_owned()) }
        }
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    enum Contact {
        Mail(Email, u8),
        Phone(u64),
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Pair<A, B>(A, B);

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Endless(Box<Self>);

    #[test]
    fn built_in_types_are_named_as_in_rust() {
        assert_eq!(shape_of::<u64>(), "u64");
        assert_eq!(shape_of::<()>(), "()");
        assert_eq!(shape_of::<(i128, char, String, bool)>(), "(i128, char, String, bool)");
        assert_eq!(shape_of::<Option<Vec<f32>>>(), "Option<Vec<f32>>");
        assert_eq!(shape_of::<HashMap<String, [u8; 2]>>(), "Map<String, (u8, u8)>");
        assert_eq!(shape_of::<[u8; 32]>(), "[u8; 32]");
        assert_eq!(shape_of::<bytes::Bytes>(), "bytes");
        assert_eq!(shape_of::<Result<u8, Result<(), String>>>(), "Result<u8, Result<(), String>>");
        assert_eq!(shape_of::<Duration>(), "Duration where Duration { secs: u64, nanos: u32 }");
        assert_eq!(shape_of::<serde_json::Value>(), "opaque");
    }

    #[test]
    fn a_named_type_is_listed_once_with_all_its_variants() {
        let color = "Color { Red, Green(u8), Mixed { of: Vec<Color>, at: Option<Point> } }";
        let point = "Point { x: f64, y: f64 }";
        assert_eq!(shape_of::<Vec<(Point, Point)>>(), format!("Vec<(Point, Point)> where {point}"));
        assert_eq!(shape_of::<Option<Vec<Color>>>(), format!("Option<Vec<Color>> where {color}, {point}"));
    }

    #[test]
    fn recursive_types_end() {
        let tree = shape_of::<Tree>();
        assert!(tree.contains("Tree { children: Vec<Tree>, parent: Option<Tree>, color: Color }"), "{tree}");
        assert!(tree.contains("Mixed { of: Vec<Color>, at: Option<Point> }"), "{tree}");
        let expected = "Expression where Call { function: Function, argument: Expression }, \
                        Expression { Sum(Expression, Expression), Call(Call), Number(i64) }, \
                        Function { Lambda(Expression), BuiltIn(char) }";
        assert_eq!(shape_of::<Expression>(), expected);
        assert_eq!(shape_of::<(Function, u8)>(), expected.replacen("Expression where", "(Function, u8) where", 1));
        assert_eq!(shape_of::<Endless>(), "Endless where Endless opaque");
    }

    #[test]
    fn a_type_that_checks_its_values_is_seen_as_far_as_it_goes() {
        assert_eq!(shape_of::<NonZeroU32>(), "u32");
        assert_eq!(shape_of::<(Email, u8)>(), "(String, opaque)");
        let contact = "Contact { Mail(String, opaque), Phone(u64) }";
        assert_eq!(shape_of::<(Contact, u8)>(), format!("(Contact, u8) where {contact}"));
    }

    #[test]
    fn two_types_of_one_name_are_told_apart() {
        let numbered = "(Pair, Pair#2, Pair) where Pair#2(bool, bool), Pair(u8, String)";
        assert_eq!(shape_of::<(Pair<u8, String>, Pair<bool, bool>, Pair<u8, String>)>(), numbered);
        assert_ne!(shape_of::<(Pair<u8, u8>, Pair<bool, bool>)>(), shape_of::<(Pair<bool, bool>, Pair<u8, u8>)>(),);
    }

    #[test]
    fn names_and_order_are_part_of_the_shape() {
        mod renamed {
            #[derive(serde::Deserialize)]
            #[allow(dead_code, reason = "only its shape matters")]
            pub(super) struct Point {
                x: f64,
                #[serde(rename = "z")]
                y: f64,
            }

            #[derive(serde::Deserialize)]
            #[allow(dead_code, reason = "only its shape matters")]
            pub(super) enum Function {
                BuiltIn(char),
                Lambda(Box<super::Expression>),
            }
        }
        mod same {
            #[derive(serde::Deserialize)]
            #[allow(dead_code, reason = "only its shape matters")]
            pub(super) struct Point {
                x: f64,
                y: f64,
            }
        }
        assert_ne!(shape_of::<renamed::Point>(), shape_of::<Point>());
        assert_ne!(shape_of::<renamed::Function>(), shape_of::<Function>());
        assert_eq!(fingerprint(&shape_of::<same::Point>()), fingerprint(&shape_of::<Point>()));
    }
}
