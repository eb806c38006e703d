//! The methods of handles, and of the messages that turns send.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};

use crate::method::Method;

/// The methods of the handle: for each of the object's one that blocks and one that is async.
pub(crate) fn of_handle(methods: &[(u16, Method)]) -> TokenStream {
    let calls = methods.iter().map(|(number, method)| {
        let Method { name, shown, parameters, reply, .. } = method;
        let twin = format_ident!("{name}_async", span = name.span());
        let blocking = format!("Blocks until the reply is there; [`{twin}`](Self::{twin}) does not.");
        let lazy = format!("The twin of [`{name}`](Self::{name}) for async code. The call is made at the first poll.");
        let (declarations, arguments) = (parameters.declarations(), parameters.tuple());
        let (value, error, result) = (&reply.value, &reply.error, &reply.result);
        let separator = separator(shown);
        let call = quote_spanned!(name.span()=> call::<_, #value, #error>(#number, &#arguments));
        let call_async = quote_spanned!(name.span()=> call_async::<_, #value, #error>(#number, &#arguments));
        let future = quote_spanned! {name.span()=>
            impl ::core::future::Future<Output = #result> + ::core::marker::Send + use<>
        };
        quote! {
            #(#shown)*
            #separator
            #[doc = #blocking]
            pub fn #name(&self, #declarations) -> #result {
                self.object().#call
            }

            #(#shown)*
            #separator
            #[doc = #lazy]
            pub fn #twin(&self, #declarations) -> #future {
                self.object().#call_async
            }
        }
    });
    quote!(#(#calls)*)
}

/// The methods of the type's messages.
pub(crate) fn of_messages(methods: &[(u16, Method)]) -> TokenStream {
    let messages = methods.iter().map(|(number, method)| {
        let Method { name, shown, parameters, reply, .. } = method;
        let (declarations, arguments) = (parameters.declarations(), parameters.tuple());
        let (value, error) = (&reply.value, &reply.error);
        let separator = separator(shown);
        let message = quote_spanned!(name.span()=> message::<_, #value, #error>(#number, &#arguments));
        quote! {
            #(#shown)*
            #separator
            /// The call, to be made by a turn.
            pub fn #name(&self, #declarations) -> ::greenroom::expand::Message<#value, #error> {
                self.__raw().#message
            }
        }
    });
    quote!(#(#messages)*)
}

/// An empty line of documentation, if there is something before it.
fn separator(shown: &[syn::Attribute]) -> Option<TokenStream> {
    shown.iter().any(|attribute| attribute.path().is_ident("doc")).then(|| quote!(#[doc = ""]))
}
