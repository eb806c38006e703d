//! The objects behind the atomics: numbers and a flag.

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

use crate::combine::canonical;

/// What a compare-and-set comes to, as in std: `Ok` with the value before if it was set, else `Err` with the value that is there.
pub type Exchanged<T> = Result<T, T>;

/// The object behind an atomic integer; written once for all widths.
macro_rules! atomic_integer {
    ($name:ident, $registered:tt, $integer:ident) => {
        #[doc = concat!("A shared `", stringify!($integer), "`; use it through the client's `", $registered, "`.")]
        #[object(name = $registered)]
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

atomic_integer!(AtomicI32Object, "AtomicI32", i32);
atomic_integer!(AtomicI64Object, "AtomicI64", i64);
atomic_integer!(AtomicIsizeObject, "AtomicIsize", isize);
atomic_integer!(AtomicU32Object, "AtomicU32", u32);
atomic_integer!(AtomicU64Object, "AtomicU64", u64);
atomic_integer!(AtomicUsizeObject, "AtomicUsize", usize);

/// A shared flag; use it through the client's `AtomicBool`.
#[object(name = "AtomicBool")]
#[derive(Debug, Serialize, Deserialize)]
pub struct AtomicBoolObject {
    value: bool,
}

#[object]
impl AtomicBoolObject {
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

/// A shared `f64`; use it through the client's `AtomicF64`.
#[object(name = "AtomicF64")]
#[derive(Debug, Serialize, Deserialize)]
pub struct AtomicF64Object {
    value: f64,
}

#[object]
impl AtomicF64Object {
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
        self.swap(canonical(self.value + value))
    }

    /// Subtracts, and returns the value before.
    pub fn fetch_sub(&mut self, value: f64) -> f64 {
        self.swap(canonical(self.value - value))
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
