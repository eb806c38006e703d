//! Methods that clients call, and their entries in the type's table.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ImplItemFn, Path, Receiver, Result, ReturnType, Signature};

use crate::guard::Guard;
use crate::signature::{self, Parameters, Reply};

/// A `pub fn` of the object.
pub(crate) struct Method {
    pub(crate) name: Ident,
    /// The user's documentation, and whether the method is deprecated.
    pub(crate) shown: Vec<Attribute>,
    pub(crate) parameters: Parameters,
    pub(crate) reply: Reply,
    pub(crate) guard: Option<Guard>,
    write: bool,
}

impl Method {
    pub(crate) fn parse(function: &ImplItemFn, condition: Option<Expr>, object: &Path) -> Result<Self> {
        let sig = &function.sig;
        check_plain(sig)?;
        if let Some(attribute) = function.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
            let message = "a method is numbered by its place, so it cannot be conditional: make the whole `impl` so";
            return Err(Error::new_spanned(attribute, message));
        }
        let Some(receiver) = sig.receiver() else {
            return Err(Error::new_spanned(sig, "a method takes `&self` or `&mut self`"));
        };
        let write = signature::is_write(receiver)?;
        let parameters = Parameters::parse(&sig.inputs, object)?;
        let reply = match parameters.waiter() {
            None => Reply::of_return(&sig.output, object)?,
            Some(ty) => {
                check_parking(sig, receiver, condition.as_ref())?;
                Reply::of_type(ty, object)?
            }
        };
        let guard = condition.map(|condition| Guard::new(condition, receiver, &sig.ident));
        let shown = function
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("doc") || attribute.path().is_ident("deprecated"));
        Ok(Self { name: sig.ident.clone(), shown: shown.cloned().collect(), parameters, reply, guard, write })
    }

    /// The method's entry in its type's table.
    pub(crate) fn entry(&self, object: &Path) -> TokenStream {
        let text = self.name.unraw().to_string();
        let parks = self.parameters.waiter().is_some() || self.guard.is_some();
        let guard = match &self.guard {
            Some(guard) => {
                let guard = guard.entry(&self.parameters, object);
                quote!(::core::option::Option::Some(#guard))
            }
            None => quote!(::core::option::Option::None),
        };
        let run = self.run(object);
        let (arguments, reply) = (self.parameters.tuple_type(), &self.reply.body);
        quote! {
            ::greenroom::expand::Method {
                name: #text,
                parks: #parks,
                guard: #guard,
                run: #run,
                arguments: ::greenroom::expand::shape_of::<#arguments>,
                reply: ::greenroom::expand::shape_of::<#reply>,
                arguments_from_json: ::greenroom::expand::from_json::<#arguments>,
                reply_to_json: ::greenroom::expand::to_json::<#reply>,
            }
        }
    }

    /// Names each type that travels at its own place, so that rustc complains there if it cannot.
    pub(crate) fn check_travelling(&self) -> TokenStream {
        let arguments = self.parameters.arguments().map(|argument| &argument.ty);
        let types = arguments.chain([&self.reply.body]);
        types.map(|ty| quote_spanned!(ty.span()=> ::greenroom::expand::travels::<#ty>();)).collect()
    }

    fn run(&self, object: &Path) -> TokenStream {
        let (types, names, reply) = (self.parameters.tuple_type(), self.parameters.tuple(), &self.reply.body);
        let name = &self.name;
        let (turn, waiter) = (format_ident!("__turn"), format_ident!("__waiter"));
        let passed = self.parameters.passed(&turn, &waiter);
        let (kind, run, waiter) = match (self.parameters.waiter(), self.write) {
            (Some(_), _) => (quote!(Write), quote!(park), quote!(#waiter,)),
            (None, true) => (quote!(Write), quote!(write), TokenStream::new()),
            (None, false) => (quote!(Read), quote!(read), TokenStream::new()),
        };
        quote! {
            ::greenroom::expand::Run::#kind(|__state, __encoded, #turn| {
                ::greenroom::expand::#run::<#object, #types, #reply>(
                    __state,
                    __encoded,
                    #turn,
                    |__object, #names, #waiter #turn| #object::#name(__object, #passed),
                )
            })
        }
    }
}

/// Refuses what cannot be called from afar.
pub(crate) fn check_plain(sig: &Signature) -> Result<()> {
    if let Some(token) = &sig.asyncness {
        let message = "a method is not async: it runs in one turn; to call another object use `turn.call(…)`";
        return Err(Error::new_spanned(token, message));
    }
    if let Some(token) = &sig.unsafety {
        return Err(Error::new_spanned(token, "a method that clients call is not unsafe"));
    }
    if !sig.generics.params.is_empty() {
        let message = "a method that clients call is not generic: its arguments and reply have one shape";
        return Err(Error::new_spanned(&sig.generics, message));
    }
    Ok(())
}

fn check_parking(sig: &Signature, receiver: &Receiver, condition: Option<&Expr>) -> Result<()> {
    if receiver.mutability.is_none() {
        let message = "a method that takes a `Waiter` changes the object: take `&mut self`";
        return Err(Error::new_spanned(receiver, message));
    }
    if let ReturnType::Type(_, ty) = &sig.output {
        let message =
            "a method that takes a `Waiter<T>` returns nothing: the caller gets what `waiter.reply(…)` is given";
        return Err(Error::new_spanned(ty, message));
    }
    match condition {
        Some(condition) => {
            let message = "a method with a `Waiter` parks its calls itself: use either the waiter or `#[when(…)]`";
            Err(Error::new_spanned(condition, message))
        }
        None => Ok(()),
    }
}
