//! One invocation, from the search for a process to the moment when the process can have the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant as Moment};

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};

use crate::api::serve_runtime_api;
use crate::capture::Capture;
use crate::completion::{Completion, Outcome, Verdict};
use crate::delivery::{Delivery, LogType};
use crate::faults::Fate;
use crate::instance::{AtDeadline, Instance, Run, Start};
use crate::pool::Pool;
use crate::process::{self, Group, VERSION};
use crate::service::{Permits, Service};

/// How often the memory of a running process is looked at; nothing wakes anybody when it grows.
const MEMORY_SAMPLE: Duration = Duration::from_millis(50);

/// What ended the watch over a running process.
enum Watched {
    Completed(Completion),
    TimedOut,
    OutOfMemory,
}

impl Service {
    /// Carries an invocation out, tells its outcome, and then waits until the process can have the next event.
    pub(crate) async fn carry_out(
        self: Arc<Self>,
        pool: &Arc<Pool>,
        delivery: &Arc<Delivery>,
        permits: Option<Permits>,
        fate: Fate,
        tell: oneshot::Sender<Outcome>,
    ) {
        let (instance, mut run) = match self.assign(pool, delivery).await {
            Ok(found) => found,
            Err(outcome) => {
                self.say_failure(delivery, &outcome);
                drop(permits);
                // Whoever waited may have gone; the invocation was carried out all the same.
                let _ = tell.send(outcome);
                return;
            }
        };
        let (since, deadline) = (Moment::now(), Instant::now() + instance.function.timeout);
        befall(&instance, delivery, fate);
        let (mut outcome, gone) = match watch(&instance, &mut run, deadline).await {
            Watched::Completed(completion) => {
                let gone = matches!(completion, Completion::Exited(_));
                (Outcome::of(completion, &delivery.request_id), gone)
            }
            Watched::TimedOut => {
                if instance.handle_deadline() == AtDeadline::Killed {
                    // The caller is told when nothing of the invocation runs any longer.
                    let _ = run.completed.await;
                }
                (Outcome::timed_out(&delivery.request_id, instance.function.timeout), true)
            }
            Watched::OutOfMemory => {
                instance.kill();
                let _ = run.completed.await;
                (Outcome::out_of_memory(&delivery.request_id), true)
            }
        };
        instance.capture.catch_up();
        if delivery.log_type == LogType::Tail {
            outcome.tail = closing_lines(&instance, delivery, since);
        }
        self.say_failure(delivery, &outcome);
        if !gone {
            pool.begin_finishing();
        }
        drop(permits);
        let _ = tell.send(outcome);
        if gone {
            return;
        }
        tokio::select! {
            biased;
            finished = run.finished => match finished {
                Ok(()) => pool.finish(instance),
                Err(_) => pool.finish_without(),
            },
            () = sleep_until(deadline) => {
                pool.finish_without();
                instance.kill();
            }
        }
    }

    fn say_failure(&self, delivery: &Delivery, outcome: &Outcome) {
        if outcome.verdict == Verdict::Failed {
            let error = String::from_utf8_lossy(&outcome.payload);
            self.say(&format!("{} failed: {error}", delivery.request_id));
        }
    }

    /// Finds a process and gives it the event.
    async fn assign(
        self: &Arc<Self>,
        pool: &Arc<Pool>,
        delivery: &Arc<Delivery>,
    ) -> Result<(Arc<Instance>, Run), Outcome> {
        loop {
            let instance = match pool.take(self.config.finishing_wait).await {
                Some(instance) => instance,
                None => self.start(pool, delivery).await?,
            };
            // Nobody else knows of it, so it does not wait only if it is about to end.
            if let Some(run) = instance.deliver(delivery) {
                instance.capture.note(&format!("START RequestId: {} Version: {VERSION}", delivery.request_id));
                return Ok((instance, run));
            }
        }
    }

    /// Starts a process and waits until it asks for its first event.
    async fn start(self: &Arc<Self>, pool: &Arc<Pool>, delivery: &Delivery) -> Result<Arc<Instance>, Outcome> {
        let delay = self.start_delay();
        if delay > Duration::ZERO {
            sleep(delay).await;
        }
        let (tell, started) = oneshot::channel();
        let instance = match self.spawn(pool, tell).await {
            Ok(instance) => instance,
            Err(error) => return Err(Outcome::not_started(&delivery.request_id, &error)),
        };
        let init_timeout = self.config.init_timeout;
        let mut outcome = match timeout(init_timeout, started).await {
            Ok(Ok(Start::Ready)) => return Ok(instance),
            Ok(Ok(Start::Failed(error))) => Outcome::of(Completion::Error(error), &delivery.request_id),
            Ok(Ok(Start::Exited(status))) => Outcome::of(Completion::Exited(status), &delivery.request_id),
            Ok(Err(_)) | Err(_) => Outcome::timed_out(&delivery.request_id, init_timeout),
        };
        instance.kill();
        outcome.tail = instance.capture.tail();
        Err(outcome)
    }

    async fn spawn(self: &Arc<Self>, pool: &Arc<Pool>, tell: oneshot::Sender<Start>) -> std::io::Result<Arc<Instance>> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("the local lambda stops"));
        }
        let name = pool.next_name();
        let (mut child, output) = process::spawn(&pool.function, &name, listener.local_addr()?, &self.leash)?;
        let capture = Arc::new(Capture::new(output, name.clone(), self.config.log.clone())?);
        let group = Group::of(&child).ok_or(std::io::ErrorKind::NotFound)?;
        let function = pool.function.clone();
        let instance = Instance::new(name, function, capture.clone(), group, tell, self.changed.clone());
        let instance = Arc::new(instance);
        pool.add(instance.clone());
        let api = tokio::spawn(serve_runtime_api(listener, instance.clone()));
        let follower = tokio::spawn(async move { capture.follow().await });
        let (service, pool, watched) = (self.clone(), pool.clone(), instance.clone());
        tokio::spawn(async move {
            let status = child.wait().await;
            watched.capture.catch_up();
            pool.remove(&watched);
            if let Ok(status) = status {
                watched.handle_exit(status);
            }
            api.abort();
            follower.abort();
            service.changed.send_replace(());
        });
        Ok(instance)
    }
}

/// Waits until the process has answered or ended, or must not go on.
async fn watch(instance: &Instance, run: &mut Run, deadline: Instant) -> Watched {
    let memory_bytes = u64::from(instance.function.memory_mb) << 20;
    let mut sample = interval_at(Instant::now() + MEMORY_SAMPLE, MEMORY_SAMPLE);
    sample.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            completion = &mut run.completed => {
                // The process is dropped without a word only together with the local Lambda.
                return completion.map_or(Watched::TimedOut, Watched::Completed);
            }
            () = sleep_until(deadline) => return Watched::TimedOut,
            _ = sample.tick() => {
                if instance.resident_bytes().is_some_and(|bytes| bytes > memory_bytes) {
                    return Watched::OutOfMemory;
                }
            }
        }
    }
}

/// Has happen to an invocation what was drawn for it.
fn befall(instance: &Arc<Instance>, delivery: &Arc<Delivery>, fate: Fate) {
    let still_runs = |instance: &Instance, delivery: &Arc<Delivery>| {
        instance.running().is_some_and(|(running, _, _)| Arc::ptr_eq(&running, delivery))
    };
    if let Some(freeze) = fate.freeze {
        let (instance, delivery) = (instance.clone(), delivery.clone());
        tokio::spawn(async move {
            sleep(freeze.after).await;
            if still_runs(&instance, &delivery) && instance.freeze() {
                sleep(freeze.lasts).await;
                instance.thaw();
            }
        });
    }
    if let Some(kill) = fate.kill {
        let (instance, delivery) = (instance.clone(), delivery.clone());
        tokio::spawn(async move {
            sleep(kill.after).await;
            if still_runs(&instance, &delivery) {
                instance.crash();
            }
        });
    }
}

/// Adds the lines with which AWS ends an invocation's log, and returns the log's tail.
fn closing_lines(instance: &Instance, delivery: &Delivery, since: Moment) -> Vec<u8> {
    let (request_id, milliseconds) = (&delivery.request_id, since.elapsed().as_secs_f64() * 1000.0);
    let used_mb = instance.resident_bytes().unwrap_or(0).div_ceil(1 << 20);
    instance.capture.note(&format!("END RequestId: {request_id}"));
    instance.capture.note(&format!(
        "REPORT RequestId: {request_id}\tDuration: {milliseconds:.2} ms\tBilled Duration: {:.0} ms\tMemory Size: {} MB\tMax Memory Used: {used_mb} MB",
        milliseconds.ceil(),
        instance.function.memory_mb,
    ));
    instance.capture.tail()
}
