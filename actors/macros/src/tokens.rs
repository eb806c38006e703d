//! Searches and changes in tokens, at any depth.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Path;

/// The first token for which `wanted` holds.
pub(crate) fn find(tokens: TokenStream, wanted: &impl Fn(&TokenTree) -> bool) -> Option<TokenTree> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Group(group) => find(group.stream(), wanted),
        token => wanted(&token).then_some(token),
    })
}

/// Whether `tokens` use one of `names` other than as a field or a method (`self.name`).
pub(crate) fn mention(tokens: TokenStream, names: &[&Ident]) -> bool {
    let mut dots = 0;
    tokens.into_iter().any(|token| {
        let member = dots == 1;
        dots = if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '.') { dots + 1 } else { 0 };
        match token {
            TokenTree::Group(group) => mention(group.stream(), names),
            TokenTree::Ident(ident) => !member && names.contains(&&ident),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        }
    })
}

/// The same tokens with `object` for `Self`, for use outside of the object's `impl`.
pub(crate) fn without_self(tokens: impl ToTokens, object: &Path) -> TokenStream {
    replace_self(tokens.into_token_stream(), object)
}

fn replace_self(tokens: TokenStream, object: &Path) -> TokenStream {
    let change = |token| match token {
        TokenTree::Group(group) => {
            let mut changed = Group::new(group.delimiter(), replace_self(group.stream(), object));
            changed.set_span(group.span());
            TokenTree::Group(changed).into_token_stream()
        }
        TokenTree::Ident(ident) if ident == "Self" => object.to_token_stream(),
        token => token.into_token_stream(),
    };
    tokens.into_iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;
    use quote::quote;

    use super::*;

    #[test]
    fn a_field_of_the_same_name_is_no_mention() {
        let name = Ident::new("n", Span::call_site());
        for (tokens, expected) in [
            (quote!(self.permits >= n), true),
            (quote!(self.n > 0), false),
            (quote!((0..n).contains(&self.x)), true),
            (quote!(matches!(self.x, Some(x) if x > n)), true),
            (quote!(self.n() > m), false),
        ] {
            assert_eq!(mention(tokens.clone(), &[&name]), expected, "{tokens}");
        }
    }
}
