//! `#[main]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Error, ItemFn, Result};

pub(crate) fn expand(attributes: TokenStream, function: ItemFn) -> TokenStream {
    if let Err(error) = check(&attributes, &function) {
        let error = error.into_compile_error();
        // The program still has a `main`, so that the error stands alone.
        return quote!(fn main() { #error });
    }
    let ItemFn { attrs, sig, block, .. } = function;
    let (asyncness, output) = (sig.asyncness, sig.output);
    // Another's attribute, such as `#[tokio::main]`, makes a plain function of an async one.
    let is_async = asyncness.is_some() && !attrs.iter().any(starts_a_runtime);
    let run = if is_async { quote!(run_async) } else { quote!(run) };
    quote! {
        fn main() -> ::std::process::ExitCode {
            #(#attrs)*
            #asyncness fn __greenroom_main() #output #block
            ::greenroom::#run(__greenroom_main)
        }
    }
}

fn starts_a_runtime(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == "main")
}

fn check(attributes: &TokenStream, function: &ItemFn) -> Result<()> {
    let sig = &function.sig;
    if !attributes.is_empty() {
        return Err(Error::new_spanned(attributes, "`#[greenroom::main]` takes no settings"));
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

    #[test]
    fn an_async_body_runs_on_a_runtime_made_for_it_or_by_the_attribute_below() {
        let function = syn::parse_quote!(
            async fn main() {
                work().await
            }
        );
        let expected = quote! {
            fn main() -> ::std::process::ExitCode {
                async fn __greenroom_main() {
                    work().await
                }
                ::greenroom::run_async(__greenroom_main)
            }
        };
        assert_eq!(expand(TokenStream::new(), function).to_string(), expected.to_string());
        let function = syn::parse_quote!(
            #[tokio::main(flavor = "current_thread")]
            async fn main() {
                work().await
            }
        );
        let expected = quote! {
            fn main() -> ::std::process::ExitCode {
                #[tokio::main(flavor = "current_thread")]
                async fn __greenroom_main() {
                    work().await
                }
                ::greenroom::run(__greenroom_main)
            }
        };
        assert_eq!(expand(TokenStream::new(), function).to_string(), expected.to_string());
    }
}
