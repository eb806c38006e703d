//! The event that starts an attempt of a cloud thread in a function's process, and what the process answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use greenroom_actors::{JobId, ThreadId};
use serde::{Deserialize, Serialize};

use crate::cloud::gang::Gate;

/// The form of events that this version writes and reads.
const FORM: u32 = 1;

/// What a function's process is to run: a JSON object, whose field `greenroom` tells it from events of other kinds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Event {
    /// The form of the event.
    greenroom: u32,
    /// The function's name in its program.
    pub(super) function: String,
    /// What the caller takes the function's shape to be.
    pub(super) fingerprint: u64,
    pub(super) thread: u64,
    pub(super) attempt: u8,
    /// How long the attempt may take, if less than the platform gives it.
    pub(super) timeout_ms: Option<u64>,
    /// The size of the stack that it needs, if it was said.
    pub(super) stack_bytes: Option<u64>,
    pub(super) job: u64,
    /// Nodes of the cluster that has the thread.
    pub(super) cluster: Vec<String>,
    /// What holds it until all of its gang have started.
    pub(super) gate: Option<Gate>,
    /// The encoded arguments in base64; without them the thread's object has them.
    arguments: Option<String>,
}

/// What a process did with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Done {
    /// The thread's object has what came of it.
    Ran,
    /// The attempt was under way or over already.
    Duplicate,
    /// The thread is not to run any more.
    Cancelled,
    /// Another attempt has its turn.
    Superseded,
}

/// The answer to an event: a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) greenroom: Done,
}

impl Event {
    pub(super) fn new(function: &str, fingerprint: u64, thread: ThreadId, job: JobId) -> Self {
        Self {
            greenroom: FORM,
            function: function.to_owned(),
            fingerprint,
            thread: thread.0,
            attempt: 1,
            timeout_ms: None,
            stack_bytes: None,
            job: job.0,
            cluster: Vec::new(),
            gate: None,
            arguments: None,
        }
    }

    pub(super) fn set_arguments(&mut self, encoded: &[u8]) {
        self.arguments = Some(STANDARD.encode(encoded));
    }

    /// The encoded arguments, if the event has them.
    ///
    /// # Errors
    /// When they are not base64.
    pub(super) fn arguments(&self) -> Result<Option<Vec<u8>>, String> {
        let decode = |text: &String| STANDARD.decode(text).map_err(|error| format!("its arguments: {error}"));
        self.arguments.as_ref().map(decode).transpose()
    }

    /// The same for another attempt.
    pub(super) fn of_attempt(&self, attempt: u8) -> Self {
        Self { attempt, ..self.clone() }
    }

    pub(super) fn to_json(&self) -> String {
        // Of strings and numbers there is always a JSON text.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads an event; `None` if it is of another kind.
    ///
    /// # Errors
    /// When it is of this kind, but not of this form.
    pub(super) fn from_json(text: &str) -> Result<Option<Self>, String> {
        #[derive(Deserialize)]
        struct Kind {
            greenroom: Option<serde_json::Value>,
        }

        let form = match serde_json::from_str::<Kind>(text) {
            Ok(Kind { greenroom: Some(form) }) => form,
            Ok(Kind { greenroom: None }) | Err(_) => return Ok(None),
        };
        if form != FORM {
            return Err(format!("it has the form {form}, and this program reads form {FORM}"));
        }
        serde_json::from_str(text).map(Some).map_err(|error| error.to_string())
    }
}

impl Done {
    pub(super) fn to_json(self) -> String {
        serde_json::to_string(&Answer { greenroom: self }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let mut event = Event::new("app::work", u64::MAX, ThreadId(7), JobId(u64::MAX - 1));
        (event.attempt, event.timeout_ms) = (3, Some(1_000));
        event.cluster = vec!["a:1".to_owned(), "b:2".to_owned()];
        event.gate = Some(Gate::new(3));
        assert_eq!(event.arguments(), Ok(None));
        event.set_arguments(&[0, 255, 1]);
        assert_eq!(event.arguments(), Ok(Some(vec![0, 255, 1])));
        assert_eq!(Event::from_json(&event.to_json()), Ok(Some(event)));
    }

    #[test]
    fn events_of_other_kinds_and_forms_are_told_apart() {
        for other in ["{}", "[]", "7", r#"{"Records":[]}"#, ""] {
            assert_eq!(Event::from_json(other), Ok(None), "{other}");
        }
        let newer = Event::from_json(r#"{"greenroom":2,"function":"f"}"#).expect_err("is of another form");
        assert!(newer.contains("form 2"), "{newer}");
        Event::from_json(r#"{"greenroom":1,"function":"f"}"#).expect_err("lacks fields");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*", number in any::<i64>()) {
            let _ = Event::from_json(&text);
            let _ = Event::from_json(&format!(r#"{{"greenroom":{number},"arguments":"{number}"}}"#));
        }
    }
}
