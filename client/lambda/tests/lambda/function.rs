//! The function of the tests: its event says what it does.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lambda_runtime::streaming::{Body, Response, channel};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

/// The variable that says how the start goes.
pub(crate) const START: &str = "SAMPLE_START";

/// Runs until the process ends.
pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    match std::env::var(START).as_deref() {
        Ok("exit") => std::process::exit(9),
        Ok("never-asks") => std::thread::park(),
        Ok("init-error") => report_init_error(),
        Ok("stream") => {
            let _ = runtime.block_on(lambda_runtime::run(service_fn(stream)));
        }
        _ => {}
    }
    // An error is the end of the local Lambda.
    let _ = runtime.block_on(lambda_runtime::run(service_fn(handle)));
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (asked, context) = (event.payload, event.context);
    let text = |key: &str| asked[key].as_str().unwrap_or_default();
    let file = |key: &str| Path::new(text(key)).to_owned();
    match text("do") {
        "echo" => Ok(asked["value"].clone()),
        "pid" => Ok(std::process::id().into()),
        "context" => Ok(json!({
            "request_id": context.request_id,
            "deadline": context.deadline,
            "arn": context.invoked_function_arn,
            "trace_id": context.xray_trace_id,
            "client_context": serde_json::to_value(&context.client_context)?,
            "function": context.env_config.function_name,
            "memory": context.env_config.memory,
            "log_group": context.env_config.log_group,
        })),
        "environment" => Ok(json!(std::env::vars().collect::<std::collections::BTreeMap<_, _>>())),
        "fail" => Err(text("message").into()),
        "panic" => panic!("{}", text("message").to_owned()),
        "exit" => std::process::exit(i32::try_from(asked["status"].as_i64().unwrap_or(0)).expect("small")),
        "abort" => std::process::abort(),
        "print" => {
            println!("{}", text("out"));
            eprintln!("{}", text("err"));
            Ok(Value::Null)
        }
        "large" => Ok("x".repeat(usize::try_from(asked["bytes"].as_u64().unwrap_or(0)).expect("small")).into()),
        "memory" => {
            let bytes = usize::try_from(asked["bytes"].as_u64().unwrap_or(0)).expect("small");
            std::hint::black_box(vec![1_u8; bytes]);
            let kept = vec![1_u8; bytes];
            until(&file("until")).await;
            Ok(kept.len().into())
        }
        // Until somebody makes the file; appends to another when it is there.
        "wait" => {
            until(&file("until")).await;
            append(&file("then"), &context.request_id);
            Ok("waited".into())
        }
        "count" => {
            append(&file("then"), &format!("{} {}", context.request_id, std::process::id()));
            if asked["fail"] == true { Err("as asked to".into()) } else { Ok(Value::Null) }
        }
        // A process that would outlive the one that started it.
        "child" => Ok(Command::new("sleep").arg("1000").spawn()?.id().into()),
        "" => {
            println!("pid {}", std::process::id());
            Ok(Value::Null)
        }
        other => Err(format!("nothing is done by {other:?}").into()),
    }
}

/// Answers in pieces.
async fn stream(event: LambdaEvent<Value>) -> Result<Response<Body>, Error> {
    let (mut pieces, body) = channel();
    let n = event.payload["pieces"].as_u64().unwrap_or(0);
    tokio::spawn(async move {
        for piece in 0..n {
            pieces.send_data(format!("piece {piece}\n").into()).await.expect("is read");
        }
    });
    Ok(Response::from(body))
}

/// Other processes make the file; nothing wakes this one when they do.
async fn until(file: &Path) {
    while !file.exists() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn append(file: &Path, line: &str) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).expect("opens");
    writeln!(file, "{line}").expect("writes");
}

/// The runtime reports an error of the start only for what it does itself, so this is said by hand.
fn report_init_error() {
    let address = std::env::var("AWS_LAMBDA_RUNTIME_API").expect("is set");
    let body = r#"{"errorType":"Sample.NoDatabase","errorMessage":"as it was asked to"}"#;
    let request = format!(
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(address).expect("connects");
    stream.write_all(request.as_bytes()).expect("writes");
    std::thread::park();
}
