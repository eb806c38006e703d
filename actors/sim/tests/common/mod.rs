//! Random histories: some made by choosing when each call takes effect, some of arbitrary answers; and a naive checker.

use greenroom_sim::spec::{
    BarrierSpec, CounterSpec, MapSpec, MutexSpec, Phase, PromiseSpec, QueueSpec, RegisterSpec, SemaphoreSpec,
    Specification, Step,
};
use greenroom_sim::*;
use proptest::prelude::*;

/// What one operation is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    client: u64,
    choice: usize,
    value: i64,
    reply: usize,
    before: u64,
    after: u64,
    /// 0 and 1 are unanswered: applied, and never applied.
    fate: u8,
}

pub(crate) fn plans(len: std::ops::Range<usize>, window: u64) -> impl Strategy<Value = Vec<Plan>> {
    let plan = (0..3u64, 0..6usize, 0..3i64, any::<u16>(), 0..window, 0..window, 0..10u8).prop_map(
        |(client, choice, value, reply, before, after, fate)| {
            let client = client + 1;
            Plan { client, choice, value, reply: reply.into(), before, after, fate }
        },
    );
    proptest::collection::vec(plan, len)
}

pub(crate) const TYPES: [ObjectType; 9] = [
    ObjectType::Counter { initial: 0 },
    ObjectType::Register { initial: 0 },
    ObjectType::Map,
    ObjectType::Queue { capacity: None },
    ObjectType::Queue { capacity: Some(2) },
    ObjectType::Mutex,
    ObjectType::Semaphore { permits: 2 },
    ObjectType::Barrier { parties: 2 },
    ObjectType::Promise,
];

/// A call of the type; values of queues are unique if `index` is used for them.
fn call_of(object_type: ObjectType, plan: &Plan, unique: Option<usize>) -> Call {
    let value = plan.value;
    let sent = unique.map_or(value, |index| index as i64);
    match (object_type, plan.choice) {
        (ObjectType::Counter { .. }, choice) => Call::Counter(match choice {
            0 => CounterCall::Get,
            1 => CounterCall::Swap(value),
            2 => CounterCall::CompareExchange { current: value, new: 1 },
            3 => CounterCall::Store(value),
            4 => CounterCall::Add(value - 1),
            _ => CounterCall::FetchAdd(1),
        }),
        (ObjectType::Register { .. }, choice) => Call::Register(match choice {
            0 | 1 => RegisterCall::Read,
            2 => RegisterCall::CompareExchange { current: value, new: 1 },
            3 => RegisterCall::Replace(value),
            _ => RegisterCall::Write(value),
        }),
        (ObjectType::Map, choice) => Call::Map(match choice {
            0 | 1 => MapCall::Get(value),
            2 => MapCall::Remove(value),
            3 if unique.is_none() => MapCall::Len,
            _ => MapCall::Insert(value, plan.before as i64 % 3),
        }),
        (ObjectType::Queue { .. }, choice) => Call::Queue(match choice {
            0 => QueueCall::Recv,
            1 | 2 => QueueCall::TryRecv,
            3 => QueueCall::TrySend(sent),
            _ => QueueCall::Send(sent),
        }),
        (ObjectType::Mutex, choice) => match choice {
            0 => Call::OwnerEnded(ClientId(plan.client)),
            1 => Call::Mutex(MutexCall::TryLock),
            2 | 3 => Call::Mutex(MutexCall::Lock),
            _ => Call::Mutex(MutexCall::Unlock(value as u64 + 1)),
        },
        (ObjectType::Semaphore { .. }, choice) => match choice {
            0 => Call::OwnerEnded(ClientId(plan.client)),
            1 => Call::Semaphore(SemaphoreCall::TryAcquire(value as u64 / 2 + 1)),
            2 | 3 => Call::Semaphore(SemaphoreCall::Acquire(value as u64 / 2 + 1)),
            _ => Call::Semaphore(SemaphoreCall::Release(1)),
        },
        (ObjectType::Barrier { .. }, _) => Call::BarrierWait,
        (ObjectType::Promise, choice) => Call::Promise(match choice {
            0 | 1 => PromiseCall::Set(value),
            2 | 3 => PromiseCall::TryGet,
            _ => PromiseCall::Wait,
        }),
    }
}

/// All replies that could be right for a call in a small history.
fn replies(call: &Call) -> Vec<Reply> {
    let numbers = -6..40;
    match call {
        Call::Counter(CounterCall::CompareExchange { .. }) | Call::Register(RegisterCall::CompareExchange { .. }) => {
            numbers.flat_map(|number| [Reply::Exchanged(Ok(number)), Reply::Exchanged(Err(number))]).collect()
        }
        Call::Counter(CounterCall::Store(_)) | Call::Register(RegisterCall::Write(_)) => vec![Reply::Done],
        Call::Counter(_) | Call::Register(_) | Call::Map(MapCall::Len) => numbers.map(Reply::Number).collect(),
        Call::Queue(QueueCall::Recv) | Call::Promise(PromiseCall::Wait) => numbers.map(Reply::Number).collect(),
        Call::Map(_) | Call::Queue(QueueCall::TryRecv) | Call::Promise(PromiseCall::TryGet) => {
            [Reply::Value(None)].into_iter().chain(numbers.map(|number| Reply::Value(Some(number)))).collect()
        }
        Call::Mutex(MutexCall::Lock) => (1..40).map(Reply::Fence).collect(),
        Call::Mutex(MutexCall::TryLock) => [Reply::Refused].into_iter().chain((1..40).map(Reply::Fence)).collect(),
        Call::BarrierWait => {
            (0..20).flat_map(|generation| [true, false].map(|leader| Reply::Passed { leader, generation })).collect()
        }
        Call::Queue(_) | Call::Mutex(_) | Call::Semaphore(_) | Call::Promise(_) => vec![Reply::Done, Reply::Refused],
        Call::OwnerEnded(_) => Vec::new(),
    }
}

/// Runs `$body` with `$spec` bound to the specification of a type.
macro_rules! with_spec {
    ($object_type:expr, $spec:ident => $body:expr) => {
        match $object_type {
            ObjectType::Counter { initial } => {
                let $spec = CounterSpec { initial };
                $body
            }
            ObjectType::Register { initial } => {
                let $spec = RegisterSpec { initial };
                $body
            }
            ObjectType::Map => {
                let $spec = MapSpec;
                $body
            }
            ObjectType::Queue { capacity } => {
                let $spec = QueueSpec::new(capacity);
                $body
            }
            ObjectType::Mutex => {
                let $spec = MutexSpec;
                $body
            }
            ObjectType::Semaphore { permits } => {
                let $spec = SemaphoreSpec { permits };
                $body
            }
            ObjectType::Barrier { parties } => {
                let $spec = BarrierSpec { parties };
                $body
            }
            ObjectType::Promise => {
                let $spec = PromiseSpec;
                $body
            }
        }
    };
}

/// A history that is linearizable, because each call took effect at a time of its own within its duration.
pub(crate) fn linearizable(object_type: ObjectType, plans: &[Plan]) -> History {
    with_spec!(object_type, spec => execute(&spec, object_type, plans))
}

fn execute<S: Specification>(spec: &S, object_type: ObjectType, plans: &[Plan]) -> History {
    let mut history = History::new();
    let object = history.object("object", object_type);
    let mut state = spec.initial();
    let mut inside = Vec::new();
    for (index, plan) in plans.iter().enumerate() {
        let (at, client) = (100 + 10 * index as u64, ClientId(plan.client));
        let call = call_of(object_type, plan, Some(index));
        let unanswered = plan.fate < 2 || matches!(call, Call::OwnerEnded(_));
        let step = |reply, phase| Step { call, reply, client, phase };
        let first = spec.phases()[0];
        let fitting = replies(&call).into_iter().find(|&reply| spec.apply(&state, &step(Some(reply), first)).is_some());
        let reply = if unanswered { None } else { fitting };
        if reply.is_none() && (plan.fate == 1 || spec.apply(&state, &step(None, first)).is_none()) {
            // It waits for ever, or is lost on its way.
            history.invoke(client, object, call, at - plan.before);
            continue;
        }
        state = spec.apply(&state, &step(reply, first)).expect("it was allowed");
        let operation = history.invoke(client, object, call, at - plan.before);
        if let Some(reply) = reply {
            inside.push((operation, step(Some(reply), Phase::Leave), reply, plan.after));
        }
        inside.retain(|(operation, leave, reply, after)| {
            let leaves = spec.phases().len() == 1 || spec.apply(&state, leave).is_some();
            if leaves {
                history.returned(*operation, *reply, at + after);
            }
            !leaves
        });
    }
    // Who is still in a barrier stays there, unanswered.
    history
}

/// A history of answers that may be right or not.
pub(crate) fn arbitrary(object_type: ObjectType, plans: &[Plan]) -> History {
    let mut history = History::new();
    let object = history.object("object", object_type);
    let is_unique = !plans[0].reply.is_multiple_of(4);
    for (index, plan) in plans.iter().enumerate() {
        let at = 100 + 10 * index as u64;
        let call = call_of(object_type, plan, is_unique.then_some(index));
        let operation = history.invoke(ClientId(plan.client), object, call, at - plan.before);
        // The likely ones come first.
        let replies: Vec<_> = replies(&call).into_iter().filter(is_small).collect();
        if plan.fate >= 2 && !replies.is_empty() {
            history.returned(operation, replies[plan.reply / 2 % replies.len()], at + plan.after);
        }
    }
    history
}

fn is_small(reply: &Reply) -> bool {
    let fits = |number: i64| (0..4).contains(&number);
    match *reply {
        Reply::Number(number) | Reply::Value(Some(number)) => fits(number),
        Reply::Exchanged(Ok(number) | Err(number)) => fits(number),
        Reply::Fence(fence) => fence < 4,
        Reply::Passed { generation, .. } => generation < 2,
        Reply::Done | Reply::Refused | Reply::Value(None) => true,
    }
}

/// Whether there is an order that is right, by trying them all.
pub(crate) fn brute_force(history: &History) -> bool {
    with_spec!(history.objects()[0].object_type, spec => {
        let mut steps = Vec::new();
        for operation in history.operations() {
            let (reply, end) = match operation.outcome {
                Outcome::Returned(reply, at) => (Some(reply), at),
                Outcome::Unknown(_) | Outcome::Open => (None, u64::MAX),
                Outcome::NotApplied(_) => continue,
            };
            let phases = if reply.is_some() { spec.phases() } else { &spec.phases()[..1] };
            for &phase in phases {
                steps.push((Step { call: operation.call, reply, client: operation.client, phase }, operation.invoked_at, end));
            }
        }
        any_order(&spec, &spec.initial(), &steps)
    })
}

fn any_order<S: Specification>(spec: &S, state: &S::State, left: &[(Step, u64, u64)]) -> bool {
    left.iter().all(|(step, ..)| step.reply.is_none())
        || (0..left.len()).any(|index| {
            let (step, from, _) = left[index];
            left.iter().all(|&(_, _, end)| from <= end)
                && spec.apply(state, &step).is_some_and(|next| {
                    let rest: Vec<_> = left[..index].iter().chain(&left[index + 1..]).copied().collect();
                    any_order(spec, &next, &rest)
                })
        })
}

/// Whether a check accepts; it must come to a result.
pub(crate) fn accepts(history: &History) -> bool {
    match check(history, &Limits::default()) {
        Verdict::Linearizable => true,
        Verdict::NotLinearizable { .. } => false,
        Verdict::GaveUp { why } => panic!("{why}\n{history}"),
    }
}
