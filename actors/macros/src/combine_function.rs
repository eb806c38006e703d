//! `#[combine]`: a function that makes one value of two, registered by its name.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, FnArg, ItemFn, Result, ReturnType, Type};

pub(crate) fn expand(attributes: TokenStream, function: ItemFn) -> TokenStream {
    match registration(&attributes, &function) {
        Ok(registration) => quote!(#function #registration),
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#function #error)
        }
    }
}

fn registration(attributes: &TokenStream, function: &ItemFn) -> Result<TokenStream> {
    let sig = &function.sig;
    if !attributes.is_empty() {
        return Err(Error::new_spanned(attributes, "`#[combine]` takes no settings"));
    }
    let shape = || {
        let message = format!("write it as `fn {}(there: &mut T, comes: T)`, for one concrete `T`", sig.ident);
        Error::new_spanned(sig, message)
    };
    let plain = sig.asyncness.is_none() && sig.unsafety.is_none() && sig.generics.params.is_empty();
    if !plain || !matches!(sig.output, ReturnType::Default) {
        return Err(shape());
    }
    let inputs: Vec<_> = sig.inputs.iter().collect();
    let [FnArg::Typed(there), FnArg::Typed(comes)] = inputs[..] else { return Err(shape()) };
    let (Type::Reference(reference), value) = (&*there.ty, &*comes.ty) else { return Err(shape()) };
    if reference.mutability.is_none() || *reference.elem != *value {
        return Err(shape());
    }
    let (name, visibility) = (&sig.ident, &function.vis);
    let text = name.to_string();
    let doc = format!("[`{name}()`](fn@{name}) as a combine function: `{name}::combine()`.");
    Ok(quote! {
        #[doc = #doc]
        #[allow(non_camel_case_types, clippy::all, clippy::pedantic)]
        #[derive(::core::fmt::Debug)]
        #visibility struct #name {}

        #[allow(dead_code, unreachable_pub, clippy::all, clippy::pedantic)]
        impl #name {
            const __NAME: &'static str = ::core::concat!(::core::module_path!(), "::", #text);

            /// The function, to be called beside the data.
            pub const fn combine() -> ::greenroom::expand::Combine<#value> {
                ::greenroom::expand::Combine::of_name(Self::__NAME)
            }
        }

        ::greenroom::expand::inventory::submit! {
            ::greenroom::expand::Combiner {
                name: #name::__NAME,
                run: |there, comes| ::greenroom::expand::combine::<#value>(there, comes, #name),
                typed: &(#name as fn(&mut #value, #value)),
            }
        }
    })
}
