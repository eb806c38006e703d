//! A small caller of the Invoke API, for sample events and for programs that need no SDK.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::error::PostError;

/// How a function is invoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum InvocationType {
    /// The answer is that of the function.
    #[default]
    RequestResponse,
    /// The event is accepted, and tried again when it fails.
    Event,
    /// Nothing runs: is there such a function?
    DryRun,
}

impl InvocationType {
    fn word(self) -> &'static str {
        match self {
            Self::RequestResponse => "RequestResponse",
            Self::Event => "Event",
            Self::DryRun => "DryRun",
        }
    }
}

/// One invocation.
#[derive(Clone, Debug, Default)]
pub struct Invoke {
    /// The function's name.
    pub function: String,
    /// JSON, at most 6 MiB, or 1 MiB for [`InvocationType::Event`].
    pub payload: Bytes,
    /// How it is invoked.
    pub invocation_type: InvocationType,
}

/// What came of an invocation.
#[derive(Clone, Debug)]
pub struct Invoked {
    /// 200, 202 for an event that was accepted, or 204 for a dry run.
    pub status: u16,
    /// The id under which the function ran.
    pub request_id: String,
    /// Whether the payload is an error of the function, and its kind.
    pub function_error: Option<String>,
    /// The answer of the function, or its error as `{"errorType", "errorMessage"}`.
    pub payload: Bytes,
    /// The end of what the function printed.
    pub log: String,
}

/// Invokes a function of the local Lambda at this address.
///
/// # Errors
///
/// There is no local Lambda, it refuses, or the connection breaks. An error of the function is no error here.
pub async fn invoke(address: SocketAddr, invoke: Invoke) -> Result<Invoked, PostError> {
    let stream = TcpStream::connect(address).await.map_err(|source| PostError::Connect { address, source })?;
    let lost = |source| PostError::Lost { address, source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let request = Request::post(format!("/2015-03-31/functions/{}/invocations", invoke.function))
        .header(HOST, address.to_string())
        .header("x-amz-invocation-type", invoke.invocation_type.word())
        .header("x-amz-log-type", "Tail")
        .body(Full::new(invoke.payload))?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        Ok((head, body.collect().await?.to_bytes()))
    };
    tokio::pin!(connection);
    tokio::pin!(exchange);
    let mut open = true;
    let (head, payload) = loop {
        tokio::select! {
            whole = &mut exchange => break whole.map_err(lost)?,
            // What it ended with is seen by the exchange, too.
            _ = &mut connection, if open => open = false,
        }
    };
    let status = head.status.as_u16();
    if !head.status.is_success() {
        let error_type = header(&head.headers, "x-amzn-errortype").unwrap_or_default();
        return Err(PostError::Refused { status, error_type, message: String::from_utf8_lossy(&payload).into_owned() });
    }
    let log = header(&head.headers, "x-amz-log-result").and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    Ok(Invoked {
        status,
        request_id: header(&head.headers, "x-amzn-requestid").unwrap_or_default(),
        function_error: header(&head.headers, "x-amz-function-error"),
        payload,
        log: String::from_utf8_lossy(&log).into_owned(),
    })
}

/// Invokes a function with the event in a file.
///
/// # Errors
///
/// The file cannot be read, or as for [`invoke`].
pub async fn post_event(
    address: SocketAddr,
    function: &str,
    file: &Path,
    invocation_type: InvocationType,
) -> Result<Invoked, PostError> {
    let payload = std::fs::read(file).map_err(|source| PostError::Read { file: file.to_owned(), source })?;
    invoke(address, Invoke { function: function.to_owned(), payload: payload.into(), invocation_type }).await
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
