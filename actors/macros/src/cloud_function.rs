//! `#[cloud]`: a function that may run elsewhere, registered by its name.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::Parser as _;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, LitStr, Result, ReturnType, Signature, Type, parse_quote};

use crate::signature::{Parameters, Reply};

pub(crate) fn expand(attributes: TokenStream, function: ItemFn) -> TokenStream {
    match registration(attributes, &function) {
        Ok(registration) => quote!(#function #registration),
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#function #error)
        }
    }
}

fn registration(attributes: TokenStream, function: &ItemFn) -> Result<TokenStream> {
    let sig = &function.sig;
    check(sig)?;
    let (ident, visibility) = (&sig.ident, &function.vis);
    let Settings { name, is_event } = settings(attributes)?;
    if is_event {
        return event(sig, name);
    }
    let name = match name {
        Some(name) => quote!(#name),
        None => {
            let text = ident.to_string();
            quote!(::core::concat!(::core::module_path!(), "::", #text))
        }
    };
    let nobody = parse_quote!(Self);
    let parameters = Parameters::parse(&sig.inputs, &nobody)?;
    let reply = Reply::of_return(&sig.output, &nobody)?;
    let run = run(ident, sig.asyncness.is_some(), &parameters, &reply);
    let (value, error, body) = (&reply.value, &reply.error, &reply.body);
    let (declarations, arguments, types) = (parameters.declarations(), parameters.tuple(), parameters.tuple_type());
    let travelling = parameters.arguments().map(|argument| &argument.ty).chain([body]);
    let travelling = travelling.map(|ty| quote_spanned!(ty.span()=> ::greenroom::cloud::expand::travels::<#ty>();));
    let doc = format!("[`{ident}()`](fn@{ident}) as a cloud thread: `{ident}::spawn(…)`, `{ident}::call(…)`.");
    Ok(quote! {
        #[doc = #doc]
        #[allow(non_camel_case_types, clippy::all, clippy::pedantic)]
        #[derive(::core::fmt::Debug)]
        #visibility struct #ident {}

        #[allow(dead_code, unreachable_pub, clippy::all, clippy::pedantic)]
        impl #ident {
            const __FUNCTION: ::greenroom::cloud::expand::Function = ::greenroom::cloud::expand::Function {
                name: #name,
                arguments: ::greenroom::cloud::expand::shape_of::<#types>,
                result: ::greenroom::cloud::expand::shape_of::<#body>,
                run: #run,
            };

            /// A run of the function with these arguments, which has not begun.
            pub fn call(#declarations) -> ::greenroom::cloud::Call<#value, #error> {
                #(#travelling)*
                ::greenroom::cloud::expand::call(&Self::__FUNCTION, &#arguments)
            }

            /// Begins a run of the function with these arguments, with the default settings.
            pub fn spawn(#declarations) -> ::greenroom::cloud::JoinHandle<#value, #error> {
                ::greenroom::cloud::expand::call(&Self::__FUNCTION, &#arguments).spawn()
            }
        }

        ::greenroom::cloud::expand::inventory::submit! {
            ::greenroom::cloud::expand::Registered(&#ident::__FUNCTION)
        }
    })
}

/// How the function is run on encoded arguments.
fn run(ident: &Ident, is_async: bool, parameters: &Parameters, reply: &Reply) -> TokenStream {
    let (types, names, passed, body) = (parameters.tuple_type(), parameters.tuple(), parameters.names(), &reply.body);
    match is_async {
        false => quote! {
            ::greenroom::cloud::expand::Run::Blocking(|__encoded| {
                ::greenroom::cloud::expand::run::<#types, #body>(__encoded, |#names| #ident(#passed))
            })
        },
        true => quote! {
            ::greenroom::cloud::expand::Run::Async(|__encoded| {
                ::std::boxed::Box::pin(::greenroom::cloud::expand::run_async::<#types, #body, _>(
                    __encoded,
                    |#names| #ident(#passed),
                ))
            })
        },
    }
}

/// The registration of a function that is triggered by events. Operators name it, so it goes by its own name.
fn event(sig: &Signature, name: Option<LitStr>) -> Result<TokenStream> {
    let ident = &sig.ident;
    let name = name.unwrap_or_else(|| LitStr::new(&ident.to_string(), ident.span()));
    let inputs: Vec<_> = sig.inputs.iter().collect();
    let [FnArg::Typed(event)] = inputs[..] else {
        return Err(Error::new_spanned(&sig.inputs, "a function for events takes one argument: the event"));
    };
    let ty = &event.ty;
    let called = match sig.asyncness.is_some() {
        true => quote!(#ident(__event).await),
        false => quote!(#ident(__event)),
    };
    let answer = match &sig.output {
        ReturnType::Type(_, ty) if is_result(ty) => quote!(::greenroom::cloud::expand::answer(#called)),
        ReturnType::Type(..) | ReturnType::Default => {
            quote!(::greenroom::cloud::expand::answer(::core::result::Result::<_, ::std::string::String>::Ok(#called)))
        }
    };
    let run = match sig.asyncness.is_some() {
        true => quote! {
            ::greenroom::cloud::expand::Run::Async(|__event| ::std::boxed::Box::pin(async move {
                let __event: #ty = ::greenroom::cloud::expand::event(&__event)?;
                #answer
            }))
        },
        false => quote! {
            ::greenroom::cloud::expand::Run::Blocking(|__event| {
                let __event: #ty = ::greenroom::cloud::expand::event(__event)?;
                #answer
            })
        },
    };
    Ok(quote! {
        ::greenroom::cloud::expand::inventory::submit! {
            ::greenroom::cloud::expand::RegisteredEvent(&::greenroom::cloud::expand::Function {
                name: #name,
                arguments: ::std::string::String::new,
                result: ::std::string::String::new,
                run: #run,
            })
        }
    })
}

/// Whether a type is written as a `Result`.
fn is_result(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Result"))
}

/// What the attribute says.
#[derive(Default)]
struct Settings {
    /// The name under which the function is to be registered, if another than its own.
    name: Option<LitStr>,
    /// Whether it is triggered by events, instead of being spawned.
    is_event: bool,
}

fn settings(attributes: TokenStream) -> Result<Settings> {
    let mut settings = Settings::default();
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("event") {
            settings.is_event = true;
        } else if meta.path.is_ident("name") {
            settings.name = Some(meta.value()?.parse::<LitStr>()?);
        } else {
            return Err(meta.error("`#[cloud]` takes `name = \"…\"` and `event`, and nothing else"));
        }
        Ok(())
    });
    parser.parse2(attributes)?;
    Ok(settings)
}

fn check(sig: &Signature) -> Result<()> {
    if let Some(token) = &sig.unsafety {
        return Err(Error::new_spanned(token, "a function that runs elsewhere is not unsafe"));
    }
    if !sig.generics.params.is_empty() {
        let message = "a function that runs elsewhere is not generic: closures and unnamed types cannot travel; pass data, \
                       and name the function that is to be called";
        return Err(Error::new_spanned(&sig.generics, message));
    }
    match sig.inputs.iter().find(|input| matches!(input, FnArg::Receiver(_))) {
        Some(receiver) => {
            let message = "a function that runs elsewhere stands alone: pass what it needs of `self` as an argument";
            Err(Error::new_spanned(receiver, message))
        }
        None => Ok(()),
    }
}
