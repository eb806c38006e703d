//! `#[object]` on a type's `impl`: its method table, and the methods of its handle.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Error, ImplItem, ImplItemFn, ItemImpl, Path, Result, Type, Visibility};

use crate::constructor::Constructor;
use crate::continuation::Continuation;
use crate::errors::Errors;
use crate::hook::{self, Hook};
use crate::method::Method;
use crate::{guard, message};

/// Names of the handle's own methods.
const RESERVED: [&str; 6] = ["object", "with_timeout", "through", "message", "ephemeral", "replicated"];
/// Names of the functions that return handles.
const NAMING: [&str; 3] = ["named", "shared", "existing"];

pub(crate) fn expand(attributes: TokenStream, mut item: ItemImpl) -> TokenStream {
    let object = match object_path(&attributes, &item) {
        Ok(object) => object,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#item #error);
        }
    };
    let mut errors = Errors::default();
    let parts = Parts::take(&mut item, &object, &mut errors);
    let inherent = parts.inherent(&object);
    let table = parts.table(&object);
    let errors = errors.into_tokens();
    quote!(#item #inherent #table #errors)
}

/// The path of the type whose `impl` this is.
fn object_path(attributes: &TokenStream, item: &ItemImpl) -> Result<Path> {
    if !attributes.is_empty() {
        return Err(Error::new_spanned(attributes, "settings go on the struct's `#[object(…)]`"));
    }
    if let Some((_, implemented, _)) = &item.trait_ {
        let message = "`#[object]` goes on the type's own `impl`: the methods of a trait are not messages";
        return Err(Error::new_spanned(implemented, message));
    }
    if !item.generics.params.is_empty() {
        let message = "an object type is not generic: each type has one name and one shape in the cluster";
        return Err(Error::new_spanned(&item.generics, message));
    }
    match &*item.self_ty {
        Type::Path(ty) if ty.qself.is_none() => Ok(ty.path.clone()),
        ty => Err(Error::new_spanned(ty, "`#[object]` goes on the `impl` of a struct or an enum")),
    }
}

/// The path of a type that `#[object]` made beside the object.
fn beside(object: &Path, suffix: &str) -> Path {
    let mut path = object.clone();
    if let Some(last) = path.segments.last_mut() {
        last.ident = format_ident!("{}{suffix}", last.ident);
    }
    path
}

/// What the functions of the `impl` are to the cluster.
struct Parts {
    /// With their numbers.
    methods: Vec<(u16, Method)>,
    /// With their numbers.
    continuations: Vec<(u16, Continuation)>,
    hooks: Vec<Hook>,
    constructor: Constructor,
}

impl Parts {
    /// Sorts the functions of `item`, and changes those which rustc should see otherwise than written.
    fn take(item: &mut ItemImpl, object: &Path, errors: &mut Errors) -> Self {
        let mut parts = Self {
            methods: Vec::new(),
            continuations: Vec::new(),
            hooks: Vec::new(),
            constructor: Constructor::Default,
        };
        for item in &mut item.items {
            if let ImplItem::Fn(function) = item {
                errors.keep(parts.take_function(function, object));
            }
        }
        parts.check_twins(errors);
        parts
    }

    fn take_function(&mut self, function: &mut ImplItemFn, object: &Path) -> Result<()> {
        let condition = guard::take(function)?;
        let name = function.sig.ident.unraw();
        let public = matches!(function.vis, Visibility::Public(_));
        let has_receiver = function.sig.receiver().is_some();
        check_reserved(&function.sig.ident, public && has_receiver)?;
        if public {
            // `pub` says that clients call it, even of a type that no other crate sees.
            function.attrs.push(syn::parse_quote!(#[allow(unreachable_pub)]));
        }
        if public && has_receiver {
            let method = Method::parse(function, condition, object)?;
            self.methods.push((number(self.methods.len(), &method.name)?, method));
            return Ok(());
        }
        if let Some(condition) = condition {
            let message = "only the calls of a `pub` method with `&self` or `&mut self` can wait";
            return Err(Error::new_spanned(condition, message));
        }
        if public && name == "new" {
            self.constructor = Constructor::parse(function, object)?;
        } else if !public && has_receiver && name.to_string().starts_with("then_") {
            let then = Continuation::take(function, object)?;
            self.continuations.push((number(self.continuations.len(), &name)?, then));
        } else if !public && hook::NAMES.iter().chain(&hook::TELLING).any(|(hook, _)| name == hook) {
            self.hooks.push(Hook::parse(function, object)?);
        }
        Ok(())
    }

    /// Refuses methods with the name of another's async twin.
    fn check_twins(&mut self, errors: &mut Errors) {
        let names: Vec<_> = self.methods.iter().map(|(_, method)| method.name.unraw().to_string()).collect();
        self.methods.retain(|(_, method)| {
            let twin = method.name.unraw().to_string();
            let of = twin.strip_suffix("_async").filter(|of| names.iter().any(|name| name == of));
            if let Some(of) = of {
                let message = format!("`{twin}` is the name of the async twin of `{of}`: choose another");
                errors.push(Error::new(method.name.span(), message));
            }
            of.is_none()
        });
    }

    /// The inherent functions of the object, of its handle and of its messages.
    fn inherent(&self, object: &Path) -> TokenStream {
        let (handle, messages) = (beside(object, "Handle"), beside(object, "Messages"));
        let naming = self.constructor.naming(object, &handle);
        let calls = message::of_handle(&self.methods);
        let sent = message::of_messages(&self.methods);
        let guards =
            self.methods.iter().filter_map(|(_, method)| Some(method.guard.as_ref()?.definition(&method.parameters)));
        let constants = self.continuations.iter().map(|(number, then)| then.constant(*number));
        quote! {
            #[allow(dead_code, unreachable_pub, clippy::all, clippy::pedantic)]
            impl #object { #naming }

            #[allow(clippy::all, clippy::pedantic)]
            impl #object { #(#guards)* #(#constants)* }

            #[allow(dead_code, unreachable_pub, clippy::all, clippy::pedantic)]
            impl #handle { #calls }

            #[allow(dead_code, unreachable_pub, clippy::all, clippy::pedantic)]
            impl #messages { #sent }
        }
    }

    /// The type's registration.
    fn table(&self, object: &Path) -> TokenStream {
        let handle = beside(object, "Handle");
        let (kind, create) = (self.constructor.kind(), self.constructor.create(object));
        let methods = self.methods.iter().map(|(_, method)| method.entry(object));
        let continuations = self.continuations.iter().map(|(_, then)| then.entry(object));
        let hooks = Hook::table(&self.hooks, object);
        let travelling = self.methods.iter().map(|(_, method)| method.check_travelling());
        quote! {
            #[allow(deprecated, clippy::all, clippy::pedantic)]
            const _: () = {
                const _: fn() = || { #(#travelling)* };

                static OBJECT_TYPE: ::greenroom::expand::ObjectType = ::greenroom::expand::ObjectType {
                    name: #object::__GREENROOM_NAME,
                    constructor: #kind,
                    create: #create,
                    decode: ::greenroom::expand::decode::<#object>,
                    methods: &[#(#methods,)*],
                    continuations: &[#(#continuations,)*],
                    hooks: #hooks,
                    state: ::greenroom::expand::shape_of::<#object>,
                    shape: ::greenroom::expand::ShapeCell::new(),
                };

                impl ::greenroom::expand::Object for #object {
                    type Handle = #handle;
                    const NAME: &'static str = #object::__GREENROOM_NAME;
                    const TYPE: &'static ::greenroom::expand::ObjectType = &OBJECT_TYPE;
                }

                ::greenroom::expand::inventory::submit! {
                    ::greenroom::expand::Registration(&OBJECT_TYPE)
                }
            };
        }
    }
}

fn number(place: usize, name: &Ident) -> Result<u16> {
    u16::try_from(place).map_err(|error| Error::new_spanned(name, format!("the type has too many methods: {error}")))
}

fn check_reserved(name: &Ident, is_message: bool) -> Result<()> {
    let text = name.unraw().to_string();
    if NAMING.contains(&text.as_str()) {
        let message = format!("`{text}` is the name of a function that `#[object]` makes: choose another");
        return Err(Error::new(name.span(), message));
    }
    if is_message && RESERVED.contains(&text.as_str()) {
        let message = format!("`{text}` is the name of a method that every handle has: choose another");
        return Err(Error::new(name.span(), message));
    }
    Ok(())
}
