//! Numbers, and what they are combined by.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CombineFn, both};

/// Numbers that combine functions know: the integers and the floating-point numbers of Rust.
pub trait Number: Copy + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The names of its sum, minimum, maximum and product.
    #[doc(hidden)]
    const NAMES: [&'static str; 4];
    #[doc(hidden)]
    const FUNCTIONS: [CombineFn; 4];
    #[doc(hidden)]
    fn sum(self, other: Self) -> Self;
    #[doc(hidden)]
    fn min(self, other: Self) -> Self;
    #[doc(hidden)]
    fn max(self, other: Self) -> Self;
    #[doc(hidden)]
    fn product(self, other: Self) -> Self;
}

macro_rules! number {
    ($sum:ident, $product:ident, $min:path, $max:path: $($number:ident)*) => {$(
        impl Number for $number {
            const NAMES: [&'static str; 4] = [
                concat!("sum ", stringify!($number)),
                concat!("min ", stringify!($number)),
                concat!("max ", stringify!($number)),
                concat!("product ", stringify!($number)),
            ];
            const FUNCTIONS: [CombineFn; 4] = [
                |a, b| both(a, b, <$number as Number>::sum),
                |a, b| both(a, b, <$number as Number>::min),
                |a, b| both(a, b, <$number as Number>::max),
                |a, b| both(a, b, <$number as Number>::product),
            ];

            fn sum(self, other: Self) -> Self {
                self.$sum(other)
            }

            fn min(self, other: Self) -> Self {
                $min(self, other)
            }

            fn max(self, other: Self) -> Self {
                $max(self, other)
            }

            fn product(self, other: Self) -> Self {
                self.$product(other)
            }
        }
    )*};
}

number!(wrapping_add, wrapping_mul, std::cmp::min, std::cmp::max: i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

mod floats {
    //! Under the names that the macro uses for integers.
    use std::ops::{Add, Mul};

    use super::super::{CombineFn, both};
    use super::Number;

    /// The smaller one; a number rather than none, the same on every machine.
    fn min<F: PartialOrd>(one: F, other: F) -> F {
        if other < one || is_nan(&one) { other } else { one }
    }

    /// The larger one; a number rather than none, the same on every machine.
    fn max<F: PartialOrd>(one: F, other: F) -> F {
        if other > one || is_nan(&one) { other } else { one }
    }

    fn is_nan<F: PartialOrd>(number: &F) -> bool {
        number.partial_cmp(number).is_none()
    }

    number!(add, mul, min, max: f32 f64);
}
