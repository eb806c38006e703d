//! Synchronization on Redis, by the recipes that are usual for it.
//!
//! - A lock: `SET key token NX EX`, a subscription that tells of releases, and a script that deletes the key only for its
//!   token and publishes the release. A release wakes one caller of each process that waits, as Redisson does it.
//! - A lock without a lease: a list with one token, which is the value under the lock where there is one; `BLPOP` takes
//!   it, `RPUSH` gives it back. Whoever dies with the token takes the lock along. A caller that waits keeps its
//!   connection busy, so that callers cannot share one: the holder's `RPUSH` would wait behind the others' `BLPOP`.
//! - A semaphore: a list of tokens; `BLPOP` takes one, `RPUSH` gives it back.
//! - A barrier: `INCR`, and the last one of a generation publishes its number to all.
//! - A channel: a list; `RPUSH` sends, `BLPOP` receives.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Script};
use tokio::sync::{Semaphore, watch};
use tokio_stream::StreamExt as _;

/// How long a lock lasts if its owner dies, and how long at most a release can go unnoticed.
const LEASE: Duration = Duration::from_secs(30);

const UNLOCK: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then \
                      redis.call('del', KEYS[1]) redis.call('publish', KEYS[1], 'released') return 1 else return 0 end";

/// A connection for commands; blocking ones may take as long as they like.
pub(crate) async fn connect(address: &str) -> anyhow::Result<MultiplexedConnection> {
    let client = redis::Client::open(format!("redis://{address}/"))?;
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    Ok(client.get_multiplexed_async_connection_with_config(&patient).await?)
}

/// A connection that listens to one topic: what callers of one process share, or one caller has.
#[derive(Clone)]
pub(crate) struct Listener {
    /// The number in the last message; grows.
    number: watch::Receiver<u64>,
    /// A permit for each message.
    woken: Arc<Semaphore>,
}

impl Listener {
    pub(crate) async fn subscribe(address: &str, topic: &str) -> anyhow::Result<Self> {
        let mut subscription = redis::Client::open(format!("redis://{address}/"))?.get_async_pubsub().await?;
        subscription.subscribe(topic).await?;
        let (tell, number) = watch::channel(0);
        let woken = Arc::new(Semaphore::new(0));
        let wake = Arc::clone(&woken);
        tokio::spawn(async move {
            let mut messages = subscription.into_on_message();
            while let Some(message) = messages.next().await {
                let number = message.get_payload::<String>().ok().and_then(|text| text.parse().ok());
                tell.send_modify(|last| *last = number.unwrap_or(0).max(*last));
                wake.add_permits(1);
            }
        });
        Ok(Self { number, woken })
    }
}

/// A caller of a lock.
#[derive(Clone)]
pub(crate) struct Lock {
    pub(crate) commands: MultiplexedConnection,
    pub(crate) released: Listener,
    pub(crate) key: String,
    pub(crate) token: String,
    unlock: Arc<Script>,
}

impl Lock {
    pub(crate) fn new(commands: MultiplexedConnection, released: Listener, key: &str, token: usize) -> Self {
        let (key, token) = (key.to_owned(), token.to_string());
        Self { commands, released, key, token, unlock: Arc::new(Script::new(UNLOCK)) }
    }

    pub(crate) async fn lock(&mut self) -> anyhow::Result<()> {
        loop {
            let mut take = redis::cmd("SET");
            take.arg(&self.key).arg(&self.token).arg("NX").arg("EX").arg(LEASE.as_secs());
            if take.query_async::<Option<String>>(&mut self.commands).await?.is_some() {
                return Ok(());
            }
            // Whoever held it may have died without a word.
            if let Ok(woken) = tokio::time::timeout(LEASE, self.released.woken.acquire()).await {
                woken.context("the subscription has ended")?.forget();
            }
        }
    }

    pub(crate) async fn unlock(&mut self) -> anyhow::Result<()> {
        let released: u64 = self.unlock.key(&self.key).arg(&self.token).invoke_async(&mut self.commands).await?;
        anyhow::ensure!(released == 1, "the lock was not held");
        Ok(())
    }

    /// Adds one to the number under the lock, which is held.
    pub(crate) async fn add_one(&mut self) -> anyhow::Result<()> {
        let key = format!("{} value", self.key);
        let value: Option<u64> = redis::cmd("GET").arg(&key).query_async(&mut self.commands).await?;
        let _: () = redis::cmd("SET").arg(&key).arg(value.unwrap_or(0) + 1).query_async(&mut self.commands).await?;
        Ok(())
    }
}

/// Puts the tokens of a semaphore there.
pub(crate) async fn fill(commands: &mut MultiplexedConnection, key: &str, permits: u32) -> anyhow::Result<()> {
    for _ in 0..permits {
        let _: u64 = redis::cmd("RPUSH").arg(key).arg("permit").query_async(commands).await?;
    }
    Ok(())
}

/// Takes the first item of a list, as soon as there is one. The connection is busy until then.
pub(crate) async fn take(commands: &mut MultiplexedConnection, key: &str) -> anyhow::Result<String> {
    let (_, item): (String, String) = redis::cmd("BLPOP").arg(key).arg(0).query_async(commands).await?;
    Ok(item)
}

/// Adds an item to a list.
pub(crate) async fn push(commands: &mut MultiplexedConnection, key: &str, item: &str) -> anyhow::Result<()> {
    let _: u64 = redis::cmd("RPUSH").arg(key).arg(item).query_async(commands).await?;
    Ok(())
}

/// A caller of a lock that is a token in a list, on a blocking socket of its own, which is faster than by a task.
pub(crate) struct TokenLock {
    commands: redis::Connection,
    key: String,
}

impl TokenLock {
    pub(crate) fn connect(address: &str, key: &str) -> anyhow::Result<Self> {
        let commands = redis::Client::open(format!("redis://{address}/"))?.get_connection()?;
        Ok(Self { commands, key: key.to_owned() })
    }

    /// Waits for the token.
    pub(crate) fn lock(&mut self) -> anyhow::Result<u64> {
        let (_, token): (String, u64) = redis::cmd("BLPOP").arg(&self.key).arg(0).query(&mut self.commands)?;
        Ok(token)
    }

    pub(crate) fn unlock(&mut self, token: u64) -> anyhow::Result<()> {
        let _: u64 = redis::cmd("RPUSH").arg(&self.key).arg(token).query(&mut self.commands)?;
        Ok(())
    }
}

/// A party at a barrier.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) commands: MultiplexedConnection,
    pub(crate) opened: Listener,
    pub(crate) key: String,
    pub(crate) parties: u64,
}

impl Party {
    pub(crate) async fn wait(&mut self) -> anyhow::Result<()> {
        let arrived: u64 = redis::cmd("INCR").arg(&self.key).query_async(&mut self.commands).await?;
        let generation = arrived.div_ceil(self.parties);
        if arrived == generation * self.parties {
            let _: u64 = redis::cmd("PUBLISH").arg(&self.key).arg(generation).query_async(&mut self.commands).await?;
            return Ok(());
        }
        self.opened.number.wait_for(|&last| last >= generation).await.context("the subscription has ended")?;
        Ok(())
    }
}
