//! The attribute macros of Greenroom: `#[object]` makes shared objects of plain types, `#[cloud]` functions that run elsewhere,
//! `#[main]` starts a program.
//!
//! What they write names only `::greenroom::expand`, `::greenroom::cloud` and `::greenroom::run`.

mod cloud_function;
mod combine_function;
mod constructor;
mod continuation;
mod errors;
mod guard;
mod hook;
mod main_function;
mod message;
mod method;
mod object_impl;
mod object_struct;
mod signature;
mod tokens;
mod twins;

use proc_macro::TokenStream;
use quote::quote;
use syn::{Error, Item, parse_macro_input};

/// Makes a type of shared objects: put it on a struct (or an enum) and on that type's `impl`.
///
/// The type itself is the state of one object, which lives at a node: a value of it that a program makes (`Stock::default()`)
/// is a plain one, shared with nobody. What programs share is the handle, which `Stock::named(key)` makes; its type is
/// written `Handle<Stock>`.
///
/// On `struct Stock` it makes `StockHandle`; `#[object(name = "shop.Stock")]` chooses the name under which the type
/// is registered. On `impl Stock` each `pub fn` with `&self` becomes a read and each with `&mut self` a write, with a
/// method of the same name on the handle, and an `_async` twin. Functions that are not `pub` stay local.
///
/// - `turn: &mut Turn` as a parameter is the turn, not an argument.
/// - `waiter: Waiter<T>` parks the call until the object replies to the waiter.
/// - `#[when(self.permits > 0)]` parks the calls of its method while the condition is false.
/// - `pub fn new(…)` is the constructor; without it the type is made by `Default`.
/// - A private `fn then_…(&mut self, reply: Result<A, Error>, …)` receives the reply of a `turn.call`.
/// - A private `fn grant_cancelled(&mut self, grant: WaiterId)` or `fn owner_gone(&mut self, owner: Owner)` is called when
///   a caller gave up after it was granted something, or ended.
/// - A private `fn waiter_gone(&mut self, waiter: WaiterId)` is called when a caller gave up while it waited, or ended: who
///   waits behind it may be next.
/// - A private `fn holders(&self) -> Vec<Holder>` says what the object has given out, and `fn summary(&self) ->
///   serde_json::Value` what its state is, for people who ask by `greenroom describe`.
#[proc_macro_attribute]
pub fn object(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as Item);
    let attributes = attributes.into();
    match item {
        Item::Struct(item) => object_struct::expand(attributes, item.into()),
        Item::Enum(item) => object_struct::expand(attributes, item.into()),
        Item::Impl(item) => object_impl::expand(attributes, item),
        other => {
            let error = Error::new_spanned(&other, "`#[object]` goes on a struct, on an enum, or on the type's `impl`");
            let error = error.into_compile_error();
            quote!(#other #error)
        }
    }
    .into()
}

/// Registers a function that makes one value of two, so that it can be called beside the data.
///
/// It goes on `fn widen(there: &mut Range, comes: Range)`, which it leaves as it is; `widen::combine()` is what
/// `Map::merge` and the like take. The node's program must have the function too.
#[proc_macro_attribute]
pub fn combine(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as syn::ItemFn);
    combine_function::expand(attributes.into(), function).into()
}

/// Makes a function one that may run elsewhere: as a cloud thread, in this process or in a serverless function.
///
/// It goes on `fn work(part: usize) -> Result<f64, Error>` or an `async fn`, which it leaves as it is. Beside it stands
/// `work::spawn(3)`, which begins a run and returns its `JoinHandle`, and `work::call(3)`, a run that has not begun, for
/// whoever begins it: a scope, a `Builder`. Arguments and result are values that serde carries. What it returns as a `Result`
/// arrives at `join` as one, with its own error.
///
/// A function is known by its path, such as `my_app::work`, or by the name that `#[cloud(name = "…")]` gives it.
///
/// `#[cloud(event)]` makes it one that a platform triggers by events of its own, such as those of a queue: it takes the event,
/// a type that serde reads from JSON, and what it returns is answered as JSON; an `Err` is told as a failure, by its `Display`.
#[proc_macro_attribute]
pub fn cloud(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as syn::ItemFn);
    cloud_function::expand(attributes.into(), function).into()
}

/// Makes the program's `main` the start of every role: driver, node and operator's tool.
///
/// `main` takes no arguments and returns nothing, an `ExitCode`, or a `Result` of these whose error displays. At its end the
/// process's session ends, and what guards gave back before that has arrived.
///
/// An `async fn main` runs on a tokio runtime of several threads; in it, and in what it spawns, calls are made by their
/// `_async` twins. For another runtime put its own attribute below this one, such as
/// `#[tokio::main(flavor = "current_thread")]`. The crate's page has examples.
#[proc_macro_attribute]
pub fn main(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as syn::ItemFn);
    main_function::expand(attributes.into(), function).into()
}

/// Gives each `pub async fn` of an `impl` a twin that blocks: `push` beside `push_async`, from one body.
///
/// So it does for a `pub fn` that returns `impl Future<Output = …>`, whose future need not borrow the handle.
///
/// The type has a method `object(&self) -> &RawHandle`, and the functions return a `Result` with an `Error`. For the typed
/// handles of the library; the handles that `#[object]` makes have their twins already.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn twins(_: TokenStream, item: TokenStream) -> TokenStream {
    twins::expand(parse_macro_input!(item as syn::ItemImpl)).into()
}
