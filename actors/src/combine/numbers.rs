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

/// The number, or, of what is none, always the same bits: which ones a machine calculates differs from one to the next, and
/// replicas must not.
pub(crate) fn canonical(number: f64) -> f64 {
    if number.is_nan() { f64::from_bits(0x7FF8_0000_0000_0000) } else { number }
}

number!(wrapping_add, wrapping_mul, std::cmp::min, std::cmp::max: i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

mod floats {
    //! Under the names that the macro uses for integers.
    use super::super::{CombineFn, both};
    use super::Number;

    trait Calculate {
        fn plus(self, other: Self) -> Self;
        fn times(self, other: Self) -> Self;
    }

    impl Calculate for f64 {
        fn plus(self, other: Self) -> Self {
            super::canonical(self + other)
        }

        fn times(self, other: Self) -> Self {
            super::canonical(self * other)
        }
    }

    impl Calculate for f32 {
        fn plus(self, other: Self) -> Self {
            canonical(self + other)
        }

        fn times(self, other: Self) -> Self {
            canonical(self * other)
        }
    }

    /// As for `f64`.
    fn canonical(number: f32) -> f32 {
        if number.is_nan() { f32::from_bits(0x7FC0_0000) } else { number }
    }

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

    number!(plus, times, min, max: f32 f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_has_the_same_bits_on_every_machine() {
        let other = f64::from_bits(0xFFF8_0000_0000_0001);
        for none in
            [f64::INFINITY.sum(f64::NEG_INFINITY), other.sum(1.0), other.product(1.0), 0.0_f64.product(f64::INFINITY)]
        {
            assert_eq!(none.to_bits(), 0x7FF8_0000_0000_0000);
        }
        let other = f32::from_bits(0xFFC0_0001);
        for none in [f32::INFINITY.sum(f32::NEG_INFINITY), other.sum(1.0), other.product(1.0)] {
            assert_eq!(none.to_bits(), 0x7FC0_0000);
        }
        assert_eq!((-0.0_f64).sum(-0.0).to_bits(), (-0.0_f64).to_bits());
    }
}
