//! `#[when(…)]`: the condition that a call waits for.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Error, Expr, ImplItemFn, Path, Receiver, Result, Token};

use crate::signature::Parameters;
use crate::tokens;

/// The condition of a method.
pub(crate) struct Guard {
    condition: Expr,
    /// The user's own token, so that `self` in the condition resolves to it.
    this: Token![self],
    function: Ident,
}

/// Removes the `#[when(…)]` of a function and returns its condition.
pub(crate) fn take(function: &mut ImplItemFn) -> Result<Option<Expr>> {
    let mut conditions = Vec::new();
    function.attrs.retain(|attribute| {
        let is_when = attribute.path().is_ident("when");
        if is_when {
            conditions.push(attribute.clone());
        }
        !is_when
    });
    match &conditions[..] {
        [] => Ok(None),
        [one] => one.parse_args().map(Some),
        [_, second, ..] => Err(Error::new_spanned(second, "a method has one condition: join them with `&&`")),
    }
}

impl Guard {
    pub(crate) fn new(condition: Expr, receiver: &Receiver, method: &Ident) -> Self {
        Self { condition, this: receiver.self_token, function: format_ident!("__when_{}", method.unraw()) }
    }

    /// The condition as a function beside the user's methods.
    pub(crate) fn definition(&self, parameters: &Parameters) -> TokenStream {
        let Self { condition, this, function } = self;
        let declarations = self.is_about_arguments(parameters).then(|| parameters.declarations());
        quote! {
            #[allow(unused_variables)]
            fn #function(&#this, #declarations) -> bool {
                #condition
            }
        }
    }

    /// The condition as an entry of the method table.
    pub(crate) fn entry(&self, parameters: &Parameters, object: &Path) -> TokenStream {
        let function = &self.function;
        if self.is_about_arguments(parameters) {
            let (types, names, passed) = (parameters.tuple_type(), parameters.tuple(), parameters.names());
            quote! {
                |__state, __encoded| ::greenroom::expand::guard_with::<#object, #types>(
                    __state,
                    __encoded,
                    |__object, #names| #object::#function(__object, #passed),
                )
            }
        } else {
            quote!(|__state, _| ::greenroom::expand::guard::<#object>(__state, #object::#function))
        }
    }

    fn is_about_arguments(&self, parameters: &Parameters) -> bool {
        let names = parameters.arguments().map(|argument| &argument.name).collect::<Vec<_>>();
        tokens::mention(self.condition.to_token_stream(), &names)
    }
}
