//! Short histories, a line for each operation.

use greenroom_sim::*;

/// A client's call from and to these times, and its reply; without both nobody answered.
pub(crate) type Line = (u64, u64, Call, Option<(u64, Reply)>);

pub(crate) fn answered(client: u64, from: u64, to: u64, call: Call, reply: Reply) -> Line {
    (client, from, call, Some((to, reply)))
}

pub(crate) fn open(client: u64, from: u64, call: Call) -> Line {
    (client, from, call, None)
}

pub(crate) fn history(object_type: ObjectType, lines: &[Line]) -> History {
    let mut history = History::new();
    let object = history.object("object", object_type);
    for &(client, from, call, outcome) in lines {
        let operation = history.invoke(ClientId(client), object, call, from);
        if let Some((to, reply)) = outcome {
            history.returned(operation, reply, to);
        }
    }
    history
}
