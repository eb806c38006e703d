//! What the tool prints. A reader that has gone (`greenroom status | head -1`) is no fault, so nothing here fails.

use std::fmt::Display;
use std::io::Write;

use serde::Serialize;

/// Prints a line for whoever asked, at once.
pub(super) fn line(text: impl Display) {
    let _ = try_line(text);
}

/// Prints a line, at once; returns whether somebody reads it.
pub(super) fn try_line(text: impl Display) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// Prints a line about what goes on, in one piece: others may write to the same terminal.
pub(super) fn note(text: impl Display) {
    let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Says what went wrong.
pub(super) fn complain(why: impl Display) {
    note(format_args!("error: {why}"));
}

/// Prints a value for programs.
pub(super) fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        Err(error) => complain(error),
    }
}
