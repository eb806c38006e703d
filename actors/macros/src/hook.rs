//! Hooks: private methods that the core calls by itself.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Error, ImplItemFn, Path, Result, ReturnType};

use crate::method;
use crate::signature::{self, Parameters};

/// The names that make a private method a hook, each with the type of its argument.
pub(crate) const NAMES: [(&str, &str); 3] =
    [("grant_cancelled", "WaiterId"), ("owner_gone", "Owner"), ("waiter_gone", "WaiterId")];
/// The names that make a private method one that says something to people, each with what it returns.
pub(crate) const TELLING: [(&str, &str); 2] = [("holders", "Vec<Holder>"), ("summary", "serde_json::Value")];

/// A private method that the core calls when something happened to a caller.
pub(crate) struct Hook {
    name: Ident,
    parameters: Parameters,
    /// Where a wrong type of what it returns is shown.
    returned: Span,
}

impl Hook {
    pub(crate) fn parse(function: &ImplItemFn, object: &Path) -> Result<Self> {
        let sig = &function.sig;
        method::check_plain(sig)?;
        let returned = match &sig.output {
            ReturnType::Type(_, returned) => returned.span(),
            ReturnType::Default => sig.ident.span(),
        };
        // As the macro's own, so that rustc proposes no change there.
        let returned = returned.resolved_at(Span::mixed_site());
        if let Some((name, returns)) = TELLING.iter().find(|(name, _)| sig.ident == name) {
            let reads =
                sig.receiver().is_some_and(|receiver| receiver.reference.is_some() && receiver.mutability.is_none());
            if !reads || sig.inputs.len() != 1 {
                let message = format!("write it as `fn {name}(&self) -> {returns}`");
                return Err(Error::new_spanned(&sig.ident, message));
            }
            return Ok(Self { name: sig.ident.clone(), parameters: Parameters(Vec::new()), returned });
        }
        let is_write = sig.receiver().map(signature::is_write).transpose()?.unwrap_or(false);
        let parameters = Parameters::parse(&sig.inputs, object)?;
        if !is_write || parameters.arguments().count() != 1 || parameters.waiter().is_some() {
            let argument = NAMES.iter().find(|(name, _)| sig.ident == name).map_or("…", |(_, argument)| argument);
            let message = format!("write it as `fn {}(&mut self, …: {argument}, turn: &mut Turn)`", sig.ident);
            return Err(Error::new_spanned(&sig.ident, message));
        }
        Ok(Self { name: sig.ident.clone(), parameters, returned })
    }

    /// The value of the type's `hooks`.
    pub(crate) fn table(hooks: &[Self], object: &Path) -> TokenStream {
        let fields = NAMES.iter().map(|(name, _)| {
            let field = format_ident!("{name}");
            match hooks.iter().find(|hook| hook.name == name) {
                Some(hook) => {
                    let run = hook.run(object);
                    quote!(#field: ::core::option::Option::Some(#run))
                }
                None => quote!(#field: ::core::option::Option::None),
            }
        });
        let telling = TELLING.iter().map(|(name, _)| {
            let field = format_ident!("{name}");
            match hooks.iter().find(|hook| hook.name == name) {
                Some(hook) => {
                    let method = format_ident!("{name}", span = hook.returned);
                    let ask = quote_spanned!(hook.returned=> |object| object.#method());
                    quote! {
                        #field: ::core::option::Option::Some(|__state| {
                            ::greenroom::expand::#field::<#object>(__state, #ask)
                        })
                    }
                }
                None => quote!(#field: ::core::option::Option::None),
            }
        });
        quote!(::greenroom::expand::Hooks { #(#fields,)* #(#telling,)* })
    }

    fn run(&self, object: &Path) -> TokenStream {
        let (name, argument, turn) = (&self.name, self.parameters.names(), format_ident!("__turn"));
        let passed = self.parameters.passed(&turn, &turn);
        quote! {
            |__state, #argument #turn| {
                ::greenroom::expand::hook::<#object>(__state, |__object| #object::#name(__object, #passed))
            }
        }
    }
}
