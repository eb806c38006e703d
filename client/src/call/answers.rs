//! What an answer, a refusal or a broken stream means for a call: its value, another try, or its end.

use bytes::Bytes;
use greenroom_actors::{Error, Fault, Refusal};
use tokio::sync::oneshot;

use super::{ACK_ABOVE_BYTES, Call, Next};
use crate::pending::Event;

impl Call {
    /// The call's value, or what to do without one.
    pub(super) fn outcome(&mut self, event: Result<Event, oneshot::error::RecvError>) -> Result<Bytes, Next> {
        let event = event.unwrap_or_else(|_| Event::Broken("the client is shutting down".to_owned()));
        Err(match event {
            Event::Answered(Ok(body)) => {
                if let Some(connection) = self.out.take()
                    && body.len() > ACK_ABOVE_BYTES
                    && !self.outgoing.read
                    && self.attempt.is_none()
                {
                    connection.acknowledge((self.slot, self.id.lane, self.id.sequence));
                }
                return Ok(body);
            }
            Event::Answered(Err(Fault::Refused(refusal))) => self.judge_refusal(refusal),
            Event::Answered(Err(Fault::Moved)) => {
                self.in_doubt = !self.outgoing.read;
                Next::Again("the object is moving to another node".to_owned())
            }
            Event::Answered(Err(fault)) => Next::Return(Err(fault.into_error(self.outgoing.object(), self.id))),
            Event::Broken(why) => {
                self.in_doubt = !self.outgoing.read;
                Next::Again(why)
            }
            Event::Gone(why) => {
                if let Some(connection) = &self.out {
                    self.forget(connection);
                }
                if self.outgoing.read || !self.is_fixed() {
                    self.in_doubt = !self.outgoing.read;
                    return Err(Next::Again(why));
                }
                Next::Lost(self.unknown(why))
            }
            Event::Expired => {
                // If it is still parked there, it must not be granted anything now.
                self.abandon();
                let why = "no answer before the deadline".to_owned();
                if self.outgoing.read {
                    return Err(Next::Lost(Error::NoAnswer { object: self.outgoing.object(), why }));
                }
                Next::Lost(self.unknown(why))
            }
        })
    }

    pub(super) fn judge_refusal(&mut self, refusal: Refusal) -> Next {
        // Whoever refuses a call has not accepted it; an earlier try may have been.
        self.sent = self.in_doubt;
        match refusal {
            Refusal::NotCreated if self.outgoing.maker().is_some() && !self.with_arguments => {
                self.with_arguments = true;
                Next::AgainAtOnce
            }
            Refusal::Overloaded { .. } => {
                // Had an earlier try been applied, its reply would have come instead.
                self.in_doubt = false;
                self.out = None;
                Next::Again(refusal.to_string())
            }
            Refusal::WrongPlace | Refusal::Stopping | Refusal::Unavailable(_) => Next::Again(refusal.to_string()),
            // Only the retry of a call can be stale: the first try was applied, and its reply is gone.
            Refusal::Stale | Refusal::SessionEnded | Refusal::AttemptEnded if self.in_doubt => {
                Next::Lost(self.unknown(refusal.to_string()))
            }
            // It never was accepted, and its session has ended: it is made anew in the present one.
            Refusal::Expired if self.is_question() => {
                self.in_doubt = false;
                Next::AgainAtOnce
            }
            // Its time was over before it could begin to wait: to its caller that is the same.
            Refusal::Expired if self.outgoing.parks => {
                Next::Return(Err(Error::TimedOut { object: self.outgoing.object() }))
            }
            other => Next::Return(Err(self.outgoing.refused(other))),
        }
    }

    /// Whether the session ended while it was not known what became of the call: then that is asked first.
    pub(super) fn is_question(&self) -> bool {
        self.in_doubt && self.id.session != self.session()
    }

    pub(super) fn give_up(&self, why: String) -> Error {
        if self.in_doubt {
            return self.unknown(why);
        }
        Error::NotSent { object: self.outgoing.object(), why }
    }

    pub(super) fn unknown(&self, why: String) -> Error {
        Error::Unknown { object: self.outgoing.object(), call: self.id, why }
    }
}
