//! The end of the load: every task ends after the call that it is in, and the objects are read.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use greenroom::Error;
use greenroom::sync::channel::Sender;
use greenroom_sim::{Call, ObjectIndex, QueueCall, RegisterCall, Reply};
use tokio::task::JoinHandle;

use super::load::{CHANNELS, Load, PARTIES};
use super::scribe::{Scribe, ok};
use super::tasks::{THINK, WAIT, get, locked, try_received, try_sent, wait_once};

/// How long the calls that are out when everything is healed may take.
const FINISH_WITHIN: Duration = Duration::from_secs(45);

/// The objects after all calls have ended.
#[derive(Debug, Default)]
pub(crate) struct Last {
    /// Tasks whose call was never answered.
    pub(crate) forgotten: Vec<String>,
    pub(crate) counters: Vec<(ObjectIndex, i64)>,
    pub(crate) mutexes: Vec<(ObjectIndex, u64)>,
    pub(crate) channels: Vec<ObjectIndex>,
}

impl Load {
    /// Lets all tasks end, sees that they do, and reads what the objects have become.
    pub(crate) async fn finish(mut self) -> anyhow::Result<Last> {
        self.book.stop();
        let deadline = Instant::now() + FINISH_WITHIN;
        let mut last = Last::default();
        for (name, task) in std::mem::take(&mut self.tasks) {
            if ended(task, deadline).await?.is_none() {
                last.forgotten.push(name);
            }
        }
        // Each kind has its own time, lest one that is forgotten makes the rest look so.
        self.finish_channels(&mut last).await?;
        self.finish_barriers(Instant::now() + FINISH_WITHIN, &mut last).await?;
        let scribe = Scribe::new(&self.book);
        for (index, counter) in &self.counters {
            last.counters.push((*index, get(&scribe, *index, counter).await?));
        }
        for (index, cell) in &self.cells {
            let read = RegisterCall::Read;
            let value = scribe.call(*index, Call::Register(read), cell.get_async(), |r| ok(r, |v| Reply::Number(*v)));
            value.await?;
        }
        for (index, mutex) in &self.mutexes {
            match tokio::time::timeout(WAIT * 10, locked(&scribe, *index, mutex)).await {
                Ok(value) => last.mutexes.push((*index, value?)),
                Err(_) => last.forgotten.push(format!("the lock of {}", mutex.object().key())),
            }
        }
        Ok(last)
    }

    /// Those who wait for room get some, and then those who wait for a value get one.
    async fn finish_channels(&mut self, last: &mut Last) -> anyhow::Result<()> {
        let senders = self.finish_senders(Instant::now() + FINISH_WITHIN, last).await?;
        let deadline = Instant::now() + FINISH_WITHIN;
        let scribe = Scribe::new(&self.book);
        for (number, (index, channel)) in self.channels.iter().enumerate() {
            let mut receivers: Vec<_> = self.receivers.extract_if(.., |(of, _)| *of == number).collect();
            while !receivers.is_empty() && Instant::now() < deadline {
                receivers.retain(|(_, task)| !task.is_finished());
                if let Some(sender) = senders[number].first()
                    && !receivers.is_empty()
                {
                    let value = self.book.fresh_value();
                    let send = Call::Queue(QueueCall::TrySend(value));
                    // A channel that is full has enough for them.
                    let _ = scribe.call(*index, send, sender.try_send_async(value), try_sent).await;
                    tokio::time::sleep(THINK).await;
                }
            }
            if !receivers.is_empty() {
                last.forgotten.push(format!("{} receivers of channel {number}", receivers.len()));
            }
            let receiver = channel.receiver();
            let take = || scribe.call(*index, Call::Queue(QueueCall::TryRecv), receiver.try_recv_async(), try_received);
            loop {
                match take().await {
                    Ok(_) => {}
                    Err(Error::Method(_)) => break,
                    Err(error) => return Err(error).context("a channel cannot be emptied"),
                }
            }
            last.channels.push(*index);
        }
        Ok(())
    }

    /// The senders of each channel, after their last call. The receivers may have ended before them, and have left a full channel.
    async fn finish_senders(&mut self, deadline: Instant, last: &mut Last) -> anyhow::Result<Vec<Vec<Sender<i64>>>> {
        let mut senders: Vec<Vec<Sender<i64>>> = (0..CHANNELS).map(|_| Vec::new()).collect();
        let scribe = Scribe::new(&self.book);
        while !self.senders.is_empty() && Instant::now() < deadline {
            for (number, task) in self.senders.extract_if(.., |(_, task)| task.is_finished()) {
                senders[number].push(task.await.context("a sender panicked")?);
            }
            for (number, _) in &self.senders {
                let (index, channel) = &self.channels[*number];
                let receiver = channel.receiver();
                let take = Call::Queue(QueueCall::TryRecv);
                // An empty channel has room.
                let _ = scribe.call(*index, take, receiver.try_recv_async(), try_received).await;
            }
            tokio::time::sleep(THINK).await;
        }
        for (number, task) in std::mem::take(&mut self.senders) {
            task.abort();
            last.forgotten.push(format!("a sender of channel {number}"));
        }
        Ok(senders)
    }

    /// Parties whose companions have ended get others.
    async fn finish_barriers(&mut self, deadline: Instant, last: &mut Last) -> anyhow::Result<()> {
        for (number, (index, barrier)) in self.barriers.iter().enumerate() {
            let mut parties: Vec<_> = self.parties.extract_if(.., |(of, _)| *of == number).collect();
            let helpers: Vec<Scribe> = (1..PARTIES).map(|_| Scribe::new(&self.book)).collect();
            while !parties.is_empty() && Instant::now() < deadline {
                parties.retain(|(_, task)| !task.is_finished());
                let waits = helpers.iter().map(|helper| {
                    let (helper, index, barrier) = (helper.clone(), *index, barrier.clone());
                    tokio::spawn(async move { wait_once(&helper, index, &barrier, Some(WAIT)).await })
                });
                for wait in waits.collect::<Vec<_>>() {
                    wait.await?;
                }
            }
            if !parties.is_empty() {
                last.forgotten.push(format!("{} parties of barrier {number}", parties.len()));
            }
        }
        Ok(())
    }
}

/// What the task returns, if it ends in time.
async fn ended<T>(mut task: JoinHandle<T>, deadline: Instant) -> anyhow::Result<Option<T>> {
    match tokio::time::timeout_at(deadline.into(), &mut task).await {
        Ok(ended) => Ok(Some(ended.context("a task of the load panicked")?)),
        Err(_) => {
            task.abort();
            Ok(None)
        }
    }
}
