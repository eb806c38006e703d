//! Applications come to the same on threads and on processes that a local Lambda starts for their cloud threads.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{command, report, santa_with_elves};

/// The program whose cloud threads are processes.
fn on_processes(program: &str, arguments: &[&str]) -> Command {
    let mut command = command(program);
    command.args(arguments).env("GREENROOM_BACKEND", "local-lambda");
    command
}

fn output(command: &mut Command) -> Output {
    command.output().expect("the program can be started")
}

#[test]
fn wordcount_counts_the_same_on_processes() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("processes.txt");
    let lines: Vec<_> = (0..200).map(|line| format!("line {line} of 200, {}", line * line % 7)).collect();
    fs::write(&path, lines.join("\n")).expect("the file can be written");
    let path = path.to_string_lossy();
    for text in [&["--words", "3000"][..], &[&path]] {
        let arguments = [text, &["--parts", "5", "--workers", "2", "--json"]].concat();
        let program = env!("CARGO_BIN_EXE_wordcount");
        let threads = report(&output(command(program).args(&arguments)));
        let processes = report(&output(&mut on_processes(program, &arguments)));
        assert_eq!((&threads["backend"], &processes["backend"]), (&"local".into(), &"local-lambda".into()));
        assert_eq!(processes["exact"], true, "{processes}");
        for counted in ["words", "distinct", "top"] {
            assert_eq!(processes[counted], threads[counted], "{counted} of {processes}, {threads}");
        }
    }
}

#[test]
fn santa_is_served_by_twenty_processes_at_once() {
    let report = santa_with_elves("2", Some("local-lambda"));
    assert_eq!((&report["backend"], &report["exact"]), (&"local-lambda".into(), &true.into()), "{report}");
    let played = &report["played"][2];
    assert_eq!(played["name"], "cloud threads, shared objects");
    // Each delivery takes all nine reindeer and Santa: with fewer processes at once there is none.
    assert_eq!((&played["deliveries"], &played["violations"]), (&2.into(), &0.into()), "{report}");
}
