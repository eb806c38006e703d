//! Typed faces: what a user's `List<T>` is over the handle of an object that holds opaque bytes.

/// Declares typed handles over the handles of objects: each gets what every handle has.
///
/// `face! { /// Docs. pub struct List<T>(ListObject); }` declares a struct with a field `handle`, and
/// `of`, `object`, `through`, `with_timeout`, `ephemeral`, `replicated`, `ObjectHandle`, `Clone`, `Debug` and the serde traits.
macro_rules! face {
    ($($(#[$doc:meta])* pub struct $name:ident $(<$($value:ident),+>)? ($object:ident);)*) => {$(
        $(#[$doc])*
        pub struct $name $(<$($value),+>)? {
            handle: ::greenroom_actors::Handle<$object>,
            value: ::std::marker::PhantomData<fn() -> ($($($value,)+)?)>,
        }

        impl $(<$($value),+>)? $name $(<$($value),+>)? {
            /// The typed side of an object.
            const fn of(handle: ::greenroom_actors::Handle<$object>) -> Self {
                Self { handle, value: ::std::marker::PhantomData }
            }

            /// The untyped handle: the object's name, and what every object can be asked.
            pub fn object(&self) -> &::greenroom_actors::RawHandle {
                ::greenroom_actors::ObjectHandle::raw(&self.handle)
            }

            /// The same object, reached through `caller`, such as a [`Client`](crate::Client).
            #[must_use]
            pub fn through(&self, caller: ::std::sync::Arc<dyn ::greenroom_actors::Caller>) -> Self {
                Self::of(self.handle.through(caller))
            }

            /// The same object; each call takes at most `timeout`, also one that waits in the object.
            ///
            /// A call that may wait there is always asked once whether it has to: with a timeout of zero it brings what is
            /// ready, and waits for nothing. To reach the object it may take up to two seconds more.
            #[must_use]
            pub fn with_timeout(&self, timeout: ::std::time::Duration) -> Self {
                Self::of(self.handle.with_timeout(timeout))
            }

            /// The same object, with one copy: its calls cost no other node anything, and what it holds goes with its node.
            ///
            /// Then, and when it moves to another node, its calls end with [`Error::ObjectLost`](crate::Error::ObjectLost)
            /// until it is made anew: see [`RawHandle::ephemeral`](crate::RawHandle::ephemeral).
            #[must_use]
            pub fn ephemeral(&self) -> Self {
                Self::of(self.handle.ephemeral())
            }

            /// The same object, with that many copies at least: where the cluster keeps fewer, calls are refused: see
            /// [`RawHandle::replicated`](crate::RawHandle::replicated).
            #[must_use]
            pub fn replicated(&self, copies: u8) -> Self {
                Self::of(self.handle.replicated(copies))
            }
        }

        impl $(<$($value: 'static),+>)? ::greenroom_actors::ObjectHandle for $name $(<$($value),+>)? {
            fn from_raw(raw: ::greenroom_actors::RawHandle) -> Self {
                Self::of(::greenroom_actors::ObjectHandle::from_raw(raw))
            }

            fn raw(&self) -> &::greenroom_actors::RawHandle {
                self.object()
            }
        }

        impl $(<$($value),+>)? Clone for $name $(<$($value),+>)? {
            fn clone(&self) -> Self {
                Self::of(self.handle.clone())
            }
        }

        impl $(<$($value),+>)? ::std::fmt::Debug for $name $(<$($value),+>)? {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.object().fmt(f)
            }
        }

        impl $(<$($value),+>)? ::serde::Serialize for $name $(<$($value),+>)? {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.handle.serialize(serializer)
            }
        }

        impl<'de $($(, $value)+)?> ::serde::Deserialize<'de> for $name $(<$($value),+>)? {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                ::serde::Deserialize::deserialize(deserializer).map(Self::of)
            }
        }
    )*};
}

pub(crate) use face;
