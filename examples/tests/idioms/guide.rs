//! The guide to porting, `PORTING.md`: its differences are those of the sources, and its numbers are counted.
//!
//! `UPDATE_PORTING=1 cargo test -p greenroom-examples --test idioms` writes both anew.

use std::fmt::Write;
use std::{env, fs};

use similar::{DiffOp, TextDiff};

use super::IDIOMS;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/PORTING.md");
const THREADS: &str = include_str!("../../src/idioms/threads.rs");
const SHARED: &str = include_str!("../../src/idioms/shared.rs");
const POOL: &str = include_str!("../../src/bin/workerpool.rs");

/// The first line of a block with a difference; the program's name follows.
const DIFF: &str = "```diff ";
const DIFF_END: &str = "```";
/// The table of how much was changed stands between these lines.
const COUNTS: &str = "<!-- counts -->";
const COUNTS_END: &str = "<!-- end of counts -->";
/// Stands for the name of a program, for what is before the first.
const USE: &str = "use";
/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 1;

/// A program, before and after it was ported.
struct Port {
    name: &'static str,
    threads: String,
    shared: String,
}

#[test]
fn the_guide_shows_the_differences_as_they_are() {
    let shown = guide();
    let real = with_differences(&shown, &ports());
    if env::var_os("UPDATE_PORTING").is_some() {
        fs::write(GUIDE, real).expect("the guide can be written");
        return;
    }
    let outdated = TextDiff::from_lines(&shown, &real).unified_diff().to_string();
    let command = "UPDATE_PORTING=1 cargo test -p greenroom-examples --test idioms";
    assert!(outdated.is_empty(), "PORTING.md is out of date; `{command}` mends it:\n{outdated}");
}

#[test]
fn the_guide_and_the_sources_have_all_idioms_in_one_order() {
    let guide = guide();
    let shown: Vec<_> = guide.lines().filter_map(|line| line.strip_prefix(DIFF)).collect();
    let expected: Vec<_> = [USE].iter().chain(IDIOMS).copied().collect();
    assert_eq!(shown, expected);
    for source in [THREADS, SHARED] {
        assert_eq!(programs(source).map(|(name, _)| name).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn the_guide_shows_the_program_of_processes_as_it_is() {
    let (_docs, code) = POOL.split_once("\n\n").expect("the code follows the docs");
    assert!(guide().contains(&format!("```rust,no_run\n{code}```\n")), "PORTING.md shows another `workerpool`");
}

fn guide() -> String {
    fs::read_to_string(GUIDE).expect("the guide can be read")
}

fn ports() -> Vec<Port> {
    let pairs = programs(THREADS).zip(programs(SHARED));
    pairs.map(|((name, threads), (_, shared))| Port { name, threads, shared }).collect()
}

/// The programs of a source with their names, without docs and empty lines; first of all its `use` lines.
fn programs(source: &'static str) -> impl Iterator<Item = (&'static str, String)> {
    // Each begins with its docs, and nothing inside of one does.
    source.split("\n\n/// ").enumerate().map(|(place, part)| {
        let (_, code) = part.split_once('\n').expect("code follows the docs");
        let name = code.split_once("pub fn ").and_then(|(_, rest)| rest.split_once('('));
        let name = if place == 0 { USE } else { name.expect("the code is a function").0 };
        (name, code.lines().filter(|line| !line.is_empty()).fold(String::new(), |code, line| code + line + "\n"))
    })
}

/// The guide, with what is shown in it taken from the sources.
fn with_differences(guide: &str, ports: &[Port]) -> String {
    let mut updated = String::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        updated += line;
        updated.push('\n');
        let (shown, end) = if let Some(name) = line.strip_prefix(DIFF) {
            let port = ports.iter().find(|port| port.name == name);
            (port.unwrap_or_else(|| panic!("there is no program `{name}`")).difference(), DIFF_END)
        } else if line == COUNTS {
            (counts(ports), COUNTS_END)
        } else {
            continue;
        };
        assert!(lines.any(|line| line == end), "nothing ends what begins with `{line}`");
        let _ = writeln!(updated, "{shown}{end}");
    }
    updated
}

/// A table of how many lines were changed.
fn counts(ports: &[Port]) -> String {
    let mut table = "\n| program | lines | changed |\n|---|--:|--:|\n".to_owned();
    for port in ports {
        let name = if port.name == USE { "the `use` lines".to_owned() } else { format!("`{}`", port.name) };
        let _ = writeln!(table, "| {name} | {} | {} |", port.lines(), port.changed());
    }
    let (lines, changed): (usize, usize) = (ports.iter().map(Port::lines).sum(), ports.iter().map(Port::changed).sum());
    let percent = changed * 100 / lines;
    let _ = writeln!(table, "| together | {lines} | {changed}, {percent} % |\n");
    table
}

impl Port {
    /// The changes, with little around them; what is left out is an `@@`.
    fn difference(&self) -> String {
        let diff = TextDiff::from_lines(&self.threads, &self.shared);
        let hunks = diff.unified_diff().context_radius(CONTEXT).iter_hunks().map(|hunk| {
            hunk.iter_changes().fold(String::new(), |text, change| text + &format!("{}{change}", change.tag()))
        });
        hunks.collect::<Vec<_>>().join("@@\n")
    }

    /// How many lines the program had.
    fn lines(&self) -> usize {
        self.threads.lines().count()
    }

    /// How many lines had to be changed, taken away or added; a changed line counts once.
    fn changed(&self) -> usize {
        let diff = TextDiff::from_lines(&self.threads, &self.shared);
        let changes = diff.ops().iter().filter(|op| !matches!(op, DiffOp::Equal { .. }));
        changes.map(|op| op.old_range().len().max(op.new_range().len())).sum()
    }
}
