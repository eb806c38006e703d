//! Channels: values from senders to receivers.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use greenroom::sync::channel::{Channel, Receiver, Sender};
use redis::aio::MultiplexedConnection;

use super::{Bench, Connections, Read, Side, figure};
use crate::recipes;
use crate::report::{Figure, Goal};

/// Values that each sender sends in a round.
const VALUES: usize = 2_000;
/// Values that travel in one call where they travel together.
const TOGETHER: usize = 100;
/// What is sent: 64 bytes.
const VALUE: [u8; 64] = [7; 64];

type Value = Vec<u8>;

/// Both ends of a channel on Redis, each with a connection of its own.
#[derive(Clone)]
struct List {
    commands: MultiplexedConnection,
    key: String,
}

impl Bench<'_> {
    pub(super) async fn channels(&self) -> anyhow::Result<Vec<Figure>> {
        Ok(vec![
            self.there_and_back().await?,
            self.flow("1 sender, 1 receiver", 1, 1).await?,
            self.flow("8 senders, 8 receivers", 8, 1).await?,
            self.flow(&format!("8 senders, 8 receivers, {TOGETHER} at once"), 8, TOGETHER).await?,
        ])
    }

    /// A value that comes back: four calls, two of which wait.
    async fn there_and_back(&self) -> anyhow::Result<Figure> {
        let (there, back) = (self.pairs("there", 1).await?, self.pairs("back", 1).await?);
        let [(there_in, there_out)] = &there[..] else { anyhow::bail!("one pair") };
        let [(back_in, back_out)] = &back[..] else { anyhow::bail!("one pair") };
        let (source, sink) = (there_out.clone(), back_in.clone());
        let echo = tokio::spawn(async move {
            while let Ok(value) = source.recv_async().await {
                sink.send_async(value).await?;
            }
            anyhow::Ok(())
        });
        let ours =
            Side::new(vec![(there_in.clone(), back_out.clone())], |ends: &mut (Sender<Value>, Receiver<Value>)| {
                let (sender, receiver) = ends.clone();
                async move {
                    sender.send_async(VALUE.to_vec()).await?;
                    receiver.recv_async().await?;
                    Ok(())
                }
            });
        let (lists_there, lists_back) = (self.lists("there", 2).await?, self.lists("back", 2).await?);
        let mut theirs = Vec::new();
        if let ([there, echo_there], [back, echo_back]) = (&lists_there[..], &lists_back[..]) {
            let (mut source, mut sink) = (echo_there.clone(), echo_back.clone());
            tokio::spawn(async move {
                loop {
                    source.take(1).await?;
                    sink.put(1).await?;
                }
                #[expect(unreachable_code, reason = "it says what the task returns")]
                anyhow::Ok(())
            });
            theirs.push((there.clone(), back.clone()));
        }
        let theirs = Side::new(theirs, |ends: &mut (List, List)| {
            let (mut there, mut back) = ends.clone();
            async move {
                there.put(1).await?;
                back.take(1).await
            }
        });
        let figure = self.versus("a value there and back, p50", ours, theirs, Read::P50, Goal::None).await;
        there_out.close_async().await?;
        echo.await??;
        figure
    }

    /// So many senders send, and as many receivers take, all values of a round.
    async fn flow(&self, name: &str, pairs: usize, together: usize) -> anyhow::Result<Figure> {
        let key = format!("flow {name}");
        let ours = self.pairs(&key, pairs).await?;
        let lists = self.lists(&key, 2 * pairs).await?;
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for round in 0..=self.options.rounds {
            let one = flow(&ours, |(sender, receiver)| {
                let (sender, receiver) = (sender.clone(), receiver.clone());
                (send(sender, together), receive(receiver, together))
            })
            .await?;
            let ends: Vec<_> = lists.chunks_exact(2).map(|ends| (ends[0].clone(), ends[1].clone())).collect();
            let other = flow(&ends, |(put, take)| {
                let (mut put, mut take) = (put.clone(), take.clone());
                let putting = async move {
                    for _ in 0..VALUES / together {
                        put.put(together).await?;
                    }
                    Ok(())
                };
                let taking = async move {
                    for _ in 0..VALUES / together {
                        take.take(together).await?;
                    }
                    Ok(())
                };
                (putting, taking)
            })
            .await?;
            // The first round warms both sides up.
            if round > 0 {
                a.push(one);
                b.push(other);
            }
        }
        Ok(figure(name, "/s", &a, self.redis.as_ref().map(|_| &b[..]), Goal::None))
    }

    /// Senders and receivers of one channel, each with a connection of its own.
    async fn pairs(&self, key: &str, pairs: usize) -> anyhow::Result<Vec<(Sender<Value>, Receiver<Value>)>> {
        let channel = Channel::unbounded(key);
        let mut ends = Vec::new();
        for _ in 0..pairs {
            let [of_sender, of_receiver] = &self.clients(2, Connections::Each).await?[..] else { continue };
            let sender = channel.through(Arc::new(of_sender.clone())).sender_async().await?;
            ends.push((sender, channel.through(Arc::new(of_receiver.clone())).receiver()));
        }
        Ok(ends)
    }

    async fn lists(&self, key: &str, count: usize) -> anyhow::Result<Vec<List>> {
        let Some(redis) = &self.redis else { return Ok(Vec::new()) };
        let mut lists = Vec::new();
        for _ in 0..count {
            lists.push(List { commands: recipes::connect(&redis.address).await?, key: key.to_owned() });
        }
        Ok(lists)
    }
}

impl List {
    async fn put(&mut self, count: usize) -> anyhow::Result<()> {
        let mut push = redis::cmd("RPUSH");
        push.arg(&self.key);
        for _ in 0..count {
            push.arg(&VALUE[..]);
        }
        Ok(push.query_async(&mut self.commands).await?)
    }

    /// Takes so many values: one by `BLPOP`, several by `BLMPOP`.
    async fn take(&mut self, count: usize) -> anyhow::Result<()> {
        if count == 1 {
            let _: (String, Value) = redis::cmd("BLPOP").arg(&self.key).arg(0).query_async(&mut self.commands).await?;
            return Ok(());
        }
        let mut left = count;
        while left > 0 {
            let mut pop = redis::cmd("BLMPOP");
            pop.arg(0).arg(1).arg(&self.key).arg("LEFT").arg("COUNT").arg(left);
            let (_, values): (String, Vec<Value>) = pop.query_async(&mut self.commands).await?;
            left -= values.len();
        }
        Ok(())
    }
}

async fn send(sender: Sender<Value>, together: usize) -> anyhow::Result<()> {
    for _ in 0..VALUES / together {
        match together {
            1 => sender.send_async(VALUE.to_vec()).await?,
            _ => sender.send_all_async(vec![VALUE.to_vec(); together]).await?,
        }
    }
    Ok(())
}

async fn receive(receiver: Receiver<Value>, together: usize) -> anyhow::Result<()> {
    let mut left = VALUES;
    while left > 0 {
        left -= match together {
            1 => receiver.recv_async().await.map(|_| 1)?,
            _ => receiver.recv_many_async(together.min(left)).await?.len(),
        };
    }
    Ok(())
}

/// Runs both ends of all pairs; returns the values a second.
async fn flow<C, S, R>(pairs: &[C], ends: impl Fn(&C) -> (S, R)) -> anyhow::Result<f64>
where
    S: Future<Output = anyhow::Result<()>> + Send + 'static,
    R: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let started = Instant::now();
    let mut tasks = Vec::new();
    for pair in pairs {
        let (sending, receiving) = ends(pair);
        tasks.push(tokio::spawn(sending));
        tasks.push(tokio::spawn(receiving));
    }
    for task in tasks {
        task.await??;
    }
    Ok((pairs.len() * VALUES) as f64 / started.elapsed().as_secs_f64())
}
