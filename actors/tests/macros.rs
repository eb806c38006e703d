//! What `#[object]` makes of a type: its method table, its handle, its messages, and errors at the right places.

extern crate greenroom_actors as greenroom;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use greenroom::combine::{Combine, CombineError};
use greenroom::{
    Access, CallId, Caller, Constructor, CreateError, Error, Fault, Handle, Message, Object, ObjectHandle, ObjectType,
    OutgoingCall, Owner, Ran, Registry, ReplyFuture, Run, SessionId, Stamp, State, Turn, Waiter, WaiterId,
};
use greenroom_macros::{combine, object};
use serde::{Deserialize, Serialize};

/// Counts.
#[object]
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    count: i64,
}

#[object]
impl Tally {
    /// Adds `delta`.
    pub fn add(&mut self, delta: i64) -> i64 {
        self.count += delta;
        self.check();
        self.count
    }

    /// The count.
    pub fn get(&self) -> i64 {
        self.count
    }

    /// The time of the turn, plus the count.
    pub fn at(&self, turn: &Turn) -> u64 {
        turn.now_ms() + self.count.unsigned_abs()
    }

    /// A number less than `end`.
    pub fn draw(&mut self, turn: &mut Turn, end: u64, mut offset: u64) -> u64 {
        offset += turn.random() % end;
        offset
    }

    /// A copy.
    pub fn copy(&self) -> Self {
        Self { count: self.count }
    }

    /// How many counters `others` are ahead.
    pub fn ahead(&self, others: Vec<Self>) -> usize {
        others.iter().filter(|other| other.count > self.count).count()
    }

    fn check(&self) {
        assert!(self.count >= 0, "the count is negative");
    }
}

static HITS: Handle<Tally> = Tally::shared("hits");

/// Why a withdrawal failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Insufficient {
    missing: u64,
}

impl fmt::Display for Insufficient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} are missing", self.missing)
    }
}

/// Holds money.
#[object(name = "bank.Account")]
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    balance: u64,
    log: Handle<Tally>,
    last: Option<Owner>,
}

impl PartialEq for TallyHandle {
    fn eq(&self, other: &Self) -> bool {
        self.object().name() == other.object().name()
    }
}

#[object]
impl Account {
    /// An account with `balance`; its key is not `key`, which is only written down.
    pub fn new(balance: u64, key: String) -> Result<Self, Insufficient> {
        if balance == 0 {
            return Err(Insufficient { missing: 1 });
        }
        Ok(Self { balance, log: Tally::named(key), last: None })
    }

    /// Takes `amount`.
    pub fn withdraw(&mut self, amount: u64) -> Result<u64, Insufficient> {
        let missing = amount.saturating_sub(self.balance);
        if missing > 0 {
            return Err(Insufficient { missing });
        }
        self.balance -= amount;
        Ok(self.balance)
    }

    /// Takes `amount` and answers when that has been counted.
    pub fn withdraw_logged(&mut self, waiter: Waiter<Result<i64, Insufficient>>, amount: u64, turn: &mut Turn) {
        self.balance -= amount;
        turn.call(self.log.message().add(1), Self::then_logged.with((waiter, amount)));
        turn.call(self.log.message().get(), Self::then_seen);
        let other = Self::existing("other");
        turn.call(other.message().withdraw(amount), Self::then_withdrawn);
    }

    /// Answers the caller.
    fn then_logged(&mut self, reply: Result<i64, Error>, waiter: Waiter<Result<i64, Insufficient>>, amount: u64) {
        self.balance += amount;
        if let Ok(count) = reply {
            waiter.reply(Ok(count));
        }
    }

    fn then_seen(&mut self, _reply: Result<i64, Error>, turn: &mut Turn) {
        self.last = Some(turn.owner());
    }

    fn then_withdrawn(&mut self, reply: Result<u64, Error<Insufficient>>) {
        if let Err(Error::Method(Insufficient { missing })) = reply {
            self.balance += missing;
        }
    }

    fn owner_gone(&mut self, owner: Owner) {
        self.last = Some(owner);
    }
}

/// A fair semaphore, in two spellings.
#[object]
#[derive(Debug, Serialize, Deserialize)]
enum Permits {
    /// So many are free.
    Free(u32),
}

#[object]
impl Permits {
    /// Five permits.
    pub fn new() -> Self {
        Self::Free(5)
    }

    /// Takes one permit.
    #[when(self.free() > 0)]
    pub fn take(&mut self) {
        let Self::Free(free) = self;
        *free -= 1;
    }

    /// Takes `count` permits.
    #[when(self.free() >= count && matches!(self, Self::Free(_)))]
    pub fn take_many(&mut self, _reason: String, count: u32) -> u32 {
        let Self::Free(free) = self;
        *free -= count;
        *free
    }

    /// Waits until a permit is free, and takes none.
    #[when(self.free() > 0)]
    pub fn watch(&self) -> u32 {
        self.free()
    }

    fn free(&self) -> u32 {
        let Self::Free(free) = self;
        *free
    }

    fn grant_cancelled(&mut self, _grant: WaiterId, _turn: &mut Turn) {
        let Self::Free(free) = self;
        *free += 1;
    }

    fn waiter_gone(&mut self, _waiter: WaiterId) {
        let Self::Free(free) = self;
        *free = 0;
    }
}

/// A span of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    from: i64,
    to: i64,
}

/// Widens a span so that it holds another.
#[combine]
pub fn widen(there: &mut Span, comes: Span) {
    there.from = there.from.min(comes.from);
    there.to = there.to.max(comes.to);
}

mod inside {
    /// Of the same name as another module's might be.
    #[super::combine]
    pub(super) fn longest(there: &mut Vec<u8>, comes: Vec<u8>) {
        if comes.len() > there.len() {
            *there = comes;
        }
    }
}

fn turn() -> Turn {
    Turn::new(Stamp::default(), CallId::default(), Owner::Session(SessionId(1)))
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("the value can be encoded")
}

fn decoded<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> T {
    postcard::from_bytes(bytes).expect("the bytes are of that type")
}

/// Runs a method through the table, as a node does.
fn run<T: Object>(object: &mut T, method: &str, arguments: &impl Serialize, turn: &mut Turn) -> Ran {
    let number = T::TYPE.method_number(method).expect("there is such a method");
    let arguments = encoded(arguments);
    let ran = match T::TYPE.methods[usize::from(number)].run {
        Run::Read(run) => run(object, &arguments, turn),
        Run::Write(run) => run(object, &arguments, turn),
    };
    ran.expect("the arguments decode")
}

fn returned<T: for<'de> Deserialize<'de>>(ran: &Ran) -> T {
    match ran {
        Ran::Returned(body) => decoded(body),
        Ran::Parked => panic!("the call is parked"),
    }
}

fn create<T: Object>(arguments: Option<&[u8]>) -> Result<T, CreateError> {
    let object: Box<dyn Any> = (T::TYPE.create)(arguments)?;
    Ok(*object.downcast::<T>().expect("the type creates its own objects"))
}

/// The table in short: name, access, whether calls may be parked, whether there is a guard.
fn table(object_type: &ObjectType) -> Vec<(&'static str, Access, bool, bool)> {
    let methods = object_type.methods.iter();
    methods.map(|method| (method.name, method.access(), method.parks, method.guard.is_some())).collect()
}

/// Answers every call with one body, and remembers the calls.
#[derive(Debug, Default)]
struct Recorder {
    body: Bytes,
    calls: Mutex<Vec<OutgoingCall>>,
}

impl Caller for Recorder {
    fn call(&self, call: OutgoingCall) -> ReplyFuture {
        self.calls.lock().expect("no test panics while it records").push(call);
        let body = self.body.clone();
        Box::pin(async move { Ok(body) })
    }

    fn block_on(&self, task: Pin<&mut dyn Future<Output = ()>>) -> bool {
        ready(task);
        true
    }

    fn cast(&self, _: OutgoingCall, _: Option<OutgoingCall>) {}
}

fn recorder(body: &impl Serialize) -> Arc<Recorder> {
    Arc::new(Recorder { body: encoded(body).into(), calls: Mutex::default() })
}

/// The output of a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("the future waits"),
    }
}

#[test]
fn public_methods_are_in_the_table_in_their_order() {
    use Access::{Read, Write};
    let counter = [("add", Write), ("get", Read), ("at", Read), ("draw", Write), ("copy", Read), ("ahead", Read)];
    assert_eq!(table(Tally::TYPE), counter.map(|(name, access)| (name, access, false, false)));
    assert_eq!(table(Account::TYPE), [("withdraw", Write, false, false), ("withdraw_logged", Write, true, false)],);
    assert_eq!(
        table(Permits::TYPE),
        [("take", Write, true, true), ("take_many", Write, true, true), ("watch", Write, true, true)],
    );
}

#[test]
fn types_are_registered_under_their_names() {
    let registry = Registry::collect().expect("all names differ");
    let names: Vec<_> = registry.iter().map(|object_type| object_type.name).collect();
    for name in ["Tally", "Permits", "bank.Account"] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    assert_eq!(Account::NAME, "bank.Account");
}

#[test]
fn methods_run_on_encoded_arguments() {
    let mut counter: Tally = create(None).expect("the type has a default");
    assert_eq!(returned::<i64>(&run(&mut counter, "add", &(5_i64,), &mut turn())), 5);
    assert_eq!(returned::<i64>(&run(&mut counter, "get", &(), &mut turn())), 5);
    assert_eq!(returned::<Tally>(&run(&mut counter, "copy", &(), &mut turn())), Tally { count: 5 });
    let others = vec![Tally { count: 6 }, Tally { count: 4 }];
    assert_eq!(returned::<usize>(&run(&mut counter, "ahead", &(others,), &mut turn())), 1);
    let mut late = Turn::new(Stamp { now_ms: 100, ..Stamp::default() }, CallId::default(), turn().owner());
    assert_eq!(returned::<u64>(&run(&mut counter, "at", &(), &mut late)), 105);
    let expected = turn().random() % 10 + 7;
    assert_eq!(returned::<u64>(&run(&mut counter, "draw", &(10_u64, 7_u64), &mut turn())), expected);
}

#[test]
fn arguments_that_do_not_decode_are_refused_before_anything_runs() {
    let mut counter = Tally::default();
    let Run::Write(add) = Tally::TYPE.methods[0].run else { panic!("`add` is a write") };
    assert!(add(&mut counter, &[], &mut turn()).is_err());
    assert!(add(&mut counter, &[2, 0], &mut turn()).is_err(), "a byte too many");
    assert_eq!(counter, Tally::default());
}

#[test]
fn a_constructor_takes_arguments_and_may_fail() {
    let arguments = encoded(&(10_u64, "log"));
    let account: Account = create(Some(&arguments)).expect("the arguments are right");
    assert_eq!((account.balance, account.log.object().name()), (10, "Tally/log".to_owned()));
    assert_eq!(create::<Account>(None), Err(CreateError::NoArguments));
    let refused = create::<Account>(Some(&encoded(&(0_u64, "log"))));
    assert_eq!(refused, Err(CreateError::Constructor("1 are missing".to_owned())));

    let handle = Account::named("a", 10, "log".to_owned()).through(recorder(&()));
    assert_eq!(handle.object().name(), "bank.Account/a");
    let Constructor::Arguments { arguments: shape, from_json, .. } = &Account::TYPE.constructor else {
        panic!("the type has a constructor");
    };
    assert_eq!(shape(), "(u64, String)");
    assert_eq!(from_json(&[10.into(), "log".into()]), Ok(arguments));
}

#[test]
fn a_constructor_without_arguments_serves_as_the_default() {
    assert!(matches!(Permits::TYPE.constructor, Constructor::Default));
    assert_eq!(create::<Permits>(None).expect("`new` cannot fail").free(), 5);
    assert!(create::<Permits>(Some(&[])).is_err());
}

#[test]
fn a_handle_sends_the_method_number_and_the_arguments() {
    let caller = recorder(&7_i64);
    let counter = Tally::named("k").through(caller.clone()).with_timeout(Duration::from_secs(3));
    assert_eq!(counter.add(2), Ok(7));
    assert_eq!(ready(counter.add_async(3)), Ok(7));
    let never_made = counter.add_async(4);
    drop(never_made);

    let calls = caller.calls.lock().expect("no test panics while it records");
    let sent: Vec<_> =
        calls.iter().map(|call| (call.object(), call.method, decoded::<(i64,)>(&call.arguments))).collect();
    assert_eq!(sent, [("Tally/k".to_owned(), 0, (2,)), ("Tally/k".to_owned(), 0, (3,))]);
    assert!(calls.iter().all(|call| call.timeout == Some(Duration::from_secs(3)) && !call.read && !call.parks));
}

#[test]
fn the_error_of_a_method_keeps_its_type() {
    let missing = Insufficient { missing: 3 };
    let account = Account::existing("a").through(recorder(&Err::<u64, _>(missing.clone())));
    let result: Result<u64, Error<Insufficient>> = account.withdraw(3);
    assert_eq!(result, Err(Error::Method(missing.clone())));
    assert_eq!(ready(account.withdraw_logged_async(3)), Err(Error::Method(missing)));
}

#[test]
fn handles_are_static_are_kept_and_travel() {
    assert_eq!(format!("{HITS:?}"), "Tally/hits");
    let copy: Handle<Tally> = decoded(&encoded(&HITS));
    assert_eq!(copy.raw().name(), "Tally/hits");
    let caller = recorder(&1_i64);
    assert_eq!(HITS.through(caller.clone()).get(), Ok(1));
    assert!(caller.calls.lock().expect("no test panics while it records")[0].read);
}

#[test]
fn a_guard_sees_the_state_and_the_arguments_that_it_names() {
    let guards: Vec<_> = Permits::TYPE.methods.iter().filter_map(|method| method.guard).collect();
    let [take, take_many, watch] = guards[..] else { panic!("each method has a guard") };
    let mut permits = Permits::Free(2);
    assert_eq!((take(&permits, &[]), watch(&permits, &[])), (Ok(true), Ok(true)));
    assert_eq!(take_many(&permits, &encoded(&("test", 2_u32))), Ok(true));
    assert_eq!(take_many(&permits, &encoded(&("test", 3_u32))), Ok(false));
    assert!(take_many(&permits, &[]).is_err());
    assert_eq!(returned::<u32>(&run(&mut permits, "take_many", &("test", 2_u32), &mut turn())), 0);
    assert_eq!(take(&permits, &[]), Ok(false));
}

#[test]
fn hooks_reach_the_object() {
    let grant_cancelled = Permits::TYPE.hooks.grant_cancelled.expect("the type has this hook");
    let mut permits = Permits::Free(1);
    grant_cancelled(&mut permits, WaiterId(3), &mut turn());
    assert_eq!(permits.free(), 2);
    let waiter_gone = Permits::TYPE.hooks.waiter_gone.expect("the type has this hook");
    waiter_gone(&mut permits, WaiterId(3), &mut turn());
    assert_eq!(permits.free(), 0);

    let owner_gone = Account::TYPE.hooks.owner_gone.expect("the type has this hook");
    let mut account = Account { balance: 1, log: HITS.clone(), last: None };
    owner_gone(&mut account, Owner::Session(SessionId(9)), &mut turn());
    assert_eq!(account.last, Some(Owner::Session(SessionId(9))));
    assert!(Tally::TYPE.hooks.owner_gone.is_none() && Permits::TYPE.hooks.owner_gone.is_none());
}

#[test]
fn continuations_get_reply_and_context() {
    let thens = Account::TYPE.continuations;
    let names: Vec<_> = thens.iter().map(|then| (then.name, (then.arguments)())).collect();
    let insufficient = "where Insufficient { missing: u64 }";
    assert_eq!(
        names,
        [
            ("then_logged", "(i64, (WaiterId, u64)) where WaiterId(u64)".to_owned()),
            ("then_seen", "(i64, ())".to_owned()),
            ("then_withdrawn", format!("(Result<u64, Insufficient>, ()) {insufficient}")),
        ],
    );
    let mut account = Account { balance: 1, log: HITS.clone(), last: None };
    let context = encoded(&(WaiterId(1), 4_u64));
    (thens[0].run)(&mut account, Err(Fault::TimedOut), &context, &mut turn()).expect("the context decodes");
    assert_eq!(account.balance, 5, "the amount came back");
    (thens[1].run)(&mut account, Ok(&encoded(&8_i64)), &[], &mut turn()).expect("the context decodes");
    assert_eq!(account.last, Some(turn().owner()));
    let reply = encoded(&Err::<u64, _>(Insufficient { missing: 3 }));
    (thens[2].run)(&mut account, Ok(&reply), &[], &mut turn()).expect("the context decodes");
    assert_eq!(account.balance, 8);
}

#[test]
fn a_parking_method_asks_other_objects_and_returns_nothing() {
    let mut account = Account { balance: 9, log: HITS.clone(), last: None };
    let mut turn = turn();
    assert_eq!(run(&mut account, "withdraw_logged", &(4_u64,), &mut turn), Ran::Parked);
    assert_eq!(account.balance, 5);
    let asked = format!("{turn:?}");
    assert!(asked.contains("hits") && asked.contains("other"), "{asked}");
    let message: Message<i64> = HITS.message().add(1);
    assert!(format!("{message:?}").contains("hits"));
}

#[test]
fn a_person_types_json() {
    let add = &Tally::TYPE.methods[0];
    assert_eq!((add.arguments_from_json)(&[5.into()]), Ok(encoded(&(5_i64,))));
    assert!((add.arguments_from_json)(&["five".into()]).is_err());
    assert_eq!((Tally::TYPE.methods[1].arguments_from_json)(&[]), Ok(Vec::new()));
    assert_eq!((add.reply_to_json)(&encoded(&5_i64)), Ok(5.into()));
    let withdraw = &Account::TYPE.methods[0];
    let reply = (withdraw.reply_to_json)(&encoded(&Err::<u64, _>(Insufficient { missing: 3 })));
    assert_eq!(reply.expect("the reply decodes").to_string(), r#"{"Err":{"missing":3}}"#);
    let state: &dyn State = &Tally { count: 5 };
    assert_eq!(state.to_json().expect("the state has JSON").to_string(), r#"{"count":5}"#);
}

#[test]
fn the_shape_names_state_methods_and_continuations() {
    let expected = "Tally { state Tally where Tally { count: i64 }; &mut add(i64) -> i64; &get() -> i64; \
                    &at() -> u64; &mut draw(u64, u64) -> u64; &copy() -> Tally where Tally { count: i64 }; \
                    &ahead(Vec<Tally>) where Tally { count: i64 } -> u64 }";
    assert_eq!(Tally::TYPE.shape(), expected);
    assert!(Account::TYPE.shape().contains("; new(u64, String); "), "{}", Account::TYPE.shape());
    assert!(Account::TYPE.shape().contains("then_seen(i64, ())"));
    assert_ne!(Tally::TYPE.fingerprint(), Account::TYPE.fingerprint());
}

#[test]
fn state_survives_encoding() {
    let counter: &dyn State = &Tally { count: 5 };
    let bytes = counter.encode(Vec::new()).expect("the state can be encoded");
    let object: Box<dyn Any> = (Tally::TYPE.decode)(&bytes).expect("the state decodes");
    assert_eq!(object.downcast_ref(), Some(&Tally { count: 5 }));
}

#[test]
fn two_combine_functions_of_one_name_are_refused() {
    fn one() -> Combine<u64> {
        #[greenroom_macros::combine]
        fn twin(there: &mut u64, comes: u64) {
            *there += comes;
        }
        twin::combine()
    }
    fn other() -> Combine<u64> {
        #[greenroom_macros::combine]
        fn twin(there: &mut u64, comes: u64) {
            *there *= comes;
        }
        twin::combine()
    }
    assert_eq!(one().name(), other().name(), "a name is a module and a function");
    let refused = greenroom::combine::combine(one().name(), &encoded(&1_u64), &encoded(&2_u64));
    assert_eq!(refused, Err(CombineError::Ambiguous("macros::twin".to_owned())));
}

#[test]
fn a_combine_function_is_called_by_its_name_and_stays_a_function() {
    let by: Combine<Span> = widen::combine();
    assert_eq!(by.name(), "macros::widen");
    assert_eq!(inside::longest::combine().name(), "macros::inside::longest");
    let (there, comes) = (Span { from: 1, to: 5 }, Span { from: -2, to: 3 });
    let combined = greenroom::combine::combine(by.name(), &encoded(&there), &encoded(&comes)).expect("combines");
    assert_eq!(decoded::<Span>(&combined), Span { from: -2, to: 5 });
    let longest = greenroom::combine::combine("macros::inside::longest", &encoded(&[1_u8]), &encoded(&[2_u8]));
    assert!(matches!(longest, Err(CombineError::Value { .. })), "an array is no vector: {longest:?}");

    let mut span = there;
    widen(&mut span, comes);
    assert_eq!(span, Span { from: -2, to: 5 });
}

#[test]
fn mistakes_are_shown_where_they_were_made() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
