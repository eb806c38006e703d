//! `Executor::map`: calls that are run a bounded number at once, as their results are asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::FusedIterator;

use greenroom_actors::{Error, ReplyBody};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::executor::{Executor, check_may_block};
use super::function::Call;
use super::handle::JoinHandle;

/// In which order results are brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    OfCalls,
    AsTheyCome,
}

/// What calls return, as they are run by [`Executor::map`].
///
/// Nothing is begun before the iterator is asked for its first item. Then so many run at once as [`in_flight`](Self::in_flight)
/// says, and one more is begun each time that a result is taken; so the calls may be endlessly many. In their order, a slow one
/// holds up the results behind it, and what is to be begun after those.
///
/// One that fails is an `Err` among the results, and the others go on. Dropping the iterator cancels what still runs.
pub struct Map<I, T, E> {
    executor: Executor,
    /// Nothing once all have been begun.
    calls: Option<I>,
    in_flight_max: usize,
    order: Order,
    next: u64,
    out: BTreeMap<u64, JoinHandle<T, E>>,
    /// The numbers of those that have ended, if that is the order.
    ended: (UnboundedSender<u64>, UnboundedReceiver<u64>),
    #[cfg(feature = "progress")]
    bar: Option<indicatif::ProgressBar>,
}

impl<I, T, E> Map<I, T, E> {
    pub(super) fn new(executor: Executor, calls: I, in_flight_max: usize) -> Self {
        Self {
            executor,
            calls: Some(calls),
            in_flight_max,
            order: Order::OfCalls,
            next: 0,
            out: BTreeMap::new(),
            ended: unbounded_channel(),
            #[cfg(feature = "progress")]
            bar: None,
        }
    }

    pub(super) fn ordered(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Runs at most `threads` at once, at least one; 256 without this.
    #[must_use]
    pub fn in_flight(mut self, threads: usize) -> Self {
        self.in_flight_max = threads.max(1);
        self
    }

    /// Brings results as they come, whichever call they are of.
    ///
    /// To be said before the first result is asked for.
    #[must_use]
    pub fn unordered(self) -> Self {
        self.ordered(Order::AsTheyCome)
    }
}

impl<I, T, E> Map<I, T, E>
where
    E: ReplyBody<T>,
    I: Iterator<Item = Call<T, E>>,
{
    /// Shows on stderr how many results have been brought, of `what`, while it is a terminal; nothing remains of it.
    ///
    /// How many there will be is shown if the calls' `size_hint` knows.
    #[cfg(feature = "progress")]
    #[must_use]
    pub fn progress(mut self, what: impl Into<String>) -> Self {
        use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

        let hint = self.calls.as_ref().map(Iterator::size_hint);
        let length = hint.and_then(|(least, most)| most.filter(|most| *most == least)).map(|length| length as u64);
        let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match length {
            Some(_) => "{bar:40} {human_pos} of {human_len} {msg}, {elapsed}",
            None => "{spinner} {human_pos} {msg}, {elapsed}",
        };
        // A template that is not understood would only look otherwise.
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        self.bar = Some(bar.with_message(what.into()).with_finish(ProgressFinish::AndClear));
        self
    }

    /// Begins as many as may run.
    pub(super) fn fill(&mut self) {
        while self.out.len() < self.in_flight_max
            && let Some(calls) = &mut self.calls
        {
            let Some(call) = calls.next() else {
                self.calls = None;
                return;
            };
            let (number, handle) = (self.next, self.executor.spawn(call));
            self.next += 1;
            if self.order == Order::AsTheyCome {
                let ended = self.ended.0.clone();
                // Whoever asked may have gone.
                handle.running.when_ended(move |_| {
                    let _ = ended.send(number);
                });
            }
            self.out.insert(number, handle);
        }
    }

    /// Begins no more, and cancels what runs.
    pub(super) fn cancel(&mut self) {
        self.calls = None;
        self.out.values().for_each(JoinHandle::cancel);
    }
}

impl<I, T, E> Map<I, T, E>
where
    E: ReplyBody<T, Body: DeserializeOwned>,
    I: Iterator<Item = Call<T, E>>,
{
    /// The next result, for async code; `None` when there are no more.
    pub async fn next_async(&mut self) -> Option<Result<T, Error<E>>> {
        self.next_numbered().await.map(|(_, joined)| joined)
    }

    /// The next result, with its call's place.
    pub(super) async fn next_numbered(&mut self) -> Option<(u64, Result<T, Error<E>>)> {
        self.fill();
        let first = *self.out.keys().next()?;
        let number = match self.order {
            Order::OfCalls => first,
            // One end of it is kept here.
            Order::AsTheyCome => self.ended.1.recv().await?,
        };
        // Kept where it is until it has ended: who stops waiting loses nothing.
        self.out.get(&number)?.running.finished().await;
        let joined = self.out.remove(&number)?.join_async().await;
        #[cfg(feature = "progress")]
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        Some((number, joined))
    }
}

/// An iterator that blocks. On a thread that runs async tasks it brings one [`Error::Blocking`], and has begun nothing more.
impl<I, T, E> Iterator for Map<I, T, E>
where
    E: ReplyBody<T, Body: DeserializeOwned>,
    I: Iterator<Item = Call<T, E>>,
{
    type Item = Result<T, Error<E>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.calls.is_none() && self.out.is_empty() {
            return None;
        }
        if let Err(error) = check_may_block("map") {
            self.cancel();
            self.out.clear();
            return Some(Err(error));
        }
        pollster::block_on(self.next_async())
    }
}

impl<I, T, E> FusedIterator for Map<I, T, E>
where
    E: ReplyBody<T, Body: DeserializeOwned>,
    I: Iterator<Item = Call<T, E>>,
{
}

impl<I, T, E> Drop for Map<I, T, E> {
    fn drop(&mut self) {
        self.out.values().for_each(|handle| handle.running.cancel());
    }
}

impl<I, T, E> fmt::Debug for Map<I, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("begun", &self.next).field("in_flight", &self.out.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "progress"))]
mod tests {
    use super::*;

    #[crate::cloud]
    fn same(number: u64) -> u64 {
        number
    }

    #[test]
    fn a_bar_counts_the_results_and_knows_how_many_there_will_be() {
        let mut map = Executor::new().map((0..5).map(same::call)).in_flight(2).progress("numbers");
        assert_eq!(map.by_ref().take(3).count(), 3);
        let bar = map.bar.as_ref().expect("it was asked for");
        assert_eq!((bar.position(), bar.length()), (3, Some(5)));
        let endless = Executor::new().map((0..).map(same::call)).progress("numbers");
        assert_eq!(endless.bar.as_ref().and_then(indicatif::ProgressBar::length), None);
    }
}
