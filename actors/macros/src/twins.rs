//! `#[twins]`: each async method of a typed handle, with a twin that blocks.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{
    AssocType, Attribute, Error, FnArg, GenericArgument, ImplItem, ImplItemFn, ItemImpl, Pat, PathArguments, Result,
    ReturnType, Type, TypeParamBound, Visibility,
};

use crate::errors::Errors;

pub(crate) fn expand(mut item: ItemImpl) -> TokenStream {
    let mut errors = Errors::default();
    let mut items = Vec::new();
    for member in std::mem::take(&mut item.items) {
        match member {
            ImplItem::Fn(function) if is_twin(&function) => match errors.keep(blocking(&function)) {
                Some(twin) => items.extend([ImplItem::Verbatim(twin), ImplItem::Fn(renamed(function))]),
                None => items.push(ImplItem::Fn(function)),
            },
            other => items.push(other),
        }
    }
    item.items = items;
    let errors = errors.into_tokens();
    quote!(#item #errors)
}

fn is_twin(function: &ImplItemFn) -> bool {
    let is_public = matches!(function.vis, Visibility::Public(_));
    is_public && (function.sig.asyncness.is_some() || future_output(&function.sig.output).is_some())
}

/// What the future comes to that a function returns which is not `async` but says `impl Future<Output = …>`.
fn future_output(output: &ReturnType) -> Option<&Type> {
    let ReturnType::Type(_, returned) = output else { return None };
    let Type::ImplTrait(returned) = &**returned else { return None };
    let futures = returned.bounds.iter().filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().filter(|last| last.ident == "Future"),
        _ => None,
    });
    let arguments = futures.filter_map(|future| match &future.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    });
    arguments.flatten().find_map(|argument| match argument {
        GenericArgument::AssocType(AssocType { ident, ty, .. }) if ident == "Output" => Some(ty),
        _ => None,
    })
}

fn is_doc(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc")
}

fn async_name(name: &Ident) -> Ident {
    format_ident!("{name}_async", span = name.span())
}

/// The async method under the name `…_async`.
fn renamed(mut function: ImplItemFn) -> ImplItemFn {
    let name = function.sig.ident.clone();
    let line = format!("The twin of [`{name}`](Self::{name}) for async code.");
    function.attrs.push(syn::parse_quote!(#[doc = ""]));
    function.attrs.push(syn::parse_quote!(#[doc = #line]));
    function.sig.ident = async_name(&name);
    function
}

/// The method that blocks: it waits for its async twin.
fn blocking(function: &ImplItemFn) -> Result<TokenStream> {
    let name = &function.sig.ident;
    if function.sig.receiver().is_none() {
        return Err(Error::new_spanned(name, "a twin is a method: it waits through its own object"));
    }
    let twin = async_name(name);
    let mut arguments = Vec::new();
    for input in &function.sig.inputs {
        let FnArg::Typed(input) = input else { continue };
        match &*input.pat {
            Pat::Ident(pattern) => arguments.push(pattern.ident.clone()),
            pattern => return Err(Error::new_spanned(pattern, "give the argument a plain name")),
        }
    }
    let (docs, others): (Vec<_>, Vec<_>) = function.attrs.iter().partition(|attribute| is_doc(attribute));
    let line = format!("Blocks until it is done; [`{twin}`](Self::{twin}) does not.");
    let mut signature = function.sig.clone();
    signature.asyncness = None;
    if let Some(output) = future_output(&function.sig.output) {
        signature.output = syn::parse_quote!(-> #output);
    }
    for input in &mut signature.inputs {
        match input {
            FnArg::Receiver(receiver) if receiver.reference.is_none() => receiver.mutability = None,
            FnArg::Typed(input) => {
                if let Pat::Ident(pattern) = &mut *input.pat {
                    pattern.mutability = None;
                }
            }
            FnArg::Receiver(_) => {}
        }
    }
    Ok(quote! {
        #(#docs)*
        #[doc = ""]
        #[doc = #line]
        #(#others)*
        pub #signature {
            let raw = ::core::clone::Clone::clone(self.object());
            raw.wait(self.#twin(#(#arguments),*))
        }
    })
}
