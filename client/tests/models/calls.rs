//! The calls that are out, of sessions that end and are followed by others.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use greenroom::Caller;
use proptest::sample::Index;

use crate::SESSIONS;
use crate::stage::{Session, Stage};

/// A call, to whatever it comes.
pub(crate) type Out<O> = Pin<Box<dyn Future<Output = O>>>;

/// The calls that are out, by their numbers.
pub(crate) struct Calls<'s, O> {
    stage: &'s Stage,
    sessions: Vec<Session>,
    out: Vec<Call<O>>,
    n_calls: usize,
}

struct Call<O> {
    number: usize,
    session: usize,
    future: Out<O>,
}

impl<'s, O> Calls<'s, O> {
    pub(crate) fn new(stage: &'s Stage) -> Self {
        Self { stage, sessions: (0..SESSIONS).map(|_| stage.session()).collect(), out: Vec::new(), n_calls: 0 }
    }

    /// The way of a session to the machine.
    pub(crate) fn caller(&self, session: usize) -> Arc<dyn Caller> {
        self.sessions[session].caller()
    }

    /// Makes a call; its answer is looked at later. Returns its number.
    pub(crate) fn make(&mut self, session: usize, mut future: Out<O>) -> usize {
        assert!(poll(&mut future).is_pending(), "the poll that makes a call does not see its answer");
        self.n_calls += 1;
        self.out.push(Call { number: self.n_calls, session, future });
        self.n_calls
    }

    /// One of the calls that are out, if there are any.
    pub(crate) fn pick(&self, index: &Index) -> Option<usize> {
        (!self.out.is_empty()).then(|| self.out[index.index(self.out.len())].number)
    }

    /// Whether a call of the session is out.
    pub(crate) fn session_of(&self, number: usize) -> usize {
        self.out[self.place(number)].session
    }

    /// Looks at a call, which is not out any more if it has been answered.
    ///
    /// The machine has to have answered something since: its answer follows those to all calls before it.
    pub(crate) fn look(&mut self, number: usize) -> Poll<O> {
        let place = self.place(number);
        let found = poll(&mut self.out[place].future);
        if found.is_ready() {
            drop(self.out.remove(place));
        }
        found
    }

    /// Drops a call, whether it has been answered or not.
    pub(crate) fn give_up(&mut self, number: usize) {
        let place = self.place(number);
        drop(self.out.remove(place));
    }

    /// All calls that are out.
    pub(crate) fn all(&self) -> Vec<usize> {
        self.out.iter().map(|call| call.number).collect()
    }

    /// Ends a session as the death of its process does, where nothing is dropped. Another one follows it.
    pub(crate) fn end(&mut self, session: usize) {
        let (gone, left) = std::mem::take(&mut self.out).into_iter().partition(|call| call.session == session);
        self.out = left;
        std::mem::forget::<Vec<Call<O>>>(gone);
        std::mem::replace(&mut self.sessions[session], self.stage.session()).end();
    }

    fn place(&self, number: usize) -> usize {
        self.out.iter().position(|call| call.number == number).expect("it is out")
    }
}

fn poll<O>(future: &mut Out<O>) -> Poll<O> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}
