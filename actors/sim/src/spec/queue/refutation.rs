//! What is wrong with a queue whatever the order; found in a time that is nearly linear.
//!
//! The search would find it too, but only after all orders of all that was sent before.

use hashbrown::HashMap;

use super::{Entry, received_by, sent_by};
use crate::call::{Call, QueueCall, Reply};

/// Entries that no order makes right; all but the first rule hold where values are unique.
pub(super) fn refute(entries: &[Entry]) -> Option<(&'static str, Vec<Entry>)> {
    let refused = |entry: &&Entry| {
        matches!((entry.step.call, entry.step.reply), (Call::Queue(QueueCall::Send(_)), Some(Reply::Refused)))
    };
    if let Some(entry) = entries.iter().find(refused) {
        return Some(("a call that waits for room is not refused", vec![*entry]));
    }
    let mut sent = HashMap::<i64, &Entry>::new();
    for entry in entries {
        if let Some(value) = sent_by(&entry.step)
            && sent.insert(value, entry).is_some()
        {
            return None;
        }
    }
    let mut received = HashMap::<i64, &Entry>::new();
    for entry in entries {
        let Some(value) = received_by(&entry.step) else { continue };
        let Some(send) = sent.get(&value) else {
            return Some(("it was received and never sent", vec![*entry]));
        };
        if let Some(other) = received.insert(value, entry) {
            return Some(("it was received twice", vec![*other, *entry]));
        }
        if entry.returned_at.is_some_and(|at| at < send.invoked_at) {
            return Some(("it was received before it was sent", vec![**send, *entry]));
        }
    }
    overtaken(entries, &received)
}

/// A value that was received before one that had been sent earlier.
fn overtaken(entries: &[Entry], received: &HashMap<i64, &Entry>) -> Option<(&'static str, Vec<Entry>)> {
    let mut pairs: Vec<_> =
        entries.iter().filter_map(|send| Some((send, *received.get(&sent_by(&send.step)?)?))).collect();
    let mut by_end = pairs.clone();
    by_end.retain(|(send, _)| send.returned_at.is_some());
    by_end.sort_by_key(|(send, _)| send.returned_at);
    pairs.sort_by_key(|(send, _)| send.invoked_at);
    let mut earlier = by_end.into_iter().peekable();
    let mut latest: Option<(&Entry, &Entry)> = None;
    for (send, receive) in pairs {
        while let Some(before) = earlier.next_if(|(before, _)| before.returned_at < Some(send.invoked_at)) {
            if latest.is_none_or(|(_, last)| last.invoked_at < before.1.invoked_at) {
                latest = Some(before);
            }
        }
        if let Some((first, last)) = latest
            && receive.returned_at < Some(last.invoked_at)
        {
            return Some(("the value sent second was received first", vec![*first, *send, *receive, *last]));
        }
    }
    None
}
