//! `#[object]` on a type: its name, and the structs for its handle and its messages.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::{Error, Fields, Generics, ItemEnum, ItemStruct, LitStr, Result, Visibility};

use crate::errors::Errors;
use crate::tokens;

/// The longest name of a type, in bytes; the runtime has the same limit.
const NAME_BYTES_MAX: usize = 128;

/// A type, with what the macro looks at.
pub(crate) struct Declaration {
    item: TokenStream,
    visibility: Visibility,
    name: Ident,
    generics: Generics,
    fields: Vec<Fields>,
}

impl From<ItemStruct> for Declaration {
    fn from(item: ItemStruct) -> Self {
        Self {
            item: item.to_token_stream(),
            visibility: item.vis,
            name: item.ident,
            generics: item.generics,
            fields: vec![item.fields],
        }
    }
}

impl From<ItemEnum> for Declaration {
    fn from(item: ItemEnum) -> Self {
        Self {
            item: item.to_token_stream(),
            visibility: item.vis,
            name: item.ident,
            generics: item.generics,
            fields: item.variants.into_iter().map(|variant| variant.fields).collect(),
        }
    }
}

pub(crate) fn expand(attributes: TokenStream, declaration: Declaration) -> TokenStream {
    let Declaration { item, visibility, name, generics, fields } = declaration;
    let mut errors = Errors::default();
    if !generics.params.is_empty() {
        let message = "an object type is not generic: each type has one name and one shape in the cluster";
        let error = Error::new_spanned(generics, message).into_compile_error();
        return quote!(#item #error);
    }
    for field in fields.iter().flatten() {
        errors.keep(check_order(field.ty.to_token_stream()));
    }
    let registered = errors.keep(registered_name(attributes)).flatten();
    let registered = registered.unwrap_or_else(|| LitStr::new(&name.unraw().to_string(), name.span()));
    errors.keep(check_name(&registered));
    let handle = handle(&visibility, &name);
    let messages = messages(&visibility, &name);
    let errors = errors.into_tokens();
    quote! {
        #item
        impl #name {
            /// The name under which the type is registered.
            #[doc(hidden)]
            pub const __GREENROOM_NAME: &'static str = #registered;
        }
        #handle
        #messages
        #errors
    }
}

fn check_order(ty: TokenStream) -> Result<()> {
    let unordered =
        |token: &TokenTree| matches!(token, TokenTree::Ident(ident) if ident == "HashMap" || ident == "HashSet");
    let Some(TokenTree::Ident(found)) = tokens::find(ty, &unordered) else { return Ok(()) };
    let ordered = if found == "HashMap" { "BTreeMap" } else { "BTreeSet" };
    let message = format!("iteration order of a {found} differs between replicas: use {ordered}");
    Err(Error::new(found.span(), message))
}

fn registered_name(attributes: TokenStream) -> Result<Option<LitStr>> {
    let mut name = None;
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("name") {
            name = Some(meta.value()?.parse::<LitStr>()?);
            Ok(())
        } else {
            Err(meta.error("`#[object]` knows only `name = \"…\"`"))
        }
    });
    parser.parse2(attributes)?;
    Ok(name)
}

fn check_name(name: &LitStr) -> Result<()> {
    let text = name.value();
    if text.is_empty() {
        return Err(Error::new_spanned(name, "the name is empty"));
    }
    if text.contains('/') {
        return Err(Error::new_spanned(name, "the name contains `/`, which parts a type from a key"));
    }
    if text.len() > NAME_BYTES_MAX {
        let message = format!("the name has {} bytes, and at most {NAME_BYTES_MAX} are allowed", text.len());
        return Err(Error::new_spanned(name, message));
    }
    Ok(())
}

fn handle(visibility: &Visibility, name: &Ident) -> TokenStream {
    let handle = format_ident!("{name}Handle");
    let messages = format_ident!("{name}Messages");
    let doc = format!("A reference to an object of type `{name}`, wherever it lives. Cloning it is cheap.");
    let wire = handle_serde(name, &handle);
    quote! {
        #[doc = #doc]
        #[derive(::core::clone::Clone)]
        #visibility struct #handle {
            raw: ::greenroom::expand::RawHandle,
        }

        #[allow(dead_code, unreachable_pub)]
        impl #handle {
            #[doc(hidden)]
            pub const fn __of(raw: ::greenroom::expand::RawHandle) -> Self {
                Self { raw }
            }

            /// The untyped handle: the object's name, and what every object can be asked.
            pub fn object(&self) -> &::greenroom::expand::RawHandle {
                &self.raw
            }

            /// The same object; each call waits at most `timeout`.
            #[must_use]
            pub fn with_timeout(&self, timeout: ::core::time::Duration) -> Self {
                Self::__of(::core::clone::Clone::clone(&self.raw).with_timeout(timeout))
            }

            /// The same object, with one copy: its state goes with its node, and calls end with `ObjectLost` then.
            #[must_use]
            pub fn ephemeral(&self) -> Self {
                Self::__of(::core::clone::Clone::clone(&self.raw).ephemeral())
            }

            /// The same object, with that many copies at least: where the cluster keeps fewer, calls are refused.
            #[must_use]
            pub fn replicated(&self, copies: u8) -> Self {
                Self::__of(::core::clone::Clone::clone(&self.raw).replicated(copies))
            }

            /// The same object, reached through `caller`.
            #[must_use]
            pub fn through(&self, caller: ::std::sync::Arc<dyn ::greenroom::expand::Caller>) -> Self {
                Self::__of(::core::clone::Clone::clone(&self.raw).through(caller))
            }

            /// The object's methods as messages, for a turn's `call`.
            pub fn message(&self) -> #messages {
                #messages { raw: ::core::clone::Clone::clone(&self.raw) }
            }
        }

        const _: () = { #wire };
    }
}

/// What a handle needs to be kept in an object's state and to travel as an argument.
fn handle_serde(name: &Ident, handle: &Ident) -> TokenStream {
    quote! {
        impl ::greenroom::expand::ObjectHandle for #handle {
            fn from_raw(raw: ::greenroom::expand::RawHandle) -> Self {
                Self::__of(raw)
            }

            fn raw(&self) -> &::greenroom::expand::RawHandle {
                &self.raw
            }
        }

        impl ::core::fmt::Debug for #handle {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(&self.raw, f)
            }
        }

        impl ::greenroom::expand::serde::Serialize for #handle {
            fn serialize<S: ::greenroom::expand::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                self.raw.serialize(serializer)
            }
        }

        impl<'de> ::greenroom::expand::serde::Deserialize<'de> for #handle {
            fn deserialize<D: ::greenroom::expand::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                let object_type = <#name as ::greenroom::expand::Object>::TYPE;
                ::greenroom::expand::RawHandle::deserialize(object_type, deserializer).map(Self::__of)
            }
        }
    }
}

fn messages(visibility: &Visibility, name: &Ident) -> TokenStream {
    let messages = format_ident!("{name}Messages");
    let doc = format!("Calls of an object of type `{name}` that have not been made, for a turn's `call`.");
    quote! {
        #[doc = #doc]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #visibility struct #messages {
            raw: ::greenroom::expand::RawHandle,
        }

        impl #messages {
            #[doc(hidden)]
            #[allow(dead_code, unreachable_pub)]
            pub fn __raw(&self) -> &::greenroom::expand::RawHandle {
                &self.raw
            }
        }
    }
}
