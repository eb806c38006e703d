//! Atomics in the shape of `std::sync::atomic`: the same names, an object's key more, and a `Result` for the network.
//!
//! There is no `Ordering` to give: the calls of all callers, to one atomic and to any other objects, take effect one after the
//! other, each between its beginning and its end (they are linearizable), which is always what `SeqCst` asks for and more. There
//! is nothing weaker to be had, and nothing that it would make faster: what a call costs is the way to the object.
//!
//! Each call is one round trip of some 60 bytes each way, except `fetch_update`, which is two or more. Arithmetic wraps around,
//! as in std. `compare_exchange_weak` has no counterpart: nothing here fails for no reason. Nor have `get_mut` and `into_inner`:
//! the value is not here. Dropping the future of a change leaves open whether it was made.
//!
//! `named` makes the atomic with its initial value if it is not there; everybody must name the same one, the others are refused
//! with `DifferentArguments`. A `static` holds an atomic in a [`LazyLock`](std::sync::LazyLock):
//!
//! ```no_run
//! use std::sync::LazyLock;
//!
//! use greenroom::sync::atomic::AtomicU64;
//!
//! static NEXT_ID: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::named("next id", 1));
//!
//! let mine = NEXT_ID.fetch_add(1)?; // nobody else gets it
//! # Ok::<(), greenroom::Error>(())
//! ```
//!
//! A value of another type is a [`Cell`](crate::Cell); a number that is only counted is a [`Counter`](crate::Counter).

use std::future::Future;

use greenroom_actors::Error;
pub use greenroom_actors::objects::Exchanged;
use greenroom_actors::objects::{
    AtomicBoolObject, AtomicBoolObjectMessages, AtomicF64Object, AtomicF64ObjectMessages, AtomicI32Object,
    AtomicI32ObjectMessages, AtomicI64Object, AtomicI64ObjectMessages, AtomicIsizeObject, AtomicIsizeObjectMessages,
    AtomicU32Object, AtomicU32ObjectMessages, AtomicU64Object, AtomicU64ObjectMessages, AtomicUsizeObject,
    AtomicUsizeObjectMessages,
};
use greenroom_macros::twins;

use crate::face::face;

/// Declares a face over the object of an atomic, with what atomics of all types have.
macro_rules! atomic {
    ($(#[$doc:meta])* $name:ident, $object:ident, $messages:ident, $value:ident) => {
        face! {
            $(#[$doc])*
            pub struct $name($object);
        }

        impl $name {
            /// The atomic of that key; the first call makes it, with `initial`. Nothing is sent.
            pub fn named(key: impl Into<String>, initial: $value) -> Self {
                Self::of($object::named(key, initial))
            }

            /// The atomic of that key, which another has made. Nothing is sent.
            pub fn existing(key: impl Into<String>) -> Self {
                Self::of($object::existing(key))
            }

            /// The atomic's methods as messages, for a turn's `call`.
            pub fn message(&self) -> $messages {
                self.handle.message()
            }
        }

        #[twins]
        impl $name {
            /// The value.
            ///
            /// # Errors
            /// As every call's.
            pub fn load(&self) -> impl Future<Output = Result<$value, Error>> + Send + use<> {
                self.handle.load_async()
            }

            /// Sets the value.
            ///
            /// # Errors
            /// As every call's.
            pub fn store(&self, value: $value) -> impl Future<Output = Result<(), Error>> + Send + use<> {
                self.handle.store_async(value)
            }

            /// Sets the value and returns the one before.
            ///
            /// # Errors
            /// As every call's.
            pub fn swap(&self, value: $value) -> impl Future<Output = Result<$value, Error>> + Send + use<> {
                self.handle.swap_async(value)
            }

            /// Sets the value to `new` if it is `current`. The inner result is std's: `Ok` with the value before if it was
            /// set, else `Err` with the value that is there.
            ///
            /// # Errors
            /// As every call's.
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
            ) -> impl Future<Output = Result<Exchanged<$value>, Error>> + Send + use<> {
                self.handle.compare_exchange_async(current, new)
            }

            /// Sets the value to what `change` makes of it, until it says `None` or no other caller came between.
            ///
            /// The inner result is std's: `Ok` with the value before if it was set, `Err` with the value if `change` said
            /// `None`. The closure runs here, so this is two round trips, and one more for each time that another caller came
            /// between: where many update one value, the other `fetch_` methods or a method of an object of your own are
            /// faster.
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
    };
}

/// Adds the `fetch_` methods to an atomic, each of which takes a value and returns the one before.
macro_rules! fetch {
    ($name:ident, $value:ident: $($(#[$doc:meta])* $method:ident $twin:ident;)*) => {
        #[twins]
        impl $name {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// As every call's.
            pub fn $method(&self, value: $value) -> impl Future<Output = Result<$value, Error>> + Send + use<> {
                self.handle.$twin(value)
            }
        )*}
    };
}

/// An atomic integer, with all its methods.
macro_rules! integer {
    ($(#[$doc:meta])* $name:ident, $object:ident, $messages:ident, $value:ident) => {
        atomic!($(#[$doc])* $name, $object, $messages, $value);

        fetch! { $name, $value:
            /// Adds, wrapping around at the ends, and returns the value before.
            fetch_add fetch_add_async;
            /// Subtracts, wrapping around at the ends, and returns the value before.
            fetch_sub fetch_sub_async;
            /// Keeps the larger of the value and `value`, and returns the value before.
            fetch_max fetch_max_async;
            /// Keeps the smaller of the value and `value`, and returns the value before.
            fetch_min fetch_min_async;
            /// Bitwise "and" with the value; returns the value before.
            fetch_and fetch_and_async;
            /// Bitwise "or" with the value; returns the value before.
            fetch_or fetch_or_async;
            /// Bitwise "xor" with the value; returns the value before.
            fetch_xor fetch_xor_async;
            /// Bitwise "nand" with the value; returns the value before.
            fetch_nand fetch_nand_async;
        }
    };
}

integer! {
    /// A shared `i32` in the shape of `std::sync::atomic::AtomicI32`.
    ///
    /// What calls cost, and how they differ from std's, is on the page of the [module](self).
    ///
    /// ```no_run
    /// use greenroom::sync::atomic::AtomicI32;
    ///
    /// let lowest = AtomicI32::named("lowest", i32::MAX);
    /// lowest.fetch_min(-7)?;
    /// assert!(lowest.load()? <= -7);
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    AtomicI32, AtomicI32Object, AtomicI32ObjectMessages, i32
}

integer! {
    /// A shared `i64` in the shape of `std::sync::atomic::AtomicI64`.
    ///
    /// What calls cost, and how they differ from std's, is on the page of the [module](self).
    ///
    /// ```no_run
    /// use greenroom::sync::atomic::AtomicI64;
    ///
    /// let balance = AtomicI64::named("balance", 100);
    /// let spent = balance.fetch_update(|left| (left >= 50).then(|| left - 50))?;
    /// assert_eq!(spent, Ok(100));
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    AtomicI64, AtomicI64Object, AtomicI64ObjectMessages, i64
}

integer! {
    /// A shared `isize` in the shape of `std::sync::atomic::AtomicIsize`.
    ///
    /// It is as wide as that of the node, which wraps around: 64 bits. What calls cost, and how they differ from std's, is on the page of the [module](self).
    ///
    /// ```no_run
    /// use greenroom::sync::atomic::AtomicIsize;
    ///
    /// let offset = AtomicIsize::named("offset", 0);
    /// let before = offset.fetch_sub(8)?;
    /// assert!(before <= 0);
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    AtomicIsize, AtomicIsizeObject, AtomicIsizeObjectMessages, isize
}

integer! {
    /// A shared `u32` in the shape of `std::sync::atomic::AtomicU32`.
    ///
    /// What calls cost, and how they differ from std's, is on the page of the [module](self).
    ///
    /// ```no_run
    /// use greenroom::sync::atomic::AtomicU32;
    ///
    /// let flags = AtomicU32::named("flags", 0);
    /// let had_it = flags.fetch_or(0b100)? & 0b100 != 0;
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    AtomicU32, AtomicU32Object, AtomicU32ObjectMessages, u32
}

integer! {
    /// A shared `u64` in the shape of `std::sync::atomic::AtomicU64`.
    ///
    /// What calls cost, and how they differ from std's, is on the page of the [module](self).
    ///
    /// ```no_run
    /// use greenroom::sync::atomic::AtomicU64;
    ///
    /// let next_id = AtomicU64::named("next id", 0);
    /// let mine = next_id.fetch_add(1)?; // nobody else gets it
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    AtomicU64, AtomicU64Object, AtomicU64ObjectMessages, u64
}

integer! {
    /// A shared `usize` in the shape of `std::sync::atomic::AtomicUsize`.
    ///
    /// It is as wide as that of the node, which wraps around: 64 bits. What calls cost, and how they differ from std's, is on the page of the [module](self).
    ///
    /// ```no_run
    /// use greenroom::sync::atomic::AtomicUsize;
    ///
    /// let next = AtomicUsize::named("next part", 0);
    /// let parts = ["a", "b", "c"];
    /// while let Some(part) = parts.get(next.fetch_add(1)?) {
    ///     println!("{part} is mine");
    /// }
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    AtomicUsize, AtomicUsizeObject, AtomicUsizeObjectMessages, usize
}

atomic! {
    /// A shared flag in the shape of `std::sync::atomic::AtomicBool`.
    ///
    /// To wait for a flag without asking again and again, use an [`Event`](super::Event) or a [`Latch`](super::Latch).
    /// What calls cost, and how they differ from std's, is on the page of the [module](self).
    ///
    /// ```no_run
    /// use greenroom::sync::atomic::AtomicBool;
    ///
    /// let claimed = AtomicBool::named("claimed", false);
    /// let is_first = !claimed.swap(true)?;
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    AtomicBool, AtomicBoolObject, AtomicBoolObjectMessages, bool
}

fetch! { AtomicBool, bool:
    /// Logical "and" with the value; returns the value before.
    fetch_and fetch_and_async;
    /// Logical "or" with the value; returns the value before.
    fetch_or fetch_or_async;
    /// Logical "xor" with the value; returns the value before.
    fetch_xor fetch_xor_async;
    /// Logical "nand" with the value; returns the value before.
    fetch_nand fetch_nand_async;
}

#[twins]
impl AtomicBool {
    /// Turns the value around; returns the value before.
    ///
    /// # Errors
    /// As every call's.
    pub fn fetch_not(&self) -> impl Future<Output = Result<bool, Error>> + Send + use<> {
        self.handle.fetch_not_async()
    }
}

atomic! {
    /// A shared `f64` in the shape of std's atomics, which have none for floating-point numbers.
    ///
    /// [`compare_exchange`](Self::compare_exchange) compares bits: a NaN is equal to itself, and 0.0 is not -0.0. `fetch_max` and
    /// `fetch_min` pass over a NaN, as `f64::max` does. Sums are made in the order in which the calls arrive, so their last bits may
    /// differ from run to run. What calls cost, and how they differ from std's, is on the page of the [module](self).
    ///
    /// ```no_run
    /// use greenroom::sync::atomic::AtomicF64;
    ///
    /// let loss = AtomicF64::named("loss", 0.0);
    /// loss.fetch_add(0.25)?;
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    AtomicF64, AtomicF64Object, AtomicF64ObjectMessages, f64
}

fetch! { AtomicF64, f64:
    /// Adds, and returns the value before.
    fetch_add fetch_add_async;
    /// Subtracts, and returns the value before.
    fetch_sub fetch_sub_async;
    /// Keeps the larger of the value and `value`, and returns the value before; what is no number is passed over.
    fetch_max fetch_max_async;
    /// Keeps the smaller of the value and `value`, and returns the value before; what is no number is passed over.
    fetch_min fetch_min_async;
}
