//! `#[main]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, Result};

pub(crate) fn expand(attributes: TokenStream, function: ItemFn) -> TokenStream {
    if let Err(error) = check(&attributes, &function) {
        let error = error.into_compile_error();
        // The program still has a `main`, so that the error stands alone.
        return quote!(fn main() { #error });
    }
    let ItemFn { attrs, sig, block, .. } = function;
    let output = sig.output;
    quote! {
        fn main() -> ::std::process::ExitCode {
            #(#attrs)*
            fn __greenroom_main() #output #block
            ::greenroom::run(__greenroom_main)
        }
    }
}

fn check(attributes: &TokenStream, function: &ItemFn) -> Result<()> {
    let sig = &function.sig;
    if !attributes.is_empty() {
        return Err(Error::new_spanned(attributes, "`#[greenroom::main]` takes no settings"));
    }
    if let Some(token) = &sig.asyncness {
        return Err(Error::new_spanned(token, "`main` is not async: start a runtime in it if you need one"));
    }
    if sig.ident != "main" {
        return Err(Error::new_spanned(&sig.ident, "`#[greenroom::main]` goes on `fn main`"));
    }
    if !sig.inputs.is_empty() {
        return Err(Error::new_spanned(&sig.inputs, "`main` takes no arguments: read them from `std::env::args`"));
    }
    if !sig.generics.params.is_empty() {
        return Err(Error::new_spanned(&sig.generics, "`main` is not generic"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_handed_to_the_runtime() {
        let function = syn::parse_quote!(
            fn main() -> Result<(), Failure> {
                work()
            }
        );
        let expected = quote! {
            fn main() -> ::std::process::ExitCode {
                fn __greenroom_main() -> Result<(), Failure> {
                    work()
                }
                ::greenroom::run(__greenroom_main)
            }
        };
        assert_eq!(expand(TokenStream::new(), function).to_string(), expected.to_string());
    }
}
