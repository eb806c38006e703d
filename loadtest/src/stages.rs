//! What the stages of a call cost on one core, without the network: an increment of a counter, in batches of 64.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use greenroom_actors::objects::CounterObject;
use greenroom_actors::wire::{self, Frame, Reply, Request};
use greenroom_actors::{
    Answer, Arrival, CallId, Effect, Entry, Epoch, JobId, Lane, Limits, Now, Object, ObjectName, ObjectNumber,
    Outcomes, Owner, Sequence, SessionId, Slot, SlotId, Wanted, hash_object,
};

use crate::report::{Figure, Goal, Report, Section};

/// What the stages of a call cost, without the network.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Batches of 64 calls.
    #[arg(long, default_value_t = 50_000)]
    batches: u64,
}

const CALLS: usize = 64;
const STAGES: [&str; 6] = [
    "client: encode the call",
    "shard: decode the call",
    "slot: look up, order, commit",
    "object: apply (with undo)",
    "slot: keep and address the reply",
    "shard: encode the reply",
];

/// Everything that a batch passes through, without the streams and the actors.
struct Path {
    slot: Slot,
    out: BytesMut,
    effects: Vec<Effect>,
    scratch: Vec<u8>,
    spent: [Duration; STAGES.len()],
}

/// The time of every turn.
const NOW: Now = Now { ms: 1_000, seed: 1 };

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let mut path = Path {
        slot: Slot::new(SlotId(0), Epoch(1), Limits::default(), Now { ms: 0, seed: 1 }),
        out: BytesMut::new(),
        effects: Vec::new(),
        scratch: Vec::new(),
        spent: [Duration::ZERO; STAGES.len()],
    };
    // The first batches warm up.
    for number in 0..options.batches / 10 {
        path.batch(number)?;
    }
    path.spent = [Duration::ZERO; STAGES.len()];
    for number in 0..options.batches {
        path.batch(options.batches / 10 + number)?;
    }
    let calls = (options.batches * CALLS as u64) as f64;
    let figures = STAGES
        .iter()
        .zip(path.spent)
        .map(|(stage, spent)| Figure::alone(*stage, spent.as_nanos() as f64 / calls, "ns", Goal::None))
        .collect();
    let mut report = Report::new("stages", None);
    report.sections.push(Section { name: "an increment, in batches of 64, on one core".to_owned(), figures });
    Ok(report)
}

impl Path {
    /// Takes 64 calls of 64 lanes through all stages.
    fn batch(&mut self, number: u64) -> anyhow::Result<()> {
        let started = Instant::now();
        let frames = self.encode(number)?;
        let encoded = Instant::now();
        let requests = frames.iter().map(wire::decode).collect::<Result<Vec<_>, _>>()?;
        let decoded = Instant::now();
        for request in &requests {
            let Frame::Request(request) = request else { anyhow::bail!("not a request") };
            self.order(request);
        }
        let ordered = Instant::now();
        let (object, outcomes) = self.apply()?;
        let applied = Instant::now();
        self.slot.handle_outcomes(object, outcomes, true, &mut self.effects);
        let kept = Instant::now();
        self.reply();
        let replied = Instant::now();
        let ends = [started, encoded, decoded, ordered, applied, kept, replied];
        for (spent, pair) in self.spent.iter_mut().zip(ends.windows(2)) {
            *spent += pair[1] - pair[0];
        }
        Ok(())
    }

    fn encode(&mut self, number: u64) -> anyhow::Result<Vec<Bytes>> {
        let arguments = Bytes::from(postcard_one()?);
        let hash = hash_object(JobId::DEFAULT, CounterObject::NAME, "hits");
        let frames = (0..CALLS).map(|lane| {
            let request = Request {
                lane: Lane(u32::try_from(lane).unwrap_or_default()),
                sequence: Sequence(number + 1),
                slot: SlotId(0),
                epoch: Epoch(1),
                fingerprint: hash,
                type_name: CounterObject::NAME,
                key: "hits",
                deadline_ms: Some(1_800_000_000_000),
                arguments: arguments.clone(),
                ..Request::default()
            };
            request.encode(&mut self.out);
            self.out.split().freeze()
        });
        Ok(frames.collect())
    }

    fn order(&mut self, request: &Request<'_>) {
        let session = SessionId(1);
        let hash = hash_object(request.job, request.type_name, request.key);
        let arrival = Arrival {
            call: CallId { session, lane: request.lane, sequence: request.sequence },
            owner: Owner::Session(session),
            object: ObjectName { hash, job: request.job, object_type: CounterObject::TYPE, key: request.key },
            method: request.method,
            arguments: request.arguments.clone(),
            construction: Wanted::Anything,
            durability: None,
            retry: false,
            deadline_ms: request.deadline_ms,
            chain: &request.chain,
        };
        self.slot.handle_call(arrival, NOW, &mut self.effects);
    }

    fn apply(&mut self) -> anyhow::Result<(ObjectNumber, Outcomes)> {
        let mut outcomes = Outcomes::default();
        let entries: Vec<(ObjectNumber, Entry)> = self
            .effects
            .drain(..)
            .filter_map(|effect| match effect {
                Effect::Apply { object, entry } => Some((object, entry)),
                _ => None,
            })
            .collect();
        let object = entries.first().context("nothing was ordered")?.0;
        let instance = self.slot.objects().get(object).context("no object")?.instance().clone();
        let mut instance = instance.borrow_mut();
        for (_, entry) in &entries {
            instance.apply(entry, &mut self.scratch, &mut outcomes);
        }
        Ok((object, outcomes))
    }

    fn reply(&mut self) {
        for effect in self.effects.drain(..) {
            let Effect::Reply { call, answer: Answer { applied, index, result } } = effect else { continue };
            let (lane, sequence) = (call.lane, call.sequence);
            let reply =
                Reply { lane, sequence, session: None, applied, index: Some(index), table: None, fence: None, result };
            reply.encode(&mut self.out);
        }
        black_box(self.out.split().freeze());
    }
}

fn postcard_one() -> anyhow::Result<Vec<u8>> {
    let add = CounterObject::TYPE.methods.first().context("a counter has methods")?;
    (add.arguments_from_json)(&[serde_json::json!(1)]).map_err(anyhow::Error::msg)
}
