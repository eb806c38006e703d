//! Each application on the node inside its program, small.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::mpsc;
use std::{fs, thread};

use common::{Dev, LIMIT, command, report, santa_with_elves, stderr};
use serde_json::{Value, json};

fn montecarlo(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_montecarlo"), arguments)
}

fn kmeans(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_kmeans"), arguments)
}

fn philosophers(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_philosophers"), arguments)
}

fn boundedbuffer(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_boundedbuffer"), arguments)
}

fn barbershop(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_barbershop"), arguments)
}

fn wordcount(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_wordcount"), arguments)
}

fn santa(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_santa"), arguments)
}

fn run(program: &str, arguments: &[&str]) -> Output {
    command(program).args(arguments).output().expect("the program can be started")
}

fn number(report: &Value, pointer: &str) -> f64 {
    report.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {pointer} in {report}"))
}

/// A file of these lines for one test.
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
fn montecarlo_gives_the_same_result_on_processes_of_a_local_lambda() {
    let on = |backend: &str| {
        let mut program = command(env!("CARGO_BIN_EXE_montecarlo"));
        program.args(["--workers", "3", "--points", "10000", "--json"]).env("GREENROOM_BACKEND", backend);
        report(&program.output().expect("the program can be started"))
    };
    let (threads, processes) = (on("local"), on("local-lambda"));
    assert_eq!((&threads["hits"], &threads["calls"]), (&processes["hits"], &processes["calls"]));
}

#[test]
fn kmeans_agrees_with_threads_on_processes_of_a_local_lambda() {
    let mut program = command(env!("CARGO_BIN_EXE_kmeans"));
    program.args(["--workers", "3", "--iterations", "3"]).env("GREENROOM_BACKEND", "local-lambda");
    let output = program.output().expect("the program can be started");
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn each_order_of_a_queue_is_applied_once() {
    let arguments = ["--orders", "100", "--duplicates", "0.5", "--failures", "0.3", "--json"];
    let report = report(&run(env!("CARGO_BIN_EXE_orders"), &arguments));
    assert_eq!(number(&report, "/orders"), 100.0);
    assert!(number(&report, "/delivered") > 100.0 && number(&report, "/again") > 0.0, "nothing went wrong: {report}");
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

#[test]
fn wordcount_agrees_with_threads_however_the_text_is_cut() {
    let counted = |parts, workers| {
        let report = report(&wordcount(&["--words", "5000", "--parts", parts, "--workers", workers, "--json"]));
        assert_eq!((&report["exact"], &report["words"]), (&true.into(), &5_000.into()), "{report}");
        assert_eq!(number(&report, "/parts").to_string(), parts);
        (report["distinct"].clone(), report["top"].clone())
    };
    assert_eq!(counted("1", "1"), counted("7", "3"));
}

#[test]
fn wordcount_is_repeated_by_its_seed() {
    let top = |seed| report(&wordcount(&["--words", "2000", "--seed", seed, "--json"]))["top"].clone();
    assert_eq!(top("1"), top("1"));
    assert_ne!(top("1"), top("2"));
}

#[test]
fn wordcount_counts_files_together() {
    let one = file("one.txt", &["Green rooms, green rooms:".to_owned(), "the actors wait".to_owned()]);
    let other = file("other.txt", &["(The actors) are \u{e4}rgerlich.".to_owned(), "\u{c4}rgerlich!".to_owned()]);
    let files = [&*one.to_string_lossy(), &*other.to_string_lossy()];
    let report = report(&wordcount(&[files[0], files[1], "--parts", "5", "--top", "5", "--json"]));
    let expected = json!([["actors", 2], ["green", 2], ["rooms", 2], ["the", 2], ["ärgerlich", 2]]);
    assert_eq!((&report["top"], &report["words"]), (&expected, &12.into()), "{report}");
    assert_eq!((&report["texts"], &report["exact"]), (&json!(files), &true.into()), "{report}");
}

#[test]
fn wordcount_has_a_text_for_people_and_says_which_file_is_missing() {
    let output = wordcount(&["--words", "300", "--top", "1"]);
    let text = String::from_utf8(output.stdout).expect("the output is text");
    assert!(text.contains("300 words, ") && text.contains("on plain threads"), "{text}");
    let output = wordcount(&["no/such.txt"]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("no/such.txt"), "{}", stderr(&output));
}

#[test]
fn philosophers_use_each_fork_for_every_meal_at_its_sides() {
    let report = report(&philosophers(&["--philosophers", "3", "--meals", "5", "--json"]));
    assert_eq!(report["exact"], true, "{report}");
    let dinners = report["dinners"].as_array().expect("there are dinners");
    assert_eq!(dinners.len(), 3, "on locks, on semaphores, on threads");
    for dinner in dinners {
        assert_eq!(dinner["fork_uses"], json!([10, 10, 10]), "{dinner}");
    }
}

#[test]
fn two_philosophers_share_both_forks() {
    let report = report(&philosophers(&["--philosophers", "2", "--meals", "10", "--json"]));
    assert_eq!(report["dinners"][0]["fork_uses"], json!([20, 20]), "{report}");
    assert_eq!(report["dinners"][1]["fork_uses"], json!([20, 20]), "{report}");
}

#[test]
fn boundedbuffer_passes_each_item_once_however_it_is_made() {
    let report = report(&boundedbuffer(&["--pairs", "3", "--items", "20", "--capacity", "2", "--json"]));
    assert_eq!((&report["exact"], &report["items"]), (&true.into(), &60.into()), "{report}");
    let runs = report["runs"].as_array().expect("there are runs");
    let names: Vec<_> = runs.iter().map(|run| run["name"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, ["monitor", "lock and conditions", "channel"]);
    assert!(runs.iter().all(|run| run["sum"] == 60 * 59 / 2), "{report}");
}

#[test]
fn barbershop_turns_nobody_away_while_there_are_chairs() {
    let report = report(&barbershop(&["--barbers", "2", "--chairs", "20", "--customers", "20", "--json"]));
    assert_eq!((&report["exact"], &report["shorn"], &report["turned_away"]), (&true.into(), &20.into(), &0.into()));
}

#[test]
fn barbershop_without_chairs_counts_everybody() {
    let report = report(&barbershop(&["--barbers", "2", "--chairs", "0", "--customers", "20", "--json"]));
    assert_eq!(report["exact"], true, "{report}");
    assert_eq!(number(&report, "/shorn") + number(&report, "/turned_away"), 20.0, "{report}");
}

#[test]
fn santa_delivers_each_year_whatever_the_threads_and_objects() {
    let report = santa_with_elves("3", None);
    assert_eq!(report["exact"], true, "{report}");
    let played = report["played"].as_array().expect("there are three");
    let names: Vec<_> = played.iter().map(|played| played["name"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, ["threads, local objects", "threads, shared objects", "cloud threads, shared objects"]);
    for played in played {
        assert_eq!((&played["deliveries"], &played["violations"]), (&3.into(), &0.into()), "{played}");
    }
}

#[test]
fn the_applications_of_synchronizers_have_a_text_for_people() {
    for (output, expected) in [
        (philosophers(&["--meals", "2"]), "at each dinner every fork was used 4 times"),
        (boundedbuffer(&["--pairs", "1", "--items", "5"]), "every item went through once"),
        (barbershop(&["--customers", "3"]), "of 3 customers 3 were shorn and 0 turned away"),
        (santa(&["--years", "1", "--elves", "3"]), "elves came in threes, and never both"),
    ] {
        assert!(output.status.success(), "{}", stderr(&output));
        let text = String::from_utf8(output.stdout).expect("the output is text");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn the_applications_of_synchronizers_refuse_sizes_that_make_no_sense() {
    for (output, argument) in [
        (philosophers(&["--philosophers", "1"]), "--philosophers"),
        (philosophers(&["--meals", "0"]), "--meals"),
        (boundedbuffer(&["--capacity", "0"]), "--capacity"),
        (boundedbuffer(&["--pairs", "0"]), "--pairs"),
        (boundedbuffer(&["--items", "many"]), "--items"),
        (barbershop(&["--barbers", "0"]), "--barbers"),
        (barbershop(&["--customers", "0"]), "--customers"),
        (santa(&["--years", "0"]), "--years"),
        (santa(&["--elves", "2"]), "--elves"),
    ] {
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(argument), "{}", stderr(&output));
    }
}

#[test]
fn a_pool_of_processes_comes_to_the_same_in_whatever_order_they_start() {
    let program = env!("CARGO_BIN_EXE_workerpool");
    let dev = Dev::start(program, 2);
    // All in one job, so that each run meets what the one before has left.
    for order in [["work", "work", "drive"], ["drive", "work", "work"], ["work", "drive", "work"]] {
        let processes = order.map(|word| {
            let mut process = command(program);
            process.arg(word).env("GREENROOM_CLUSTER", &dev.cluster).env("GREENROOM_JOB", "pool");
            process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be started")
        });
        let (tell, told) = mpsc::channel();
        for (word, process) in order.into_iter().zip(processes) {
            let tell = tell.clone();
            thread::spawn(move || tell.send((word, process.wait_with_output().expect("the program can be awaited"))));
        }
        for _ in order {
            // One that waits for ever fails when the nodes have gone with this test.
            let (word, output) = told.recv_timeout(LIMIT).expect("the processes come to an end");
            assert!(output.status.success(), "{word}: {}", stderr(&output));
            let expected = if word == "drive" { "338350\n" } else { "" };
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        }
    }
}
