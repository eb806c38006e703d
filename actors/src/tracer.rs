//! The tracer: runs a type's `Deserialize` on made-up values and writes down what it asks for.
//!
//! One run sees one variant of each enum, so the type is run again until no run sees anything new. A run ends because
//! recursion is cut: inside a container that is inside itself, options are `None`, sequences are empty, and an enum takes
//! the variant that was the first to end. If there is none yet, the run fails, and the next one tries other variants.

mod deserializer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{self, DeserializeOwned};

use self::deserializer::Tracing;
use crate::profile;
use crate::schema::{self, Fields, Shape, Traced};

/// Bounds the runs for one type; what they have not seen is opaque.
const RUNS_MAX: usize = 256;
/// Bounds the containers inside each other, so that a type without a smallest value ends.
const DEPTH_MAX: usize = 64;
/// What a run offers, as a number and as a string. The next is tried when `Deserialize` refuses the one before.
const OFFERS: [(u8, &str); 3] = [(1, "a"), (0, ""), (7, "0")];

/// The made-up values were refused.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("made-up values were refused")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Traces `T`.
pub(crate) fn trace<T: DeserializeOwned>() -> Traced {
    let mut tracer = Tracer::default();
    let root = tracer.explore::<T>(&mut |_| {});
    tracer.into_traced(root)
}

/// Traces `T`, and shows the values that were made up to `look`; the last one has no elements and no options.
pub(crate) fn trace_values<T: DeserializeOwned>(look: &mut dyn FnMut(T)) -> Traced {
    let mut tracer = Tracer::default();
    let root = tracer.explore(look);
    tracer.is_bare = true;
    if let (_, Some(value)) = tracer.run() {
        look(value);
    }
    tracer.into_traced(root)
}

/// A struct (which has one variant) or an enum, as far as it is known.
struct Container {
    rust_type: &'static str,
    name: &'static str,
    is_enum: bool,
    variants: Vec<Variant>,
    /// The variant that was the first to end. Among first ones there is no circle, so taking them always ends.
    smallest: Option<usize>,
}

#[derive(Default)]
struct Variant {
    name: &'static str,
    fields: Option<Fields>,
    /// Whether a value was made; otherwise some of `fields` may be opaque.
    is_complete: bool,
    /// How often a run failed because of recursion inside this variant.
    dead_ends: u32,
    /// The containers directly inside.
    holds: BTreeSet<usize>,
}

impl Container {
    fn new(rust_type: &'static str, name: &'static str, variants: Option<&'static [&'static str]>) -> Self {
        let named = |name: &&'static str| Variant { name, ..Variant::default() };
        let is_enum = variants.is_some();
        let variants = variants.unwrap_or(&[""]).iter().map(named).collect();
        Self { rust_type, name, is_enum, variants, smallest: None }
    }

    /// The variant to look at next, if one is not known yet.
    fn unexplored(&self) -> Option<usize> {
        let unknown = self.variants.iter().enumerate().filter(|(_, variant)| variant.fields.is_none());
        unknown.min_by_key(|(_, variant)| variant.dead_ends).map(|(place, _)| place)
    }

    fn into_traced(self) -> schema::Container {
        let variants = self.variants.into_iter().map(|variant| (variant.name, variant.fields)).collect();
        let is_result = self.rust_type.starts_with("core::result::Result<");
        schema::Container { name: self.name, is_enum: self.is_enum, is_result, variants }
    }
}

/// A container that is being deserialized.
struct Frame {
    container: usize,
    variant: usize,
    /// Whether it, or one around it, is inside itself. What is seen then is seen elsewhere too, and there in full.
    is_cut: bool,
}

#[derive(Default)]
struct Tracer {
    containers: Vec<Container>,
    /// By Rust type, which tells apart what has one name, and by name.
    places: BTreeMap<(&'static str, &'static str), usize>,
    stack: Vec<Frame>,
    number: u8,
    text: &'static str,
    /// Whether a refusal is final, so that the innermost unknown variant around it is taken as it is.
    is_last_offer: bool,
    is_dead_end: bool,
    /// Whether values are made as if all were inside itself.
    is_bare: bool,
    /// The type of the map whose key is asked for.
    map: &'static str,
    unreadable: Option<String>,
    unordered: Option<&'static str>,
    /// Grows with all that is learnt.
    news: usize,
}

impl Tracer {
    /// Runs `T` until nothing new is seen.
    fn explore<T: DeserializeOwned>(&mut self, look: &mut dyn FnMut(T)) -> Shape {
        let mut root = Shape::Opaque;
        let mut has_succeeded = false;
        for _ in 0..RUNS_MAX {
            let before = self.news;
            let (shape, value) = self.run::<T>();
            if value.is_some() || !has_succeeded {
                root = shape;
                has_succeeded |= value.is_some();
            }
            value.into_iter().for_each(&mut *look);
            if self.news == before {
                break;
            }
        }
        root
    }

    /// Runs `T` once; returns the shape that was seen, and the value, if one was made.
    fn run<T: DeserializeOwned>(&mut self) -> (Shape, Option<T>) {
        let mut shape = Shape::Opaque;
        let mut offers = OFFERS;
        if self.is_bare {
            offers.swap(0, 1);
        }
        for (place, (number, text)) in offers.into_iter().enumerate() {
            (self.number, self.text) = (number, text);
            self.is_last_offer = place + 1 == OFFERS.len();
            self.is_dead_end = false;
            self.stack.clear();
            shape = Shape::Opaque;
            if let Ok(value) = T::deserialize(Tracing { tracer: self, shape: &mut shape }) {
                return (shape, Some(value));
            }
            if self.is_dead_end {
                break;
            }
        }
        (shape, None)
    }

    fn into_traced(self, root: Shape) -> Traced {
        let containers = self.containers.into_iter().map(Container::into_traced).collect();
        Traced { root, containers, unreadable: self.unreadable, unordered: self.unordered }
    }

    fn is_cut(&self) -> bool {
        self.is_bare || self.stack.last().is_some_and(|frame| frame.is_cut)
    }

    /// A value of any content was asked for, which becomes a `name`.
    fn meet_any(&mut self, name: &str) {
        let inside = self.stack.last().map(|frame| self.containers[frame.container].name);
        self.unreadable.get_or_insert_with(|| profile::any_content(name, inside));
    }

    /// A map's key was asked for as the name of a field.
    fn meet_name(&mut self) {
        let map = self.map;
        self.unreadable.get_or_insert_with(|| format!("`{map}` in it has a field with `flatten`"));
    }

    /// A sequence or a map was asked for, which becomes a `name`.
    fn meet_many(&mut self, name: &'static str) {
        self.unordered = self.unordered.or_else(|| profile::unordered(name));
    }

    fn place(
        &mut self,
        rust_type: &'static str,
        name: &'static str,
        variants: Option<&'static [&'static str]>,
    ) -> usize {
        *self.places.entry((rust_type, name)).or_insert_with(|| {
            self.containers.push(Container::new(rust_type, name, variants));
            self.containers.len() - 1
        })
    }

    /// Enters a container and says in which variant.
    fn enter(&mut self, container: usize) -> Result<usize, Refused> {
        let outermost = self.stack.iter().position(|frame| frame.container == container);
        if let Some(Frame { container: parent, variant, is_cut: false }) = self.stack.last() {
            self.containers[*parent].variants[*variant].holds.insert(container);
        }
        let is_cut = outermost.is_some() || self.is_cut();
        let Some(variant) = self.choose(container, outermost.is_some(), is_cut) else {
            return Err(self.dead_end(outermost.unwrap_or(self.stack.len())));
        };
        if self.stack.len() == DEPTH_MAX {
            return Err(self.dead_end(0));
        }
        self.stack.push(Frame { container, variant, is_cut });
        Ok(variant)
    }

    fn choose(&self, place: usize, is_inside_itself: bool, is_cut: bool) -> Option<usize> {
        let container = &self.containers[place];
        if container.is_enum && is_inside_itself {
            return container.smallest;
        }
        let smallest = container.smallest.or_else(|| (!container.variants.is_empty()).then_some(0));
        if is_cut {
            return container.smallest.or_else(|| container.unexplored()).or(smallest);
        }
        container.unexplored().or_else(|| self.towards_unexplored(place)).or(smallest)
    }

    /// The variant through which a container with unknown variants can be reached.
    fn towards_unexplored(&self, place: usize) -> Option<usize> {
        self.containers[place].variants.iter().position(|variant| {
            let mut passed: BTreeSet<usize> = self.stack.iter().map(|frame| frame.container).collect();
            passed.insert(place);
            let mut ahead: Vec<usize> = variant.holds.iter().copied().collect();
            while let Some(next) = ahead.pop() {
                if passed.insert(next) {
                    if self.containers[next].unexplored().is_some() {
                        return true;
                    }
                    ahead.extend(self.containers[next].variants.iter().flat_map(|variant| &variant.holds));
                }
            }
            false
        })
    }

    /// Ends the run because of recursion in the frames from `from` on.
    fn dead_end(&mut self, from: usize) -> Refused {
        for frame in &self.stack[from..] {
            let container = &mut self.containers[frame.container];
            if container.variants.len() > 1 {
                container.variants[frame.variant].dead_ends += 1;
                self.news += 1;
            }
        }
        self.is_dead_end = true;
        Refused
    }

    /// Leaves the container that was entered last.
    fn leave(&mut self, fields: Fields, succeeded: bool) {
        let Some(frame) = self.stack.pop() else { return };
        let container = &mut self.containers[frame.container];
        if succeeded && container.smallest.is_none() {
            container.smallest = Some(frame.variant);
            self.news += 1;
        }
        let variant = &mut container.variants[frame.variant];
        let is_last_word = succeeded || (self.is_last_offer && !self.is_dead_end && variant.fields.is_none());
        if frame.is_cut || variant.is_complete || !is_last_word {
            return;
        }
        variant.fields = Some(fields);
        variant.is_complete = succeeded;
        self.news += 1;
        // One a run: those around it may still be made with another variant in its place.
        self.is_last_offer &= succeeded;
    }
}
