//! `greenroom call`: one call, from a shell.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use greenroom_actors::{
    Access, Caller, Construction, Constructor, Error, KeyText, Method, ObjectType, OutgoingCall, Refusal,
};
use serde_json::{Value, json};

use super::signals::StopSignals;
use super::target::{Job, JobArgument};
use super::{ClusterArgument, Failure, Tool, client_runtime, names, output, types};
use crate::client::Client;
use crate::settings::{Cluster, Settings};

/// The words after `call`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "An argument that is no JSON is taken as text, so `hello` and '\"hello\"' are the same. \
                        Negative numbers are numbers; text that begins with - stands after --.\n\n\
                        Exit status: 0 if the call returned, 1 if it failed, 2 if it makes no sense.")]
pub(super) struct CallCommand {
    /// The object: its type, and its key.
    #[arg(value_name = "TYPE/KEY")]
    object: String,

    /// The method.
    method: String,

    /// The method's arguments, each as JSON.
    #[arg(value_name = "ARGUMENT", allow_negative_numbers = true)]
    arguments: Vec<String>,

    /// The arguments of the constructor as a JSON array, to make the object if it is not there.
    #[arg(long, value_name = "JSON-ARRAY")]
    new: Option<String>,

    #[command(flatten)]
    job: JobArgument,

    /// How long to wait, in milliseconds; by default GREENROOM_TIMEOUT_MS or 30 seconds, and without limit if the call waits in the object.
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,

    #[command(flatten)]
    cluster: ClusterArgument,

    /// Print JSON for programs: the reply, or `error` and `applied`.
    #[arg(long)]
    json: bool,
}

/// What came of a call.
enum Outcome {
    /// The method returned this.
    Returned(Value),
    /// The method returned an error of its own.
    OwnError(Value),
    /// The call failed.
    Failed(Error),
}

/// Makes a call and prints its reply.
pub(super) fn run(tool: &Tool, command: &CallCommand) -> Result<ExitCode, Failure> {
    let (object_type, key) = find_type(tool, &command.object)?;
    let (number, method) = find_method(object_type, &command.method)?;
    let call = OutgoingCall {
        object_type,
        key: KeyText::Shared(key.into()),
        job: None,
        construction: construction(object_type, command.new.as_deref())?,
        durability: None,
        method: number,
        read: method.access() == Access::Read,
        parks: method.parks,
        arguments: arguments(method, &command.arguments)?,
        timeout: command.timeout_ms.map(Duration::from_millis),
    };
    let runtime = client_runtime()?;
    let object = call.object();
    let answer = runtime.block_on(async {
        let mut signals = StopSignals::listen()?;
        make(&command.cluster, &command.job.job, call, &mut signals, || {
            format!("interrupted: if `{object}` has not answered yet, the call no longer waits there")
        })
        .await
    });
    runtime.shutdown_background();
    let outcome = match answer? {
        Ok(reply) => {
            read_reply(method, &reply).map_err(|why| Failure::Failed(format!("the reply is not readable: {why}")))?
        }
        Err(error) => Outcome::Failed(error),
    };
    Ok(show(&outcome, object_type, method, command))
}

fn find_type<'a>(tool: &Tool, object: &'a str) -> Result<(&'static ObjectType, &'a str), Failure> {
    let (name, key) = object
        .split_once('/')
        .ok_or_else(|| Failure::Usage(format!("`{object}` names no object: it is TYPE/KEY, such as Counter/hits")))?;
    let by_name = tool.registry.get(name);
    if let Some(object_type) = by_name.or_else(|| tool.registry.get(names::type_behind(name)?)) {
        return Ok((object_type, key));
    }
    let known: Vec<_> = tool.registry.iter().map(|known| known.name).collect();
    let mut why = format!("this program has no object type `{name}`; it has {}", known.join(", "));
    if tool.leading.is_none() {
        why.push_str("\nTypes of your own are known to your own program: `my-app greenroom call …`");
    }
    Err(Failure::Usage(names::unknown_type(&tool.registry, name, why)))
}

fn find_method(object_type: &'static ObjectType, name: &str) -> Result<(u16, &'static Method), Failure> {
    let number = object_type.method_number(name);
    let found = number.and_then(|number| Some((number, object_type.methods.get(usize::from(number))?)));
    found.ok_or_else(|| {
        let (type_name, methods) = (object_type.name, types::methods(object_type));
        Failure::Usage(format!("`{type_name}` has no method `{name}`; it has\n{methods}"))
    })
}

fn construction(object_type: &ObjectType, text: Option<&str>) -> Result<Option<Arc<Construction>>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let Ok(Value::Array(values)) = serde_json::from_str(text) else {
        return Err(Failure::Usage(format!("--new takes a JSON array, such as '[3]'; `{text}` is none")));
    };
    match (&object_type.constructor, &values[..]) {
        (Constructor::Default, []) => Ok(None),
        (Constructor::Default, _) => {
            Err(Failure::Usage(format!("`{}` is made without arguments: leave --new out", object_type.name)))
        }
        (Constructor::Arguments { from_json, .. }, values) => {
            let encoded = from_json(values).map_err(|why| {
                let constructor = types::constructor(object_type).unwrap_or_default();
                Failure::Usage(format!("the arguments do not fit `{}::{constructor}`: {why}", object_type.name))
            })?;
            Ok(Some(Arc::new(Construction::new(encoded.into()))))
        }
    }
}

fn arguments(method: &Method, texts: &[String]) -> Result<Bytes, Failure> {
    let values: Vec<_> = texts.iter().map(|text| value_of(text)).collect();
    let encoded = (method.arguments_from_json)(&values).map_err(|why| {
        let why = match (texts.is_empty(), (method.arguments)() == "()") {
            (true, _) => "there are none".to_owned(),
            (_, true) => "it takes none".to_owned(),
            (false, false) => why,
        };
        Failure::Usage(format!("the arguments do not fit `{}`: {why}", types::signature(method)))
    })?;
    Ok(encoded.into())
}

/// An argument as JSON, or as text if it is none.
fn value_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Makes the call in a session of its own, which ends with it. At Ctrl-C it is given up, and `interrupted` says what that means.
pub(super) async fn make(
    cluster: &ClusterArgument,
    job: &Job,
    call: OutgoingCall,
    signals: &mut StopSignals,
    interrupted: impl FnOnce() -> String,
) -> Result<Result<Bytes, Error>, Failure> {
    let settings = Settings {
        cluster: Cluster::Nodes(cluster.cluster.0.clone()),
        job: Some(job.id),
        job_name: job.name.clone(),
        ..Settings::from_env().map_err(Failure::Usage)?
    };
    let client = Client::with_settings(settings).await.map_err(|error| Failure::Failed(super::no_cluster(&error)))?;
    let answer = tokio::select! {
        answer = client.call(call) => Ok(answer),
        // The call is dropped and so, if it waits in the object, cancelled.
        () = signals.next() => Err(Failure::Interrupted(interrupted())),
    };
    client.close().await;
    answer
}

/// A method with an error of its own replies with a `Result`, whose two sides are told apart here.
fn read_reply(method: &Method, reply: &[u8]) -> Result<Outcome, String> {
    let value = (method.reply_to_json)(reply)?;
    if !(method.reply)().starts_with("Result<") {
        return Ok(Outcome::Returned(value));
    }
    match value {
        Value::Object(mut sides) if sides.contains_key("Err") => {
            Ok(Outcome::OwnError(sides.remove("Err").unwrap_or_default()))
        }
        Value::Object(mut sides) => Ok(Outcome::Returned(sides.remove("Ok").unwrap_or_default())),
        other => Ok(Outcome::Returned(other)),
    }
}

fn show(outcome: &Outcome, object_type: &ObjectType, method: &Method, command: &CallCommand) -> ExitCode {
    let (why, applied, own_error) = match outcome {
        Outcome::Returned(value) if command.json => {
            output::json(value);
            return ExitCode::SUCCESS;
        }
        Outcome::Returned(value) => {
            if let Some(text) = plain(value) {
                output::line(text);
            }
            return ExitCode::SUCCESS;
        }
        Outcome::OwnError(value) => {
            // An error without content has only the name of its type to say.
            let error = plain(value).unwrap_or_else(|| format!("the one of `{}`", types::signature(method)));
            let why = format!("`{}` returned an error: {error}", method.name);
            // What it changed before that, only the method knows.
            let applied = (method.access() == Access::Read).then_some(false);
            (why, applied, Some(value))
        }
        Outcome::Failed(error) => (error.to_string() + &hint(error, object_type), error.applied(), None),
    };
    show_failure(why, applied, own_error, command.json);
    ExitCode::FAILURE
}

/// Says why a call failed, and whether it was applied.
pub(super) fn show_failure(why: String, applied: Option<bool>, own_error: Option<&Value>, json: bool) {
    if json {
        return output::json(&json!({ "error": why, "applied": applied, "method_error": own_error }));
    }
    output::complain(why);
    output::note(match applied {
        Some(true) => "applied: yes",
        Some(false) => "applied: no",
        None => "applied: not known",
    });
}

fn hint(error: &Error, object_type: &ObjectType) -> String {
    match (error, types::constructor(object_type)) {
        (Error::Refused { refusal: Refusal::NotCreated, .. }, Some(constructor)) => {
            format!("; --new '[…]' gives those of `{constructor}`")
        }
        _ => String::new(),
    }
}

/// A value for people: text as it is, nothing for nothing, and the rest as JSON in one line.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_text() {
        assert_eq!(value_of("-5"), json!(-5));
        assert_eq!(value_of("[1, 2]"), json!([1, 2]));
        assert_eq!(value_of("\"5\""), json!("5"));
        assert_eq!(value_of("hello there"), json!("hello there"));
    }

    #[test]
    fn people_see_text_without_quotes_and_nothing_for_nothing() {
        assert_eq!(plain(&json!("a \"b\"")), Some("a \"b\"".to_owned()));
        assert_eq!(plain(&Value::Null), None);
        assert_eq!(plain(&json!({ "a": [1] })), Some("{\"a\":[1]}".to_owned()));
    }
}
