//! The data plane's service: one long-lived stream for each client process and shard.
//!
//! tonic's handlers are plain tokio tasks, in which no actor can be started: they hand each batch to the shard's actor.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use actix::Addr;
use bytes::Bytes;
use futures_core::Stream;
use greenroom_actors::wire::{self, Frame, Hello, HelloRefusal, Welcome};
use greenroom_rpc::framing::{ReceiveError, receive};
use greenroom_rpc::proto::Batch;
use greenroom_rpc::proto::shard_server::Shard as ShardService;
use greenroom_rpc::{Inbox, Outbox, OutboxStream};
use tonic::{Request, Response, Status, Streaming};

use crate::sessions::StreamId;
use crate::shard::{OpenStream, Shard, StreamClosed, StreamFrames};

/// Frames that may be on their way to the shard before the reader waits for it.
const AHEAD_FRAMES: usize = 64;

/// Serves the streams of one shard.
#[derive(Debug)]
pub(crate) struct StreamServer {
    shard: Addr<Shard>,
    next_stream: AtomicU64,
    frame_bytes_max: usize,
    queue_bytes_max: usize,
}

impl StreamServer {
    pub(crate) fn new(shard: Addr<Shard>, frame_bytes_max: usize, queue_bytes_max: usize) -> Self {
        Self { shard, next_stream: AtomicU64::new(1), frame_bytes_max, queue_bytes_max }
    }
}

#[tonic::async_trait]
impl ShardService for StreamServer {
    type CallsStream = ReplyStream;

    async fn calls(&self, request: Request<Streaming<Batch>>) -> Result<Response<ReplyStream>, Status> {
        let stream = StreamId(self.next_stream.fetch_add(1, Ordering::Relaxed));
        let outbox = Outbox::new(self.frame_bytes_max, self.queue_bytes_max);
        let reader = Reader {
            stream,
            shard: self.shard.clone(),
            inbox: Inbox::new(self.frame_bytes_max),
            outbox: Arc::clone(&outbox),
        };
        tokio::spawn(reader.run(request.into_inner()));
        Ok(Response::new(ReplyStream(OutboxStream::new(outbox))))
    }
}

/// What leaves on a stream.
pub(crate) struct ReplyStream(OutboxStream);

impl Stream for ReplyStream {
    type Item = Result<Batch, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(context).map(|batch| batch.map(Ok))
    }
}

/// What arrives on a stream.
struct Reader {
    stream: StreamId,
    shard: Addr<Shard>,
    inbox: Inbox,
    outbox: Arc<Outbox>,
}

impl Reader {
    async fn run(mut self, mut messages: Streaming<Batch>) {
        if let Err(why) = self.read(&mut messages).await {
            tracing::warn!(stream = self.stream.0, why, "a stream has ended badly");
        }
        self.outbox.close();
        self.shard.do_send(StreamClosed(self.stream));
    }

    async fn read(&mut self, messages: &mut Streaming<Batch>) -> Result<(), String> {
        let mut frames = Vec::new();
        let mut greeted = false;
        let mut ahead = 0;
        loop {
            let outbox = Arc::clone(&self.outbox);
            let received = tokio::select! {
                received = receive(messages, &mut self.inbox, &mut frames) => received,
                // The client does not read, or was broken off with.
                () = poll_fn(|context| outbox.poll_closed(context)) => return Ok(()),
            };
            if !greeted && !frames.is_empty() {
                let first = frames.remove(0);
                if !self.greet(&first).await {
                    return Ok(());
                }
                greeted = true;
            }
            if !frames.is_empty() {
                let batch = StreamFrames { stream: self.stream, frames: std::mem::take(&mut frames) };
                // Waiting for the shard now and then is what holds a client back that sends more than the shard can do.
                ahead += batch.frames.len();
                if ahead < AHEAD_FRAMES {
                    self.shard.do_send(batch);
                } else {
                    ahead = 0;
                    self.shard.send(batch).await.map_err(|error| error.to_string())?;
                }
            }
            match received {
                Ok(true) if !self.outbox.is_closed() => {}
                // A client that hangs up in the midst of it has simply gone.
                Ok(_) | Err(ReceiveError::Transport(_)) => return Ok(()),
                Err(ReceiveError::Frame(error)) => return Err(error.to_string()),
            }
        }
    }

    /// Answers the first frame; whether the stream goes on.
    async fn greet(&self, first: &Bytes) -> bool {
        let welcome = match wire::decode(first) {
            Ok(Frame::Hello(hello)) => self.open(hello).await,
            Ok(_) => Welcome::Refused(HelloRefusal::Malformed("another frame".to_owned())),
            Err(error) => Welcome::Refused(HelloRefusal::Malformed(error.to_string())),
        };
        let open = matches!(welcome, Welcome::Open { .. });
        // A client that is gone already needs no welcome.
        let _ = self.outbox.push(|out| wire::encode_welcome(&welcome, out));
        open
    }

    async fn open(&self, hello: Hello) -> Welcome {
        let open = OpenStream { stream: self.stream, hello, outbox: Arc::clone(&self.outbox) };
        self.shard.send(open).await.unwrap_or(Welcome::Refused(HelloRefusal::Stopping))
    }
}
