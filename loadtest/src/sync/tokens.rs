//! Locks beside a token in a list, the recipe of one command: callers as tasks, and as threads with blocking sockets.

use std::sync::{Arc, Mutex as Local};
use std::time::Duration;

use greenroom::sync::Mutex;
use redis::aio::MultiplexedConnection;

use super::locks::mutex;
use super::{Bench, Connections, Read, Side, figure};
use crate::recipes::{self, TokenLock};
use crate::report::{Figure, Goal};
use crate::workload::closed_loop_of_threads;

impl Bench<'_> {
    /// Always with a connection each: a caller that waits for a token keeps its connection busy.
    pub(super) async fn token_locks(&self) -> anyhow::Result<Vec<Figure>> {
        let many = self.options.callers;
        let goal = Goal::AtLeast(5.0);
        let mut figures = vec![self.token_lock("1 caller, p50", 1, false, Read::P50, Goal::None).await?];
        for adds in [false, true] {
            let what = if adds { "add to the token" } else { "a connection each" };
            let name = format!("{many} callers, {what}");
            figures.push(self.token_lock(&name, many, adds, Read::Throughput, goal).await?);
            let name = format!("{many} blocking threads, {what}");
            figures.push(self.token_lock_of_threads(&name, many, adds, goal).await?);
        }
        Ok(figures)
    }

    async fn token_lock(
        &self,
        name: &str,
        callers: usize,
        adds: bool,
        read: Read,
        goal: Goal,
    ) -> anyhow::Result<Figure> {
        let key = format!("token {name}");
        let added = u64::from(adds);
        let ours = self.clients(callers, Connections::Each).await?.into_iter().map(|client| mutex(&client, &key));
        let ours = Side::new(ours.collect(), move |mutex: &mut Mutex<u64>| {
            let mutex = mutex.clone();
            async move {
                let mut guard = mutex.lock_async().await?;
                if adds {
                    *guard += 1;
                }
                Ok(guard.unlock_async().await?)
            }
        });
        let mut theirs = Vec::new();
        if let Some(redis) = &self.redis {
            recipes::push(&mut recipes::connect(&redis.address).await?, &key, "0").await?;
            for _ in 0..callers {
                theirs.push(recipes::connect(&redis.address).await?);
            }
        }
        let theirs = Side::new(theirs, move |commands: &mut MultiplexedConnection| {
            let (mut commands, key) = (commands.clone(), key.clone());
            async move {
                let token: u64 = recipes::take(&mut commands, &key).await?.parse()?;
                recipes::push(&mut commands, &key, &(token + added).to_string()).await
            }
        });
        self.versus(name, ours, theirs, read, goal).await
    }

    async fn token_lock_of_threads(
        &self,
        name: &str,
        callers: usize,
        adds: bool,
        goal: Goal,
    ) -> anyhow::Result<Figure> {
        let key = format!("token {name}");
        let added = u64::from(adds);
        let clients = self.clients(callers, Connections::Each).await?;
        let ours: Vec<_> = clients.iter().map(|client| Arc::new(Local::new(mutex(client, &key)))).collect();
        let mut theirs = Vec::new();
        if let Some(redis) = &self.redis {
            recipes::push(&mut recipes::connect(&redis.address).await?, &key, "0").await?;
            for _ in 0..callers {
                theirs.push(Arc::new(Local::new(TokenLock::connect(&redis.address, &key)?)));
            }
        }
        let time = Duration::from_millis(self.options.round_ms);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for round in 0..=self.options.rounds {
            let one = closed_loop_of_threads(&ours, time, move |mutex: &mut Mutex<u64>| {
                let mut guard = mutex.lock()?;
                if adds {
                    *guard += 1;
                }
                Ok(guard.unlock()?)
            });
            let one = one.await?.throughput;
            let other = closed_loop_of_threads(&theirs, time, move |lock: &mut TokenLock| {
                let token = lock.lock()?;
                lock.unlock(token + added)
            });
            let other = other.await?.throughput;
            // The first round warms both sides up.
            if round > 0 {
                a.push(one);
                b.push(other);
            }
        }
        Ok(figure(name, Read::Throughput.unit(), &a, self.redis.as_ref().map(|_| &b[..]), goal))
    }
}
