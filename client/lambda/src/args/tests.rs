//! The words of the command, and what they mean.

use clap::Parser;

use super::*;

#[derive(Debug, clap::Parser)]
struct Command {
    #[command(flatten)]
    args: LambdaArgs,
}

fn config(words: &str) -> Result<Config, String> {
    let words = std::iter::once("lambda").chain(words.split('|'));
    let command = Command::try_parse_from(words).map_err(|error| error.to_string())?;
    command.args.config().map_err(|error| error.to_string())
}

#[test]
fn a_setting_of_a_function_goes_before_one_of_all() {
    let config = config(
        "--function|a=/bin/a -x 1|--function|b=/bin/b|--memory|a=64|--memory|256|--timeout|b=500ms|--reserve|a=2",
    )
    .expect("makes sense");
    let [a, b] = &config.functions[..] else { panic!("two functions") };
    assert_eq!(
        (a.arguments.as_slice(), a.memory_mb, a.concurrency_max),
        (&["-x".to_owned(), "1".to_owned()][..], 64, Some(2))
    );
    assert_eq!((b.memory_mb, b.timeout, b.concurrency_max), (256, Duration::from_millis(500), None));
    assert_eq!(a.timeout, Duration::from_secs(3));
}

#[test]
fn a_variable_may_be_for_one_function_and_hold_any_signs() {
    let config = config("--function|a=a|--function|b=b|--env|X=1=2:3|--env|b:Y=z").expect("makes sense");
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(config.functions[0].environment, [variable("X", "1=2:3")]);
    assert_eq!(config.functions[1].environment, [variable("X", "1=2:3"), variable("Y", "z")]);
}

#[test]
fn a_fault_has_its_share_and_times() {
    let config =
        config("--function|a=a|--freeze|0.5,10ms,2s|--kill|1,3s|--slow-start|0.1,4s|--seed|7").expect("makes sense");
    let (faults, seconds) = (config.faults, Duration::from_secs);
    assert_eq!(
        (faults.freeze.rate, faults.freeze.after, faults.freeze.lasts),
        (0.5, Duration::from_millis(10), seconds(2))
    );
    assert_eq!((faults.kill.after, faults.slow_start.lasts, config.seed), (seconds(3), seconds(4), 7));
}

#[test]
fn words_that_make_no_sense_are_refused_by_what_they_say() {
    for (words, expected) in [
        ("--function|hello", "is not NAME=BINARY"),
        ("--function|a=a|--duplicate|2", "is not a share from 0 to 1"),
        ("--function|a=a|--timeout|3", "is not a time as 3s or 500ms"),
        ("--function|a=a|--freeze|0.1,2s", "is not a share with 2 times after it"),
        ("--function|a=a|--memory|b=64", "no function is named b"),
        ("--listen|127.0.0.1:0", "--function"),
    ] {
        let error = config(words).expect_err(words);
        assert!(error.contains(expected), "{words}: {error}");
    }
}

#[test]
fn the_help_says_how_it_differs_from_aws() {
    let error = Command::try_parse_from(["lambda", "--help"]).expect_err("help is no command").to_string();
    assert!(error.contains("How it differs from AWS"), "{error}");
}
