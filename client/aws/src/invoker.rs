//! Invoking a function.

use std::fmt;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::config::{Credentials, StalledStreamProtectionConfig};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use crate::error::InvokeError;

/// How long it may take to open a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Which Lambda is invoked. What is not said comes from the environment and the files that all of AWS' tools read.
#[derive(Clone, Debug, Default)]
pub struct InvokerSettings {
    /// The address of the Invoke API, such as `http://127.0.0.1:9000`.
    pub endpoint: Option<String>,
    /// The region, such as `eu-central-1`.
    pub region: Option<String>,
    /// Whether to use made-up credentials: for an endpoint that asks for none.
    pub no_credentials: bool,
}

/// How an event is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The answer comes when the function has ended.
    Synchronous,
    /// The answer comes when the event is in the platform's queue; it may be delivered more than once.
    Queued,
}

/// What the platform answers to an invocation that it has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoked {
    /// The kind of the function's error, if it has failed: `Handled` or `Unhandled`.
    pub function_error: Option<String>,
    /// What the function has answered, or its error; nothing for a queued event.
    pub payload: String,
}

/// Invokes functions. Cloning it is cheap.
#[derive(Clone)]
pub struct Invoker {
    client: Client,
}

impl Invoker {
    /// An invoker with these settings. It connects to nothing yet.
    pub async fn new(settings: &InvokerSettings) -> Self {
        let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        // Whoever invokes knows better when to try again, and nothing may be invoked twice in silence. An answer may take
        // as long as a function may run.
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_WITHIN).build());
        if let Some(endpoint) = &settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if settings.no_credentials {
            loader = loader.credentials_provider(Credentials::new("none", "none", None, None, "greenroom"));
        }
        Self { client: Client::new(&loader.load().await) }
    }

    /// Invokes a function, by its name or ARN, with an event that is a JSON text.
    ///
    /// # Errors
    /// When the platform does not accept it, or its answer is lost. That the function fails is no error here.
    pub async fn invoke(&self, function: &str, event: String, delivery: Delivery) -> Result<Invoked, InvokeError> {
        let kind = match delivery {
            Delivery::Synchronous => InvocationType::RequestResponse,
            Delivery::Queued => InvocationType::Event,
        };
        let request = self.client.invoke().function_name(function).invocation_type(kind).payload(Blob::new(event));
        let answer = request.send().await?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        Ok(Invoked { function_error: answer.function_error, payload: String::from_utf8_lossy(&payload).into_owned() })
    }
}

impl fmt::Debug for Invoker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invoker").finish_non_exhaustive()
    }
}
