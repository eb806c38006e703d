//! Iterators over the values of a channel.

use greenroom_actors::Error;
use greenroom_actors::objects::{RecvError, TryRecvError};

use super::Receiver;
use crate::value::Value;

/// Values as they come, until the channel's end: what [`Receiver::iter`] returns.
#[derive(Debug)]
pub struct Iter<'a, T> {
    /// `None` after the end, or an error.
    receiver: Option<&'a Receiver<T>>,
}

/// The values that are there: what [`Receiver::try_iter`] returns.
#[derive(Debug)]
pub struct TryIter<'a, T> {
    /// `None` after the end, or an error.
    receiver: Option<&'a Receiver<T>>,
}

/// Values as they come, until the channel's end, from a receiver of its own.
#[derive(Debug)]
pub struct IntoIter<T> {
    /// `None` after the end, or an error.
    receiver: Option<Receiver<T>>,
}

impl<T: Value> Iterator for Iter<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = received(self.receiver?.recv());
        if !matches!(next, Some(Ok(_))) {
            self.receiver = None;
        }
        next
    }
}

impl<T: Value> Iterator for TryIter<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.receiver?.try_recv() {
            Ok(value) => Some(Ok(value)),
            Err(Error::Method(TryRecvError::Empty | TryRecvError::Disconnected)) => None,
            Err(error) => Some(Err(error.into())),
        };
        if !matches!(next, Some(Ok(_))) {
            self.receiver = None;
        }
        next
    }
}

impl<T: Value> Iterator for IntoIter<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = received(self.receiver.as_ref()?.recv());
        if !matches!(next, Some(Ok(_))) {
            self.receiver = None;
        }
        next
    }
}

fn received<T>(result: Result<T, Error<RecvError>>) -> Option<Result<T, Error>> {
    match result {
        Ok(value) => Some(Ok(value)),
        Err(Error::Method(RecvError)) => None,
        Err(error) => Some(Err(error.into())),
    }
}

impl<T: Value> Receiver<T> {
    /// The values as they come, until the channel's end; `for value in &receiver` is the same.
    ///
    /// Each step is one [`recv`](Self::recv), one round trip: nothing is taken ahead that could be lost with the iterator. To go
    /// faster, loop over [`recv_many`](Self::recv_many). An error is an item too, and the last.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: Some(self) }
    }

    /// The values that are there, until none is.
    ///
    /// Each step is one [`try_recv`](Self::try_recv), one round trip. An error is an item too, and the last.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: Some(self) }
    }
}

impl<'a, T: Value> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, Error>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Value> IntoIterator for Receiver<T> {
    type Item = Result<T, Error>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: Some(self) }
    }
}
