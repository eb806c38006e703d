//! Barriers: parties that wait for each other, lap after lap.

use std::future::Future;
use std::time::Instant;

use anyhow::Context as _;
use greenroom::sync::Barrier;

use super::{Bench, Connections, figure};
use crate::recipes::{self, Listener, Party};
use crate::report::{Figure, Goal};

impl Bench<'_> {
    pub(super) async fn barriers(&self) -> anyhow::Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for &parties in &self.options.parties {
            for (connections, text) in
                [(Connections::Each, "a connection each"), (Connections::Shared, "on 1 connection")]
            {
                // A barrier of two is not contended; the goal is about many.
                let goal =
                    if parties >= 32 && connections == Connections::Each { Goal::AtMost(0.2) } else { Goal::None };
                figures.push(self.barrier(&format!("{parties} parties, {text}"), parties, connections, goal).await?);
            }
        }
        Ok(figures)
    }

    async fn barrier(&self, name: &str, parties: u32, connections: Connections, goal: Goal) -> anyhow::Result<Figure> {
        let (key, count) = (format!("barrier {name}"), usize::try_from(parties)?);
        let laps = (40_000 / count).clamp(5, 500);
        let clients = self.clients(count, connections).await?;
        let ours: Vec<_> = clients.iter().map(|client| client.object(Barrier::named(key.as_str(), count))).collect();
        let mut theirs = Vec::new();
        if let Some(redis) = &self.redis {
            let shared = Party {
                commands: recipes::connect(&redis.address).await?,
                opened: Listener::subscribe(&redis.address, &key).await?,
                key: key.clone(),
                parties: parties.into(),
            };
            for _ in 0..count {
                theirs.push(match connections {
                    Connections::Shared => shared.clone(),
                    Connections::Each => Party {
                        commands: recipes::connect(&redis.address).await?,
                        opened: Listener::subscribe(&redis.address, &key).await?,
                        ..shared.clone()
                    },
                });
            }
        }
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for round in 0..=self.options.rounds {
            let one = lap_us(&ours, laps, |gate| {
                let gate = gate.clone();
                async move { gate.wait_async().await.map(|_| ()).context("wait") }
            })
            .await?;
            let other = lap_us(&theirs, laps, |party| {
                let mut party = party.clone();
                async move { party.wait().await }
            })
            .await?;
            // The first round warms both sides up.
            if round > 0 {
                a.push(one);
                b.push(other);
            }
        }
        Ok(figure(name, "µs", &a, self.redis.as_ref().map(|_| &b[..]), goal))
    }
}

/// The time of one lap in microseconds, of callers that each make so many, and wait for each other in each.
async fn lap_us<C, R>(callers: &[C], laps: usize, lap: impl Fn(&C) -> R + Clone + Send + 'static) -> anyhow::Result<f64>
where
    C: Clone + Send + 'static,
    R: Future<Output = anyhow::Result<()>> + Send,
{
    let started = Instant::now();
    let tasks: Vec<_> = callers
        .iter()
        .cloned()
        .map(|caller| {
            let lap = lap.clone();
            tokio::spawn(async move {
                for _ in 0..laps {
                    lap(&caller).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / laps as f64)
}
