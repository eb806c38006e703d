//! Encoded keys that have the order of the keys: the format of the crate `memcomparable`, with errors where that
//! panics.

use bytes::Buf;
use serde::Serialize;

use super::binary::Binary;
use crate::value::{Value, ValueType};

/// A variant is one byte of the format.
const VARIANTS_MAX: usize = 256;

/// Encodes a key that is of type `K`, or borrowed from one.
///
/// # Errors
/// When the format has no place for such keys.
pub(super) fn encode<K: Value, Q: Serialize + ?Sized>(key: &Q) -> Result<Vec<u8>, String> {
    let variants = ValueType::of::<K>().variants_max;
    if variants > VARIANTS_MAX {
        return Err(format!("an enum in it has {variants} variants, and ordered keys have at most {VARIANTS_MAX}"));
    }
    memcomparable::to_vec(&key).map_err(|error| match error {
        memcomparable::Error::NotSupported(what) => format!("it has a {what} in it, which has no place in an order"),
        other => other.to_string(),
    })
}

/// Decodes a key.
///
/// # Errors
/// When the bytes are not those of a key of that type.
pub(super) fn decode<K: Value>(bytes: &[u8]) -> Result<K, String> {
    let mut decoder = memcomparable::Deserializer::new(Padded { bytes, missing: 0 });
    let key = K::deserialize(Binary(&mut decoder)).map_err(|error| error.to_string());
    let rest = decoder.into_inner();
    if rest.missing > 0 {
        return Err(format!("{} bytes are missing", rest.missing));
    }
    if !rest.bytes.is_empty() {
        return Err(format!("{} bytes too many", rest.bytes.len()));
    }
    key
}

/// Bytes that go on with zeros behind their end, where the decoder would panic, and count them.
///
/// Zeros end every sequence and text, so the decoder comes to an end.
struct Padded<'a> {
    bytes: &'a [u8],
    missing: usize,
}

const ZEROS: &[u8] = &[0; 16];

impl Buf for Padded<'_> {
    fn remaining(&self) -> usize {
        usize::MAX
    }

    fn chunk(&self) -> &[u8] {
        if self.bytes.is_empty() { ZEROS } else { self.bytes }
    }

    fn advance(&mut self, count: usize) {
        let there = count.min(self.bytes.len());
        self.bytes = &self.bytes[there..];
        self.missing += count - there;
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt::Debug;
    use std::net::{IpAddr, SocketAddr};
    use std::time::Duration;

    use proptest::prelude::*;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::*;

    #[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
    enum Place {
        Nowhere,
        Named(String),
        At { x: i32, y: Option<u16> },
    }

    fn compare<K: Value + Debug + PartialEq>(a: &K, b: &K) -> Ordering {
        let (encoded, other) = (encode::<K, K>(a).expect("encodes"), encode::<K, K>(b).expect("encodes"));
        assert_eq!(decode::<K>(&encoded).as_ref(), Ok(a));
        encoded.cmp(&other)
    }

    fn text() -> impl Strategy<Value = String> {
        // Few letters, and lengths around the format's chunks of 8, so that one is often the beginning of another.
        prop::collection::vec(prop::sample::select(vec!['\0', 'a', 'b', '\u{ff}', '\u{1f600}']), 0..19)
            .prop_map(|letters| letters.into_iter().collect())
    }

    fn place() -> impl Strategy<Value = Place> {
        prop_oneof![
            Just(Place::Nowhere),
            text().prop_map(Place::Named),
            (-2..2_i32, prop::option::of(0..2_u16)).prop_map(|(x, y)| Place::At { x, y }),
        ]
    }

    type Many = (i8, u16, i32, u64, i128, (bool, char, isize), [u8; 3]);

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn numbers_keep_their_order(a: Many, b: Many) {
            prop_assert_eq!(compare(&a, &b), a.cmp(&b));
            prop_assert_eq!(compare(&a.4, &b.4), a.4.cmp(&b.4));
            prop_assert_eq!(compare(&a.5, &b.5), a.5.cmp(&b.5));
            prop_assert_eq!(compare(&a.6, &b.6), a.6.cmp(&b.6));
        }

        #[test]
        fn texts_and_what_is_made_of_them_keep_their_order(
            (a, b) in (text(), text()),
            (c, d) in (prop::option::of(text()), prop::option::of(text())),
            (e, f) in (prop::collection::vec(text(), 0..4), prop::collection::vec(text(), 0..4)),
        ) {
            prop_assert_eq!(compare(&a, &b), a.cmp(&b));
            prop_assert_eq!(compare(&c, &d), c.cmp(&d));
            prop_assert_eq!(compare(&e, &f), e.cmp(&f));
            prop_assert_eq!(compare(&(a.clone(), c.clone()), &(b.clone(), d.clone())), (&a, &c).cmp(&(&b, &d)));
            let (bytes, others) = (bytes::Bytes::from(a), bytes::Bytes::from(b));
            prop_assert_eq!(compare(&bytes, &others), bytes.cmp(&others));
        }

        #[test]
        fn structs_and_enums_keep_the_order_of_their_declaration(a in place(), b in place()) {
            prop_assert_eq!(Some(compare(&a, &b)), a.partial_cmp(&b));
        }

        #[test]
        fn floats_keep_their_order(a: f64, b: f64, c: f32, d: f32) {
            prop_assert_eq!(Some(compare(&a, &b)), a.partial_cmp(&b));
            prop_assert_eq!(Some(compare(&c, &d)), c.partial_cmp(&d));
        }

        #[test]
        fn addresses_keep_their_order(a: (IpAddr, u16), b: (IpAddr, u16), c: Option<IpAddr>, d: Option<IpAddr>) {
            prop_assert_eq!(compare(&a.0, &b.0), a.0.cmp(&b.0));
            prop_assert_eq!(compare(&SocketAddr::from(a), &SocketAddr::from(b)), SocketAddr::from(a).cmp(&b.into()));
            prop_assert_eq!(compare(&vec![(c, a.0)], &vec![(d, b.0)]), (c, a.0).cmp(&(d, b.0)));
        }

        #[test]
        fn bytes_that_are_no_key_are_errors(bytes: Vec<u8>) {
            let _ = decode::<(String, Option<Place>, f64)>(&bytes);
            let _ = decode::<Vec<(char, bool, Vec<u8>)>>(&bytes);
            let _ = decode::<(u128, BTreeSet<Cell>)>(&bytes);
        }
    }

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    enum Cell {
        Of(Option<u8>),
    }

    #[test]
    fn what_std_orders_by_its_fields_is_ordered_by_them() {
        assert_eq!(compare(&Duration::from_millis(999), &Duration::from_secs(1)), Ordering::Less);
        assert_eq!(compare(&Ok::<u8, String>(200), &Err("a".to_owned())), Ordering::Less);
        assert_eq!(compare(&BTreeSet::from([1, 5]), &BTreeSet::from([1, 4, 9])), Ordering::Greater);
        assert_eq!(compare(&(), &()), Ordering::Equal);
        assert_eq!(encode::<f64, f64>(&-0.0), encode::<f64, f64>(&0.0));
        assert!(encode::<f64, f64>(&f64::NAN) > encode::<f64, f64>(&f64::INFINITY));
    }

    #[test]
    fn bytes_too_few_or_too_many_are_told() {
        let encoded = encode::<(u64, String), _>(&(7_u64, "room")).expect("encodes");
        assert_eq!(decode::<(u64, String)>(&encoded), Ok((7, "room".to_owned())));
        assert!(decode::<(u64, String)>(&encoded[..5]).is_err_and(|why| why.contains("missing")));
        assert!(decode::<u64>(&encoded).is_err_and(|why| why.contains("too many")));
        assert!(decode::<u32>(&[]).is_err());
    }

    /// Written as text, and read by whatever asks for a borrowed one, as the types of `chrono` are.
    #[derive(Debug)]
    struct Borrowing;

    impl Serialize for Borrowing {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str("text")
        }
    }

    impl<'de> Deserialize<'de> for Borrowing {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Text;

            impl serde::de::Visitor<'_> for Text {
                type Value = Borrowing;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a text")
                }

                fn visit_str<E>(self, _: &str) -> Result<Borrowing, E> {
                    Ok(Borrowing)
                }
            }

            deserializer.deserialize_str(Text)
        }
    }

    /// An enum of 257 variants.
    #[derive(Debug)]
    struct Wide(u32);

    impl Serialize for Wide {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_unit_variant("Wide", self.0, "v")
        }
    }

    impl<'de> Deserialize<'de> for Wide {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Variant;

            impl<'de> serde::de::Visitor<'de> for Variant {
                type Value = Wide;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a variant")
                }

                fn visit_enum<A: serde::de::EnumAccess<'de>>(self, access: A) -> Result<Wide, A::Error> {
                    access.variant().map(|(variant, _)| Wide(variant))
                }
            }

            deserializer.deserialize_enum("Wide", &["v"; 257], Variant)
        }
    }

    #[test]
    fn keys_without_a_place_in_the_format_are_refused() {
        assert!(encode::<(u8, Wide), _>(&(7_u8, Wide(256))).is_err_and(|why| why.contains("257 variants")));
        let map = BTreeMap::from([(1, 2)]);
        assert!(encode::<BTreeMap<i32, i32>, _>(&map).is_err_and(|why| why.contains("map")));
        let encoded = encode::<Borrowing, _>(&Borrowing).expect("encodes");
        assert!(decode::<Borrowing>(&encoded).is_err());
    }
}
