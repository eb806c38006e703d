//! What serde shows of a type beyond its shape: whether its values can be shared, and be keys.

use serde::de::DeserializeOwned;

use crate::tracer;

/// What serde shows of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The shape, as [`shape_of`](crate::shape_of) has it.
    pub shape: String,
    /// The most variants that an enum in it has; 0 without an enum.
    pub variants_max: usize,
    /// Why its values cannot be read from a format that does not describe itself, if that is so.
    pub unreadable: Option<String>,
    /// A type in it whose equal values need not be encoded alike, such as `HashSet`.
    pub unordered: Option<&'static str>,
}

impl Profile {
    /// Traces `T`. Each made-up value that comes of it goes to `look`, the last one with as little in it as can be: no
    /// elements, no options.
    pub fn of<T: DeserializeOwned>(mut look: impl FnMut(T)) -> Self {
        let traced = tracer::trace_values::<T>(&mut look);
        let enums = traced.containers.iter().filter(|container| container.is_enum);
        let variants_max = enums.map(|container| container.variants.len()).max().unwrap_or(0);
        Self { shape: traced.text(), variants_max, unreadable: traced.unreadable, unordered: traced.unordered }
    }
}

/// Says of a type that was asked to be of any content why nobody can read it.
pub(crate) fn any_content(name: &str, inside: Option<&str>) -> String {
    // The enum itself has no name here: its derived code asks for serde's own type for anything.
    let what = if name.contains("private") {
        "an enum in it is `untagged` or has a `tag`".to_owned()
    } else {
        format!("`{name}` in it has any content")
    };
    match inside {
        Some(inside) => format!("{what} (inside `{inside}`)"),
        None => what,
    }
}

/// The name of a collection without an order of its own, if that is what `name` is.
pub(crate) fn unordered(name: &'static str) -> Option<&'static str> {
    const ENDINGS: [&str; 6] = ["HashSet", "HashMap", "IndexSet", "IndexMap", "DashSet", "DashMap"];
    let path = name.split('<').next().unwrap_or(name);
    let last = path.rsplit("::").next().unwrap_or(path);
    ENDINGS.iter().any(|ending| last.ends_with(ending)).then_some(last)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    enum Color {
        Red,
        Green(u8),
        Mixed(Vec<Self>, Option<u8>),
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    #[allow(dead_code, reason = "only its shape matters")]
    enum Untagged {
        Number(u64),
        Text(String),
    }

    #[derive(Deserialize)]
    #[serde(tag = "kind")]
    #[allow(dead_code, reason = "only its shape matters")]
    enum Tagged {
        At { x: f64 },
        Nowhere,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Flat {
        id: u64,
        #[serde(flatten)]
        rest: BTreeMap<String, u64>,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Order<T> {
        number: u64,
        what: Vec<Option<T>>,
    }

    fn profile<T: DeserializeOwned>() -> Profile {
        Profile::of::<T>(|_| {})
    }

    #[test]
    fn the_largest_enum_is_found_wherever_it_is() {
        assert_eq!(profile::<(u64, Order<u8>)>().variants_max, 0);
        assert_eq!(profile::<Vec<(u8, Option<Color>)>>().variants_max, 3);
    }

    #[test]
    fn what_needs_a_format_that_describes_itself_is_found_wherever_it_is() {
        let unreadable = |profile: Profile| profile.unreadable.unwrap_or_default();
        assert_eq!(profile::<Order<(Color, BTreeMap<String, u8>)>>().unreadable, None);
        assert_eq!(unreadable(profile::<Untagged>()), "an enum in it is `untagged` or has a `tag`");
        let inside = "an enum in it is `untagged` or has a `tag` (inside `Order`)";
        assert_eq!(unreadable(profile::<Order<Tagged>>()), inside);
        assert_eq!(unreadable(profile::<Vec<Order<Untagged>>>()), inside);
        assert_eq!(unreadable(profile::<serde_json::Value>()), "`serde_json::value::Value` in it has any content");
        let flat = unreadable(profile::<Option<Order<Flat>>>());
        assert!(flat.starts_with('`') && flat.ends_with("::Flat` in it has a field with `flatten`"), "{flat}");
    }

    #[test]
    fn collections_without_an_order_are_found_wherever_they_are() {
        assert_eq!(profile::<Order<(BTreeSet<u8>, BTreeMap<u8, Vec<u8>>)>>().unordered, None);
        assert_eq!(profile::<Order<HashSet<String>>>().unordered, Some("HashSet"));
        assert_eq!(profile::<(u8, HashMap<u8, Color>)>().unordered, Some("HashMap"));
    }

    #[test]
    fn values_are_made_up_full_and_empty() {
        let mut seen = Vec::new();
        Profile::of::<(u8, Option<String>, Vec<Color>)>(|value| seen.push(format!("{value:?}")));
        let expected = ["Red", "Green(1)", "Mixed([Red], Some(1))"];
        let expected: Vec<_> = expected.iter().map(|color| format!("(1, Some(\"a\"), [{color}])")).collect();
        assert!(expected.iter().all(|value| seen.contains(value)), "{seen:?}");
        assert_eq!(seen.last().map(String::as_str), Some("(0, None, [])"));
    }
}
