//! The start of a program with `#[greenroom::main]`: one binary, every role.

use std::ffi::OsString;
use std::fmt::Display;
use std::future::Future;
use std::process::ExitCode;

use greenroom_actors::Registry;

use crate::cli::Tool;

/// The variable that sets a process's role: `driver`, `node` or `function`.
const ROLE: &str = "GREENROOM_ROLE";
/// The variable by which AWS Lambda tells a process where its events are.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";
/// The first argument that makes the program the operator's tool.
const TOOL_WORD: &str = "greenroom";

/// What this process is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// Runs the user's `main`.
    Driver,
    /// Hosts objects; all settings come from the environment.
    Node,
    /// Runs cloud threads, as a platform hands them to it.
    Function,
    /// Does what an operator asks for in these words.
    Tool(Vec<OsString>),
}

/// What the `main` of a driver may return: nothing, an exit code, or a result of these with an error for people.
pub trait MainResult {
    /// The process's exit code; an error is printed first, by its `Display`.
    fn into_exit_code(self) -> ExitCode;
}

impl MainResult for () {
    fn into_exit_code(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

impl MainResult for ExitCode {
    fn into_exit_code(self) -> ExitCode {
        self
    }
}

impl<T: MainResult, E: Display> MainResult for Result<T, E> {
    fn into_exit_code(self) -> ExitCode {
        match self {
            Ok(value) => value.into_exit_code(),
            Err(error) => refuse(&error.to_string(), ExitCode::FAILURE),
        }
    }
}

/// Runs the program in the role that its environment and its first argument give it; `#[greenroom::main]` calls it.
///
/// `GREENROOM_ROLE` (`driver`, `node` or `function`) decides if it is set. Otherwise a process that AWS Lambda has started is
/// a function, `my-app greenroom …` is the operator's tool, and anything else the driver: `user_main` runs, and then the
/// process's session ends.
pub fn run<R: MainResult>(user_main: fn() -> R) -> ExitCode {
    run_role(user_main)
}

fn run_role<R: MainResult>(user_main: impl FnOnce() -> R) -> ExitCode {
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_default();
    let role = match role(std::env::var_os(ROLE), std::env::var_os(RUNTIME_API), words.collect()) {
        Ok(role) => role,
        Err(why) => return refuse(&why, ExitCode::from(2)),
    };
    let registry = match Registry::collect() {
        Ok(registry) => registry,
        Err(duplicate) => return refuse(&duplicate.to_string(), ExitCode::FAILURE),
    };
    if let Err(why) = crate::cloud::expand::check_names() {
        return refuse(&why, ExitCode::FAILURE);
    }
    let tool = || Tool::of_program(&program.to_string_lossy(), TOOL_WORD, registry);
    match role {
        Role::Driver => drive(user_main),
        Role::Node => tool().run(vec!["node".into()]),
        Role::Function => serve(),
        Role::Tool(words) => tool().run(words),
    }
}

/// As [`run`], for an async `user_main`: it runs on a tokio runtime of several threads, made for it.
///
/// # Panics
/// When the runtime's threads cannot be started.
pub fn run_async<F: Future<Output: MainResult>>(user_main: fn() -> F) -> ExitCode {
    run_role(|| {
        let runtime = tokio::runtime::Runtime::new().expect("the system starts the runtime's threads");
        runtime.block_on(user_main())
    })
}

#[cfg(feature = "lambda")]
fn serve() -> ExitCode {
    match crate::cloud::lambda::serve::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => refuse(&why, ExitCode::FAILURE),
    }
}

#[cfg(not(feature = "lambda"))]
fn serve() -> ExitCode {
    let why = "this program was built without the feature `lambda`, so it can be no function";
    refuse(why, ExitCode::FAILURE)
}

fn role(variable: Option<OsString>, runtime_api: Option<OsString>, words: Vec<OsString>) -> Result<Role, String> {
    match variable.filter(|role| !role.is_empty()) {
        Some(role) if role == "driver" => Ok(Role::Driver),
        Some(role) if role == "node" => Ok(Role::Node),
        Some(role) if role == "function" => Ok(Role::Function),
        Some(role) => Err(format!("{ROLE} is `{}`: it is `driver`, `node` or `function`", role.to_string_lossy())),
        None if runtime_api.is_some_and(|address| !address.is_empty()) => Ok(Role::Function),
        None if words.first().is_some_and(|word| word == TOOL_WORD) => {
            Ok(Role::Tool(words.into_iter().skip(1).collect()))
        }
        None => Ok(Role::Driver),
    }
}

fn drive<R: MainResult>(user_main: impl FnOnce() -> R) -> ExitCode {
    /// Says goodbye even when the user's `main` panics: others need not wait until the session's time is over.
    struct Goodbye;

    impl Drop for Goodbye {
        fn drop(&mut self) {
            crate::shutdown();
        }
    }

    let _goodbye = Goodbye;
    user_main().into_exit_code()
}

fn refuse(why: &str, status: ExitCode) -> ExitCode {
    eprintln!("error: {why}");
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn a_program_drives_unless_it_is_told_otherwise() {
        assert_eq!(role(None, None, words("")), Ok(Role::Driver));
        assert_eq!(role(None, None, words("input.csv greenroom")), Ok(Role::Driver));
        assert_eq!(role(Some("".into()), None, words("")), Ok(Role::Driver));
        assert_eq!(role(None, None, words("greenroom call A/b c")), Ok(Role::Tool(words("call A/b c"))));
    }

    #[test]
    fn the_variable_decides_over_the_words() {
        assert_eq!(role(Some("driver".into()), None, words("greenroom status")), Ok(Role::Driver));
        assert_eq!(role(Some("node".into()), None, words("input.csv")), Ok(Role::Node));
        assert!(role(Some("nodes".into()), None, words("")).is_err());
        assert_eq!(role(Some("driver".into()), Some("127.0.0.1:9001".into()), words("")), Ok(Role::Driver));
    }

    #[test]
    fn a_process_that_lambda_has_started_is_a_function() {
        assert_eq!(role(None, Some("127.0.0.1:9001".into()), words("greenroom status")), Ok(Role::Function));
        assert_eq!(role(Some("function".into()), None, words("")), Ok(Role::Function));
        assert_eq!(role(None, Some("".into()), words("")), Ok(Role::Driver));
    }
}
