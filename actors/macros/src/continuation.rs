//! Continuations: private `then_…` methods, which receive the replies of nested calls.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, Error, FnArg, ImplItemFn, PatType, Path, Result, ReturnType};

use crate::method;
use crate::signature::{self, Parameters, bare, generic_types, last_segment};
use crate::tokens;

/// A `then_…` method.
pub(crate) struct Continuation {
    name: Ident,
    hidden: Ident,
    docs: Vec<Attribute>,
    /// The reply's value.
    value: TokenStream,
    /// The called method's own error, or `Erased`.
    error: TokenStream,
    /// The reply as the called object encodes it.
    body: TokenStream,
    /// What the user's method takes after the reply: the context and the turn.
    rest: Parameters,
}

impl Continuation {
    /// Parses a `then_…` method and renames it, since a constant takes its name.
    pub(crate) fn take(function: &mut ImplItemFn, object: &Path) -> Result<Self> {
        let sig = &mut function.sig;
        method::check_plain(sig)?;
        let is_write = sig.receiver().map(signature::is_write).transpose()?.unwrap_or(false);
        let mut inputs = sig.inputs.clone().into_iter();
        let (Some(FnArg::Receiver(_)), Some(FnArg::Typed(reply)), true) = (inputs.next(), inputs.next(), is_write)
        else {
            return Err(wrong(&sig.ident));
        };
        let (value, own_error) = reply_types(&reply, object).ok_or_else(|| wrong(&reply.ty))?;
        if let ReturnType::Type(_, ty) = &sig.output {
            return Err(Error::new_spanned(ty, "a `then_…` method returns nothing: no one waits for it"));
        }
        let rest = Parameters::parse_context(inputs, object)?;
        let body = match &own_error {
            Some(error) => quote!(::core::result::Result<#value, #error>),
            None => value.clone(),
        };
        let error = own_error.unwrap_or_else(|| quote!(::greenroom::expand::Erased));
        let name = sig.ident.clone();
        let hidden = format_ident!("__{name}", span = name.span());
        sig.ident = hidden.clone();
        let docs = function.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).cloned().collect();
        Ok(Self { name, hidden, docs, value, error, body, rest })
    }

    /// The constant that `turn.call` takes.
    pub(crate) fn constant(&self, number: u16) -> TokenStream {
        let Self { name, docs, value, error, .. } = self;
        let context = self.rest.tuple_type();
        quote! {
            #(#docs)*
            #[allow(non_upper_case_globals)]
            const #name: ::greenroom::expand::Then<Self, #value, #error, #context> =
                ::greenroom::expand::Then::new(#number);
        }
    }

    /// The entry in the type's table.
    pub(crate) fn entry(&self, object: &Path) -> TokenStream {
        let Self { name, hidden, value, error, body, .. } = self;
        let (text, context, names) = (name.to_string(), self.rest.tuple_type(), self.rest.tuple());
        let turn = format_ident!("__turn");
        let passed = self.rest.passed(&turn, &turn);
        quote! {
            ::greenroom::expand::Continuation {
                name: #text,
                run: |__state, __reply, __context, #turn| {
                    ::greenroom::expand::then::<#object, #value, #error, #context>(
                        __state,
                        __reply,
                        __context,
                        #turn,
                        |__object, __reply, #names, #turn| #object::#hidden(__object, __reply, #passed),
                    )
                },
                arguments: ::greenroom::expand::shape_of::<(#body, #context)>,
            }
        }
    }
}

/// `A` and `E` of a reply `Result<A, Error<E>>`; no `E` for a plain `Error`.
fn reply_types(reply: &PatType, object: &Path) -> Option<(TokenStream, Option<TokenStream>)> {
    let ty = bare(&reply.ty);
    let (Some(last), [value, error]) = (last_segment(ty), &generic_types(ty)[..]) else { return None };
    if last != "Result" || last_segment(error)? != "Error" {
        return None;
    }
    let own_error = generic_types(error).into_iter().find(|own| last_segment(own).is_none_or(|last| last != "Erased"));
    let own_error = own_error.map(|own| tokens::without_self(own, object));
    Some((tokens::without_self(value, object), own_error))
}

fn wrong(place: &impl quote::ToTokens) -> Error {
    let message = "a private method named `then_…` receives the reply of a nested call: \
                   `fn then_…(&mut self, reply: Result<A, Error>, …)`, or `Error<E>` if the called method has an error `E`";
    Error::new_spanned(place, message)
}
