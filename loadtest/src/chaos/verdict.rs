//! What a run under faults was worth: lost, doubled, forgotten, linearizable, and the times without service.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use greenroom_sim::{Call, History, Limits, MutexCall, ObjectIndex, Outcome, Reply, Verdict, conservation};
use hdrhistogram::Histogram;

use super::ending::Last;
use super::faults::{Kind, Outage};
use super::scribe::Book;
use crate::report::{Figure, Goal, Report, Section};

/// Steps that the search may try for each object: some ten seconds.
const LIMITS: Limits = Limits { steps_max: 20_000_000, configurations_max: 4_000_000 };
/// Upper ends of the bars of the histogram, in milliseconds.
const BARS_MS: [u64; 8] = [50, 100, 250, 500, 1_000, 1_500, 2_000, 5_000];

/// What conservation says.
#[derive(Debug, Default)]
struct Counts {
    lost: f64,
    doubled: f64,
    lines: Vec<String>,
}

pub(crate) fn judge(
    book: &Book,
    last: anyhow::Result<Last>,
    outages: &[Outage],
    trouble: Option<String>,
    folder: &Path,
) -> anyhow::Result<Report> {
    let history = book.history();
    let last = last.unwrap_or_else(|error| Last { forgotten: vec![format!("{error:#}")], ..Last::default() });
    let counts = count(&history, &last);
    let started = Instant::now();
    let report = greenroom_sim::report(&history, &LIMITS);
    let took = started.elapsed();
    for (error, times) in book.errors() {
        println!("  {times:>6} x {error}");
    }
    for line in counts.lines.iter().chain(&last.forgotten) {
        println!("  WRONG: {line}");
    }
    print_histogram(outages);
    let verdict = match &report.verdict {
        Verdict::Linearizable => "yes".to_owned(),
        Verdict::NotLinearizable { object, explanation } => format!("NO: {object}\n{explanation}"),
        Verdict::GaveUp { why } => format!("gave up: {why}"),
    };
    println!("{} lost, {} doubled, {} forgotten", counts.lost, counts.doubled, last.forgotten.len());
    println!("linearizable: {verdict}");
    println!("  ({} calls, {} steps in {:.1} s)", report.operations, report.steps, took.as_secs_f64());
    let is_linear = matches!(report.verdict, Verdict::Linearizable);
    let whole = trouble.is_none();
    let mut result = Report::new("chaos", None);
    result.sections.push(Section {
        name: "calls".to_owned(),
        figures: vec![
            Figure::alone("calls", history.len() as f64, "", Goal::AtLeast(1.0)),
            Figure::alone("calls that nobody knows the outcome of", unknown(&history), "", Goal::None),
            Figure::alone("lost", counts.lost, "", Goal::AtMost(0.0)),
            Figure::alone("doubled", counts.doubled, "", Goal::AtMost(0.0)),
            Figure::alone("forgotten", last.forgotten.len() as f64, "", Goal::AtMost(0.0)),
            Figure::alone("linearizable", f64::from(u8::from(is_linear)), "", Goal::AtLeast(1.0)),
            Figure::alone("whole again after each fault", f64::from(u8::from(whole)), "", Goal::AtLeast(1.0)),
        ],
    });
    result.sections.push(Section { name: "time without service".to_owned(), figures: silences(outages)? });
    if !result.is_met() {
        let path = folder.join("history.json");
        history.write_to(&path)?;
        println!("the history is in {}", path.display());
    }
    Ok(result)
}

fn unknown(history: &History) -> f64 {
    history.operations().iter().filter(|operation| matches!(operation.outcome, Outcome::Unknown(_))).count() as f64
}

fn count(history: &History, last: &Last) -> Counts {
    let mut counts = Counts::default();
    let key = |object: ObjectIndex| history.objects()[object.0 as usize].key.clone();
    for &(object, value) in &last.counters {
        let account = conservation::counter(history, object, 0, value);
        counts.lost += f64::from(u8::from(account.lost() != 0));
        counts.doubled += f64::from(u8::from(account.doubled() != 0));
        if !account.is_balanced() {
            counts.lines.push(format!("{}: {account:?}", key(object)));
        }
    }
    for &(object, value) in &last.mutexes {
        let (done, maybe) = unlocks(history, object);
        counts.lost += done.saturating_sub(value) as f64;
        counts.doubled += value.saturating_sub(done + maybe) as f64;
        if value < done || value > done + maybe {
            let key = key(object);
            counts.lines.push(format!("{key}: changed {value} times, acknowledged {done}, unknown {maybe}"));
        }
    }
    for &object in &last.channels {
        let account = conservation::channel(history, object, &[]);
        counts.lost += account.lost.len().saturating_sub(account.excused) as f64;
        counts.doubled += (account.doubled.len() + account.invented.len()) as f64;
        if !account.is_balanced() {
            counts.lines.push(format!("{}: {account:?}", key(object)));
        }
    }
    counts
}

/// How often a lock was given back with its changed value, for sure and maybe. The last reader changes nothing.
fn unlocks(history: &History, object: ObjectIndex) -> (u64, u64) {
    let of = history.operations().iter().filter(|operation| operation.object == object);
    let unlocks: Vec<_> = of.filter(|operation| matches!(operation.call, Call::Mutex(MutexCall::Unlock(_)))).collect();
    let done = unlocks.iter().filter(|operation| matches!(operation.outcome, Outcome::Returned(Reply::Done, _)));
    // One that was not sent is sent again when the guard is dropped.
    let maybe = unlocks.iter().filter(|operation| !matches!(operation.outcome, Outcome::Returned(..)));
    ((done.count() as u64).saturating_sub(1), maybe.count() as u64)
}

fn silences(outages: &[Outage]) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (kind, of) in by_kind(outages) {
        let mut silence = Histogram::<u64>::new(3)?;
        let mut healed = Histogram::<u64>::new(3)?;
        for outage in of {
            silence.record(u64::try_from(outage.silence.as_millis())?)?;
            healed.record(u64::try_from(outage.healed.as_millis())?)?;
        }
        let of = format!("{kind}, {} of them", silence.len());
        for (name, quantile) in [("p50", 0.5), ("p95", 0.95), ("max", 1.0)] {
            let value = silence.value_at_quantile(quantile) as f64;
            figures.push(Figure::alone(format!("{of}: {name}"), value, "ms", Goal::None));
        }
        let value = healed.value_at_quantile(0.5) as f64;
        figures.push(Figure::alone(format!("{of}: all copies back, p50"), value, "ms", Goal::None));
    }
    Ok(figures)
}

fn by_kind(outages: &[Outage]) -> BTreeMap<Kind, Vec<&Outage>> {
    let mut kinds: BTreeMap<Kind, Vec<&Outage>> = BTreeMap::new();
    for outage in outages {
        kinds.entry(outage.kind).or_default().push(outage);
    }
    kinds
}

fn print_histogram(outages: &[Outage]) {
    println!("time without service, in ms, by kind of fault (an upper end, and how many faults):");
    for (kind, of) in by_kind(outages) {
        let mut bars = [0_usize; BARS_MS.len() + 1];
        for outage in of {
            let silence = outage.silence.as_millis();
            bars[BARS_MS.iter().position(|&end| silence <= u128::from(end)).unwrap_or(BARS_MS.len())] += 1;
        }
        let ends = BARS_MS.iter().map(|end| format!("{end}")).chain(["more".to_owned()]);
        let shown: Vec<String> = ends.zip(bars).map(|(end, count)| format!("{end}:{count}")).collect();
        println!("  {:<18} {}", kind.to_string(), shown.join("  "));
    }
}
