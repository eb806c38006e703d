//! How objects of a type are made, and the functions that name them.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Ident, ImplItemFn, Path, Result, ReturnType, Type};

use crate::method;
use crate::signature::{Parameters, generic_types, last_segment};

/// The way in which objects come to be.
pub(crate) enum Constructor {
    /// By the type's `Default`.
    Default,
    /// By `pub fn new`.
    New { parameters: Parameters, fallible: bool },
}

impl Constructor {
    pub(crate) fn parse(function: &ImplItemFn, object: &Path) -> Result<Self> {
        let sig = &function.sig;
        method::check_plain(sig)?;
        let parameters = Parameters::parse(&sig.inputs, object)?;
        if parameters.arguments().count() != sig.inputs.len() {
            let message = "a constructor takes arguments only: it runs before the object has turns or callers";
            return Err(Error::new_spanned(&sig.inputs, message));
        }
        let ReturnType::Type(_, output) = &sig.output else {
            return Err(wrong_output(&sig.ident));
        };
        let is_object = |ty: &Type| {
            last_segment(ty)
                .is_some_and(|last| last == "Self" || Some(last) == object.segments.last().map(|own| &own.ident))
        };
        let fallible = match (last_segment(output), &generic_types(output)[..]) {
            _ if is_object(output) => false,
            (Some(last), [value, _]) if last == "Result" && is_object(value) => true,
            _ => return Err(wrong_output(output)),
        };
        Ok(Self::New { parameters, fallible })
    }

    /// Whether the handle carries arguments, so that it can make the object.
    fn carried(&self) -> Option<&Parameters> {
        match self {
            Self::New { parameters, .. } if parameters.arguments().next().is_some() => Some(parameters),
            Self::New { .. } | Self::Default => None,
        }
    }

    /// The type's `constructor`.
    pub(crate) fn kind(&self) -> TokenStream {
        let Some(parameters) = self.carried() else { return quote!(::greenroom::expand::Constructor::Default) };
        let types = parameters.tuple_type();
        let names = parameters.arguments().map(|argument| argument.name.to_string());
        quote! {
            ::greenroom::expand::Constructor::Arguments {
                arguments: ::greenroom::expand::shape_of::<#types>,
                names: &[#(#names),*],
                from_json: ::greenroom::expand::from_json::<#types>,
                to_json: ::greenroom::expand::to_json::<#types>,
            }
        }
    }

    /// The type's `create`.
    pub(crate) fn create(&self, object: &Path) -> TokenStream {
        let Self::New { parameters, fallible } = self else {
            return quote_spanned!(object.span()=> ::greenroom::expand::create_default::<#object>);
        };
        let (names, passed) = (parameters.tuple(), parameters.names());
        let made = if *fallible {
            quote!(#object::new(#passed).map_err(|__error| ::std::string::ToString::to_string(&__error)))
        } else {
            quote!(::core::result::Result::Ok(#object::new(#passed)))
        };
        if self.carried().is_none() {
            return quote!(|__encoded| ::greenroom::expand::create_without::<#object>(__encoded, || #made));
        }
        let types = parameters.tuple_type();
        quote!(|__encoded| ::greenroom::expand::create_with::<#object, #types>(__encoded, |#names| #made))
    }

    /// The functions of the type that return handles.
    pub(crate) fn naming(&self, object: &Path, handle: &Path) -> TokenStream {
        // Not the user's `key`, if an argument has that name.
        let key = Ident::new("key", Span::mixed_site());
        let object_type = quote!(<#object as ::greenroom::expand::Object>::TYPE);
        let plain = |name: TokenStream, doc: &str| {
            quote! {
                #[doc = #doc]
                pub fn #name(#key: impl ::core::convert::Into<::std::string::String>) -> #handle {
                    #handle::__of(::greenroom::expand::RawHandle::named(#object_type, #key))
                }
            }
        };
        let named = match self.carried() {
            None => plain(quote!(named), "The object of that key; it is made at the first call. Nothing is sent."),
            Some(parameters) => {
                let existing =
                    plain(quote!(existing), "The object of that key, which another has made. Nothing is sent.");
                let (declarations, arguments) = (parameters.declarations(), parameters.tuple());
                quote! {
                    /// The object of that key; the first call makes it with these arguments. Nothing is sent.
                    pub fn named(
                        #key: impl ::core::convert::Into<::std::string::String>,
                        #declarations
                    ) -> #handle {
                        #handle::__of(::greenroom::expand::RawHandle::constructed(#object_type, #key, &#arguments))
                    }

                    #existing
                }
            }
        };
        quote! {
            #named

            /// The object of that key, for a `static`.
            pub const fn shared(#key: &'static str) -> #handle {
                #handle::__of(::greenroom::expand::RawHandle::shared(#object_type, #key))
            }
        }
    }
}

fn wrong_output(place: &impl quote::ToTokens) -> Error {
    Error::new_spanned(place, "a constructor returns `Self`, or `Result<Self, E>` with an `E` that displays")
}
