//! The calling side of a stream, and the control calls around it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use greenroom_actors::wire::{self, Frame, Hello, HelloRefusal, Welcome};
use greenroom_actors::{NodeLayout, SlotTable};
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::framing::{Inbox, ReceiveError, receive};
use crate::outbox::{Outbox, OutboxStream};
use crate::proto::control_client::ControlClient;
use crate::proto::shard_client::ShardClient;
use crate::proto::{Batch, DescribeRequest};
use crate::{MESSAGE_BYTES_MAX, WINDOW_BYTES};

/// The most that waits to be sent on a stream before it counts as broken, in bytes.
const QUEUED_BYTES_MAX: usize = 1 << 30;

/// Why a link could not be opened, or ended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The address is not one.
    #[error("`{address}` is not an address: {why}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers, or the connection broke.
    #[error("cannot reach {address}: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the network said.
        why: String,
    },
    /// Who answers does not take the stream.
    #[error("{address} refused the stream: {refusal}")]
    Refused {
        /// Where.
        address: String,
        /// Why.
        refusal: HelloRefusal,
    },
    /// Who answers is no Greenroom node of this version.
    #[error("{address} does not speak as a Greenroom node does: {why}")]
    Protocol {
        /// Where.
        address: String,
        /// What was wrong.
        why: String,
    },
}

/// A stream that is open.
#[derive(Debug)]
pub struct OpenLink {
    /// Where frames are sent.
    pub outbox: Arc<Outbox>,
    /// Where they arrive.
    pub inbound: Inbound,
    /// The node's clock when it answered, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// The largest frame that the node takes.
    pub frame_bytes_max: usize,
}

/// The receiving half of a link.
#[derive(Debug)]
pub struct Inbound {
    address: String,
    stream: Streaming<Batch>,
    inbox: Inbox,
    /// What came together with the node's greeting.
    early: Vec<Bytes>,
}

impl Inbound {
    /// Waits for frames and appends what there is to `frames`; `false` at the stream's end.
    ///
    /// Frames that came before the end, or before a fault, are in `frames` all the same.
    ///
    /// # Errors
    /// When the connection breaks or what arrives is not as agreed.
    pub async fn next(&mut self, frames: &mut Vec<Bytes>) -> Result<bool, LinkError> {
        if !self.early.is_empty() {
            frames.append(&mut self.early);
            return Ok(true);
        }
        receive(&mut self.stream, &mut self.inbox, frames).await.map_err(|error| match error {
            ReceiveError::Transport(status) => unreachable(&self.address, status.message()),
            ReceiveError::Frame(error) => protocol(&self.address, &error),
        })
    }
}

/// Connects to `address` (`host:port`).
///
/// # Errors
/// When it is no address, or nobody answers within `timeout`.
pub async fn dial(address: &str, timeout: Duration) -> Result<Channel, LinkError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| LinkError::Address { address: address.to_owned(), why: error.to_string() })?;
    endpoint
        .connect_timeout(timeout)
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(10))
        .connect()
        .await
        .map_err(|error| unreachable(address, &root_cause(&error)))
}

/// Asks the node at `address` who it is and what its slot table says.
///
/// # Errors
/// When it cannot be reached, or does not speak as a node does.
pub async fn describe(address: &str, timeout: Duration) -> Result<(SlotTable, NodeLayout), LinkError> {
    let ask = async {
        let channel = dial(address, timeout).await?;
        let reply = ControlClient::new(channel).describe(DescribeRequest {}).await;
        let reply = reply.map_err(|status| protocol(address, &status.message()))?.into_inner();
        let table: SlotTable = postcard_from(&reply.table, address)?;
        let layout: NodeLayout = postcard_from(&reply.layout, address)?;
        if !table.is_sound() || layout.shards.is_empty() {
            return Err(protocol(address, &"its slot table has gaps"));
        }
        Ok((table, layout))
    };
    match tokio::time::timeout(timeout, ask).await {
        Ok(answer) => answer,
        Err(_) => Err(unreachable(address, &format!("no answer within {} ms", timeout.as_millis()))),
    }
}

/// Opens a stream to the shard at `address`.
///
/// # Errors
/// When it cannot be reached within `timeout`, refuses, or does not speak as a shard does.
pub async fn open(address: &str, hello: &Hello, timeout: Duration) -> Result<OpenLink, LinkError> {
    match tokio::time::timeout(timeout, open_patiently(address, hello, timeout)).await {
        Ok(link) => link,
        Err(_) => Err(unreachable(address, &format!("no answer within {} ms", timeout.as_millis()))),
    }
}

async fn open_patiently(address: &str, hello: &Hello, timeout: Duration) -> Result<OpenLink, LinkError> {
    let channel = dial(address, timeout).await?;
    let outbox = Outbox::new(crate::FRAME_BYTES_MAX, QUEUED_BYTES_MAX);
    outbox.push(|out| wire::encode_hello(hello, out)).map_err(|error| protocol(address, &error))?;
    let mut client = ShardClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let response = client.calls(OutboxStream::new(Arc::clone(&outbox))).await;
    let stream = response.map_err(|status| protocol(address, &status.message()))?.into_inner();
    let mut inbound =
        Inbound { address: address.to_owned(), stream, inbox: Inbox::new(crate::FRAME_BYTES_MAX), early: Vec::new() };
    let mut frames = Vec::new();
    while frames.is_empty() && inbound.next(&mut frames).await? {}
    if frames.is_empty() {
        return Err(protocol(address, &"the stream ended before it began"));
    }
    let first = frames.remove(0);
    inbound.early = frames;
    match wire::decode(&first) {
        Ok(Frame::Welcome(Welcome::Open { now_ms, frame_bytes_max, .. })) => {
            let frame_bytes_max = usize::try_from(frame_bytes_max).unwrap_or(usize::MAX);
            outbox.set_frame_bytes_max(frame_bytes_max);
            inbound.inbox.set_frame_bytes_max(frame_bytes_max);
            Ok(OpenLink { outbox, inbound, now_ms, frame_bytes_max })
        }
        Ok(Frame::Welcome(Welcome::Refused(refusal))) => {
            Err(LinkError::Refused { address: address.to_owned(), refusal })
        }
        Ok(_) => Err(protocol(address, &"it did not greet")),
        Err(error) => Err(protocol(address, &error)),
    }
}

fn postcard_from<T: serde::de::DeserializeOwned>(bytes: &[u8], address: &str) -> Result<T, LinkError> {
    postcard::from_bytes(bytes).map_err(|error| protocol(address, &error))
}

fn unreachable(address: &str, why: &str) -> LinkError {
    LinkError::Unreachable { address: address.to_owned(), why: why.to_owned() }
}

fn protocol(address: &str, why: &dyn std::fmt::Display) -> LinkError {
    LinkError::Protocol { address: address.to_owned(), why: why.to_string() }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
