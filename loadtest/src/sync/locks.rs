//! Locks and semaphores: taken and given back again and again.

use std::sync::Arc;

use greenroom::Client;
use greenroom::sync::{Mutex, Semaphore};
use redis::aio::MultiplexedConnection;

use super::{Bench, Connections, Read, Side};
use crate::recipes::{self, Listener, Lock};
use crate::report::{Figure, Goal};

/// The permits of the semaphores.
const PERMITS: u32 = 8;

impl Bench<'_> {
    pub(super) async fn locks(&self) -> anyhow::Result<Vec<Figure>> {
        let many = self.options.callers;
        let goal = Goal::AtLeast(5.0);
        Ok(vec![
            self.lock("1 caller, p50", 1, Connections::Shared, Read::P50, Goal::None).await?,
            self.lock(&format!("{many} callers, a connection each"), many, Connections::Each, Read::Throughput, goal)
                .await?,
            self.lock(&format!("{many} callers on 1 connection"), many, Connections::Shared, Read::Throughput, goal)
                .await?,
            self.counting(&format!("{many} callers add to what is locked"), many, goal).await?,
        ])
    }

    /// Taking and giving back one lock.
    async fn lock(
        &self,
        name: &str,
        callers: usize,
        connections: Connections,
        read: Read,
        goal: Goal,
    ) -> anyhow::Result<Figure> {
        let key = format!("lock {name}");
        let ours = self.clients(callers, connections).await?.into_iter().map(|client| mutex(&client, &key));
        let theirs = self.redis_locks(&key, callers, connections).await?;
        let ours = Side::new(ours.collect(), |mutex: &mut Mutex<u64>| {
            let mutex = mutex.clone();
            async move { Ok(mutex.lock_async().await?.unlock_async().await?) }
        });
        let theirs = Side::new(theirs, |lock: &mut Lock| {
            let mut lock = lock.clone();
            async move {
                lock.lock().await?;
                lock.unlock().await
            }
        });
        self.versus(name, ours, theirs, read, goal).await
    }

    /// Adding one to a number under a lock, which is what locks are for.
    async fn counting(&self, name: &str, callers: usize, goal: Goal) -> anyhow::Result<Figure> {
        let key = format!("counting {name}");
        let ours = self.clients(callers, Connections::Each).await?.into_iter().map(|client| mutex(&client, &key));
        let theirs = self.redis_locks(&key, callers, Connections::Each).await?;
        let ours = Side::new(ours.collect(), |mutex: &mut Mutex<u64>| {
            let mutex = mutex.clone();
            async move {
                let mut guard = mutex.lock_async().await?;
                *guard += 1;
                Ok(guard.unlock_async().await?)
            }
        });
        let theirs = Side::new(theirs, |lock: &mut Lock| {
            let mut lock = lock.clone();
            async move {
                lock.lock().await?;
                lock.add_one().await?;
                lock.unlock().await
            }
        });
        self.versus(name, ours, theirs, Read::Throughput, goal).await
    }

    pub(super) async fn semaphores(&self) -> anyhow::Result<Vec<Figure>> {
        let many = self.options.callers;
        Ok(vec![
            self.semaphore("1 caller, p50", 1, Read::P50).await?,
            self.semaphore(&format!("{many} callers, a connection each"), many, Read::Throughput).await?,
        ])
    }

    /// Taking and giving back a permit. On Redis a caller that waits needs a connection for itself.
    async fn semaphore(&self, name: &str, callers: usize, read: Read) -> anyhow::Result<Figure> {
        let key = format!("semaphore {name}");
        let clients = self.clients(callers, Connections::Each).await?;
        let ours = clients
            .into_iter()
            .map(|client| Semaphore::named(key.as_str(), PERMITS as usize).through(Arc::new(client)))
            .collect();
        let ours = Side::new(ours, |semaphore: &mut Semaphore| {
            let semaphore = semaphore.clone();
            async move { Ok(semaphore.acquire_async().await?.release_async().await?) }
        });
        let mut theirs = Vec::new();
        if let Some(redis) = &self.redis {
            recipes::fill(&mut recipes::connect(&redis.address).await?, &key, PERMITS).await?;
            for _ in 0..callers {
                theirs.push(recipes::connect(&redis.address).await?);
            }
        }
        let theirs = Side::new(theirs, move |commands: &mut MultiplexedConnection| {
            let (mut commands, key) = (commands.clone(), key.clone());
            async move {
                let permit = recipes::take(&mut commands, &key).await?;
                recipes::push(&mut commands, &key, &permit).await
            }
        });
        self.versus(name, ours, theirs, read, Goal::None).await
    }

    async fn redis_locks(&self, key: &str, callers: usize, connections: Connections) -> anyhow::Result<Vec<Lock>> {
        let Some(redis) = &self.redis else { return Ok(Vec::new()) };
        let commands = recipes::connect(&redis.address).await?;
        let released = Listener::subscribe(&redis.address, key).await?;
        let mut locks = Vec::new();
        for token in 0..callers {
            locks.push(match connections {
                Connections::Shared => Lock::new(commands.clone(), released.clone(), key, token),
                Connections::Each => {
                    let commands = recipes::connect(&redis.address).await?;
                    Lock::new(commands, Listener::subscribe(&redis.address, key).await?, key, token)
                }
            });
        }
        Ok(locks)
    }
}

pub(super) fn mutex(client: &Client, key: &str) -> Mutex<u64> {
    Mutex::named(key, 0).through(Arc::new(client.clone()))
}
