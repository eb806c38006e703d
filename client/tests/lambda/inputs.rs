//! What cannot run, and what hardly fits.

use std::net::TcpListener;
use std::time::Duration;

use greenroom::cloud::expand::{Function, Run, call, shape_of};
use greenroom::cloud::{Builder, Call, Lambda};
use greenroom::{Settings, ThreadFailure, cloud};

use crate::stage::{FRAME_BYTES_MAX, SAMPLE, Stage, alone, backend, failure, join};

#[cloud]
fn double(number: u64) -> u64 {
    number * 2
}

/// Asserts that nothing has run, and that the failure says so and why.
fn assert_not_run(failure: &ThreadFailure, why: &str) {
    let text = failure.to_string();
    assert_eq!(failure.has_run(), Some(false), "{text}");
    assert!(text.contains("nothing has run") && text.contains(why), "{text}");
}

#[test]
fn a_function_that_is_not_there_runs_nothing() {
    let stage = Stage::shared(|_| {});
    let nobody = Lambda::function("nobody").region("local").endpoint(stage.endpoint()).backend();
    let failure = failure(join(Builder::new().backend(nobody).spawn(double::call(1))));
    assert_not_run(&failure, "no such function");
}

#[test]
fn a_platform_that_is_not_there_runs_nothing() {
    alone("inputs::a_platform_that_is_not_there_runs_nothing", || {
        let patience = Duration::from_secs(1);
        greenroom::init(Settings { patience, ..Settings::default() }).expect("is the first client");
        // A port of ours on which nobody listens.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("binds").port();
        let nowhere = backend(&format!("http://127.0.0.1:{port}"));
        let failure = failure(join(Builder::new().backend(nowhere).spawn(double::call(1))));
        assert_not_run(&failure, "cannot be reached");
    });
}

/// A function that this program does not register: as if the function's program were another build.
static NOBODY: Function =
    Function { name: "inputs::nobody", arguments: shape_of::<(u64,)>, result: shape_of::<u64>, run: RUN };
/// One of the same name as [`double`], of other arguments.
static OTHER: Function =
    Function { name: "lambda::inputs::double", arguments: shape_of::<(String,)>, result: shape_of::<u64>, run: RUN };
const RUN: Run = Run::Blocking(|_| Err(ThreadFailure::Cancelled));

#[test]
fn another_build_of_the_function_runs_nothing() {
    let stage = Stage::shared(|_| {});
    let unknown: Call<u64> = call(&NOBODY, &(1_u64,));
    let failed = failure(join(stage.spawn(unknown)));
    assert!(matches!(failed, ThreadFailure::WrongBuild { .. }), "{failed}");
    assert_not_run(&failed, "has no `inputs::nobody`");
    let other: Call<u64> = call(&OTHER, &(String::new(),));
    let failed = failure(join(stage.spawn(other)));
    assert!(matches!(failed, ThreadFailure::WrongBuild { .. }), "{failed}");
    assert_not_run(&failed, "differs");
}

#[test]
fn a_program_that_is_no_function_runs_nothing() {
    let stage = Stage::shared(|config| config.functions[0].binary = "/bin/false".into());
    let failure = failure(join(stage.spawn(double::call(1))));
    assert_not_run(&failure, "exit status 1");
}

#[test]
fn a_function_that_does_not_reach_the_cluster_runs_nothing() {
    let stage = Stage::shared(|config| {
        let environment = [("GREENROOM_CLUSTER", "127.0.0.1:1"), ("GREENROOM_TIMEOUT_MS", "500")];
        config.functions[0].environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    });
    let failure = failure(join(stage.spawn(double::call(1))));
    assert_not_run(&failure, "the cluster does not say whether to run");
}

#[cloud]
fn echo(bytes: Vec<u8>, times: usize) -> Vec<u8> {
    bytes.repeat(times)
}

#[test]
fn large_arguments_and_results_arrive() {
    let stage = Stage::shared(|_| {});
    // More than travels with an event.
    let bytes: Vec<u8> = (0..1_u32 << 20).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    assert_eq!(join(stage.spawn(echo::call(bytes.clone(), 3))), Ok(bytes.repeat(3)));
}

#[test]
fn arguments_that_do_not_fit_run_nothing_and_a_result_that_does_not_fit_says_so() {
    const TOO_LARGE: usize = FRAME_BYTES_MAX + 1;
    let stage = Stage::shared(|_| {});
    let failed = failure(join(stage.spawn(echo::call(vec![0; TOO_LARGE], 1))));
    assert_not_run(&failed, "bytes");
    let failed = failure(join(stage.spawn(echo::call(vec![0; 1024], TOO_LARGE / 1024 + 1))));
    assert!(matches!(failed, ThreadFailure::Result { .. }), "{failed}");
    assert_eq!(failed.has_run(), Some(true));
}

#[test]
fn objects_inside_the_driver_serve_functions_of_this_machine_only() {
    alone("inputs::objects_inside_the_driver_serve_functions_of_this_machine_only", || {
        greenroom::init(Settings::default()).expect("is the first client");
        let far = Lambda::function(SAMPLE).region("nowhere").endpoint("http://192.0.2.1:9").backend();
        let failed = failure(join(Builder::new().backend(far).spawn(double::call(1))));
        assert_not_run(&failed, "GREENROOM_CLUSTER");
        let stage = Stage::at(&[], |_| {});
        assert_eq!(join(stage.spawn(double::call(4))), Ok(8));
    });
}
