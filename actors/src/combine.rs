//! Combine functions: how a value that is there and one that comes make one, beside the data.
//!
//! A function is known by its name, so that it can be called where the values are opaque: the library's are listed here,
//! and `#[combine]` registers those of a program.

mod numbers;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use numbers::Number;
pub(crate) use numbers::canonical;

/// Makes one encoded value of the one that is there and those that come, one after the other.
///
/// All at once, since a large value that is decoded, joined and encoded for each of many small ones costs their product.
pub type CombineFn = fn(&[u8], &[&[u8]]) -> Result<Vec<u8>, postcard::Error>;

/// One entry of the program's list of combine functions; `#[combine]` submits it.
#[derive(Clone, Copy, Debug)]
pub struct Combiner {
    /// The name, the same in every process.
    pub name: &'static str,
    /// The function.
    pub run: CombineFn,
    /// The function as it was written, a `fn(&mut V, V)`: for values that are not encoded where they are.
    pub typed: &'static (dyn Any + Send + Sync),
}

inventory::collect!(Combiner);

/// A combine function of values of type `V`: [`sum`](Self::sum), [`min`](Self::min), [`append`](Self::append) … or one of
/// your own, from `#[combine]`.
///
/// ```
/// # mod greenroom { pub use greenroom_actors::combine::Combine; }
/// use greenroom::Combine;
///
/// let add: Combine<i64> = Combine::sum();
/// assert_eq!(add.name(), "sum i64");
/// ```
pub struct Combine<V> {
    name: &'static str,
    value: PhantomData<fn(V)>,
}

impl<V> Combine<V> {
    /// The function of that name. Its values must be of type `V`: `#[combine]` sees to it.
    #[doc(hidden)]
    pub const fn of_name(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }

    /// The name by which the node knows the function.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What is there stays.
    pub const fn first() -> Self {
        Self::of_name("first")
    }

    /// What comes replaces what is there.
    pub const fn last() -> Self {
        Self::of_name("last")
    }
}

impl<V: Number> Combine<V> {
    /// The sum; integers wrap around at their ends, as atomics do.
    pub const fn sum() -> Self {
        Self::of_name(V::NAMES[0])
    }

    /// The smaller one; of a number and a NaN the number.
    pub const fn min() -> Self {
        Self::of_name(V::NAMES[1])
    }

    /// The larger one; of a number and a NaN the number.
    pub const fn max() -> Self {
        Self::of_name(V::NAMES[2])
    }

    /// The product; integers wrap around at their ends.
    pub const fn product() -> Self {
        Self::of_name(V::NAMES[3])
    }
}

/// Values that can be appended to each other, encoded as they are.
pub trait Appendable {}

impl<T> Appendable for Vec<T> {}
impl Appendable for String {}

impl<V: Appendable> Combine<V> {
    /// What is there, followed by what comes.
    pub const fn append() -> Self {
        Self::of_name("append")
    }
}

impl Combine<u64> {
    /// One more than what is there, whatever comes: how often something was merged, if the first value is 1.
    pub const fn count() -> Self {
        Self::of_name("count")
    }
}

impl Combine<bool> {
    /// Whether both are true.
    pub const fn all() -> Self {
        Self::of_name("all")
    }

    /// Whether one of the two is true.
    pub const fn any() -> Self {
        Self::of_name("any")
    }
}

impl<V> Clone for Combine<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Combine<V> {}

impl<V> fmt::Debug for Combine<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn both<V: Serialize + DeserializeOwned>(
    there: &[u8],
    comes: &[&[u8]],
    combine: impl Fn(V, V) -> V,
) -> Result<Vec<u8>, postcard::Error> {
    let mut value = postcard::from_bytes(there)?;
    for comes in comes {
        value = combine(value, postcard::from_bytes(comes)?);
    }
    postcard::to_allocvec(&value)
}

/// What `#[combine]` makes of a function: values are decoded, and the result is encoded.
#[doc(hidden)]
pub fn run<V: Serialize + DeserializeOwned>(
    there: &[u8],
    comes: &[&[u8]],
    combine: impl Fn(&mut V, V),
) -> Result<Vec<u8>, postcard::Error> {
    let mut value = postcard::from_bytes(there)?;
    for comes in comes {
        combine(&mut value, postcard::from_bytes(comes)?);
    }
    postcard::to_allocvec(&value)
}

/// Sequences and text are a number of elements or bytes, and those: any can be joined without knowing what is in them.
fn append(there: &[u8], comes: &[&[u8]]) -> Result<Vec<u8>, postcard::Error> {
    let mut count = 0_u64;
    let mut parts = Vec::with_capacity(1 + comes.len());
    for value in std::iter::once(&there).chain(comes) {
        let (part_count, part): (u64, &[u8]) = postcard::take_from_bytes(value)?;
        count = count.checked_add(part_count).ok_or(postcard::Error::DeserializeBadVarint)?;
        parts.push(part);
    }
    let mut joined = postcard::to_allocvec(&count)?;
    joined.reserve_exact(parts.iter().map(|part| part.len()).sum());
    parts.into_iter().for_each(|part| joined.extend_from_slice(part));
    Ok(joined)
}

fn count_one(there: &mut u64, _comes: u64) {
    *there = there.wrapping_add(1);
}

/// What comes is not looked at.
fn count(there: &[u8], comes: &[&[u8]]) -> Result<Vec<u8>, postcard::Error> {
    let there: u64 = postcard::from_bytes(there)?;
    postcard::to_allocvec(&there.wrapping_add(comes.len() as u64))
}

/// Why two values could not be combined. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum CombineError {
    /// The node's program has no such function.
    #[error("the node's program has no combine function `{0}`; it must be the one with that `#[combine]`")]
    Unknown(String),
    /// The node's program has two functions of that name, so neither is called.
    #[error("the node's program has two combine functions `{0}`: give one another name, or a module of its own")]
    Ambiguous(String),
    /// The values do not decode as what the function takes.
    #[error("a value does not decode as what `{name}` takes: {why}")]
    Value {
        /// The function.
        name: String,
        /// What the decoder said.
        why: String,
    },
    /// The result is larger than [`COMBINED_BYTES_MAX`]: nobody could be sent it.
    #[error("what came of `{name}` has {bytes} bytes, and at most {COMBINED_BYTES_MAX} are allowed")]
    TooLarge {
        /// The function.
        name: String,
        /// The size of the result.
        bytes: u64,
    },
}

/// The most bytes that a combined value may have: with what is around it, it still fits a frame.
pub const COMBINED_BYTES_MAX: usize = 31 << 20;

/// Whether there is a function of that name, for whoever has nothing to combine yet.
///
/// # Errors
/// [`CombineError::Unknown`] when there is none, and [`CombineError::Ambiguous`] when there are two.
pub fn check(name: &str) -> Result<(), CombineError> {
    function(name).map(|_| ())
}

/// The function of that name, for values of type `V` as they are.
///
/// # Errors
/// When there is no such function, or it is one of values of another type. Those of [`Number`] are not found here, but by their
/// place in [`Number::NAMES`].
pub(crate) fn typed<V: 'static>(name: &str) -> Result<fn(&mut V, V), CombineError> {
    match name {
        "first" => return Ok(|_, _| {}),
        "last" => return Ok(|there, comes| *there = comes),
        _ => {}
    }
    let typed = function(name)?.typed.and_then(|typed| typed.downcast_ref().copied());
    typed.ok_or_else(|| CombineError::Value {
        name: name.to_owned(),
        why: format!("it is not one of {}", std::any::type_name::<V>()),
    })
}

/// A function that is known by its name.
#[derive(Clone, Copy)]
struct Function {
    run: CombineFn,
    /// A `fn(&mut V, V)`; the library's own, which are of many types, have none.
    typed: Option<&'static (dyn Any + Send + Sync)>,
}

fn function(name: &str) -> Result<Function, CombineError> {
    match functions().get(name) {
        Some(Some(function)) => Ok(*function),
        Some(None) => Err(CombineError::Ambiguous(name.to_owned())),
        None => Err(CombineError::Unknown(name.to_owned())),
    }
}

/// Combines what is there with what comes by the function of that name.
///
/// # Errors
/// When there is no such function, a value is not one of its, or the result is too large.
pub fn combine(name: &str, there: &[u8], comes: &[u8]) -> Result<Bytes, CombineError> {
    run_all(name, there, &[comes])
}

/// Combines what is there with all that comes, one after the other, by the function of that name; if nothing comes, that is
/// what is there. The time that it takes grows with the sum of their sizes.
///
/// # Errors
/// As [`combine`]'s; of the results, only the last must not be too large.
pub fn combine_all(name: &str, there: Bytes, comes: &[Bytes]) -> Result<Bytes, CombineError> {
    if comes.is_empty() {
        return check(name).map(|()| there);
    }
    let comes: Vec<&[u8]> = comes.iter().map(AsRef::as_ref).collect();
    run_all(name, &there, &comes)
}

fn run_all(name: &str, there: &[u8], comes: &[&[u8]]) -> Result<Bytes, CombineError> {
    let function = function(name)?;
    let combined = (function.run)(there, comes)
        .map_err(|why| CombineError::Value { name: name.to_owned(), why: why.to_string() })?;
    if combined.len() > COMBINED_BYTES_MAX {
        return Err(CombineError::TooLarge { name: name.to_owned(), bytes: combined.len() as u64 });
    }
    Ok(combined.into())
}

/// All functions by name; nothing under a name that two have.
fn functions() -> &'static BTreeMap<&'static str, Option<Function>> {
    static KNOWN: OnceLock<BTreeMap<&'static str, Option<Function>>> = OnceLock::new();
    fn add<V: Number>(known: &mut BTreeMap<&'static str, CombineFn>) {
        known.extend(V::NAMES.into_iter().zip(V::FUNCTIONS));
    }
    KNOWN.get_or_init(|| {
        let mut known = BTreeMap::<&'static str, CombineFn>::new();
        known.insert("first", |there, _| Ok(there.to_vec()));
        known.insert("last", |there, comes| Ok(comes.last().unwrap_or(&there).to_vec()));
        known.insert("append", append);
        known.insert("all", |there, comes| both(there, comes, |a: bool, b: bool| a && b));
        known.insert("any", |there, comes| both(there, comes, |a: bool, b: bool| a || b));
        add::<i8>(&mut known);
        add::<i16>(&mut known);
        add::<i32>(&mut known);
        add::<i64>(&mut known);
        add::<i128>(&mut known);
        add::<isize>(&mut known);
        add::<u8>(&mut known);
        add::<u16>(&mut known);
        add::<u32>(&mut known);
        add::<u64>(&mut known);
        add::<u128>(&mut known);
        add::<usize>(&mut known);
        add::<f32>(&mut known);
        add::<f64>(&mut known);
        let mut by_name: BTreeMap<&'static str, Option<Function>> =
            known.into_iter().map(|(name, run)| (name, Some(Function { run, typed: None }))).collect();
        let typed_count: &'static fn(&mut u64, u64) = &(count_one as fn(&mut u64, u64));
        by_name.insert("count", Some(Function { run: count, typed: Some(typed_count) }));
        for &Combiner { name, run, typed } in inventory::iter::<Combiner>() {
            let function = Function { run, typed: Some(typed) };
            by_name.entry(name).and_modify(|known| *known = None).or_insert(Some(function));
        }
        by_name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combined<V: Serialize + DeserializeOwned>(by: Combine<V>, there: &V, comes: &V) -> V {
        let encode = |value: &V| postcard::to_allocvec(value).expect("encodes");
        let bytes = combine(by.name(), &encode(there), &encode(comes)).expect("combines");
        postcard::from_bytes(&bytes).expect("decodes")
    }

    #[test]
    fn numbers_are_combined_by_name() {
        assert_eq!(combined(Combine::sum(), &i64::MAX, &1), i64::MIN);
        assert_eq!(combined(Combine::sum(), &0.5_f64, &0.25), 0.75);
        assert_eq!(combined(Combine::min(), &-3_i32, &2), -3);
        assert_eq!(combined(Combine::max(), &7_u8, &200), 200);
        assert_eq!(combined(Combine::min(), &f64::NAN, &1.0), 1.0, "a number rather than none");
        assert_eq!(combined(Combine::max(), &1.0, &f64::NAN), 1.0);
        assert_eq!(combined(Combine::product(), &1.5_f32, &-2.0), -3.0);
        assert_eq!(combined(Combine::<u64>::count(), &4, &99), 5);
    }

    #[test]
    fn what_is_opaque_is_joined_and_chosen_all_the_same() {
        let (one, other) = (vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]);
        assert_eq!(combined(Combine::<Vec<String>>::append(), &one, &other), ["a", "b", "c"]);
        assert_eq!(combined(Combine::<String>::append(), &"gr".to_owned(), &"een".to_owned()), "green");
        assert_eq!(combined(Combine::first(), &one, &other), one);
        assert_eq!(combined(Combine::last(), &one, &other), other);
        assert!(!combined(Combine::all(), &true, &false) && combined(Combine::any(), &true, &false));
    }

    #[test]
    fn a_function_that_is_not_there_and_a_value_that_is_none_are_errors() {
        assert_eq!(combine("sum Tally", b"", b""), Err(CombineError::Unknown("sum Tally".to_owned())));
        assert!(matches!(combine("sum u64", &[0x80], &[1]), Err(CombineError::Value { .. })));
        assert!(matches!(combine("append", &[], &[0]), Err(CombineError::Value { .. })));
        assert_eq!((check("max u8"), check("none")), (Ok(()), Err(CombineError::Unknown("none".to_owned()))));
    }

    #[test]
    fn many_that_come_are_combined_one_after_the_other() {
        let encode = |value: i64| Bytes::from(postcard::to_allocvec(&value).expect("encodes"));
        let come = [5, -3, 8].map(encode);
        let all = |name: &str| combine_all(name, encode(2), &come).expect("combines");
        assert_eq!((all("sum i64"), all("min i64")), (encode(12), encode(-3)));
        assert_eq!((all("first"), all("last")), (encode(2), encode(8)));
        let bytes = Bytes::from_static;
        assert_eq!(combine_all("count", bytes(&[4]), &come), Ok(bytes(&[7])));
        let come = [&[0][..], &[2, 7, 8], &[1, 6]].map(bytes);
        assert_eq!(combine_all("append", bytes(&[1, 9]), &come), Ok(bytes(&[4, 9, 7, 8, 6])));
        assert_eq!(combine_all("last", bytes(&[9]), &[]), Ok(bytes(&[9])), "nothing comes");
        assert_eq!(combine_all("no", bytes(&[9]), &[]), Err(CombineError::Unknown("no".to_owned())));
        assert!(matches!(combine_all("append", bytes(&[1, 9]), &[Bytes::new()]), Err(CombineError::Value { .. })));
    }

    #[test]
    fn what_would_not_fit_a_frame_is_refused() {
        let half = postcard::to_allocvec(&vec![0_u8; COMBINED_BYTES_MAX / 2]).expect("encodes");
        let (name, bytes) = ("append".to_owned(), COMBINED_BYTES_MAX as u64 + 4);
        assert_eq!(combine("append", &half, &half), Err(CombineError::TooLarge { name, bytes }));
    }
}
