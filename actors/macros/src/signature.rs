//! Signatures: which parameters are arguments, which is the turn, which the waiter, and what comes back.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, FnArg, GenericArgument, Pat, Path, PathArguments, Receiver, Result, ReturnType, Token, Type};

use crate::tokens;

/// A value that travels with the call.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    /// As the user wrote it, with the object's path for `Self`.
    pub(crate) ty: TokenStream,
}

/// A parameter of a method.
pub(crate) enum Parameter {
    Argument(Argument),
    Turn(Span),
    /// With the type of the reply.
    Waiter(Span, Type),
}

/// The parameters of a method after the receiver, in their order.
pub(crate) struct Parameters(pub(crate) Vec<Parameter>);

impl Parameters {
    /// The parameters of a continuation after its reply: a waiter among them is a value like any other.
    pub(crate) fn parse_context(inputs: impl Iterator<Item = FnArg>, object: &Path) -> Result<Self> {
        let mut parameters = Vec::new();
        for input in inputs {
            let FnArg::Typed(input) = input else { continue };
            parameters.push(match parameter(&input.pat, &input.ty, object)? {
                Parameter::Waiter(..) => Parameter::Argument(argument(&input.pat, &input.ty, object)?),
                other => other,
            });
        }
        let parameters = Self(parameters);
        parameters.check_single()?;
        Ok(parameters)
    }

    pub(crate) fn parse(inputs: &Punctuated<FnArg, Token![,]>, object: &Path) -> Result<Self> {
        let mut parameters = Vec::new();
        for input in inputs {
            let FnArg::Typed(input) = input else { continue };
            parameters.push(parameter(&input.pat, &input.ty, object)?);
        }
        let parameters = Self(parameters);
        parameters.check_single()?;
        Ok(parameters)
    }

    fn check_single(&self) -> Result<()> {
        let mut turns = self.0.iter().filter_map(|parameter| match parameter {
            Parameter::Turn(span) => Some(*span),
            Parameter::Argument(_) | Parameter::Waiter(..) => None,
        });
        if let Some(span) = turns.nth(1) {
            return Err(Error::new(span, "a method has one turn"));
        }
        match self.waiters().nth(1) {
            Some((span, _)) => Err(Error::new(span, "a call waits once: take one `Waiter`")),
            None => Ok(()),
        }
    }

    fn waiters(&self) -> impl Iterator<Item = (Span, &Type)> {
        self.0.iter().filter_map(|parameter| match parameter {
            Parameter::Waiter(span, ty) => Some((*span, ty)),
            Parameter::Argument(_) | Parameter::Turn(_) => None,
        })
    }

    /// The type of the waiter's reply.
    pub(crate) fn waiter(&self) -> Option<&Type> {
        self.waiters().next().map(|(_, reply)| reply)
    }

    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Argument> {
        self.0.iter().filter_map(|parameter| match parameter {
            Parameter::Argument(argument) => Some(argument),
            Parameter::Turn(_) | Parameter::Waiter(..) => None,
        })
    }

    /// The arguments' types, as a tuple.
    pub(crate) fn tuple_type(&self) -> TokenStream {
        let types = self.arguments().map(|argument| &argument.ty);
        let span = self.arguments().next().map_or_else(Span::call_site, |argument| argument.ty.span());
        quote_spanned!(span=> (#(#types,)*))
    }

    /// The arguments' names, as a tuple: a pattern and an expression.
    pub(crate) fn tuple(&self) -> TokenStream {
        let names = self.names();
        quote!((#names))
    }

    /// The arguments' names, each with a comma.
    pub(crate) fn names(&self) -> TokenStream {
        let names = self.arguments().map(|argument| &argument.name);
        quote!(#(#names,)*)
    }

    /// The arguments as the parameters of a function that sends them.
    pub(crate) fn declarations(&self) -> TokenStream {
        let declarations = self.arguments().map(|Argument { name, ty }| quote_spanned!(name.span()=> #name: #ty));
        quote!(#(#declarations,)*)
    }

    /// What the table hands to the user's method after its object; the turn is `turn`, the waiter is `waiter`.
    pub(crate) fn passed(&self, turn: &Ident, waiter: &Ident) -> TokenStream {
        let passed = self.0.iter().map(|parameter| match parameter {
            Parameter::Argument(argument) => argument.name.to_token_stream(),
            Parameter::Turn(_) => turn.to_token_stream(),
            Parameter::Waiter(..) => waiter.to_token_stream(),
        });
        quote!(#(#passed,)*)
    }
}

fn parameter(pattern: &Pat, ty: &Type, object: &Path) -> Result<Parameter> {
    let ty = bare(ty);
    if let Type::Reference(reference) = ty
        && last_segment(&reference.elem).is_some_and(|last| last == "Turn")
    {
        return Ok(Parameter::Turn(ty.span()));
    }
    match last_segment(ty) {
        Some(last) if last == "Turn" => return Err(Error::new_spanned(ty, "take the turn as `&mut Turn`")),
        Some(last) if last == "Waiter" => {
            let [reply] = generic_types(ty)[..] else {
                return Err(Error::new_spanned(ty, "say what the call waits for: `Waiter<T>`"));
            };
            return Ok(Parameter::Waiter(ty.span(), reply.clone()));
        }
        Some(_) | None => {}
    }
    argument(pattern, ty, object).map(Parameter::Argument)
}

/// A parameter as an argument, which must be a value under a plain name.
fn argument(pattern: &Pat, ty: &Type, object: &Path) -> Result<Argument> {
    check_travels(ty, "arguments travel, so take them by value: `String` for `&str`, `Vec<T>` for `&[T]`")?;
    match pattern {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
            Ok(Argument { name: name.ident.clone(), ty: tokens::without_self(ty, object) })
        }
        pattern => Err(Error::new_spanned(
            pattern,
            "give the argument a plain name, which its handle's method has too; take it apart in the body",
        )),
    }
}

/// Refuses types whose values cannot be sent; `borrowed` is what to say about a reference.
fn check_travels(ty: &Type, borrowed: &str) -> Result<()> {
    let found = tokens::find(ty.to_token_stream(), &|token| match token {
        TokenTree::Punct(punct) => punct.as_char() == '&',
        TokenTree::Ident(ident) => ident == "impl" || ident == "dyn",
        TokenTree::Group(_) | TokenTree::Literal(_) => false,
    });
    match found {
        None => Ok(()),
        Some(TokenTree::Ident(ident)) => {
            let message = format!("`{ident} Trait` cannot be sent: name one concrete type");
            Err(Error::new_spanned(ty, message))
        }
        Some(_) => Err(Error::new_spanned(ty, borrowed)),
    }
}

/// What a method returns.
pub(crate) struct Reply {
    /// As the node encodes it.
    pub(crate) body: TokenStream,
    /// What the caller gets.
    pub(crate) value: TokenStream,
    /// The method's own error, or `Erased`.
    pub(crate) error: TokenStream,
    /// The result of the handle's method.
    pub(crate) result: TokenStream,
}

impl Reply {
    pub(crate) fn of_return(output: &ReturnType, object: &Path) -> Result<Self> {
        match output {
            ReturnType::Default => Self::of_type(&Type::Verbatim(quote!(())), object),
            ReturnType::Type(_, ty) => Self::of_type(ty, object),
        }
    }

    pub(crate) fn of_type(ty: &Type, object: &Path) -> Result<Self> {
        let ty = bare(ty);
        check_travels(ty, "replies travel, so return them by value: `String` for `&str`, `Vec<T>` for `&[T]`")?;
        let body = tokens::without_self(ty, object);
        let (value, error) = match (last_segment(ty), &generic_types(ty)[..]) {
            (Some(last), [value, error]) if last == "Result" => {
                (tokens::without_self(value, object), Some(tokens::without_self(error, object)))
            }
            _ => (body.clone(), None),
        };
        Ok(match error {
            Some(error) => {
                let result = quote_spanned! {ty.span()=>
                    ::core::result::Result<#value, ::greenroom::expand::Error<#error>>
                };
                Self { body, value, error, result }
            }
            None => {
                let result = quote_spanned!(ty.span()=> ::core::result::Result<#value, ::greenroom::expand::Error>);
                Self { body, value, error: quote!(::greenroom::expand::Erased), result }
            }
        })
    }
}

/// Whether the receiver is `&mut self`; only it and `&self` are allowed.
pub(crate) fn is_write(receiver: &Receiver) -> Result<bool> {
    if receiver.reference.is_none() || receiver.colon_token.is_some() {
        return Err(Error::new_spanned(
            receiver,
            "the object stays where it is: take `&self` for a read or `&mut self` for a write",
        ));
    }
    Ok(receiver.mutability.is_some())
}

/// The type without invisible groups and parentheses.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        ty => ty,
    }
}

/// The last name of a path type.
pub(crate) fn last_segment(ty: &Type) -> Option<&Ident> {
    match bare(ty) {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}

/// The types in the angle brackets of a path type's last name.
pub(crate) fn generic_types(ty: &Type) -> Vec<&Type> {
    let Type::Path(path) = bare(ty) else { return Vec::new() };
    let Some(PathArguments::AngleBracketed(arguments)) = path.path.segments.last().map(|segment| &segment.arguments)
    else {
        return Vec::new();
    };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}
