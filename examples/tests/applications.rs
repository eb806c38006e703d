//! Each application on the node inside its program, small.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use serde_json::Value;

fn montecarlo(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_montecarlo"), arguments)
}

fn kmeans(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_kmeans"), arguments)
}

/// Runs the program without the settings of this process.
fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GREENROOM_")) {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("the program can be started")
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("the output is one JSON object")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn number(report: &Value, pointer: &str) -> f64 {
    report.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {pointer} in {report}"))
}

/// A file of comma-separated values for one test.
fn file(name: &str, rows: &[String]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, rows.join("\n")).expect("the file can be written");
    path
}

#[test]
fn montecarlo_comes_as_near_to_pi_as_chance_allows() {
    let report = report(&montecarlo(&["--workers", "3", "--points", "1000001", "--seed", "7", "--json"]));
    assert!(number(&report, "/error") < 3.0 * number(&report, "/standard_error"), "{report}");
    assert_eq!(number(&report, "/pi"), 4.0 * number(&report, "/hits") / 1_000_001.0);
    assert_eq!(number(&report, "/calls"), 60.0);
}

#[test]
fn montecarlo_is_repeated_by_its_seed() {
    let hits = |seed| report(&montecarlo(&["--points", "10000", "--seed", seed, "--json"]))["hits"].clone();
    assert_eq!(hits("1"), hits("1"));
    assert_ne!(hits("1"), hits("2"));
}

#[test]
fn montecarlo_has_a_text_for_people() {
    let output = montecarlo(&["--points", "10000"]);
    let text = String::from_utf8(output.stdout).expect("the output is text");
    assert!(text.contains("π ≈ 3.1") && text.contains("160 calls of the workers to Counter/hits"), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "no bar where there is no terminal");
}

#[test]
fn kmeans_agrees_with_threads_to_the_last_bit() {
    let report = report(&kmeans(&["--json"]));
    assert_eq!((&report["exact"], &report["difference"]), (&true.into(), &0.0.into()), "{report}");
    assert_eq!(report["greenroom"]["inertia"], report["threads"]["inertia"]);
    assert_eq!(report["greenroom"]["converged"], report["threads"]["converged"]);
    assert!(number(&report, "/greenroom/purity") > 0.7, "{report}");
    assert!(number(&report, "/greenroom/converged") > 2.0, "{report}");
}

#[test]
fn kmeans_does_not_depend_on_the_number_of_workers() {
    let inertia = |workers| {
        let report = report(&kmeans(&["--workers", workers, "--iterations", "5", "--seed", "2", "--json"]));
        assert!(report["greenroom"]["converged"].is_null(), "5 iterations are too few: {report}");
        number(&report, "/greenroom/inertia")
    };
    assert_eq!(inertia("1"), inertia("5"));
}

#[test]
fn kmeans_finds_the_clusters_of_a_file_of_fractions() {
    let mut rows = vec!["x,y,label".to_owned()];
    rows.extend((0..300_u32).map(|i| {
        let (label, offset) = (i % 3, f64::from(i) / 700.0);
        format!("{},{},{label}", f64::from(label) * 10.0 + offset, offset / 3.0)
    }));
    let path = file("fractions.csv", &rows);
    let report = report(&kmeans(&["--data", &path.to_string_lossy(), "--clusters", "3", "--workers", "4", "--json"]));
    assert_eq!((number(&report, "/points"), number(&report, "/dimensions")), (300.0, 2.0));
    assert_eq!(number(&report, "/greenroom/purity"), 1.0);
    assert!(number(&report, "/difference") < 1e-9, "{report}");
}

#[test]
fn kmeans_says_what_is_wrong_with_its_data() {
    let few = file("few.csv", &["1,2,0".to_owned(), "3,4,1".to_owned()]);
    let broken = file("broken.csv", &["1,2,0".to_owned(), "3,x,1".to_owned()]);
    for (path, expected) in
        [(few.as_path(), "cannot make"), (&broken, "line 2"), (Path::new("no/such.csv"), "no/such.csv")]
    {
        let output = kmeans(&["--data", &path.to_string_lossy()]);
        assert!(!output.status.success());
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}
