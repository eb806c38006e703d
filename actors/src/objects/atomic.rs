//! Numbers and a flag in the shape of `std::sync::atomic`.

use greenroom_macros::{object, twins};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What a compare-and-set comes to, as in std: `Ok` with the value before if it was set, else `Err` with the value that is there.
pub type Exchanged<T> = Result<T, T>;

/// An atomic integer under the name of std's; written once for both widths.
macro_rules! atomic_integer {
    ($(#[$doc:meta])* $name:ident, $integer:ident) => {
        $(#[$doc])*
        #[object]
        #[derive(Debug, Serialize, Deserialize)]
        pub struct $name {
            value: $integer,
        }

        #[object]
        impl $name {
            /// An atomic that holds `initial`.
            pub fn new(initial: $integer) -> Self {
                Self { value: initial }
            }

            /// The value.
            pub fn load(&self) -> $integer {
                self.value
            }

            /// Sets the value.
            pub fn store(&mut self, value: $integer) {
                self.value = value;
            }

            /// Sets the value and returns the one before.
            pub fn swap(&mut self, value: $integer) -> $integer {
                std::mem::replace(&mut self.value, value)
            }

            /// Sets the value to `new` if it is `current`; the inner result says whether it was, and what.
            pub fn compare_exchange(&mut self, current: $integer, new: $integer) -> Exchanged<$integer> {
                if self.value == current { Ok(self.swap(new)) } else { Err(self.value) }
            }

            /// Adds, wrapping around at the ends, and returns the value before.
            pub fn fetch_add(&mut self, value: $integer) -> $integer {
                self.swap(self.value.wrapping_add(value))
            }

            /// Subtracts, wrapping around at the ends, and returns the value before.
            pub fn fetch_sub(&mut self, value: $integer) -> $integer {
                self.swap(self.value.wrapping_sub(value))
            }

            /// Keeps the larger of the value and `value`, and returns the value before.
            pub fn fetch_max(&mut self, value: $integer) -> $integer {
                self.swap(self.value.max(value))
            }

            /// Keeps the smaller of the value and `value`, and returns the value before.
            pub fn fetch_min(&mut self, value: $integer) -> $integer {
                self.swap(self.value.min(value))
            }

            /// Bitwise "and" with the value; returns the value before.
            pub fn fetch_and(&mut self, value: $integer) -> $integer {
                self.swap(self.value & value)
            }

            /// Bitwise "or" with the value; returns the value before.
            pub fn fetch_or(&mut self, value: $integer) -> $integer {
                self.swap(self.value | value)
            }

            /// Bitwise "xor" with the value; returns the value before.
            pub fn fetch_xor(&mut self, value: $integer) -> $integer {
                self.swap(self.value ^ value)
            }

            /// Bitwise "nand" with the value; returns the value before.
            pub fn fetch_nand(&mut self, value: $integer) -> $integer {
                self.swap(!(self.value & value))
            }
        }
    };
}

atomic_integer! {
    /// A shared `i64` in the shape of `std::sync::atomic::AtomicI64`, for threads on any number of machines.
    ///
    /// Every call is linearizable, which is stronger than `SeqCst`, so there is no `Ordering` to give. Each is one round trip
    /// of some 60 bytes each way, except `fetch_update`, which is two or more. `compare_exchange_weak` has no counterpart:
    /// nothing here fails for no reason. Arithmetic wraps around, as in std.
    ///
    /// `named` makes the atomic with its initial value if it is not there; everybody must name the same one, the others are
    /// refused with `DifferentArguments`. Dropping the future of a change leaves open whether it was made.
    AtomicI64, i64
}

atomic_integer! {
    /// A shared `u64` in the shape of `std::sync::atomic::AtomicU64`; what is said of [`AtomicI64`] holds for it too.
    AtomicU64, u64
}

/// A shared flag in the shape of `std::sync::atomic::AtomicBool`; what is said of [`AtomicI64`] holds for it too.
///
/// To wait for a flag without asking again and again, use a `Promise` or a `Latch`.
#[object]
#[derive(Debug, Serialize, Deserialize)]
pub struct AtomicBool {
    value: bool,
}

#[object]
impl AtomicBool {
    /// An atomic that holds `initial`.
    pub fn new(initial: bool) -> Self {
        Self { value: initial }
    }

    /// The value.
    pub fn load(&self) -> bool {
        self.value
    }

    /// Sets the value.
    pub fn store(&mut self, value: bool) {
        self.value = value;
    }

    /// Sets the value and returns the one before.
    pub fn swap(&mut self, value: bool) -> bool {
        std::mem::replace(&mut self.value, value)
    }

    /// Sets the value to `new` if it is `current`; the inner result says whether it was, and what.
    pub fn compare_exchange(&mut self, current: bool, new: bool) -> Exchanged<bool> {
        if self.value == current { Ok(self.swap(new)) } else { Err(self.value) }
    }

    /// Logical "and" with the value; returns the value before.
    pub fn fetch_and(&mut self, value: bool) -> bool {
        self.swap(self.value & value)
    }

    /// Logical "or" with the value; returns the value before.
    pub fn fetch_or(&mut self, value: bool) -> bool {
        self.swap(self.value | value)
    }

    /// Logical "xor" with the value; returns the value before.
    pub fn fetch_xor(&mut self, value: bool) -> bool {
        self.swap(self.value ^ value)
    }

    /// Logical "nand" with the value; returns the value before.
    pub fn fetch_nand(&mut self, value: bool) -> bool {
        self.swap(!(self.value & value))
    }

    /// Turns the value around; returns the value before.
    pub fn fetch_not(&mut self) -> bool {
        self.swap(!self.value)
    }
}

/// A shared `f64` in the shape of std's atomics, which have none for floating-point numbers.
///
/// What is said of [`AtomicI64`] holds for it too. [`compare_exchange`](AtomicF64Handle::compare_exchange) compares bits: a NaN
/// is equal to itself, and 0.0 is not -0.0. `fetch_max` and `fetch_min` pass over a NaN, as `f64::max` does.
/// Sums are made in the order in which the calls arrive, so their last bits may differ from run to run.
#[object]
#[derive(Debug, Serialize, Deserialize)]
pub struct AtomicF64 {
    value: f64,
}

#[object]
impl AtomicF64 {
    /// An atomic that holds `initial`.
    pub fn new(initial: f64) -> Self {
        Self { value: initial }
    }

    /// The value.
    pub fn load(&self) -> f64 {
        self.value
    }

    /// Sets the value.
    pub fn store(&mut self, value: f64) {
        self.value = value;
    }

    /// Sets the value and returns the one before.
    pub fn swap(&mut self, value: f64) -> f64 {
        std::mem::replace(&mut self.value, value)
    }

    /// Sets the value to `new` if it is `current`, bit for bit; the inner result says whether it was, and what.
    pub fn compare_exchange(&mut self, current: f64, new: f64) -> Exchanged<f64> {
        if self.value.to_bits() == current.to_bits() { Ok(self.swap(new)) } else { Err(self.value) }
    }

    /// Adds, and returns the value before.
    pub fn fetch_add(&mut self, value: f64) -> f64 {
        self.swap(self.value + value)
    }

    /// Subtracts, and returns the value before.
    pub fn fetch_sub(&mut self, value: f64) -> f64 {
        self.swap(self.value - value)
    }

    /// Keeps the larger of the value and `value`, and returns the value before; what is no number is passed over.
    pub fn fetch_max(&mut self, value: f64) -> f64 {
        // `f64::max` may return either of 0.0 and -0.0, which would differ between replicas.
        self.swap(if value > self.value || self.value.is_nan() { value } else { self.value })
    }

    /// Keeps the smaller of the value and `value`, and returns the value before; what is no number is passed over.
    pub fn fetch_min(&mut self, value: f64) -> f64 {
        self.swap(if value < self.value || self.value.is_nan() { value } else { self.value })
    }
}

/// The one method of std's atomics that takes a closure, which cannot travel to the object: a loop on the caller's side.
macro_rules! fetch_update {
    ($($handle:ident $value:ident)*) => {$(
        #[twins]
        impl $handle {
            /// Sets the value to what `change` makes of it, until it says `None` or no other caller came between.
            ///
            /// The inner result is std's: `Ok` with the value before if it was set, `Err` with the value if `change` said
            /// `None`. Two round trips, and one more for each time that another caller came between: where many update one
            /// value, the other `fetch_` methods or a method of an object of your own are faster.
            ///
            /// # Errors
            /// As every call's.
            pub async fn fetch_update(
                &self,
                mut change: impl FnMut($value) -> Option<$value>,
            ) -> Result<Exchanged<$value>, Error> {
                let mut current = self.load_async().await?;
                while let Some(new) = change(current) {
                    match self.compare_exchange_async(current, new).await? {
                        Ok(before) => return Ok(Ok(before)),
                        Err(there) => current = there,
                    }
                }
                Ok(Err(current))
            }
        }
    )*};
}

fetch_update! {
    AtomicI64Handle i64
    AtomicU64Handle u64
    AtomicBoolHandle bool
    AtomicF64Handle f64
}
